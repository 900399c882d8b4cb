//! The id block of a sealed segment: which ids are in it, and which chunks, so that a start need not read the segment.
//!
//! `<first position>.ids` lies beside `<first position>.mcap`, is made from it and may be deleted at any time. It names the
//! length and the last bytes of the segment that it describes; beside any other it is not believed. What would surprise:
//!
//! - Only the head is kept in memory: the chunks, a filter of about nine bits per id and one number per page. An id that
//!   passes the filter costs one read of one page.
//! - The head and every page carry a checksum of their own. A page that went bad says so when it is asked.
//! - Ids are kept as the first 16 bytes of their BLAKE3 hash, so that the order on disk is even whatever the ids are.

use std::io;

use clone_schema::Position;
use clone_schema::segment::Info;
use serde::{Deserialize, Serialize};
use xorf::{BinaryFuse8, BinaryFuse8Ref, DmaSerializable as _, Filter as _, FilterRef as _};

use super::Damage;
use super::directory::{Digest, Place};
use super::storage::{Storage, write_anew};

const MAGIC: &[u8; 8] = b"CLONEID1";
/// Magic, length of the head's body, checksum of the head's body.
const PRELUDE: usize = 16;
/// What is read at once to find an id, in bytes.
const PAGE: usize = 4096;
/// A digest and a sequence.
const ENTRY: usize = 20;
/// The checksum is in the last four bytes of a page.
const ENTRIES: usize = (PAGE - 4) / ENTRY;
/// How much of the end of a segment names it: its Footer, which holds the checksum of its summary, and the last magic.
const SEAL: u64 = 37;
/// The longest head that is believed: 64 million tiny chunks in one segment are not ours.
const MAX_HEAD: u64 = 1 << 30;

/// The name of the block of a segment.
pub(super) fn block_name(base: Position) -> String {
    format!("{:020}.ids", base.0)
}

/// One chunk of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Row {
    pub(super) offset: u64,
    pub(super) length: u64,
    pub(super) unpacked: u64,
    pub(super) first: u32,
    pub(super) last: u32,
    pub(super) count: u32,
    pub(super) recorded: (u64, u64),
    pub(super) occurred: (u64, u64),
}

impl From<&Info> for Row {
    fn from(info: &Info) -> Self {
        Self {
            offset: info.offset,
            length: info.length,
            unpacked: info.unpacked,
            first: info.first,
            last: info.last,
            count: info.count,
            recorded: info.log_time,
            occurred: info.publish_time,
        }
    }
}

/// What is known of a segment besides its ids.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Contents {
    /// Its good chunks.
    pub(super) rows: Vec<Row>,
    /// What of it cannot be read.
    pub(super) damaged: Vec<Damage>,
    /// Events that count no more, in this segment or in one before it: its first position, and theirs.
    pub(super) hides: Vec<(Position, Position)>,
    /// The least position that may be given after it, were it the last.
    pub(super) floor: Position,
}

impl Contents {
    /// A whole segment of these chunks.
    pub(super) fn of(base: Position, rows: Vec<Row>) -> Self {
        let floor = rows.last().map_or(base, |row| Position(base.0 + u64::from(row.last) + 1));
        Self { rows, floor, ..Self::default() }
    }

    /// The chunks as places in the segment with this index.
    pub(super) fn places(&self, segment: u32, base: Position) -> impl Iterator<Item = Place> + '_ {
        self.rows.iter().map(move |row| Place::new(segment, base, row))
    }
}

