//! `ingest-concurrent`: sixty-four clients with one event a request, beside the same requests storing nothing.
//!
//! The limit sends the very same bodies a second time: they are parsed, scrubbed, queued, looked up and answered as
//! before, but every event is known, so nothing is written.

use std::sync::Barrier;
use std::time::Instant;

use serde_json::json;

use super::events::{Supply, body};
use super::measure::{Samples, number};
use super::wire::Connection;
use super::{BenchError, Home, Options, ROUNDS, Row, Target};

/// How many clients.
const CLIENTS: usize = 64;
/// The fewest events that a client sends in a round.
const LEAST: usize = 10;

pub(super) fn run(options: &Options) -> Result<Vec<Row>, BenchError> {
    let home = Home::started(&options.folder)?;
    let mut clients = (0..CLIENTS).map(|_| home.connect()).collect::<Result<Vec<_>, _>>()?;
    let mut daemon = home.connect()?;
    let each = (options.events / ROUNDS / CLIENTS).max(LEAST);
    let mut supply = Supply::new(3);
    let [mut stored, mut known, mut shared]: [Samples; 3] = Default::default();
    for _ in 0..ROUNDS {
        let bodies: Vec<Vec<Vec<u8>>> = (0..CLIENTS)
            .map(|_| supply.take(each).iter().map(|event| body(std::slice::from_ref(event))).collect())
            .collect();
        let before = commits(&mut daemon)?;
        let seconds = together(&mut clients, &bodies, false)?;
        shared.add(number((CLIENTS * each) as u64) / number(commits(&mut daemon)? - before));
        stored.add(number((CLIENTS * each) as u64) / seconds);
        daemon.settle()?;
        known.add(number((CLIENTS * each) as u64) / together(&mut clients, &bodies, true)?);
    }
    let raw = json!({"clients": CLIENTS, "events_per_client_and_round": each, "rounds": ROUNDS,
        "events_per_second": {"ours": stored.raw(), "storing_nothing": known.raw()}, "events_per_sync": shared.raw()});
    Ok(rows(&stored, &known, &shared, raw))
}

fn rows(stored: &Samples, known: &Samples, shared: &Samples, raw: serde_json::Value) -> Vec<Row> {
    let rate = Row {
        name: "ingest-concurrent".to_owned(),
        unit: "events/s",
        ours: stored.median(),
        limit: known.median(),
        ratio: stored.median() / known.median(),
        target: Target::AtLeast(0.5),
        beside: "the same requests again: every event is known, nothing is stored",
        raw,
    };
    let syncs = Row {
        name: "ingest-concurrent syncs".to_owned(),
        unit: "events/fdatasync",
        ours: shared.median(),
        limit: number(CLIENTS as u64),
        ratio: shared.median() / number(CLIENTS as u64),
        target: Target::AtLeast(16.0 / 64.0),
        beside: "every client's event in one sync",
        raw: shared.raw(),
    };
    vec![rate, syncs]
}

fn commits(daemon: &mut Connection) -> Result<u64, BenchError> {
    let status = daemon.json("GET", "/api/monitoring/status/", b"")?;
    status["log"]["commits"].as_u64().ok_or_else(|| BenchError::Daemon("`status` does not count commits".into()))
}

/// Seconds until every client has sent all that is its own, one request after the other.
fn together(clients: &mut [Connection], bodies: &[Vec<Vec<u8>>], known: bool) -> Result<f64, BenchError> {
    let begin = Barrier::new(clients.len() + 1);
    std::thread::scope(|scope| {
        let mut running = Vec::new();
        for (client, bodies) in clients.iter_mut().zip(bodies) {
            let begin = &begin;
            running.push(scope.spawn(move || {
                begin.wait();
                bodies.iter().try_for_each(|body| client.ingest(body, 1, known))
            }));
        }
        begin.wait();
        let start = Instant::now();
        let ended: Vec<_> = running.into_iter().map(std::thread::ScopedJoinHandle::join).collect();
        let seconds = start.elapsed().as_secs_f64();
        let lost = || BenchError::Daemon("a client ended early".to_owned());
        ended.into_iter().try_for_each(|outcome| outcome.unwrap_or_else(|_| Err(lost())))?;
        Ok(seconds)
    })
}
