//! A scratch home with the real daemon in it; both are gone when the bench is over.

use std::io::{BufRead, BufReader};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use super::BenchError;
use super::wire::Connection;
use crate::paths::Paths;

/// Between two tries to reach a daemon that starts: it is what such a start is measured to.
const PAUSE: Duration = Duration::from_micros(200);

/// Tells the homes of one run apart.
static NEXT: AtomicUsize = AtomicUsize::new(0);

/// A folder of its own and perhaps a daemon.
pub(super) struct Home {
    pub(super) paths: Paths,
    folder: PathBuf,
    daemon: Option<Child>,
}

impl Home {
    /// An empty home in a folder; its name is short, because a socket path has room for a hundred bytes only.
    pub(super) fn new(folder: &Path) -> Result<Self, BenchError> {
        let folder = folder.canonicalize().map_err(BenchError::io("find the scratch folder"))?;
        let name = format!("h{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let folder = folder.join(name);
        std::fs::DirBuilder::new().mode(0o700).create(&folder).map_err(BenchError::io("make a scratch home"))?;
        Ok(Self { paths: Paths::under(&folder), folder, daemon: None })
    }

    /// A home whose daemon runs.
    pub(super) fn started(folder: &Path) -> Result<Self, BenchError> {
        let mut home = Self::new(folder)?;
        home.start()?;
        Ok(home)
    }

    /// A file of the bench's own, on the same disk.
    pub(super) fn scratch(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Starts the daemon without waiting for it.
    pub(super) fn spawn(&mut self, stderr: Stdio) -> Result<&mut Child, BenchError> {
        let binary = std::env::current_exe().map_err(BenchError::io("find our own binary"))?;
        let mut command = Command::new(binary);
        command.arg("daemon").env_clear().env("CLONE_HOME", &self.folder).env("HOME", &self.folder);
        let child = command.stdin(Stdio::null()).stderr(stderr).spawn().map_err(BenchError::io("start the daemon"))?;
        Ok(self.daemon.insert(child))
    }

    /// Starts the daemon and waits until it says that it is ready.
    pub(super) fn start(&mut self) -> Result<(), BenchError> {
        let stderr = self.spawn(Stdio::piped())?.stderr.take();
        let mut lines = BufReader::new(stderr.ok_or_else(|| BenchError::Daemon("the daemon has no messages".into()))?);
        let mut told = String::new();
        loop {
            let mut line = String::new();
            if lines.read_line(&mut line).map_err(BenchError::io("hear the daemon"))? == 0 {
                return Err(BenchError::Daemon(format!("the daemon did not start: {}", told.trim())));
            }
            if line.contains("ready") {
                break;
            }
            told.push_str(&line);
        }
        // Somebody must read the rest, or a full pipe would stop the daemon.
        std::thread::spawn(move || std::io::copy(&mut lines, &mut std::io::sink()));
        Ok(())
    }

    /// Starts the daemon and waits for its first answer, asking again and again as a client would.
    pub(super) fn answer(&mut self) -> Result<(), BenchError> {
        self.spawn(Stdio::null())?;
        while self.connect().and_then(|mut daemon| daemon.health()).is_err() {
            let child = self.daemon.as_mut().map(Child::try_wait).transpose();
            if let Some(Some(status)) = child.map_err(BenchError::io("wait for the daemon"))? {
                return Err(BenchError::Daemon(format!("the daemon ended at its start: {status}")));
            }
            std::thread::sleep(PAUSE);
        }
        Ok(())
    }

    pub(super) fn connect(&self) -> Result<Connection, BenchError> {
        Connection::open(&self.paths.socket)
    }

    /// The resident bytes of the daemon; nothing where none runs or the system does not say.
    pub(super) fn resident(&self) -> Option<u64> {
        super::memory::of_process(self.daemon.as_ref()?.id())
    }

    /// Ends the daemon as an operator would, or as a crash would, and waits for it.
    pub(super) fn end(&mut self, signal: Signal) {
        let Some(mut child) = self.daemon.take() else { return };
        if let Some(pid) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
            let _sent = kill_process(pid, signal);
        }
        let _ended = child.wait();
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        self.end(Signal::KILL);
        let _gone = std::fs::remove_dir_all(&self.folder);
    }
}