/// A filter of ids: no for almost every id that is not there, never for one that is.
#[derive(Debug, Serialize, Deserialize)]
struct Filter {
    descriptor: Vec<u8>,
    fingerprints: Vec<u8>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Head {
    base: Position,
    length: u64,
    seal: Vec<u8>,
    contents: Contents,
    ids: u64,
    /// The beginning of the first digest of each page.
    fences: Vec<u64>,
    filter: Option<Filter>,
}

/// Why a block cannot be used; the segment itself says what is in it.
#[derive(Debug, thiserror::Error)]
pub(super) enum BlockError {
    /// The file system failed.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// It is not there, not whole, or of another segment.
    #[error("{0}")]
    Unfit(&'static str),
}

/// The block of one sealed segment.
#[derive(Debug)]
pub(super) struct Block {
    base: Position,
    /// Where the pages begin.
    pages: u64,
    stamp: u32,
    ids: u64,
    fences: Vec<u64>,
    filter: Option<Filter>,
}

fn key(digest: &Digest) -> u64 {
    digest.iter().take(8).fold(0, |key, byte| key << 8 | u64::from(*byte))
}

/// The last bytes of a segment.
fn seal(disk: &dyn Storage, segment: &str, length: u64) -> io::Result<Vec<u8>> {
    let from = length.saturating_sub(SEAL);
    disk.read_at(segment, from, usize::try_from(length - from).unwrap_or(usize::MAX))
}

/// Writes the block of a segment under a name of its own, durably; `ids` are sorted.
///
/// The caller renames it once nobody reads the one before.
pub(super) fn write(
    disk: &dyn Storage,
    name: &str,
    base: Position,
    segment: (&str, u64),
    contents: &Contents,
    ids: &[(Digest, u32)],
) -> io::Result<()> {
    let seal = seal(disk, segment.0, segment.1)?;
    let bytes = encode(base, segment.1, seal, contents, ids)?;
    write_anew(disk, name, &bytes)
}

fn encode(
    base: Position,
    length: u64,
    seal: Vec<u8>,
    contents: &Contents,
    ids: &[(Digest, u32)],
) -> io::Result<Vec<u8>> {
    let fences = ids.chunks(ENTRIES).map(|page| key(&page[0].0)).collect();
    let (contents, filter) = (contents.clone(), Filter::of(ids));
    let head = Head { base, length, seal, contents, ids: ids.len() as u64, fences, filter };
    let body = postcard::to_stdvec(&head).map_err(io::Error::other)?;
    let stamp = crc32fast::hash(&body);
    let size = u32::try_from(body.len()).map_err(io::Error::other)?;
    let mut out = Vec::with_capacity(PRELUDE + body.len() + ids.len().div_ceil(ENTRIES) * PAGE);
    out.extend_from_slice(MAGIC);
    out.extend_from_slice(&size.to_le_bytes());
    out.extend_from_slice(&stamp.to_le_bytes());
    out.extend_from_slice(&body);
    for (number, page) in ids.chunks(ENTRIES).enumerate() {
        let start = out.len();
        for (digest, sequence) in page {
            out.extend_from_slice(digest);
            out.extend_from_slice(&sequence.to_le_bytes());
        }
        out.resize(start + PAGE - 4, 0);
        let sum = page_sum(stamp, number as u64, &out[start..]);
        out.extend_from_slice(&sum.to_le_bytes());
    }
    Ok(out)
}

impl Filter {
    /// A filter of the ids; two that begin alike, which it cannot hold, are taken for one.
    fn of(ids: &[(Digest, u32)]) -> Option<Self> {
        let mut keys: Vec<u64> = ids.iter().map(|(digest, _)| key(digest)).collect();
        keys.dedup();
        let filter = BinaryFuse8::try_from(&keys).ok()?;
        let mut descriptor = vec![0; BinaryFuse8::DESCRIPTOR_LEN];
        filter.dma_copy_descriptor_to(&mut descriptor);
        Some(Self { descriptor, fingerprints: filter.fingerprints.into_vec() })
    }

    /// Whether its numbers fit together; others would read outside it.
    fn is_whole(&self) -> bool {
        let number = |at: usize| {
            let bytes = self.descriptor.get(at..at + 4).and_then(|bytes| bytes.try_into().ok());
            bytes.map_or(0, |bytes| u64::from(u32::from_le_bytes(bytes)))
        };
        let (part, mask, parts) = (number(8), number(12), number(16));
        self.descriptor.len() == BinaryFuse8::DESCRIPTOR_LEN
            && part.is_power_of_two()
            && mask == part - 1
            && parts > 0
            && parts % part == 0
            && parts + 2 * part <= self.fingerprints.len().min(u32::MAX as usize) as u64
    }

