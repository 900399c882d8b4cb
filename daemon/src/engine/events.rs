//! The log as it is: every topic, in its own order, by position.

use std::collections::BTreeMap;

use clone_schema::api::{EventPage, PAGE_MAX};
use clone_schema::{Fault, Position, topic};

use super::{Engine, instant, log_fault, number, ok, within};
use crate::log::Filter;
use crate::serve::Reply;

/// The farthest position that may be asked for: what every language counts to.
const FROM_MAX: usize = 1 << 53;
/// Events in one page of a stream, at most.
const STREAM_PAGE: usize = 250;

impl Engine {
    /// One page of the log, or its last events.
    pub(super) fn events_list(&self, query: &BTreeMap<String, String>) -> Result<Reply, Fault> {
        if let Some(last) = number(query, "last")? {
            let last = within("last", Some(last), last, 1, PAGE_MAX)?;
            return ok(&EventPage::from(self.log.last(last).map_err(|error| log_fault(&error))?));
        }
        let limit = within("limit", number(query, "limit")?, 100, 1, PAGE_MAX)?;
        self.page(position(query)?.unwrap_or_default(), limit, query)
    }

    /// The next page of a stream, which begins at the end of the log where nobody says otherwise.
    pub(super) fn events_stream(&self, query: &BTreeMap<String, String>) -> Result<Reply, Fault> {
        let from = position(query)?.unwrap_or_else(|| self.log.head());
        self.page(from, STREAM_PAGE, query)
    }

    fn page(&self, from: Position, limit: usize, query: &BTreeMap<String, String>) -> Result<Reply, Fault> {
        let page = self.log.page(from, limit, &filter(query)?).map_err(|error| log_fault(&error))?;
        ok(&EventPage::from(page))
    }
}

fn position(query: &BTreeMap<String, String>) -> Result<Option<Position>, Fault> {
    let from = number(query, "from")?.map(|from| within("from", Some(from), from, 0, FROM_MAX));
    Ok(from.transpose()?.map(|from| Position(from as u64)))
}

fn filter(query: &BTreeMap<String, String>) -> Result<Filter, Fault> {
    let topic = query.get("topic").cloned();
    if let Some(name) = topic.as_deref().filter(|name| topic::find(name).is_none()) {
        return Err(Fault::invalid(format!("there is no topic `{name}`")));
    }
    Ok(Filter { topic, since: instant(query, "since")?, until: instant(query, "until")? })
}
