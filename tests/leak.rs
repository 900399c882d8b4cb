//! The past never sees the future: noise in place of every later reply changes no earlier prediction, by one byte.

use std::path::Path;

use serde_json::Value;

use crate::support::{Dice, Home, shared};

/// Random turns in a plain run; `LEAKS=100` for the long one.
fn draws() -> u64 {
    std::env::var("LEAKS").ok().and_then(|draws| draws.parse().ok()).unwrap_or(12)
}

#[test]
fn later_replies_change_no_earlier_prediction() {
    let home = Home::new();
    let (folder, people) = match shared("turns-small", "leak test on real turns (a synthetic person stands in)") {
        Some(folder) => (folder, vec!["s01", "s03", "s04", "s05", "s06"]),
        None => (synthetic(&home), vec!["x01"]),
    };
    let mut dice = Dice::new(7);
    for _ in 0..draws() {
        let person = people[usize::try_from(dice.below(people.len() as u64)).unwrap()];
        let turns = std::fs::read_to_string(folder.join(format!("{person}.jsonl"))).unwrap();
        let turns: Vec<Value> = turns.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let t = usize::try_from(dice.below(turns.len() as u64)).unwrap();
        let honest = predictions(&home, "honest", &turns);
        let noised: Vec<Value> = turns.iter().enumerate().map(|(i, turn)| noise(turn, i, t, &mut dice)).collect();
        let other = predictions(&home, "noised", &noised);
        let upto =
            |lines: &[String]| lines.iter().filter(|line| turn_of(line) <= t as u64).cloned().collect::<Vec<_>>();
        assert_eq!(upto(&honest), upto(&other), "{person} at turn {t}");
        assert!(t + 30 > turns.len() || honest != other, "the noise must change later predictions");
    }
}

fn turn_of(line: &str) -> u64 {
    serde_json::from_str::<Value>(line).unwrap()["turn"].as_u64().unwrap()
}

/// The turn with its reply replaced, from turn `t` on.
fn noise(turn: &Value, i: usize, t: usize, dice: &mut Dice) -> Value {
    let mut turn = turn.clone();
    if i >= t {
        let words: Vec<String> = (0..4).map(|_| format!("noise{}", dice.below(9))).collect();
        turn["reply"] = words.join(" ").into();
    }
    turn
}

fn predictions(home: &Home, name: &str, turns: &[Value]) -> Vec<String> {
    let dir = home.path(name);
    std::fs::create_dir_all(&dir).unwrap();
    let text: String = turns.iter().map(|turn| format!("{turn}\n")).collect();
    std::fs::write(dir.join("person.jsonl"), text).unwrap();
    let out = home.path(&format!("{name}.out"));
    let status = home.run(&["backtest", "--turns", dir.to_str().unwrap(), "--out", out.to_str().unwrap()]).status;
    assert!(status.success());
    std::fs::read_to_string(out).unwrap().lines().map(str::to_owned).collect()
}

/// A made-up person with habits, for machines without the real data.
fn synthetic(home: &Home) -> std::path::PathBuf {
    let dir = home.path("people");
    std::fs::create_dir_all(&dir).unwrap();
    write_person(&dir.join("x01.jsonl"));
    dir
}

fn write_person(path: &Path) {
    let mut dice = Dice::new(3);
    let says =
        ["All tests pass.", "Shall I go ahead with the plan?", "The build failed with an error.", "Done. What next?"];
    let replies =
        ["commit it and push", "go ahead", "fix the error", "run the tests", "now look at the parser instead"];
    let mut text = String::new();
    for turn in 0..120_u64 {
        let said = usize::try_from(dice.below(4)).unwrap();
        let reply = if dice.below(10) < 7 { said } else { usize::try_from(dice.below(5)).unwrap() };
        let line = serde_json::json!({
            "user": "x01", "session": format!("s{}", turn / 10), "turn": turn, "ts": "2026-01-01T00:00:00Z",
            "agent": "Test Agent", "agent_prompt": says[said], "reply": replies[reply], "kind": "reply",
        });
        text.push_str(&format!("{line}\n"));
    }
    std::fs::write(path, text).unwrap();
}
