//! Whose words a text on GitHub is: the person's, an agent's that wrote under their name, or a machine's.

use clone_schema::Origin;

/// What agents leave in the messages, descriptions and comments that they write under a person's name, in lower case.
const AGENTS: &[&str] = &[
    "generated with [claude code]",
    "generated with claude code",
    "noreply@anthropic.com",
    "co-authored-by: claude",
    "co-authored-by: copilot",
    "co-authored-by: cursor",
    "cursoragent@cursor.com",
    "co-authored-by: codex",
    "noreply@openai.com",
    "co-authored-by: aider",
    "co-authored-by: gemini",
    "co-authored-by: devin",
    "co-authored-by: openhands",
    "[bot]@users.noreply.github.com",
    "summary by coderabbit",
    "🤖 generated",
];

/// How messages begin that git or GitHub writes by itself, in lower case.
const BY_GIT: &[&str] = &["merge pull request ", "merge branch ", "merge remote-tracking branch ", "merge tag "];

/// How the messages begin that GitHub's editor proposes, in lower case.
const BY_EDITOR: &[&str] =
    &["update ", "create ", "delete ", "rename ", "add files via upload", "initial commit", "apply suggestions from"];

/// The words of a text and who made them.
pub(super) type Words = (Origin, String);

/// The words of an issue, pull request, comment or review; a reason where there are none of the person's.
pub(super) fn words(body: &str) -> Result<Words, &'static str> {
    let own = own(body);
    if own.is_empty() {
        return Err("no words of their own");
    }
    Ok((origin(body), own))
}

/// The words of a commit; a reason where git or GitHub wrote them.
pub(super) fn message(message: &str, by_web: bool) -> Result<Words, &'static str> {
    let (origin, text) = (origin(message), without_trailers(message));
    let lower = text.to_lowercase();
    let subject = lower.lines().next().unwrap_or_default();
    if BY_GIT.iter().any(|start| subject.starts_with(start)) {
        return Err("written by git");
    }
    if subject.starts_with("revert \"") && lower.contains("this reverts commit") {
        return Err("written by git");
    }
    if text.is_empty() {
        return Err("no words of their own");
    }
    if by_web && text.lines().count() == 1 && BY_EDITOR.iter().any(|start| subject.starts_with(start)) {
        return Err("written by GitHub's editor");
    }
    // Of a squashed pull request nobody can say who wrote which line.
    let squashed = by_web && origin == Origin::Typed;
    Ok((if squashed { Origin::Unknown } else { origin }, text))
}

fn origin(text: &str) -> Origin {
    let lower = text.to_lowercase();
    if AGENTS.iter().any(|mark| lower.contains(mark)) { Origin::Agent } else { Origin::Typed }
}

/// A body without what a template hides in it and without the lines of others that it quotes.
fn own(body: &str) -> String {
    let body = without_comments(body);
    let lines = body.lines().filter(|line| {
        let line = line.trim_start();
        !line.starts_with('>') && line != "_No response_"
    });
    lines.collect::<Vec<_>>().join("\n").trim().to_owned()
}

/// The text without `<!-- … -->`; one that is never closed hides the rest, as it does on the page.
fn without_comments(text: &str) -> String {
    let (mut out, mut rest) = (String::new(), text);
    while let Some((before, hidden)) = rest.split_once("<!--") {
        out.push_str(before);
        rest = hidden.split_once("-->").map_or("", |(_, after)| after);
    }
    out + rest
}

/// A commit message without the lines that tools add, wherever they stand: one that was squashed has those of each commit.
fn without_trailers(message: &str) -> String {
    const TRAILERS: &[&str] = &["signed-off-by:", "co-authored-by:", "reviewed-by:", "change-id:", "cc:"];
    let kept = message.lines().filter(|line| {
        let line = line.trim_start().to_lowercase();
        !TRAILERS.iter().any(|trailer| line.starts_with(trailer))
    });
    kept.collect::<Vec<_>>().join("\n").trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_hidden_text_and_empty_answers_are_not_the_persons() {
        for (body, own) in [
            ("I prefer pnpm.", Ok("I prefer pnpm.")),
            ("> should we use npm?\n\nNo, pnpm.", Ok("No, pnpm.")),
            ("<!-- describe\nit -->It fails.\n_No response_", Ok("It fails.")),
            ("left open <!-- hidden for ever", Ok("left open")),
            ("> only theirs", Err("no words of their own")),
            ("<!-- template -->\n", Err("no words of their own")),
        ] {
            let told = words(body);
            assert_eq!(told.as_ref().map(|(_, text)| text.as_str()).map_err(|why| *why), own, "{body}");
            assert!(told.is_err() || told.is_ok_and(|(origin, _)| origin == Origin::Typed), "{body}");
        }
    }

    #[test]
    fn what_an_agent_wrote_under_the_persons_name_is_the_agents() {
        for body in [
            "## Summary\n- adds a parser\n\n🤖 Generated with [Claude Code](https://claude.com/claude-code)",
            "Adds retries.\n\nCo-Authored-By: Claude <noreply@anthropic.com>",
            "Mend it\n\nCo-authored-by: Cursor <cursoragent@cursor.com>",
        ] {
            assert_eq!(words(body).unwrap().0, Origin::Agent, "{body}");
            assert_eq!(message(body, false).unwrap().0, Origin::Agent, "{body}");
            assert_eq!(message(body, true).unwrap().0, Origin::Agent, "{body}");
        }
        assert_eq!(words("Claude Code is good at this.").unwrap().0, Origin::Typed);
    }

    #[test]
    fn messages_that_git_or_github_wrote_are_nobodys() {
        for (text, by_web, told) in [
            ("Mend the parser", false, Ok((Origin::Typed, "Mend the parser"))),
            ("Mend it\n\nSigned-off-by: A <a@b.c>", false, Ok((Origin::Typed, "Mend it"))),
            ("Add retries (#12)\n\n* one\n* two", true, Ok((Origin::Unknown, "Add retries (#12)\n\n* one\n* two"))),
            (
                "Add it (#3)\n\n* one\n\nSigned-off-by: A <a@b.c>\n\n* two\nCc: B <b@b.c>",
                true,
                Ok((Origin::Unknown, "Add it (#3)\n\n* one\n\n\n* two")),
            ),
            ("Update README.md", false, Ok((Origin::Typed, "Update README.md"))),
            ("Update README.md", true, Err("written by GitHub's editor")),
            ("Merge pull request #1 from a/b\n\nAdd it", false, Err("written by git")),
            ("Merge branch 'main' into x", false, Err("written by git")),
            ("Revert \"Add it\"\n\nThis reverts commit abc.", false, Err("written by git")),
            ("Revert \"Add it\", it was slow", false, Ok((Origin::Typed, "Revert \"Add it\", it was slow"))),
            ("Signed-off-by: A <a@b.c>", false, Err("no words of their own")),
        ] {
            let read = message(text, by_web);
            assert_eq!(
                read.as_ref().map(|(origin, text)| (*origin, text.as_str())).map_err(|why| *why),
                told,
                "{text}"
            );
        }
    }
}
