//! The log page by page, for readers who want all of it: bounded in events, in bytes and in what a filter passes over.

use std::collections::VecDeque;

use clone_schema::api::{EventPage, LoggedEvent};
use clone_schema::{Position, Timestamp};
use serde_json::value::RawValue;

use super::{Log, LogError, Record};

/// Where a page ends, in bytes of events; the one that crosses it is still in.
const PAGE_BYTES: usize = 4 << 20;
/// How many events a page looks at before it is handed over as it is.
const PAGE_SCANNED: usize = 20_000;
/// How many events are read at a time.
const STEP: usize = 32;

/// Which events are wanted; the default is all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Only this topic.
    pub topic: Option<String>,
    /// Only what happened then or later.
    pub since: Option<Timestamp>,
    /// Only what happened earlier.
    pub until: Option<Timestamp>,
}

impl Filter {
    fn wants(&self, record: &Record) -> bool {
        self.topic.as_deref().is_none_or(|topic| topic == record.topic)
            && self.since.is_none_or(|since| record.occurred_at >= since)
            && self.until.is_none_or(|until| record.occurred_at < until)
    }
}

/// Some events in the order of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// The events.
    pub records: Vec<Record>,
    /// From where to ask for the next page.
    pub next: Position,
    /// Whether there is more behind this page now.
    pub more: bool,
    /// The position after the last event of the log.
    pub head: Position,
}

impl Log {
    /// Up to `limit` wanted events from a position on.
    ///
    /// # Errors
    /// The file system's.
    pub fn page(&self, from: Position, limit: usize, filter: &Filter) -> Result<Page, LogError> {
        let head = self.head();
        let mut page = Page { records: Vec::new(), next: from, more: true, head };
        let (mut bytes, mut scanned) = (0, 0);
        while page.records.len() < limit && bytes < PAGE_BYTES && scanned < PAGE_SCANNED {
            let read = self.scan(page.next, STEP)?;
            let last = read.len() < STEP;
            scanned += read.len();
            for record in read {
                if page.records.len() == limit || bytes >= PAGE_BYTES {
                    return Ok(page);
                }
                page.next = record.position.next();
                if filter.wants(&record) {
                    bytes += record.json.len();
                    page.records.push(record);
                }
            }
            if last {
                page.more = false;
                return Ok(page);
            }
        }
        Ok(page)
    }

    /// The last so many events; fewer where they are large.
    ///
    /// # Errors
    /// The file system's.
    pub fn last(&self, count: usize) -> Result<Page, LogError> {
        let (mut kept, mut bytes) = (VecDeque::new(), 0);
        let mut page = Page { records: Vec::new(), next: self.before(count), more: true, head: self.head() };
        while page.more {
            let next = self.page(page.next, STEP, &Filter::default())?;
            for record in next.records {
                bytes += record.json.len();
                kept.push_back(record);
                while kept.len() > count || (bytes > PAGE_BYTES && kept.len() > 1) {
                    bytes -= kept.pop_front().map_or(0, |record: Record| record.json.len());
                }
            }
            (page.next, page.more) = (next.next, next.more);
        }
        page.records = kept.into();
        Ok(page)
    }

    /// A position behind which at least so many events are, where there are that many.
    fn before(&self, count: usize) -> Position {
        let directory = self.inner.shared.directory();
        let (head, count) = (directory.head.0, count as u64);
        let stored: u64 = directory.from(Position(0)).map(|place| u64::from(place.count)).sum();
        // Copies that count no more are stored and never read.
        let wanted = count + stored.saturating_sub(directory.events());
        let mut distance = wanted.max(1);
        loop {
            let from = Position(head.saturating_sub(distance));
            let held: u64 = directory.from(from).map(|place| u64::from(place.count)).sum();
            // The first chunk counts whole though it may begin before.
            let early = directory.from(from).next().map_or(0, |place| from.0.saturating_sub(place.first.0));
            if held.saturating_sub(early) >= wanted || from.0 == 0 {
                return from;
            }
            distance = distance.saturating_mul(2);
        }
    }
}

