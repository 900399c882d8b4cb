//! `hygiene`: what the importers keep of transcripts and what they leave out, and that nothing a machine wrote is left
//! among what a person typed.
//!
//! Leakage flatters: with artefacts and resumed copies left in, replies seem to repeat eight times as often as they do.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use clone_schema::event::{Body, Event, Origin};
use serde::Serialize;

use crate::sources::{self, Counts, Filter, Format, SourceError};

/// How texts begin that a harness puts into the person's place.
const ARTEFACTS: &[&str] = &[
    "<command-name>",
    "<command-message>",
    "<local-command",
    "<bash-stdout>",
    "<bash-stderr>",
    "<system-reminder>",
    "<task-notification>",
    "<environment_context>",
    "<user_instructions>",
    "<permissions instructions>",
    "# AGENTS.md instructions",
    "Caveat: The messages below were generated",
    "[Request interrupted by user",
    "This session is being continued from a previous",
];

/// What one format's transcripts came to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Source {
    /// The format.
    pub format: &'static str,
    /// Transcripts.
    pub files: usize,
    /// Transcripts that could not be read.
    pub unreadable: usize,
    /// Lines or blocks.
    pub read: u64,
    /// Events made of them.
    pub events: u64,
    /// Events whose id an earlier one has: copies in resumed sessions, which the log drops.
    pub duplicates: u64,
    /// Prompts that the person typed, copies left out.
    pub typed: u64,
    /// Prompts that a machine or a paste made, which nothing is learned from.
    pub untyped: u64,
    /// Texts of agents, copies left out.
    pub agent: u64,
    /// Lines that made no event, by reason.
    pub skipped: BTreeMap<String, u64>,
    /// Typed prompts that begin as an artefact does, by how; there should be none.
    pub artefacts: BTreeMap<&'static str, u64>,
}

/// Reads every format's folder under `dir` (`claude-code`, `codex`, …); those that are not there are left out.
///
/// # Errors
///
/// A folder cannot be listed.
pub fn hygiene(dir: &Path) -> Result<Vec<Source>, SourceError> {
    let there = Format::ALL.into_iter().filter(|format| dir.join(format.name()).is_dir());
    there.map(|format| source(format, &dir.join(format.name()))).collect()
}

fn source(format: Format, dir: &Path) -> Result<Source, SourceError> {
    let (files, mut ids) = (sources::transcripts(format, dir)?, BTreeSet::new());
    let mut found = Source { format: format.name(), files: files.len(), ..Source::default() };
    let mut counts = Counts::default();
    for file in &files {
        match sources::read(format, file, &Filter::default(), &mut |event| found.take(&event, &mut ids)) {
            Ok(more) => counts.add(&more),
            Err(_) => found.unreadable += 1,
        }
    }
    (found.read, found.events, found.skipped) = (counts.read, counts.events, counts.skipped);
    Ok(found)
}

impl Source {
    fn take(&mut self, event: &Event, ids: &mut BTreeSet<String>) {
        if !ids.insert(event.id.clone()) {
            self.duplicates += 1;
            return;
        }
        match &event.body {
            Body::AgentPrompt { prompt, .. } if event.origin() == Origin::Typed => {
                self.typed += 1;
                if let Some(artefact) = ARTEFACTS.iter().find(|artefact| prompt.trim_start().starts_with(**artefact)) {
                    *self.artefacts.entry(artefact).or_default() += 1;
                }
            }
            Body::AgentPrompt { .. } => self.untyped += 1,
            Body::AgentResponse { .. } => self.agent += 1,
            _ => {}
        }
    }

    /// The same as lines of text.
    #[must_use]
    pub fn table(&self) -> Vec<String> {
        let left: u64 = self.artefacts.values().sum();
        let mut out = vec![format!(
            "{}: {} files ({} unreadable), {} lines, {} events, {} of them copies; {} typed, {} not typed, {} by agents; \
             artefacts among the typed: {left}",
            self.format,
            self.files,
            self.unreadable,
            self.read,
            self.events,
            self.duplicates,
            self.typed,
            self.untyped,
            self.agent
        )];
        out.extend(self.skipped.iter().map(|(reason, count)| format!("  left out {count:>6}  {reason}")));
        out.extend(self.artefacts.iter().map(|(artefact, count)| format!("  ARTEFACT {count:>6}  {artefact}")));
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prompt(id: &str, origin: &str, text: &str) -> Event {
        let event = serde_json::json!({"id": id, "session_id": "s", "occurred_at": "2026-01-01T00:00:00Z", "source": "agent",
            "source_detail": null, "type": "agent.prompt", "agent": "A", "prompt": text, "meta": {"origin": origin}});
        Event::parse(&event.to_string()).unwrap()
    }

    #[test]
    fn copies_artefacts_and_what_was_not_typed_are_counted_apart() {
        let (mut found, mut ids) = (Source::default(), BTreeSet::new());
        for event in [
            prompt("1", "typed", "yes"),
            prompt("1", "typed", "yes"),
            prompt("2", "typed", " <system-reminder>x"),
            prompt("3", "pasted", "<system-reminder>x"),
            prompt("4", "typed", "what does <system-reminder> mean?"),
        ] {
            found.take(&event, &mut ids);
        }
        assert_eq!((found.typed, found.untyped, found.duplicates), (3, 1, 1));
        assert_eq!(found.artefacts.into_iter().collect::<Vec<_>>(), [("<system-reminder>", 1)]);
    }

    #[test]
    fn nothing_a_machine_wrote_is_left_in_the_sample_and_in_real_transcripts() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let sample = hygiene(&root.join("tests/data/sample")).unwrap();
        assert!(sample.len() == 1 && sample[0].typed > 30 && sample[0].artefacts.is_empty(), "{sample:?}");
        let raw = root.join("../shared/data/raw");
        if !raw.is_dir() {
            #[allow(clippy::print_stderr)]
            {
                eprintln!("SKIPPED: no transcripts at `{}`", raw.display());
            }
            return;
        }
        let raw = hygiene(&raw).unwrap();
        assert!(raw.iter().map(|source| source.typed).sum::<u64>() > 50, "{raw:?}");
        for source in raw {
            assert!(source.artefacts.is_empty() && source.unreadable == 0, "{:?}", source.table());
        }
    }
}
