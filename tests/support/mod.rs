//! A throwaway home, the real binary, and a socket client of our own, so that a test never trusts the product's.

pub mod github;

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

/// The binary under test.
pub const CLONE: &str = env!("CARGO_BIN_EXE_clone");

/// A home of its own for one test.
pub struct Home {
    dir: TempDir,
}

/// A running daemon; killed when dropped.
pub struct Daemon {
    child: Option<Child>,
    socket: PathBuf,
}

impl Home {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let private = std::os::unix::fs::PermissionsExt::from_mode(0o700);
        std::fs::set_permissions(dir.path(), private).expect("a private folder");
        Self { dir }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The binary with nothing of the tester's environment but the bug to plant.
    pub fn command(&self) -> Command {
        let mut command = Command::new(CLONE);
        command
            .env_clear()
            .env("CLONE_HOME", self.dir.path())
            .env("HOME", self.dir.path())
            .env("PATH", "/usr/bin:/bin")
            .envs(std::env::var_os("SABOTAGE").map(|bug| ("SABOTAGE", bug)));
        command
    }

    /// Runs a verb and takes what it printed as JSON.
    pub fn json(&self, arguments: &[&str]) -> Value {
        let output = self.run(arguments);
        let text = String::from_utf8_lossy(&output.stdout);
        serde_json::from_str(&text)
            .unwrap_or_else(|error| panic!("{arguments:?}: {error}: {text}{}", String::from_utf8_lossy(&output.stderr)))
    }

    pub fn run(&self, arguments: &[&str]) -> Output {
        self.command().arg("--json").args(arguments).output().expect("the binary runs")
    }

    pub fn start(&self) -> Daemon {
        self.start_with(&[])
    }

    /// Starts the daemon and waits until it says that it is ready.
    pub fn start_with(&self, env: &[(&str, &str)]) -> Daemon {
        let mut command = self.command();
        command.arg("daemon").envs(env.iter().copied()).stdin(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the daemon starts");
        let mut lines = BufReader::new(child.stderr.take().expect("its messages"));
        let mut told = String::new();
        loop {
            let mut line = String::new();
            let read = lines.read_line(&mut line).expect("its messages");
            assert!(read > 0, "the daemon ended before it was ready: {told}");
            told.push_str(&line);
            if line.contains("ready") {
                break;
            }
        }
        // Somebody must read the rest, or a full pipe would stop the daemon.
        std::thread::spawn(move || std::io::copy(&mut lines, &mut std::io::sink()));
        Daemon { child: Some(child), socket: self.path("clone.sock") }
    }

    pub fn vault(&self) -> PathBuf {
        self.path("vault")
    }

    /// Every file of the vault with its bytes, temporary ones left out.
    pub fn vault_bytes(&self) -> Vec<(String, Vec<u8>)> {
        let mut files = Vec::new();
        for folder in ["", "facts", "episodes"] {
            let Ok(entries) = std::fs::read_dir(self.vault().join(folder)) else { continue };
            for entry in entries.flatten().filter(|entry| entry.path().is_file()) {
                let name = entry.file_name().to_string_lossy().into_owned();
                if !name.starts_with('.') {
                    files.push((format!("{folder}/{name}"), std::fs::read(entry.path()).expect("a note")));
                }
            }
        }
        files.sort();
        files
    }
}

/// Asks again and again until there is an answer; nothing for a minute is none.
pub fn until<T>(mut ask: impl FnMut() -> Option<T>) -> Option<T> {
    let patience = std::time::Duration::from_secs(60);
    let start = std::time::Instant::now();
    while start.elapsed() < patience {
        if let Some(answer) = ask() {
            return Some(answer);
        }
    }
    None
}

/// An answer over the socket.
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: Value,
}

impl Daemon {
    pub fn pid(&self) -> u32 {
        self.child.as_ref().map_or(0, Child::id)
    }

    /// The port of the HTTP door, once it is open.
    pub fn port(&self) -> u16 {
        let port = || self.get("/api/monitoring/status/").body["http"].as_str()?.rsplit(':').next()?.parse().ok();
        until(port).expect("the HTTP door opens")
    }

    pub fn get(&self, path: &str) -> Answer {
        self.call("GET", path, None)
    }

    pub fn post(&self, path: &str, body: &Value) -> Answer {
        self.call("POST", path, Some(&body.to_string()))
    }

    pub fn call(&self, method: &str, path: &str, body: Option<&str>) -> Answer {
        self.try_call(method, path, body).expect("an answer over the socket")
    }

