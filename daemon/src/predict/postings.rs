//! Where a term stands, packed: a few bytes per occurrence, in memory as in a snapshot.

use serde::{Deserialize, Serialize};

/// Bits of a number that one byte holds.
const BITS: u32 = 7;
/// Set in every byte but the last of a number.
const MORE: u8 = 1 << BITS;

/// The items that a term stands in, rising, and how often it stands in each.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Postings {
    items: u32,
    last: u32,
    /// Per item twice the distance to the item before, and one more where a count follows because it is not 1.
    #[serde(with = "serde_bytes")]
    packed: Vec<u8>,
}

impl Postings {
    /// Adds an item; numbers must rise.
    pub(super) fn push(&mut self, item: u32, count: u32) {
        let gap = u64::from(item - self.last) << 1;
        put(&mut self.packed, gap | u64::from(count != 1));
        if count != 1 {
            put(&mut self.packed, u64::from(count));
        }
        self.last = item;
        self.items += 1;
    }

    /// How many items there are.
    pub(super) fn len(&self) -> usize {
        self.items as usize
    }

    /// Every item with its count.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, u32)> + '_ {
        let (mut rest, mut item) = (self.packed.as_slice(), 0);
        std::iter::from_fn(move || {
            let head = take(&mut rest)?;
            item += narrow(head >> 1);
            let count = if head & 1 == 0 { 1 } else { narrow(take(&mut rest)?) };
            Some((item, count))
        })
    }
}

fn narrow(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// Appends a number, its lowest bits first.
#[allow(clippy::cast_possible_truncation)]
fn put(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= u64::from(MORE) {
        bytes.push(number as u8 | MORE);
        number >>= BITS;
    }
    bytes.push(number as u8);
}

fn take(bytes: &mut &[u8]) -> Option<u64> {
    let (mut number, mut shift) = (0, 0);
    loop {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(first & !MORE) << shift;
        shift += BITS;
        if first & MORE == 0 || shift >= u64::BITS {
            return Some(number);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_was_pushed_comes_back(steps in prop::collection::vec((1_u32..3_000_000, 1_u32..600), 0..200)) {
            let (mut postings, mut pushed, mut item) = (Postings::default(), Vec::new(), 0);
            for (gap, count) in steps {
                postings.push(item, count);
                pushed.push((item, count));
                item += gap;
            }
            prop_assert_eq!(postings.len(), pushed.len());
            prop_assert_eq!(postings.iter().collect::<Vec<_>>(), pushed);
        }
    }

    #[test]
    fn the_ends_of_the_range_fit_and_neighbours_take_a_byte() {
        let mut postings = Postings::default();
        (10..20).for_each(|item| postings.push(item, 1));
        assert_eq!(postings.packed.len(), 10);
        postings.push(u32::MAX, u32::MAX);
        assert_eq!(postings.iter().last(), Some((u32::MAX, u32::MAX)));
    }
}
