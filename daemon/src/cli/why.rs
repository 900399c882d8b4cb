//! `why`: receipts, from a prediction down to the bytes of the log.

use clap::Args;
use serde_json::Value;

use super::{Context, print};
use crate::failure::Failure;

/// `clone why`
#[derive(Args)]
pub struct Why {
    /// A prediction, a fact (`fct_…`) or an episode (`epi_…`)
    id: String,
}

/// Shows what something rests on.
///
/// # Errors
///
/// The daemon is not reachable or knows no such thing.
pub fn run(context: &Context, arguments: &Why) -> Result<u8, Failure> {
    let answer = context.client()?.blocking("why", Some(&arguments.id), &[], None)?;
    if context.json {
        print::value(&answer);
        return Ok(0);
    }
    show(&answer);
    Ok(0)
}

/// Prints receipts for a person.
pub fn show(answer: &Value) {
    let text = |value: &Value, name: &str| value[name].as_str().unwrap_or_default().to_owned();
    print::line(format!("{} {}", text(answer, "what"), text(answer, "id")));
    print::line(format!("  {}", print::cut(&text(answer, "text"), 100)));
    for reason in list(answer, "reasons") {
        print::line(format!("  because  {}", reason.as_str().unwrap_or_default()));
    }
    for fact in list(answer, "facts") {
        print::line(format!("  fact     {}  {}", text(fact, "id"), print::cut(&text(fact, "text"), 80)));
    }
    for episode in list(answer, "episodes") {
        print::line(format!("  episode  {}  {}", text(episode, "id"), print::cut(&text(episode, "title"), 80)));
    }
    for event in list(answer, "events") {
        let at = print::moment(&text(event, "occurred_at"));
        let words = print::cut(&text(event, "text"), 60);
        print::line(format!("  event    {}  {at}  ({}) {words}", text(event, "id"), text(event, "origin")));
        let place = &event["at"];
        if place.is_null() {
            print::line("           no longer in the log");
        } else {
            print::line(format!("           {} + {} [{}]", text(place, "segment"), place["offset"], place["index"]));
        }
    }
}

fn list<'a>(answer: &'a Value, name: &str) -> &'a [Value] {
    answer[name].as_array().map_or(&[][..], Vec::as_slice)
}
