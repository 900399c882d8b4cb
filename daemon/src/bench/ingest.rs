//! `ingest-batch` and `ingest-small`: one client, acked, beside a bare writer and a bare sync.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::path::Path;

use serde::Deserialize;
use serde_json::json;

use super::events::{Supply, body};
use super::measure::{Samples, rates};
use super::{BATCH, BenchError, Home, Options, ROUNDS, Row, Target, bare};

/// Posts, syncs and health calls in one round of `ingest-small`.
const SMALL: usize = 200;

/// A thousand events a request, against the `mcap` crate's own writer and a bare typed parse of the same bytes.
pub(super) fn batch(options: &Options) -> Result<Vec<Row>, BenchError> {
    let home = Home::started(&options.folder)?;
    let mut daemon = home.connect()?;
    let batches = (options.events / BATCH / ROUNDS).max(1);
    let mut supply = Supply::new(1);
    let [mut ours, mut settle, mut parse, mut write]: [Samples; 4] = Default::default();
    let mut bytes = 0;
    for round in 0..ROUNDS {
        let events: Vec<Vec<String>> = (0..batches).map(|_| supply.take(BATCH)).collect();
        let bodies: Vec<Vec<u8>> = events.iter().map(|events| body(events)).collect();
        bytes += bodies.iter().map(Vec::len).sum::<usize>();
        ours.time(|| bodies.iter().try_for_each(|body| daemon.ingest(body, BATCH, false)))?;
        settle.time(|| daemon.settle())?;
        parse.time(|| bodies.iter().try_for_each(|body| bare_parse(body)))?;
        write.time(|| bare_write(&home.scratch(&format!("bare-{round}.mcap")), &events))?;
    }
    let count = batches * BATCH;
    let (ours_rate, limit) = (rates(count, &ours), parse.median() + write.median());
    #[allow(clippy::cast_precision_loss)]
    let per_event = |seconds: f64| seconds / count as f64 * 1e6;
    Ok(vec![Row {
        name: "ingest-batch".to_owned(),
        unit: "us/event",
        ours: per_event(ours.median()),
        limit: per_event(limit),
        ratio: ours.median() / limit,
        target: Target::AtMost(2.0),
        beside: "bare typed parse + mcap crate, zstd, fdatasync per 1,000",
        raw: json!({
            "events_per_round": count, "rounds": ROUNDS, "bytes_sent": bytes,
            "seconds": {"ours": ours.raw(), "settle": settle.raw(), "parse": parse.raw(), "write": write.raw()},
            "events_per_second": {"ours": ours_rate.median(), "parse": rates(count, &parse).median(),
                "write": rates(count, &write).median()},
        }),
    }])
}

/// One event of the bench as serde's own derive reads it, with nothing checked but the types.
#[derive(Deserialize)]
#[allow(dead_code)]
struct Bare {
    id: String,
    session_id: String,
    occurred_at: String,
    source: String,
    #[serde(rename = "type")]
    kind: String,
    meta: Option<BTreeMap<String, String>>,
    agent: Option<String>,
    prompt: Option<String>,
    response: Option<String>,
    in_response_to: Option<String>,
    command: Option<String>,
    cwd: Option<String>,
    exit_code: Option<i64>,
    duration_ms: Option<i64>,
    url: Option<String>,
    title: Option<String>,
}

fn bare_parse(body: &[u8]) -> Result<(), BenchError> {
    let events: Vec<Bare> = serde_json::from_slice(body).map_err(BenchError::limit)?;
    std::hint::black_box(events);
    Ok(())
}

/// The same events through the `mcap` crate: its zstd at our level, a chunk and an fdatasync for each batch.
fn bare_write(path: &Path, batches: &[Vec<String>]) -> Result<u64, BenchError> {
    let mut writer = bare::Writer::create(path, bare::like_ours())?;
    for batch in batches {
        writer.write(batch.iter().map(String::as_str))?;
        writer.sync()?;
    }
    writer.finish()
}

/// One event a request, against a sync of 4 KiB and a round trip that does nothing.
pub(super) fn small(options: &Options) -> Result<Vec<Row>, BenchError> {
    let home = Home::started(&options.folder)?;
    let mut daemon = home.connect()?;
    let mut file = File::create(home.scratch("bare.bin")).map_err(BenchError::io("make a bare file"))?;
    let mut supply = Supply::new(2);
    let [mut ours, mut sync, mut health]: [Samples; 3] = Default::default();
    for _ in 0..ROUNDS {
        for event in supply.take(SMALL) {
            let body = body(std::slice::from_ref(&event));
            ours.time(|| daemon.ingest(&body, 1, false))?;
        }
        daemon.settle()?;
        for _ in 0..SMALL {
            sync.time(|| file.write_all(&[7; 4096]).and_then(|()| file.sync_data()))
                .map_err(BenchError::io("sync a bare file"))?;
            health.time(|| daemon.health())?;
        }
    }
    let limit = sync.median() + health.median();
    let raw = json!({"seconds": {"ours": ours.raw(), "sync": sync.raw(), "health": health.raw()}});
    Ok(vec![Row {
        name: "ingest-small".to_owned(),
        unit: "ms, p50",
        ours: ours.median() * 1e3,
        limit: limit * 1e3,
        ratio: ours.median() / limit,
        target: Target::AtMost(2.0),
        beside: "append + fdatasync of 4 KiB, and the health round trip",
        raw,
    }])
}