impl From<Page> for EventPage {
    fn from(page: Page) -> Self {
        let Page { records, next, more, head } = page;
        Self { events: records.into_iter().filter_map(logged).collect(), next, more, head }
    }
}

/// The record for a reader; what is no JSON never got into the log.
fn logged(record: Record) -> Option<LoggedEvent> {
    let Record { position, topic, recorded_at, occurred_at, json, .. } = record;
    let event = RawValue::from_string(json).ok()?;
    Some(LoggedEvent { position, topic: topic.to_owned(), recorded_at, occurred_at, event })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::Entry;
    use super::super::tests::{entries, folder, open};
    use super::*;

    fn positions(page: &Page) -> Vec<u64> {
        page.records.iter().map(|record| record.position.0).collect()
    }

    #[test]
    fn pages_follow_each_other_without_a_gap() {
        let dir = folder();
        let (log, _) = open(dir.path());
        log.append(entries(0..200)).unwrap();
        let (mut from, mut seen) = (Position(0), Vec::new());
        loop {
            let page = log.page(from, 30, &Filter::default()).unwrap();
            assert!(page.records.len() <= 30);
            seen.extend(positions(&page));
            from = page.next;
            if !page.more {
                break;
            }
        }
        assert_eq!(seen, (0..200).collect::<Vec<_>>());
        let behind = log.page(Position(500), 30, &Filter::default()).unwrap();
        assert_eq!((behind.next, behind.more, behind.head), (Position(500), false, Position(200)));
    }

    #[test]
    fn a_filter_passes_over_what_is_not_wanted() {
        let dir = folder();
        let (log, _) = open(dir.path());
        log.append(entries(0..10)).unwrap();
        let at = |position: u64| Some(log.read(Position(position)).unwrap().unwrap().occurred_at);
        let page = |topic: Option<&str>, since, until| {
            let filter = Filter { topic: topic.map(str::to_owned), since, until };
            positions(&log.page(Position(1), 100, &filter).unwrap())
        };
        assert_eq!(page(None, at(3), at(6)), [3, 4, 5]);
        assert_eq!(page(Some("agent.prompt"), at(8), None), [8, 9]);
        assert_eq!(page(Some("agent.response"), None, None), Vec::<u64>::new());
    }

    /// An event of so many bytes.
    fn large(number: usize, bytes: usize) -> Entry {
        let id = format!("large-{number}");
        let json = format!(r#"{{"id":"{id}","prompt":"{}"}}"#, "x".repeat(bytes));
        Entry { json, id, ..entries(0..1).remove(0) }
    }

    #[test]
    fn a_page_ends_where_it_grows_large() {
        let dir = folder();
        let (log, _) = open(dir.path());
        log.append((0..6).map(|number| large(number, PAGE_BYTES / 2)).collect()).unwrap();
        let page = log.page(Position(0), 100, &Filter::default()).unwrap();
        assert_eq!((positions(&page), page.next, page.more), (vec![0, 1], Position(2), true));
        assert_eq!(positions(&log.last(5).unwrap()), [5], "the last ones are as few as fit");
    }

    #[test]
    fn the_last_ones_are_found_behind_gaps_too() {
        let dir = folder();
        let (log, _) = open(dir.path());
        log.append(entries(0..100)).unwrap();
        for (count, expected) in
            [(0, vec![]), (3, vec![97, 98, 99]), (100, (0..100).collect()), (500, (0..100).collect())]
        {
            assert_eq!(positions(&log.last(count).unwrap()), expected, "{count}");
        }
        log.append(entries(100..101)).unwrap();
        let lost = usize::try_from(log.locate(Position(100)).unwrap().offset).unwrap();
        log.close().unwrap();
        // Noise where the last event was: the positions behind it are skipped.
        let path = dir.path().join(super::super::tests::FIRST_SEALED);
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(&path, [&bytes[..lost], &[0xff; 400]].concat()).unwrap();
        let (log, _) = open(dir.path());
        log.append(entries(200..202)).unwrap();
        let last = positions(&log.last(4).unwrap());
        assert!(last[2] > 60_000 && last[..2] == [98, 99], "{last:?}");
    }
}
