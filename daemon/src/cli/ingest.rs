//! `ingest`: CloneEvents from a file or standard input.

use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;

use clap::Args;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::{Context, print};
use crate::failure::Failure;

/// Events in one request.
const BATCH: usize = 1000;
/// The largest JSON array that is read whole, in bytes; JSON lines have no such limit.
const ARRAY_BYTES_MAX: u64 = 256 << 20;

/// The most refused events that are told in text.
const REFUSED_SHOWN: usize = 10;

/// `clone ingest`
#[derive(Args)]
pub struct Ingest {
    /// A JSON array or JSON lines; `-` (the default) reads standard input
    #[arg(default_value = "-")]
    file: PathBuf,
}

/// Sends the events; exit code 1 when any was refused.
///
/// # Errors
///
/// The file cannot be read, is not JSON, or the daemon is not reachable.
pub fn run(context: &Context, arguments: &Ingest) -> Result<u8, Failure> {
    let name = arguments.file.display().to_string();
    let unreadable = |error: std::io::Error| Failure::new(format!("cannot read `{name}`: {error}"));
    let input: Box<dyn Read> = if name == "-" {
        Box::new(std::io::stdin().lock())
    } else {
        Box::new(std::fs::File::open(&arguments.file).map_err(unreadable)?)
    };
    let mut input = BufReader::new(input);
    let is_array = input.fill_buf().map_err(unreadable)?.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'[');
    let mut total = Total::default();
    if is_array {
        let mut text = String::new();
        input.take(ARRAY_BYTES_MAX).read_to_string(&mut text).map_err(unreadable)?;
        let items: Vec<Box<RawValue>> = serde_json::from_str(&text)
            .map_err(|error| Failure::new(format!("`{name}` is not a JSON array: {error}")))?;
        for batch in items.chunks(BATCH) {
            total.send(context, batch)?;
        }
    } else {
        total.lines(context, input, &name)?;
    }
    total.show(context);
    Ok(u8::from(!total.invalid.is_empty()))
}

#[derive(Default)]
struct Total {
    sent: usize,
    accepted: u64,
    duplicates: u64,
    invalid: Vec<Value>,
}

impl Total {
    fn lines(&mut self, context: &Context, input: impl BufRead, name: &str) -> Result<(), Failure> {
        let mut batch = Vec::new();
        for (number, line) in input.split(b'\n').enumerate() {
            let line = line.map_err(|error| Failure::new(format!("cannot read `{name}`: {error}")))?;
            if line.trim_ascii().is_empty() {
                continue;
            }
            let text = String::from_utf8(line).map_err(|_| "not UTF-8".to_owned());
            match text.and_then(|text| RawValue::from_string(text).map_err(|error| error.to_string())) {
                Ok(item) => batch.push(item),
                Err(error) => self.invalid.push(json!({"line": number + 1, "errors": [error]})),
            }
            if batch.len() == BATCH {
                self.send(context, &std::mem::take(&mut batch))?;
            }
        }
        if batch.is_empty() { Ok(()) } else { self.send(context, &batch) }
    }

    fn send(&mut self, context: &Context, batch: &[Box<RawValue>]) -> Result<(), Failure> {
        let body = serde_json::to_value(batch).map_err(Failure::new)?;
        let reply = context.client()?.blocking("events_ingest", None, &[], Some(&body))?;
        self.accepted += reply["accepted"].as_u64().unwrap_or_default();
        self.duplicates += reply["duplicates"].as_u64().unwrap_or_default();
        for invalid in reply["invalid"].as_array().into_iter().flatten() {
            let index = invalid["index"].as_u64().unwrap_or_default() + self.sent as u64;
            self.invalid.push(json!({"index": index, "errors": invalid["errors"]}));
        }
        self.sent += batch.len();
        Ok(())
    }

    fn show(&self, context: &Context) {
        if context.json {
            let Self { accepted, duplicates, invalid, .. } = self;
            print::value(&json!({"accepted": accepted, "duplicates": duplicates, "invalid": invalid}));
            return;
        }
        print::line(format!("{} new, {} known, {} refused", self.accepted, self.duplicates, self.invalid.len()));
        for invalid in self.invalid.iter().take(REFUSED_SHOWN) {
            let place = match invalid["line"].as_u64() {
                Some(line) => format!("line {line}"),
                None => format!("event {}", invalid["index"]),
            };
            let errors = invalid["errors"].as_array().map_or(&[][..], Vec::as_slice);
            let errors: Vec<_> = errors.iter().filter_map(Value::as_str).collect();
            print::note(format!("refused {place}: {}", errors.join("; ")));
        }
        if self.invalid.len() > REFUSED_SHOWN {
            print::note(format!("and {} more; `--json` names all", self.invalid.len() - REFUSED_SHOWN));
        }
    }
}
