//! kill -9 at any moment loses nothing that was acked and doubles nothing.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{Daemon, Dice, Home, prompt};

/// Kills in a plain run; `KILLS=300` for the long one.
fn kills() -> u64 {
    std::env::var("KILLS").ok().and_then(|kills| kills.parse().ok()).unwrap_or(50)
}

#[test]
fn nothing_acked_is_lost_over_many_kills() {
    let home = Home::new();
    let mut dice = Dice::new(20_261_121);
    let mut acked: Vec<String> = Vec::new();
    let mut sent = 0_u64;
    for round in 0..kills() {
        let daemon = home.start();
        check_some(&daemon, &acked, &mut dice);
        let life = Duration::from_millis(dice.below(120));
        acked.extend(load_until_killed(daemon, round, life, &mut sent));
    }
    let daemon = home.start();
    let again: Vec<Value> = acked.iter().map(|id| event(id)).collect();
    for batch in again.chunks(1000) {
        let answer = daemon.post("/api/recording/events/", &json!(batch));
        assert_eq!(answer.body["duplicates"], batch.len(), "every acked event is there");
        assert_eq!(answer.body["accepted"], 0, "no acked event is lost");
    }
    let stored = stored_ids(&home);
    let mut distinct = stored.clone();
    distinct.sort();
    distinct.dedup();
    assert_eq!(stored.len(), distinct.len(), "no event is stored twice");
    assert!(stored.len() as u64 <= sent, "nothing is stored that was not sent");
    eprintln!("{} kills: {sent} sent, {} acked, {} stored, 0 lost, 0 doubled", kills(), acked.len(), stored.len());
}

fn event(id: &str) -> Value {
    prompt(id, "crash", "keep me", "2026-01-01T00:00:00Z")
}

/// Three clients post small batches until the daemon is killed under them; gives back what was acked.
fn load_until_killed(daemon: Daemon, round: u64, life: Duration, sent: &mut u64) -> Vec<String> {
    let acked = Mutex::new(Vec::new());
    let count = std::sync::atomic::AtomicU64::new(0);
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let (daemon_ref, acked, count, over) = (&daemon, &acked, &count, &over);
        for client in 0..3 {
            scope.spawn(move || {
                for batch in 0.. {
                    let ids: Vec<String> = (0..5).map(|i| format!("k{round}-{client}-{batch}-{i}")).collect();
                    let body = json!(ids.iter().map(|id| event(id)).collect::<Vec<_>>()).to_string();
                    count.fetch_add(5, Ordering::Relaxed);
                    match daemon_ref.try_call("POST", "/api/recording/events/", Some(&body)) {
                        Ok(answer) if answer.status == 201 => acked.lock().unwrap().extend(ids),
                        _ if over.load(Ordering::Relaxed) => return,
                        Ok(answer) => panic!("refused: {} {}", answer.status, answer.body),
                        Err(_) => {}
                    }
                }
            });
        }
        let start = Instant::now();
        while start.elapsed() < life {
            std::thread::yield_now();
        }
        over.store(true, Ordering::Relaxed);
        let pid = daemon.pid().to_string();
        assert!(std::process::Command::new("kill").args(["-9", &pid]).status().unwrap().success());
    });
    daemon.kill();
    *sent += count.into_inner();
    acked.into_inner().unwrap()
}

/// A few acked events after every restart, all of them at the end.
fn check_some(daemon: &Daemon, acked: &[String], dice: &mut Dice) {
    for _ in 0..acked.len().min(5) {
        let id = &acked[usize::try_from(dice.below(acked.len() as u64)).unwrap()];
        assert_eq!(daemon.get(&format!("/api/recording/events/{id}/")).status, 200, "acked event {id} is lost");
    }
}

/// Ids of everything stored, by the offline reader of the product's session list.
fn stored_ids(home: &Home) -> Vec<String> {
    let rows = home.json(&["memory", "list", "sessions"]);
    let count =
        rows.as_array().unwrap().iter().find(|row| row["id"] == "crash").unwrap()["event_count"].as_u64().unwrap();
    let mut ids = Vec::new();
    for offset in (0..count).step_by(500) {
        let page = home.json(&["memory", "list", "raw", "--limit", "500", "--offset", &offset.to_string()]);
        ids.extend(page.as_array().unwrap().iter().map(|row| row["id"].as_str().unwrap().to_owned()));
    }
    ids
}
