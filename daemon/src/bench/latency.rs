//! `latency`: a prediction over the socket beside a bare query of the same terms and a round trip.
//!
//! What would surprise: half of what a prediction costs depends on how many replies are known, not on how many events
//! there are. So a history is measured as one in three events being a reply, the worst that there is, and where that is
//! more, as one with twenty thousand replies among other events.

use serde_json::json;

use super::bare_query::Bare;
use super::events;
use super::home::Home;
use super::life::{Life, Words};
use super::measure::{Samples, number};
use super::{BATCH, BenchError, Options, Row, Target};
use crate::dice::Dice;

/// Replies of somebody who mostly does other things.
const FEW: usize = 20_000;
/// More events than this are not measured with a reply in three: nobody types so much, and deriving it takes an hour.
const MANY: usize = 200_000;
/// Rounds of questions, and questions of each kind in a round.
const ROUNDS: usize = 5;
/// See [`ROUNDS`].
const ASKED: usize = 100;
/// Resident memory at a million events that is told as the target, in MiB.
const MOST_MIB: f64 = 350.0;
const MIB: f64 = 1_048_576.0;

/// Measures both shapes of a history of this length.
pub(super) fn run(options: &Options) -> Result<Vec<Row>, BenchError> {
    let (events, words) = (options.events, Words::new());
    let mut rows = Vec::new();
    if events <= MANY {
        rows.extend(shape(options, &words, events / 3)?);
    }
    if events / 3 > FEW {
        rows.extend(shape(options, &words, FEW)?);
    }
    Ok(rows)
}

fn shape(options: &Options, words: &Words, replies: usize) -> Result<Vec<Row>, BenchError> {
    let home = Home::started(&options.folder)?;
    let fresh = home.resident();
    let mut daemon = home.connect()?;
    let mut life = Life::new(words, options.events, replies);
    let mut left = options.events;
    while left > 0 {
        let batch = life.take(left.min(BATCH));
        left -= batch.len();
        daemon.ingest(&events::body(&batch), batch.len(), false)?;
    }
    daemon.settle_however_long()?;
    let mut bare = Bare::new(&life.said)?;
    let asked = ask(&home, words, &mut bare)?;
    let memory = Memory { fresh, full: home.resident() };
    Ok(asked.rows(life.said.len(), &memory))
}

/// Resident bytes of a new home and of this one; nothing where the system does not say.
struct Memory {
    fresh: Option<u64>,
    full: Option<u64>,
}

/// How long each question took.
#[derive(Default)]
struct Asked {
    predict: Samples,
    health: Samples,
    bare: Samples,
}

fn ask(home: &Home, words: &Words, bare: &mut Bare) -> Result<Asked, BenchError> {
    let (mut dice, mut daemon, mut asked) = (Dice::new(13), home.connect()?, Asked::default());
    // The first round only warms up.
    for round in 0..=ROUNDS {
        let said: Vec<String> = (0..ASKED).map(|_| words.said(&mut dice)).collect();
        let bodies = said.iter().map(|said| json!({"agent": "Claude Code", "agent_input": said, "k": 3}).to_string());
        let bodies: Vec<String> = bodies.collect();
        let mut took = Asked::default();
        for said in &said {
            took.health.time(|| daemon.health())?;
            took.bare.time(|| bare.ask(said))?;
        }
        for body in &bodies {
            took.predict.time(|| daemon.json("POST", "/api/predictions/predict/", body.as_bytes()))?;
        }
        // What the answers left behind is derived before anything else is timed.
        daemon.settle_however_long()?;
        if round > 0 {
            asked.extend(&took);
        }
    }
    Ok(asked)
}

impl Asked {
    fn extend(&mut self, other: &Self) {
        self.predict.extend(&other.predict);
        self.health.extend(&other.health);
        self.bare.extend(&other.bare);
    }

    fn rows(&self, replies: usize, memory: &Memory) -> Vec<Row> {
        let row = |percent: f64, most: f64| {
            let ms = |samples: &Samples| samples.percentile(percent) * 1_000.0;
            let limit = ms(&self.bare) + ms(&self.health);
            Row::compare(format!("predict p{percent}, {replies} replies"), "ms", (ms(&self.predict), limit))
                .beside("a bare tantivy query of the same terms + `health`")
                .target(Target::AtMost(most))
        };
        let raw = json!({"seconds": {
            "predict": self.predict.raw(), "bare": self.bare.raw(), "health": self.health.raw(),
        }});
        let mib = |bytes: Option<u64>| bytes.map_or(f64::NAN, |bytes| number(bytes) / MIB);
        let size = (mib(memory.full), mib(memory.fresh));
        let size = Row::compare(format!("memory, {replies} replies"), "MiB RSS", size);
        vec![row(50.0, 2.0).raw(raw), row(99.0, 5.0), size.beside("a new home").target(Target::Within(MOST_MIB))]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_the_query_and_the_round_trip() {
        let samples = |value: f64| (0..10).map(|_| value).collect::<Samples>();
        let asked = Asked { predict: samples(0.003), health: samples(0.0005), bare: samples(0.001) };
        let rows = asked.rows(7, &Memory { fresh: Some(1 << 20), full: Some(1 << 22) });
        let told: Vec<(&str, bool)> = rows.iter().map(|row| (row.name.as_str(), row.met() == Some(true))).collect();
        assert_eq!(
            told,
            [("predict p50, 7 replies", true), ("predict p99, 7 replies", true), ("memory, 7 replies", true)]
        );
        assert!((rows[0].ratio - 2.0).abs() < 1e-9 && (rows[2].ratio - 4.0).abs() < 1e-9);
    }
}
