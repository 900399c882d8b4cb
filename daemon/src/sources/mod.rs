//! Foreign transcripts read into events, one file at a time.
//!
//! A reader streams: it holds one line and a small, bounded context, hands every event out as it is made, and never
//! stores anything. Ids are built from what the foreign file says, so that reading a file again, or a resumed copy of
//! it, makes the same ids and the log keeps the first. Every line is answered for: it made an event, or it stands in
//! [`Counts::skipped`] under exactly one reason.

mod aider;
mod answer;
mod chatgpt;
mod claude_code;
mod codex;
mod copilot;
mod follow;
mod gemini;
pub mod github;
mod lines;
mod opencode;
mod specstory;
mod tail;
mod turns;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use clone_schema::event::Choice;
use clone_schema::text::head;
use clone_schema::{Body, Event, Meta, Origin, Source, Timestamp, time};
use serde::Deserialize;
use serde_json::Value;

use self::answer::{Answer, MAX_OPTIONS, MAX_QUESTION_BYTES, MAX_QUESTIONS, MAX_SAID_BYTES};
use self::lines::Line;

/// How many files one import may name.
pub const MAX_FILES: usize = 100_000;
/// How many folders deep a walk goes.
pub const MAX_DEPTH: usize = 16;
/// How many bytes of a file are looked at for its first timestamp.
pub const MAX_PEEK_BYTES: u64 = 64 * 1024;
/// How many different skip reasons are kept apart; the rest is counted as `other`.
pub const MAX_REASONS: usize = 64;
/// How many bytes of one text are kept; the rest of a longer one is cut at a character.
pub const MAX_TEXT_BYTES: usize = 1024 * 1024;
/// How much of the name of an unknown kind is told, in characters.
const MAX_KIND_CHARS: usize = 40;
/// How many bytes of what a tool was about to do are kept.
const MAX_ABOUT_BYTES: usize = 500;
/// How the name of a compressed transcript ends.
const COMPRESSED: &str = ".jsonl.zst";

pub use follow::{Folder, Follower, Memory};
pub use lines::MAX_LINE_BYTES;
pub use tail::{RECENT_BYTES, recent};

/// Why a transcript could not be read.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The file or folder could not be read.
    #[error("cannot read `{}`: {error}", path.display())]
    Read {
        /// Which one.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// A device, socket or pipe: reading it could wait for ever.
    #[error("`{}` is not a regular file", .0.display())]
    NotRegular(PathBuf),
    /// More files than one import takes.
    #[error("`{}` holds more than {MAX_FILES} transcripts", .0.display())]
    TooMany(PathBuf),
}

/// A kind of transcript.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Claude Code's own session files.
    ClaudeCode,
    /// aider's history of a project.
    Aider,
    /// The `conversations.json` of a ChatGPT export.
    ChatGpt,
    /// Codex CLI's rollout files, compressed ones too.
    Codex,
    /// Gemini CLI's session files, and the single object of its older versions.
    Gemini,
    /// What `opencode export` writes of a session.
    OpenCode,
    /// Copilot CLI's session logs.
    Copilot,
    /// Markdown exports of SpecStory (Cursor, Copilot, Codex, Gemini, Claude).
    Specstory,
    /// One exchange per line: `{user, session, turn, ts, agent, agent_prompt, reply, kind}`.
    Turns,
}

impl Format {
    /// Every format.
    pub const ALL: [Self; 9] = [
        Self::ClaudeCode,
        Self::Codex,
        Self::Aider,
        Self::ChatGpt,
        Self::Gemini,
        Self::OpenCode,
        Self::Copilot,
        Self::Specstory,
        Self::Turns,
    ];

    /// The agents whose transcripts can be followed while they grow.
    pub const FOLLOWED: [Self; 3] = [Self::ClaudeCode, Self::Codex, Self::Gemini];

