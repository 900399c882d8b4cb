//! The numbers of every committed document, opened once for each commit: a search reads them for all that it weighs.

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

    fn numbers(&self, doc: DocId) -> Numbers {
        let number = |column: &Column<u64>| column.first(doc).unwrap_or_default();
        let bearings = Bearings { group: number(&self.group), who: number(&self.who), place: number(&self.place) };
        Numbers { bearings, at: self.at.first(doc).unwrap_or_default(), length: self.lengths.fieldnorm(doc) }
    }
}

/// The columns of all segments of a searcher, in their order.
pub(super) struct Columns(Vec<Segment>);

impl Columns {
    pub fn open(searcher: &Searcher, fields: Fields) -> tantivy::Result<Self> {
        searcher
            .segment_readers()
            .iter()
            .map(|reader| Segment::open(reader, fields))
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// The numbers of a document.
    pub fn numbers(&self, address: DocAddress) -> Numbers {
        self.0[address.segment_ord as usize].numbers(address.doc_id)
    }
}
