//! Where nothing is ever automatic: agents, projects and hours that the person muted.

use clone_schema::prediction::{Hours, Mute};

/// Whether a question of this agent, about this project, at this minute of the person's day is muted.
///
/// Agents are named as they name themselves, whatever the case; projects by a part of their path.
#[must_use]
pub fn holds(mute: &Mute, agent: &str, project: Option<&str>, minute: u16) -> bool {
    let agent = agent.to_lowercase();
    mute.agents.iter().any(|muted| muted.to_lowercase() == agent)
        || project.is_some_and(|project| mute.projects.iter().any(|part| !part.is_empty() && project.contains(part)))
        || mute.hours.iter().any(|hours| within(*hours, minute))
}

/// Whether a minute of the day lies in hours that may run over midnight.
fn within(Hours { from, to }: Hours, minute: u16) -> bool {
    if from <= to { (from..to).contains(&minute) } else { minute >= from || minute < to }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agent_a_project_or_an_hour_is_enough() {
        let hours = |text: &str| text.parse::<Hours>().unwrap();
        let mute = Mute {
            agents: vec!["Claude Code".into()],
            projects: vec!["work/bank".into(), String::new()],
            hours: vec![hours("22-7"), hours("12:30-13")],
        };
        for (agent, project, minute, muted) in [
            ("Codex", None, 600, false),
            ("claude code", None, 600, true),
            ("Codex", Some("/home/me/work/bank/api"), 600, true),
            ("Codex", Some("/home/me/play"), 600, false),
            ("Codex", None, 22 * 60, true),
            ("Codex", None, 3 * 60, true),
            ("Codex", None, 7 * 60, false),
            ("Codex", None, 12 * 60 + 29, false),
            ("Codex", None, 12 * 60 + 30, true),
            ("Codex", None, 13 * 60, false),
        ] {
            assert_eq!(holds(&mute, agent, project, minute), muted, "{agent} {project:?} {minute}");
        }
        assert!(!holds(&Mute::default(), "", Some(""), 0));
    }
}