    /// The format of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.name() == name)
    }

    /// The name on the command line, in `source_detail` and in front of every id.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ClaudeCode => "claude-code",
            Self::Codex => "codex",
            Self::Aider => "aider",
            Self::ChatGpt => "chatgpt",
            Self::Gemini => "gemini",
            Self::OpenCode => "opencode",
            Self::Copilot => "copilot",
            Self::Specstory => "specstory",
            Self::Turns => "turns",
        }
    }

    /// Whose transcripts these are, as events name the agent; empty where each transcript says it itself.
    #[must_use]
    pub const fn agent(self) -> &'static str {
        match self {
            Self::ClaudeCode => "Claude Code",
            Self::Aider => "aider",
            Self::ChatGpt => "ChatGPT",
            Self::Codex => "Codex",
            Self::Gemini => "Gemini CLI",
            Self::OpenCode => "OpenCode",
            Self::Copilot => "Copilot",
            Self::Specstory | Self::Turns => "",
        }
    }

    /// Whether a file of a walked folder is a transcript of this format, by its name.
    fn takes(self, path: &Path) -> bool {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        match self {
            Self::ClaudeCode | Self::Turns => name.ends_with(".jsonl"),
            Self::Codex if name.ends_with(COMPRESSED) => {
                // The plain file is the newer of the two.
                name.starts_with("rollout-") && !path.with_extension("").exists()
            }
            Self::Codex => name.starts_with("rollout-") && name.ends_with(".jsonl"),
            Self::Gemini => {
                let session = name.starts_with("session-") && name.ends_with(".json");
                session || (name.ends_with(".jsonl") && path.components().any(|part| part.as_os_str() == "chats"))
            }
            Self::Aider => name == ".aider.chat.history.md",
            Self::ChatGpt => name == "conversations.json",
            Self::OpenCode => name.ends_with(".json"),
            Self::Copilot => name == "events.jsonl",
            Self::Specstory => name.ends_with(".md"),
        }
    }
}

/// Which projects to take: a project whose name holds one of `include` (all, when empty) and none of `exclude`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Parts of a project's path, letter case ignored.
    pub include: Vec<String>,
    /// Parts of a project's path, letter case ignored; wins over `include`.
    pub exclude: Vec<String>,
}

impl Filter {
    /// Whether a project is taken; an unknown project is the empty one.
    #[must_use]
    pub fn takes(&self, project: &str) -> bool {
        let project = project.to_lowercase();
        let holds = |parts: &[String]| parts.iter().any(|part| project.contains(&part.to_lowercase()));
        (self.include.is_empty() || holds(&self.include)) && !holds(&self.exclude)
    }
}

/// What a reader did with a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Lines, or blocks of a markdown export.
    pub read: u64,
    /// Events handed out.
    pub events: u64,
    /// Prompts the person typed, slash and shell commands included.
    pub human: u64,
    /// Texts an agent said.
    pub agent: u64,
    /// Answered choices.
    pub choices: u64,
    /// Slash and shell commands among `human`.
    pub commands: u64,
    /// Lines or blocks that made no event, by reason.
    pub skipped: BTreeMap<String, u64>,
}

impl Counts {
    /// Adds what was done with another file.
    pub fn add(&mut self, other: &Self) {
        self.read += other.read;
        self.events += other.events;
        self.human += other.human;
        self.agent += other.agent;
        self.choices += other.choices;
        self.commands += other.commands;
        for (reason, count) in &other.skipped {
            self.skip_many(reason, *count);
        }
    }

    fn skip(&mut self, reason: &str) {
        self.skip_many(reason, 1);
    }

    /// Passes over a record of a kind that is not known; its name is cut.
    fn skip_unknown(&mut self, kind: &str) {
        self.skip(&format!("unknown kind: {}", kind.chars().take(MAX_KIND_CHARS).collect::<String>()));
    }

    fn skip_many(&mut self, reason: &str, count: u64) {
        let full = self.skipped.len() >= MAX_REASONS && !self.skipped.contains_key(reason);
        *self.skipped.entry(if full { "other" } else { reason }.to_owned()).or_default() += count;
    }
}

/// Finds the transcripts under a path, older sessions first.
///
/// Older first, because a resumed session repeats earlier lines in a newer file and the log keeps the first it sees.
/// Its copy begins with the same instant, so the last one decides then. Links are not followed, and only regular files
/// count; a file without a readable timestamp sorts last, by name.
///
/// # Errors
///
/// The path is missing or unreadable, or holds more than [`MAX_FILES`]. A folder inside that cannot be read is an error
/// too: leaving it out silently would lose sessions.
pub fn transcripts(format: Format, path: &Path) -> Result<Vec<PathBuf>, SourceError> {
    files(format, path, &mut |_| true)
}