    fn may_contain(&self, key: u64) -> bool {
        BinaryFuse8Ref::from_dma(&self.descriptor, &self.fingerprints).contains(&key)
    }
}

fn page_sum(stamp: u32, number: u64, entries: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&stamp.to_le_bytes());
    hasher.update(&number.to_le_bytes());
    hasher.update(entries);
    hasher.finalize()
}

impl Block {
    /// Opens the block of a sealed segment, if it has one that describes it.
    ///
    /// # Errors
    /// [`BlockError::Unfit`] where the segment must be read itself.
    pub(super) fn open(
        disk: &dyn Storage,
        base: Position,
        segment: (&str, u64),
    ) -> Result<(Self, Contents), BlockError> {
        let name = block_name(base);
        let prelude = match disk.read_at(&name, 0, PRELUDE) {
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::UnexpectedEof) => {
                return Err(BlockError::Unfit("it is missing or cut short"));
            }
            read => read?,
        };
        let (size, stamp) = prelude_of(&prelude).ok_or(BlockError::Unfit("it does not begin like an id block"))?;
        if u64::from(size) > MAX_HEAD.min(disk.length(&name)?) {
            return Err(BlockError::Unfit("its head is longer than the file"));
        }
        let body = disk.read_at(&name, PRELUDE as u64, size as usize)?;
        let head = head(&body, stamp).ok_or(BlockError::Unfit("its head is damaged"))?;
        let whole = PRELUDE as u64 + u64::from(size) + head.ids.div_ceil(ENTRIES as u64) * PAGE as u64;
        if whole != disk.length(&name)? {
            return Err(BlockError::Unfit("it is cut short"));
        }
        head.check().map_err(BlockError::Unfit)?;
        if head.base != base || head.length != segment.1 || head.seal != seal(disk, segment.0, segment.1)? {
            return Err(BlockError::Unfit("it describes another file"));
        }
        let pages = PRELUDE as u64 + u64::from(size);
        Ok((Self { base, pages, stamp, ids: head.ids, fences: head.fences, filter: head.filter }, head.contents))
    }

    /// The sequence of the event with this id.
    ///
    /// # Errors
    /// A page cannot be read or is damaged: it is not known whether the segment has the id.
    pub(super) fn find(&self, disk: &dyn Storage, digest: &Digest) -> Result<Option<u32>, BlockError> {
        let key = key(digest);
        if self.filter.as_ref().is_some_and(|filter| !filter.may_contain(key)) {
            return Ok(None);
        }
        // Digests that begin alike may lie on both sides of a fence.
        let last = self.fences.partition_point(|fence| *fence <= key);
        let first = self.fences.partition_point(|fence| *fence < key).saturating_sub(1);
        for page in first..last {
            if let Some(sequence) = find_in(&self.page(disk, page)?, digest) {
                return Ok(Some(sequence));
            }
        }
        Ok(None)
    }

    /// Every id with its sequence, in the order of their digests.
    #[cfg(test)]
    fn all(&self, disk: &dyn Storage) -> Result<Vec<(Digest, u32)>, BlockError> {
        let mut out = Vec::with_capacity(usize::try_from(self.ids).unwrap_or(0));
        for number in 0..self.fences.len() {
            out.extend(entries(&self.page(disk, number)?));
        }
        out.truncate(usize::try_from(self.ids).unwrap_or(usize::MAX));
        Ok(out)
    }

    /// The entries of a page, checked.
    fn page(&self, disk: &dyn Storage, number: usize) -> Result<Vec<u8>, BlockError> {
        let offset = self.pages + (number * PAGE) as u64;
        let page = disk.read_at(&block_name(self.base), offset, PAGE)?;
        entries_of(page, self.stamp, number, self.ids).map_err(BlockError::Unfit)
    }
}

impl Head {
    /// Whether its parts fit together.
    fn check(&self) -> Result<(), &'static str> {
        if self.fences.len() as u64 != self.ids.div_ceil(ENTRIES as u64) {
            return Err("its pages are not counted right");
        }
        let whole = self.filter.as_ref().is_none_or(Filter::is_whole);
        if whole { Ok(()) } else { Err("its filter is damaged") }
    }
}