    pub fn try_call(&self, method: &str, path: &str, body: Option<&str>) -> std::io::Result<Answer> {
        let stream = UnixStream::connect(&self.socket)?;
        talk(stream, method, path, "localhost", &[], body)
    }

    /// Waits until everything recorded is derived.
    pub fn sync(&self) {
        assert_eq!(self.post("/api/memory/sync/", &json!({})).status, 200);
    }

    /// Ends the daemon as an operator would, and waits for it.
    pub fn stop(mut self) {
        let mut child = self.child.take().expect("a running daemon");
        let pid = child.id().to_string();
        assert!(Command::new("kill").arg(&pid).status().expect("kill runs").success());
        assert!(child.wait().expect("the daemon ends").success());
    }

    /// Ends the daemon as a crash would.
    pub fn kill(mut self) {
        let mut child = self.child.take().expect("a running daemon");
        child.kill().expect("kill -9");
        child.wait().expect("the daemon ends");
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _gone = child.kill();
            let _gone = child.wait();
        }
    }
}

/// One request and its answer over any stream.
pub fn talk(
    mut stream: impl Read + Write,
    method: &str,
    path: &str,
    host: &str,
    headers: &[(&str, &str)],
    body: Option<&str>,
) -> std::io::Result<Answer> {
    let mut request = format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n");
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    if let Some(body) = body {
        request.push_str(&format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len()));
    }
    request.push_str("\r\n");
    // Two writes, as many clients send them: a refusal must not end the connection between them.
    stream.write_all(request.as_bytes())?;
    stream.write_all(body.unwrap_or_default().as_bytes())?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let text = String::from_utf8_lossy(&answer).into_owned();
    let (head, body) = text.split_once("\r\n\r\n").ok_or(std::io::ErrorKind::UnexpectedEof)?;
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).ok_or(std::io::ErrorKind::InvalidData)?;
    let body = if head.to_lowercase().contains("transfer-encoding: chunked") { unchunk(body) } else { body.to_owned() };
    Ok(Answer { status, head: head.to_owned(), body: serde_json::from_str(&body).unwrap_or(Value::Null) })
}

fn unchunk(body: &str) -> String {
    let mut out = String::new();
    let mut rest = body;
    while let Some((size, after)) = rest.split_once("\r\n") {
        let size = usize::from_str_radix(size.trim(), 16).unwrap_or(0);
        if size == 0 || after.len() < size {
            break;
        }
        out.push_str(&after[..size]);
        rest = after[size..].trim_start_matches("\r\n");
    }
    out
}

/// A file of the repository.
pub fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

/// The history that ships with the source.
pub fn sample() -> String {
    repository("tests/data/sample/claude-code").display().to_string()
}

/// A home whose running daemon was given the sample.
pub fn imported() -> (Home, Daemon) {
    let home = Home::new();
    let daemon = home.start();
    home.json(&["import", "claude-code", &sample()]);
    (home, daemon)
}

/// Real people's data beside the project, where it is; says aloud when it is not.
pub fn shared(path: &str, test: &str) -> Option<PathBuf> {
    let found = repository("../shared/data").join(path);
    if !found.exists() {
        eprintln!("SKIPPED: {test} (no ../shared/data/{path})");
    }
    found.exists().then_some(found)
}

/// A wire event that needs nothing but an id and words.
pub fn prompt(id: &str, session: &str, text: &str, at: &str) -> Value {
    json!({
        "id": id, "session_id": session, "occurred_at": at, "source": "agent", "source_detail": "test",
        "type": "agent.prompt", "agent": "Test Agent", "prompt": text, "meta": {"origin": "typed"},
    })
}

/// What an agent said.
pub fn response(id: &str, session: &str, text: &str, at: &str) -> Value {
    json!({
        "id": id, "session_id": session, "occurred_at": at, "source": "agent", "source_detail": "test",
        "type": "agent.response", "agent": "Test Agent", "response": text, "in_response_to": null,
    })
}

/// A small random source with a stated seed, so that a failure can be repeated.
pub struct Dice(u64);

impl Dice {
    pub fn new(default: u64) -> Self {
        let seed = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(default);
        eprintln!("SEED={seed}");
        Self(seed)
    }

    /// One of several, from the first one's seed.
    pub fn seeded(seed: u64) -> Self {
        Self(seed)
    }

    pub fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit.max(1)
    }
}