/// [`transcripts`], of which only those are looked into that are wanted.
fn files(format: Format, path: &Path, wanted: &mut dyn FnMut(&Path) -> bool) -> Result<Vec<PathBuf>, SourceError> {
    let meta = fs::metadata(path).map_err(|error| unreadable(path, error))?;
    if meta.is_file() {
        return Ok(vec![path.to_owned()]);
    }
    if !meta.is_dir() {
        return Err(SourceError::NotRegular(path.to_owned()));
    }
    let mut found = Vec::new();
    walk(format, path, 0, MAX_FILES, &mut found)?;
    found.retain(|file| wanted(file));
    let mut keyed: Vec<_> = found.into_iter().map(|file| (instants(&file), file)).collect();
    keyed.sort_by(|(a, a_path), (b, b_path)| (a.is_none(), a, a_path).cmp(&(b.is_none(), b, b_path)));
    Ok(keyed.into_iter().map(|(_, file)| file).collect())
}

fn walk(
    format: Format,
    folder: &Path,
    depth: usize,
    limit: usize,
    found: &mut Vec<PathBuf>,
) -> Result<(), SourceError> {
    let unreadable = |error| unreadable(folder, error);
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let (kind, path) = (entry.file_type().map_err(unreadable)?, entry.path());
        if kind.is_dir() && depth < MAX_DEPTH {
            walk(format, &path, depth + 1, limit, found)?;
        } else if kind.is_file() && format.takes(&path) {
            if found.len() >= limit {
                return Err(SourceError::TooMany(folder.to_owned()));
            }
            found.push(path);
        }
    }
    Ok(())
}

/// The first instant near the start of a file and the last near its end; a guess that only orders files.
fn instants(path: &Path) -> Option<(Timestamp, Timestamp)> {
    let mut file = File::open(path).ok()?;
    let mut window = Vec::new();
    if path.to_string_lossy().ends_with(COMPRESSED) {
        zstd::Decoder::new(file).ok()?.take(MAX_PEEK_BYTES).read_to_end(&mut window).ok()?;
        return dates(&String::from_utf8_lossy(&window)).next().map(|first| (first, first));
    }
    file.by_ref().take(MAX_PEEK_BYTES).read_to_end(&mut window).ok()?;
    let first = dates(&String::from_utf8_lossy(&window)).next()?;
    let length = file.metadata().ok()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(MAX_PEEK_BYTES))).ok()?;
    window.clear();
    file.take(MAX_PEEK_BYTES).read_to_end(&mut window).ok()?;
    let last = dates(&String::from_utf8_lossy(&window)).last();
    Some((first, last.unwrap_or(first)))
}

fn dates(text: &str) -> impl Iterator<Item = Timestamp> {
    text.match_indices("20").filter_map(|(at, _)| specstory::instant_at(&text[at..]))
}

/// Reads one transcript and hands out its events in the order of the file.
///
/// # Errors
///
/// The file cannot be opened or read, or is not a regular file. What is wrong inside a file is counted, never an error.
pub fn read(format: Format, path: &Path, filter: &Filter, out: &mut dyn FnMut(Event)) -> Result<Counts, SourceError> {
    let unreadable = |error| unreadable(path, error);
    if !fs::metadata(path).map_err(unreadable)?.is_file() {
        return Err(SourceError::NotRegular(path.to_owned()));
    }
    let mut input = opened(path).map_err(unreadable)?;
    let mut tally = Tally { format, filter, out, counts: Counts::default() };
    match format {
        Format::ClaudeCode => claude_code::read(&mut input, claude_code::is_sub_agent(path), &mut tally),
        Format::Aider => aider::read(&mut input, path, &mut tally),
        Format::ChatGpt => chatgpt::read(&mut input, &mut tally),
        Format::Codex => codex::read(&mut input, &mut tally),
        Format::Gemini => gemini::read(&mut input, path, &mut tally),
        Format::OpenCode => opencode::read(&mut input, &mut tally),
        Format::Copilot => copilot::read(&mut input, &mut tally),
        Format::Specstory => specstory::read(&mut input, path, &mut tally),
        Format::Turns => turns::read(&mut input, &mut tally),
    }
    .map_err(unreadable)?;
    Ok(tally.counts)
}

/// A file as its readers see it: decompressed where its name says that it is compressed.
fn opened(path: &Path) -> io::Result<Box<dyn BufRead>> {
    let file = File::open(path)?;
    Ok(match path.to_string_lossy().ends_with(COMPRESSED) {
        true => Box::new(BufReader::with_capacity(64 * 1024, zstd::Decoder::new(file)?)),
        false => Box::new(BufReader::with_capacity(64 * 1024, file)),
    })
}

