//! The numbers of every committed document, opened once for each commit: a search reads them for all that it weighs.

use std::collections::HashSet;

use tantivy::columnar::Column;
use tantivy::fieldnorm::FieldNormReader;
use tantivy::{DocAddress, DocId, Searcher, SegmentReader};

use super::document::{Bearings, Fields};

/// The columns of one segment.
pub(super) struct Segment {
    group: Column<u64>,
    who: Column<u64>,
    place: Column<u64>,
    at: Column<i64>,
    lengths: FieldNormReader,
}

/// What ranks a document besides its words.
#[derive(Clone, Copy, Debug)]
pub(super) struct Numbers {
    pub bearings: Bearings,
    pub at: i64,
    pub length: u32,
}

impl Segment {
    fn open(reader: &SegmentReader, fields: Fields) -> tantivy::Result<Self> {
        let fast = reader.fast_fields();
        Ok(Self {
            group: fast.u64("group")?,
            who: fast.u64("who")?,
            place: fast.u64("place")?,
            at: fast.i64("at")?,
            lengths: reader.get_fieldnorms_reader(fields.text)?,
        })
    }

    /// Its session, and its position and traits.
    pub fn seat(&self, doc: DocId) -> (u64, u64) {
        (number(&self.group, doc), number(&self.place, doc))
    }

    fn numbers(&self, doc: DocId) -> Numbers {
        let (group, place) = self.seat(doc);
        let bearings = Bearings { group, who: number(&self.who, doc), place };
        Numbers { bearings, at: self.at.first(doc).unwrap_or_default(), length: self.lengths.fieldnorm(doc) }
    }
}

fn number(column: &Column<u64>, doc: DocId) -> u64 {
    column.first(doc).unwrap_or_default()
}

/// The columns of all segments of a searcher, in their order, and who spoke in them.
pub(super) struct Columns {
    segments: Vec<Segment>,
    speakers: HashSet<u64>,
}

impl Columns {
    pub fn open(searcher: &Searcher, fields: Fields) -> tantivy::Result<Self> {
        let readers = searcher.segment_readers();
        let segments = readers.iter().map(|reader| Segment::open(reader, fields)).collect::<Result<_, _>>()?;
        let mut speakers = HashSet::new();
        for reader in readers {
            let index = reader.inverted_index(fields.who)?;
            let mut names = index.terms().stream()?;
            while names.advance() {
                // Numbers are kept in the order of their bytes.
                speakers.extend(names.key().try_into().map(u64::from_be_bytes));
            }
        }
        speakers.remove(&0);
        Ok(Self { segments, speakers })
    }

    /// The columns of one segment.
    pub fn segment(&self, ordinal: u32) -> &Segment {
        &self.segments[ordinal as usize]
    }

    /// The numbers of a document.
    pub fn numbers(&self, address: DocAddress) -> Numbers {
        self.segments[address.segment_ord as usize].numbers(address.doc_id)
    }

    /// Whether anybody who spoke has this name.
    pub fn is_speaker(&self, who: u64) -> bool {
        self.speakers.contains(&who)
    }
}
