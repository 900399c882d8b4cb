//! One kept connection to the daemon's socket, so that a bench measures calls and not connecting.
//!
//! Written by hand and blocking: an asynchronous client would cost more than many of the calls it measures.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;

use serde_json::Value;

use super::BenchError;

/// A connection that is used for many calls.
pub(super) struct Connection {
    stream: BufReader<UnixStream>,
    request: Vec<u8>,
    line: String,
}

impl Connection {
    pub(super) fn open(socket: &Path) -> Result<Self, BenchError> {
        let stream = UnixStream::connect(socket).map_err(BenchError::io("connect to the daemon"))?;
        Ok(Self { stream: BufReader::new(stream), request: Vec::new(), line: String::new() })
    }

    /// Calls and returns the status and the body.
    pub(super) fn call(&mut self, method: &str, path: &str, body: &[u8]) -> Result<(u16, Vec<u8>), BenchError> {
        self.request.clear();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        self.request.extend_from_slice(head.as_bytes());
        self.request.extend_from_slice(body);
        self.stream.get_mut().write_all(&self.request).map_err(BenchError::io("send a request"))?;
        let (status, length) = self.head()?;
        let mut answer = vec![0; length];
        self.stream.read_exact(&mut answer).map_err(BenchError::io("read an answer"))?;
        Ok((status, answer))
    }

    /// The status and the length of the body that follows.
    fn head(&mut self) -> Result<(u16, usize), BenchError> {
        let (mut status, mut length) = (0, 0);
        loop {
            self.line.clear();
            let read = self.stream.read_line(&mut self.line).map_err(BenchError::io("read an answer"))?;
            if read == 0 {
                return Err(BenchError::Daemon("the daemon hung up".to_owned()));
            }
            let line = self.line.trim_end();
            if line.is_empty() {
                return Ok((status, length));
            }
            if let Some(rest) = line.strip_prefix("HTTP/1.1 ") {
                status = rest.get(..3).and_then(|code| code.parse().ok()).unwrap_or(0);
            } else if let Some((name, value)) = line.split_once(": ")
                && name.eq_ignore_ascii_case("content-length")
            {
                length = value.parse().unwrap_or(0);
            }
        }
    }

    /// Calls and returns the JSON of a success.
    pub(super) fn json(&mut self, method: &str, path: &str, body: &[u8]) -> Result<Value, BenchError> {
        let (status, answer) = self.call(method, path, body)?;
        if !(200..300).contains(&status) {
            let told = String::from_utf8_lossy(&answer).into_owned();
            return Err(BenchError::Daemon(format!("{method} {path} answered {status}: {told}")));
        }
        serde_json::from_slice(&answer).map_err(|error| BenchError::Daemon(error.to_string()))
    }

    /// The cheapest call that there is.
    pub(super) fn health(&mut self) -> Result<(), BenchError> {
        self.json("GET", "/health/", b"").map(drop)
    }

    /// Waits until everything recorded is derived.
    pub(super) fn settle(&mut self) -> Result<(), BenchError> {
        self.json("POST", "/api/memory/sync/", b"{}").map(drop)
    }

    /// The same, however long the daemon finds that; it says so and is asked again.
    pub(super) fn settle_however_long(&mut self) -> Result<(), BenchError> {
        loop {
            let (status, answer) = self.call("POST", "/api/memory/sync/", b"{}")?;
            match status {
                200..300 => return Ok(()),
                503 => {}
                _ => return Err(BenchError::Daemon(String::from_utf8_lossy(&answer).into_owned())),
            }
        }
    }

    /// Records events and fails unless each was new, or each was known.
    pub(super) fn ingest(&mut self, body: &[u8], count: usize, known: bool) -> Result<(), BenchError> {
        let answer = self.json("POST", "/api/recording/events/", body)?;
        let name = if known { "duplicates" } else { "accepted" };
        if answer[name].as_u64() == u64::try_from(count).ok() {
            return Ok(());
        }
        Err(BenchError::Daemon(format!("not all of {count} events were {name}: {answer}")))
    }
}