fn unreadable(path: &Path, error: io::Error) -> SourceError {
    SourceError::Read { path: path.to_owned(), error }
}

/// Hands events out and counts what happened.
struct Tally<'a> {
    format: Format,
    filter: &'a Filter,
    out: &'a mut dyn FnMut(Event),
    counts: Counts,
}

/// What every event of one item shares.
struct Item<'a> {
    id: String,
    session: &'a str,
    at: Timestamp,
    /// The working directory, where known.
    cwd: Option<&'a str>,
    /// The project, where it is not a working directory.
    project: Option<&'a str>,
    /// What the foreign tool calls the item.
    key: String,
}

impl Tally<'_> {
    /// Counts a line and reads it; one that is no record is passed over for its reason.
    fn record<'l, T: Deserialize<'l>>(&mut self, line: &'l Line<'_>) -> Option<T> {
        self.counts.read += 1;
        let (bytes, broken) = match line {
            Line::Whole(bytes) => (*bytes, "bad JSON"),
            Line::Unfinished(bytes) => (*bytes, "unfinished line"),
            Line::TooLong => {
                self.counts.skip("line too long");
                return None;
            }
        };
        let error = match serde_json::from_slice(bytes) {
            Ok(record) => return Some(record),
            Err(error) => error,
        };
        self.counts.skip(match error {
            _ if bytes.trim_ascii().is_empty() => "empty line",
            error if error.is_data() => "unexpected shape",
            _ => broken,
        });
        None
    }

    fn emit(&mut self, item: Item<'_>, origin: Origin, body: Body) {
        self.counts.events += 1;
        let typed = origin == Origin::Typed;
        match &body {
            Body::AgentPrompt { .. } | Body::TerminalCommand { .. } if typed => self.counts.human += 1,
            Body::AgentResponse { .. } => self.counts.agent += 1,
            Body::AgentChoice(_) => self.counts.choices += 1,
            _ => {}
        }
        let meta = Meta {
            origin: Some(origin),
            cwd: item.cwd.map(str::to_owned),
            project: item.project.map(str::to_owned),
            import_key: Some(item.key),
            raw_source: None,
        };
        (self.out)(Event {
            id: item.id,
            session_id: format!("{}:{}", self.format.name(), item.session),
            occurred_at: item.at,
            source: Source::Agent,
            source_detail: Some(self.format.name().to_owned()),
            meta: Some(meta),
            body: shortened(body),
        });
    }

    /// The event that opens a session; nothing is known about who made it, so its origin is not typed.
    fn open(&mut self, session: &str, at: Timestamp, cwd: Option<&str>, project: Option<&str>) {
        let id = format!("{}:{session}:start", self.format.name());
        let item = Item { id, session, at, cwd, project, key: format!("{session}:start") };
        self.emit(item, Origin::Unknown, Body::SessionStarted);
    }
}

/// What a tool was about to do: the command, the file or the address where there is one, else the start of its input.
fn about(input: &Value) -> String {
    let told = ["command", "file_path", "filePath", "url", "pattern"].iter().find_map(|name| input[name].as_str());
    let told = told.map_or_else(|| input.to_string(), str::to_owned);
    head(&told, MAX_ABOUT_BYTES).to_owned()
}

/// Cuts every text to its limit.
fn shortened(mut body: Body) -> Body {
    match &mut body {
        Body::AgentPrompt { prompt, .. } => cut(prompt, MAX_TEXT_BYTES),
        Body::AgentResponse { response, .. } => cut(response, MAX_TEXT_BYTES),
        Body::TerminalCommand { command, .. } => cut(command, MAX_TEXT_BYTES),
        Body::AgentChoice(Choice { question, choice, .. }) => {
            cut(question, MAX_TEXT_BYTES);
            choice.iter_mut().for_each(|text| cut(text, MAX_TEXT_BYTES));
        }
        _ => {}
    }
    body
}

/// Cuts a text to so many bytes, at a character.
fn cut(text: &mut String, limit: usize) {
    if text.len() > limit {
        text.truncate(text.floor_char_boundary(limit));
    }
}

/// Reads an instant; only with an offset, as the wire demands.
fn instant(text: &str) -> Option<Timestamp> {
    time::parse(text)
}

#[cfg(test)]
mod tests;
