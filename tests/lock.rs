//! Many daemons start over one home at once: one runs, the others end and say which one.

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};

use crate::support::Home;

const RACES: u64 = 20;
const DAEMONS: usize = 8;

/// A daemon that said that it is ready, or one that ended: its exit code and what it told.
enum Outcome {
    Runs(Child),
    Ended(Option<i32>, String),
}

fn start(home: &Home) -> Outcome {
    let mut command = home.command();
    let mut child =
        command.arg("daemon").stdin(Stdio::null()).stderr(Stdio::piped()).spawn().expect("the daemon starts");
    let mut lines = BufReader::new(child.stderr.take().expect("its messages"));
    let mut told = String::new();
    while lines.read_line(&mut told).expect("its messages") > 0 {
        if told.ends_with(" ready\n") {
            // Somebody must read the rest, or a full pipe would stop the daemon.
            std::thread::spawn(move || std::io::copy(&mut lines, &mut std::io::sink()));
            return Outcome::Runs(child);
        }
    }
    Outcome::Ended(child.wait().expect("it ends").code(), told)
}

fn race(home: &Home) -> Vec<Outcome> {
    std::thread::scope(|scope| {
        let racers: Vec<_> = (0..DAEMONS).map(|_| scope.spawn(|| start(home))).collect();
        racers.into_iter().map(|racer| racer.join().unwrap()).collect()
    })
}

/// Killed, not asked, so that the lock file goes on naming a process that is no more.
fn end(mut daemon: Child) {
    daemon.kill().unwrap();
    daemon.wait().unwrap();
}

#[test]
fn one_of_many_daemons_wins_every_race_and_the_others_name_it() {
    let home = Home::new();
    for race_number in 0..RACES {
        let (mut winners, mut losers) = (Vec::new(), Vec::new());
        for outcome in race(&home) {
            match outcome {
                Outcome::Runs(daemon) => winners.push(daemon),
                Outcome::Ended(code, told) => losers.push((code, told)),
            }
        }
        let pids: Vec<u32> = winners.iter().map(Child::id).collect();
        winners.into_iter().for_each(end);
        assert_eq!(pids.len(), 1, "race {race_number}: not one winner, {losers:?}");
        let expected = format!("is held by process {}\n", pids[0]);
        for (code, told) in losers {
            assert_eq!(code, Some(1), "race {race_number}: {told}");
            assert!(told.contains(&expected), "race {race_number}: not `{}` in {told}", expected.trim());
        }
    }
}
