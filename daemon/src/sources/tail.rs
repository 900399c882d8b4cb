//! A transcript that grows: only what was added is read, and only lines that have their end.
//!
//! What a reader must know of the lines before lives here between two looks. A file that got shorter, was replaced, or no
//! longer holds what stood where we left off is read again from its beginning; its events have the ids they had.

use std::fs::{File, Metadata};
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use clone_schema::Event;

use super::lines::{Line, Lines};
use super::{Counts, Filter, Format, SourceError, Tally, claude_code, codex, gemini, unreadable};

/// How many bytes before the place where we left off are compared.
const TIP: usize = 64;
/// How many bytes at the end of a transcript [`recent`] reads.
pub const RECENT_BYTES: u64 = 512 * 1024;

/// Reads the head of a transcript and what its end holds; the ids are those of a whole reading.
///
/// # Errors
///
/// The file cannot be read, or is not a regular file.
pub fn recent(format: Format, path: &Path, filter: &Filter, out: &mut dyn FnMut(Event)) -> Result<Counts, SourceError> {
    let failed = |error| unreadable(path, error);
    let mut past = Past::new(format, path);
    if matches!(past, Past::Whole) {
        return super::read(format, path, filter, out);
    }
    let mut file = File::open(path).map_err(failed)?;
    let meta = file.metadata().map_err(failed)?;
    if !meta.is_file() {
        return Err(SourceError::NotRegular(path.to_owned()));
    }
    let mut tally = Tally { format, filter, out, counts: Counts::default() };
    let from = meta.len().saturating_sub(RECENT_BYTES);
    let mut lines = Lines::new(BufReader::with_capacity(64 * 1024, file.try_clone().map_err(failed)?));
    if from > 0 {
        // The head names the session; the line that the end begins in is cut, and left out.
        if let Some(head) = lines.next_ended().map_err(failed)? {
            past.line(&head, &mut tally);
        }
        let from = from.max(lines.used());
        file.seek(SeekFrom::Start(from - 1)).map_err(failed)?;
        lines = Lines::new(BufReader::with_capacity(64 * 1024, file));
        lines.next_ended().map_err(failed)?;
    }
    while let Some(line) = lines.next_ended().map_err(failed)? {
        past.line(&line, &mut tally);
    }
    Ok(tally.counts)
}

/// One followed transcript.
pub(super) struct Tail {
    format: Format,
    path: PathBuf,
    offset: u64,
    /// The last bytes before `offset`.
    tip: Vec<u8>,
    inode: (u64, u64),
    past: Past,
}

enum Past {
    ClaudeCode(Box<claude_code::Past>),
    Codex(Box<codex::Past>),
    Gemini(Box<gemini::Past>),
    /// The tool writes the file anew each time.
    Whole,
}

impl Past {
    fn new(format: Format, path: &Path) -> Self {
        match format {
            Format::ClaudeCode => Self::ClaudeCode(Box::new(claude_code::Past::new(claude_code::is_sub_agent(path)))),
            Format::Codex if !path.to_string_lossy().ends_with(super::COMPRESSED) => Self::Codex(Box::default()),
            Format::Gemini if !gemini::is_object(path) => Self::Gemini(Box::new(gemini::Past::new(path))),
            _ => Self::Whole,
        }
    }

    fn line(&mut self, line: &Line<'_>, tally: &mut Tally<'_>) {
        match self {
            Self::ClaudeCode(past) => past.line(line, tally),
            Self::Codex(past) => past.line(line, tally),
            Self::Gemini(past) => past.line(line, tally),
            Self::Whole => {}
        }
    }
}

impl Tail {
    pub(super) fn new(format: Format, path: &Path) -> Self {
        let past = Past::new(format, path);
        Self { format, path: path.to_owned(), offset: 0, tip: Vec::new(), inode: (0, 0), past }
    }

    /// Reads what was added since the last look.
    pub(super) fn read(&mut self, filter: &Filter, out: &mut dyn FnMut(Event)) -> Result<Counts, SourceError> {
        if matches!(self.past, Past::Whole) {
            return super::read(self.format, &self.path, filter, out);
        }
        let failed = |error| unreadable(&self.path, error);
        let mut file = File::open(&self.path).map_err(failed)?;
        let meta = file.metadata().map_err(failed)?;
        if !meta.is_file() {
            return Err(SourceError::NotRegular(self.path.clone()));
        }
        if !self.goes_on(&mut file, &meta).map_err(failed)? {
            *self = Self::new(self.format, &self.path);
        }
        self.inode = (meta.dev(), meta.ino());
        let mut tally = Tally { format: self.format, filter, out, counts: Counts::default() };
        self.added(file, &mut tally).map_err(|error| unreadable(&self.path, error))?;
        Ok(tally.counts)
    }

    /// Whether the file still is what it was up to where we left off.
    fn goes_on(&self, file: &mut File, meta: &Metadata) -> io::Result<bool> {
        if self.offset == 0 {
            return Ok(true);
        }
        if (meta.dev(), meta.ino()) != self.inode || meta.len() < self.offset {
            return Ok(false);
        }
        file.seek(SeekFrom::Start(self.offset - self.tip.len() as u64))?;
        let mut there = vec![0; self.tip.len()];
        file.read_exact(&mut there)?;
        Ok(there == self.tip)
    }

    fn added(&mut self, mut file: File, tally: &mut Tally<'_>) -> io::Result<()> {
        file.seek(SeekFrom::Start(self.offset))?;
        let mut lines = Lines::new(BufReader::with_capacity(64 * 1024, file.try_clone()?));
        while let Some(line) = lines.next_ended()? {
            self.past.line(&line, tally);
        }
        self.offset += lines.used();
        self.remember(&mut file)
    }

    fn remember(&mut self, file: &mut File) -> io::Result<()> {
        let length = TIP.min(usize::try_from(self.offset).unwrap_or(TIP));
        file.seek(SeekFrom::Start(self.offset - length as u64))?;
        self.tip = vec![0; length];
        file.read_exact(&mut self.tip)
    }
}