/// The entries of a page, checked; `ids` are in the whole block.
fn entries_of(mut page: Vec<u8>, stamp: u32, number: usize, ids: u64) -> Result<Vec<u8>, &'static str> {
    let sum = page.split_off(PAGE - 4);
    if sum != page_sum(stamp, number as u64, &page).to_le_bytes() {
        return Err("the checksum of a page does not agree");
    }
    let left = ids.saturating_sub((number * ENTRIES) as u64);
    page.truncate(usize::try_from(left).map_or(PAGE, |left| left.min(ENTRIES) * ENTRY));
    Ok(page)
}

/// Checks every byte of an id block and how its parts fit together; gives the number of its ids.
///
/// # Errors
/// What is wrong with it. The next start makes such a block anew.
pub fn check_block(bytes: &[u8]) -> Result<u64, &'static str> {
    let (size, stamp) = prelude_of(bytes.get(..PRELUDE).ok_or("it is cut short")?).ok_or("it is no id block")?;
    let end = PRELUDE.saturating_add(size as usize);
    let head = head(bytes.get(PRELUDE..end).ok_or("it is cut short")?, stamp).ok_or("its head is damaged")?;
    head.check()?;
    let pages = &bytes[end..];
    if pages.len() as u64 != (head.fences.len() * PAGE) as u64 {
        return Err("it is cut short");
    }
    let mut before = None;
    for (number, page) in pages.chunks(PAGE).enumerate() {
        let page = entries_of(page.to_vec(), stamp, number, head.ids)?;
        if entries(&page).next().map(|(digest, _)| key(&digest)) != Some(head.fences[number]) {
            return Err("a page begins with another id than its head says");
        }
        for (digest, _) in entries(&page) {
            if before.replace(digest).is_some_and(|before| before >= digest) {
                return Err("its ids do not ascend");
            }
            if head.filter.as_ref().is_some_and(|filter| !filter.may_contain(key(&digest))) {
                return Err("its filter denies an id that it holds");
            }
        }
    }
    Ok(head.ids)
}

/// Length and checksum of the head.
fn prelude_of(bytes: &[u8]) -> Option<(u32, u32)> {
    let (magic, rest) = bytes.split_at_checked(MAGIC.len())?;
    let (size, stamp) = rest.split_at_checked(4)?;
    let number = |bytes: &[u8]| bytes.try_into().ok().map(u32::from_le_bytes);
    (magic == MAGIC).then_some((number(size)?, number(stamp)?))
}

fn head(body: &[u8], stamp: u32) -> Option<Head> {
    if crc32fast::hash(body) != stamp {
        return None;
    }
    postcard::from_bytes(body).ok()
}

fn entries(page: &[u8]) -> impl Iterator<Item = (Digest, u32)> + '_ {
    page.chunks_exact(ENTRY).map(|entry| {
        let (mut digest, mut sequence) = ([0; 16], [0; 4]);
        digest.copy_from_slice(&entry[..16]);
        sequence.copy_from_slice(&entry[16..]);
        (digest, u32::from_le_bytes(sequence))
    })
}

