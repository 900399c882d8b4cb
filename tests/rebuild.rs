//! Wrong bytes in what is derived, at a start and under a running daemon: the same answers, and no crash loop.

use std::io::Write;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::support::{Daemon, Dice, Home, imported, prompt, until};

/// Flips in a plain run; `FLIPS=2000` for the long one.
fn flips() -> u64 {
    std::env::var("FLIPS").ok().and_then(|flips| flips.parse().ok()).unwrap_or(60)
}

/// What a reader sees and no clock changes.
fn told(daemon: &Daemon) -> Vec<Value> {
    daemon.sync();
    let lists = [
        "/api/memory/facts/?limit=200",
        "/api/memory/episodes/?limit=200",
        "/api/memory/profile/",
        "/api/recording/sessions/",
        "/api/predictions/?limit=200",
        "/api/predictions/auto/",
        "/api/auth/keys/",
    ];
    let mut told: Vec<Value> = lists
        .iter()
        .map(|path| {
            let answer = daemon.get(path);
            assert_eq!(answer.status, 200, "{path}: {}", answer.body);
            answer.body
        })
        .collect();
    told.push(searched(daemon).expect("a search is answered"));
    told
}

/// What a search finds; nothing while it is refused.
fn searched(daemon: &Daemon) -> Option<Value> {
    let answer = daemon.post("/api/memory/search/", &json!({"query": "tests", "limit": 20}));
    let ids =
        |hits: &Value| hits.as_array().map(|hits| hits.iter().map(|hit| hit["id"].to_string()).collect::<Vec<_>>());
    (answer.status == 200).then(|| {
        let mut ids = ids(&answer.body).expect("a list of hits");
        ids.sort();
        json!(ids)
    })
}

/// A small home with something in every table.
fn home() -> (Home, Vec<Value>) {
    let (home, daemon) = imported();
    home.json(&["keys", "create", "--label", "laptop"]);
    let answer = home.json(&["predict", "Done. Anything else?"]);
    let verdict = json!({"status": "accepted"});
    let path = format!("/api/predictions/{}/feedback/", answer["id"].as_str().unwrap());
    assert_eq!(daemon.post(&path, &verdict).status, 200);
    assert_eq!(daemon.post("/api/predictions/auto/", &json!({"auto": "off"})).status, 200);
    let before = told(&daemon);
    daemon.stop();
    (home, before)
}

fn same(before: &[Value], after: &[Value], what: &str) {
    for (number, (before, after)) in before.iter().zip(after).enumerate() {
        assert_eq!(before, after, "answer {number} changed: {what}");
    }
}

#[test]
fn a_flipped_bit_in_the_state_changes_no_answer() {
    let (home, before) = home();
    let path = home.path("state.redb");
    let whole = std::fs::read(&path).unwrap();
    let used: Vec<usize> = (0..whole.len()).filter(|at| whole[*at] != 0).collect();
    let mut dice = Dice::new(20_261_125);
    let mut rebuilt = 0;
    for round in 0..flips() {
        let at = used[usize::try_from(dice.below(used.len() as u64)).unwrap()];
        let mut bytes = whole.clone();
        bytes[at] ^= 1 << dice.below(8);
        std::fs::write(&path, bytes).unwrap();
        let daemon = home.start();
        same(&before, &told(&daemon), &format!("round {round}, byte {at}"));
        rebuilt += daemon.get("/api/monitoring/status/").body["rebuilds"]["state"].as_u64().unwrap();
        daemon.kill();
    }
    assert!(rebuilt > 0, "not one flip was noticed");
    eprintln!("{} flips in the state: {rebuilt} set aside and folded anew, 0 wrong answers", flips());
}

fn index_files(home: &Home) -> Vec<PathBuf> {
    let files = std::fs::read_dir(home.path("index")).unwrap().flatten().map(|file| file.path());
    let mut files: Vec<PathBuf> = files.filter(|path| path.metadata().is_ok_and(|meta| meta.len() > 0)).collect();
    files.sort();
    files
}

#[test]
fn a_flipped_or_cut_file_of_the_index_changes_no_answer() {
    let (home, before) = home();
    let mut dice = Dice::new(20_261_126);
    let files: Vec<(PathBuf, Vec<u8>)> =
        index_files(&home).into_iter().map(|path| (path.clone(), std::fs::read(path).unwrap())).collect();
    let mut rebuilt = 0;
    for round in 0..flips() / 3 {
        let _gone = std::fs::remove_dir_all(home.path("index"));
        std::fs::create_dir(home.path("index")).unwrap();
        let chosen = usize::try_from(dice.below(files.len() as u64)).unwrap();
        for (number, (path, bytes)) in files.iter().enumerate() {
            let mut bytes = bytes.clone();
            let at = usize::try_from(dice.below(bytes.len() as u64)).unwrap();
            if number == chosen && round % 2 == 0 {
                bytes[at] ^= 1 << dice.below(8);
            } else if number == chosen {
                bytes.truncate(at);
            }
            std::fs::write(path, bytes).unwrap();
        }
        let daemon = home.start();
        same(&before, &told(&daemon), &format!("round {round}, {}", files[chosen].0.display()));
        rebuilt += daemon.get("/api/monitoring/status/").body["rebuilds"]["index"].as_u64().unwrap();
        daemon.kill();
    }
    assert!(rebuilt > 0, "not one damage was noticed");
}

/// Writes over a file in place and keeps its length; says whether it was still there.
fn smear(path: &Path) -> bool {
    let Ok(mut file) = std::fs::OpenOptions::new().write(true).open(path) else { return false };
    let length = usize::try_from(file.metadata().unwrap().len()).unwrap();
    file.write_all(&vec![0xa5; length]).unwrap();
    true
}

/// Events after the damage.
fn ingest(daemon: &Daemon, from: u32) {
    for number in from..from + 20 {
        let event = prompt(&format!("after-{number}"), "after", "keep going", "2026-01-01T00:00:00Z");
        let answer = daemon.post("/api/recording/events/", &json!([event]));
        assert_eq!(answer.status, 201, "{}", answer.body);
    }
}

/// A damaged daemon answers as one that never had anything but the log, before and after a restart.
fn survives(damage: impl Fn(&Home)) {
    let (home, _) = home();
    let daemon = home.start();
    damage(&home);
    ingest(&daemon, 0);
    until(|| {
        daemon.sync();
        searched(&daemon)
    })
    .expect("searches answer again");
    ingest(&daemon, 20);
    daemon.sync();
    let before = told(&daemon);
    daemon.kill();
    let daemon = home.start();
    let after = told(&daemon);
    daemon.stop();
    for lost in ["state.redb", "index"] {
        let path = home.path(lost);
        let _gone = std::fs::remove_file(&path).or_else(|_| std::fs::remove_dir_all(&path));
    }
    let daemon = home.start();
    let anew = told(&daemon);
    same(&anew, &after, "by a restart");
    same(&anew[..7], &before[..7], "under the damage");
    for number in 0..40 {
        assert_eq!(daemon.get(&format!("/api/recording/events/after-{number}/")).status, 200, "event {number} is lost");
    }
}

#[test]
fn a_state_overwritten_under_a_running_daemon_costs_nothing() {
    survives(|home| assert!(smear(&home.path("state.redb"))));
}

#[test]
fn an_index_overwritten_under_a_running_daemon_costs_nothing() {
    // The daemon may notice while the next file is written over, and take the rest away.
    survives(|home| assert!(index_files(home).iter().filter(|path| smear(path)).count() > 0));
}
