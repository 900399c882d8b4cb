//! `profile.md` and `soul.md`: sections of claims, each citing the facts it rests on.
//!
//! A claim is one line, `- text (fct_…, fct_…)`. Everything else in the file is the person's and is left out of a draft.

use clone_schema::text::one_line;

use crate::document::Document;
use crate::problem::Problem;

/// One heading with its claims.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Section {
    /// The heading.
    pub heading: String,
    /// The claims.
    pub lines: Vec<Line>,
}

/// One claim.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Line {
    /// What it says, on one line.
    pub text: String,
    /// The ids of the facts it rests on.
    pub facts: Vec<String>,
}

impl Line {
    /// The line as it stands in the file.
    #[must_use]
    pub fn render(&self) -> String {
        let text = one_line(&self.text);
        if self.facts.is_empty() { format!("- {text}\n") } else { format!("- {text} ({})\n", self.facts.join(", ")) }
    }
}

/// The file: a title, a sentence or two, then the sections.
#[must_use]
pub fn render(title: &str, intro: &str, sections: &[Section]) -> String {
    let mut out = format!("# {title}\n\n{intro}\n");
    for section in sections {
        out.push_str(&format!("\n## {}\n\n", section.heading));
        section.lines.iter().for_each(|line| out.push_str(&line.render()));
    }
    out
}

/// Reads the sections of a profile file.
#[must_use]
pub fn parse(text: &str) -> (Vec<Section>, Vec<Problem>) {
    let document = Document::parse(text);
    let mut sections: Vec<Section> = Vec::new();
    for line in document.body().lines() {
        if let Some(heading) = line.strip_prefix("## ") {
            sections.push(Section { heading: heading.trim().to_owned(), lines: Vec::new() });
        } else if let (Some(claim), Some(section)) = (line.strip_prefix("- "), sections.last_mut()) {
            section.lines.push(read_line(claim.trim()));
        }
    }
    (sections, document.problems().to_vec())
}

fn read_line(claim: &str) -> Line {
    let cited = claim.strip_suffix(')').and_then(|claim| claim.rsplit_once(" ("));
    if let Some((text, ids)) = cited
        && ids.split(", ").all(|id| id.starts_with("fct_"))
    {
        return Line { text: text.to_owned(), facts: ids.split(", ").map(str::to_owned).collect() };
    }
    Line { text: claim.to_owned(), facts: Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_come_back() {
        let line = |text: &str, facts: &[&str]| Line {
            text: text.to_owned(),
            facts: facts.iter().map(|id| (*id).to_owned()).collect(),
        };
        let sections = [
            Section { heading: "Preferences".into(), lines: vec![line("Uses tabs (always)", &["fct_1", "fct_2"])] },
            Section { heading: "Habits".into(), lines: vec![line("Says yes (or no)", &[])] },
        ];
        let text = render("Profile", "Intro.", &sections);
        assert_eq!(parse(&text), (sections.to_vec(), vec![]));
        assert_eq!(text, format!("{}", Document::parse(&text)));
    }
}