fn find_in(page: &[u8], digest: &Digest) -> Option<u32> {
    entries(page).find(|(known, _)| known == digest).map(|(_, sequence)| sequence)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::directory::digest;
    use super::super::sim::SimDisk;
    use super::super::world::Image;
    use super::*;

    const SEGMENT: (&str, u64) = ("00000000000000000007.mcap", 100);

    fn disk() -> SimDisk {
        let files = [(SEGMENT.0.to_owned(), (0..100).collect())].into();
        SimDisk::new(&Image { files, ..Image::default() })
    }

    fn ids(count: u32) -> Vec<(Digest, u32)> {
        let mut ids: Vec<_> = (0..count).map(|number| (digest(&format!("event-{number}")), number)).collect();
        ids.sort_unstable();
        ids
    }

    fn contents() -> Contents {
        let row = Row {
            offset: 60,
            length: 20,
            unpacked: 90,
            first: 0,
            last: 8,
            count: 9,
            recorded: (1, 2),
            occurred: (3, u64::MAX),
        };
        let damaged = vec![Damage { segment: SEGMENT.0.into(), offset: 80, bytes: 3, ..Damage::default() }];
        Contents { rows: vec![row], damaged, hides: vec![(Position(7), Position(9))], floor: Position(16) }
    }

    fn written(disk: &SimDisk, ids: &[(Digest, u32)]) {
        write(disk, &block_name(Position(7)), Position(7), SEGMENT, &contents(), ids).unwrap();
    }

    fn opened(disk: &SimDisk) -> Result<(Block, Contents), BlockError> {
        Block::open(disk, Position(7), SEGMENT)
    }

    #[test]
    fn every_id_is_found_and_no_other() {
        for count in [0, 1, 2, 203, 204, 205, 408, 5_000] {
            let (disk, ids) = (disk(), ids(count));
            written(&disk, &ids);
            let (block, read) = opened(&disk).unwrap();
            assert_eq!((read, block.all(&disk).unwrap()), (contents(), ids.clone()), "{count}");
            assert_eq!(check_block(&disk.read(&block_name(Position(7))).unwrap()), Ok(u64::from(count)));
            for (digest, sequence) in &ids {
                assert_eq!(block.find(&disk, digest).unwrap(), Some(*sequence), "{count}");
            }
            let strangers = (0..2_000).map(|number| digest(&format!("stranger-{number}")));
            assert!(strangers.into_iter().all(|id| block.find(&disk, &id).unwrap().is_none()), "{count}");
        }
    }

    #[test]
    fn digests_that_begin_alike_are_found_across_pages() {
        let disk = disk();
        let ids: Vec<(Digest, u32)> = (0..600_u32)
            .map(|number| {
                let mut digest = [9; 16];
                digest[12..].copy_from_slice(&number.to_be_bytes());
                (digest, number)
            })
            .collect();
        written(&disk, &ids);
        let (block, _) = opened(&disk).unwrap();
        assert!(ids.iter().all(|(digest, sequence)| block.find(&disk, digest).unwrap() == Some(*sequence)));
        assert_eq!(block.find(&disk, &[9; 16]).unwrap(), None);
    }

    #[test]
    fn a_changed_byte_is_found_before_it_is_believed() {
        let (disk, ids) = (disk(), ids(500));
        written(&disk, &ids);
        let name = block_name(Position(7));
        let good = disk.read(&name).unwrap();
        for at in (0..good.len()).step_by(3) {
            let mut bad = good.clone();
            bad[at] ^= 1 << (at % 8);
            assert!(check_block(&bad).is_err(), "byte {at}");
            let image = Image {
                files: [(SEGMENT.0.to_owned(), (0..100).collect()), (name.clone(), bad)].into(),
                ..Image::default()
            };
            let disk = SimDisk::new(&image);
            let Ok((block, read)) = opened(&disk) else { continue };
            assert_eq!(read, contents(), "byte {at}");
            for (digest, sequence) in &ids {
                assert!(block.find(&disk, digest).unwrap_or(Some(*sequence)) == Some(*sequence), "byte {at}");
            }
            assert!(block.all(&disk).is_err(), "byte {at}: no page says so");
        }
    }

    #[test]
    fn a_block_of_another_file_or_cut_short_is_not_believed() {
        let (disk, ids) = (disk(), ids(300));
        written(&disk, &ids);
        let good = disk.read(&block_name(Position(7))).unwrap();
        let with = |segment: Vec<u8>, block: &[u8]| {
            let files = [(SEGMENT.0.to_owned(), segment), (block_name(Position(7)), block.to_vec())].into();
            SimDisk::new(&Image { files, ..Image::default() })
        };
        let segment: Vec<u8> = (0..100).collect();
        for length in [0, 7, 15, 16, 40, good.len() - 1] {
            let cut = with(segment.clone(), &good[..length]);
            assert!(matches!(opened(&cut), Err(BlockError::Unfit(_))), "cut at {length}");
        }
        let mut other = segment.clone();
        other[99] ^= 1;
        assert!(matches!(opened(&with(other, &good)), Err(BlockError::Unfit(_))));
        assert!(Block::open(&with(segment, &good), Position(7), (SEGMENT.0, 99)).is_err());
    }
}
