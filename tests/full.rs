//! No room: the daemon lives, says so, answers reads, and records again by itself.

use std::process::Command;

use serde_json::{Value, json};

use crate::support::{Daemon, Home, prompt, until};

/// Sets the limit on the size of the files that this process may write; says whether the tool for it is there.
pub fn limit_files(daemon: &Daemon, bytes: &str) -> bool {
    let (pid, limit) = (daemon.pid().to_string(), format!("--fsize={bytes}:"));
    Command::new("prlimit").args(["--pid", &pid, &limit]).status().is_ok_and(|status| status.success())
}

/// A prompt of so many bytes that do not compress away.
pub fn long(id: &str, bytes: usize) -> Value {
    let words: String =
        (0..bytes / 16).map(|i| format!("{:016x}", (i as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15))).collect();
    prompt(id, "full", &words, "2026-01-01T00:00:00Z")
}

fn problems(daemon: &Daemon) -> String {
    daemon.get("/api/monitoring/status/").body["problems"].to_string()
}

fn ingest(daemon: &Daemon, event: &Value) -> (u16, Value) {
    let answer = daemon.post("/api/recording/events/", &json!([event]));
    (answer.status, answer.body)
}

#[test]
fn a_limit_on_file_sizes_is_a_full_disk_and_no_end() {
    let home = Home::new();
    let daemon = home.start();
    assert_eq!(ingest(&daemon, &long("before", 100_000)).0, 201);
    daemon.sync();
    if !limit_files(&daemon, "4096") {
        eprintln!("SKIPPED: a_limit_on_file_sizes_is_a_full_disk_and_no_end (no prlimit)");
        return;
    }
    let (status, body) = ingest(&daemon, &long("refused", 100_000));
    assert_eq!(status, 507, "{body}");
    assert!(body.to_string().contains("ulimit -f"), "the answer says how to mend it: {body}");
    let told = problems(&daemon);
    assert!(told.contains("not recording since") && told.contains("ulimit -f"), "{told}");
    let (status, doctor) = (home.run(&["status"]), home.run(&["doctor"]));
    assert_eq!((status.status.code(), doctor.status.code()), (Some(4), Some(4)));
    let read = daemon.get("/api/recording/events/before/");
    assert_eq!(read.status, 200, "reads go on");
    assert!(limit_files(&daemon, "unlimited"));
    until(|| (!problems(&daemon).contains("not recording")).then_some(()))
        .expect("it sees by itself that there is room");
    assert_eq!(ingest(&daemon, &long("refused", 100_000)).0, 201, "what was refused was not recorded");
    daemon.sync();
    assert_eq!(problems(&daemon), "[]", "what is derived has caught up");
    let broken = std::fs::read_dir(home.path("")).unwrap().flatten();
    let broken: Vec<_> = broken.filter(|entry| entry.file_name().to_string_lossy().contains("broken")).collect();
    assert!(broken.is_empty(), "nothing was set aside: {broken:?}");
    daemon.stop();
    let daemon = home.start();
    assert_eq!(daemon.get("/api/recording/events/refused/").status, 200);
}
