//! What `clone log verify` and `clone log repair` do with one file: never a panic, never a wrong word about it, and what is
//! written anew is whole and holds the same events.

#![no_main]

mod sample;

use clone_daemon::log::{Inspection, inspect, salvage};
use clone_schema::segment::{End, Info, header, walk};
use libfuzzer_sys::fuzz_target;
use sample::{FIRST, damaged, sealed};

/// Reads a file and checks what holds for any bytes.
fn inspected(name: &str, bytes: &[u8]) -> Inspection {
    let found = inspect(name, bytes).expect("the name of a segment");
    let (mut chunks, mut messages) = (Vec::new(), 0);
    let told = walk(bytes, FIRST, |chunk| {
        messages += chunk.len() as u64;
        chunks.push(chunk.info);
    });
    assert_eq!((found.bytes, found.chunks), (bytes.len() as u64, chunks.len() as u64));
    assert!(found.events <= messages);
    for damage in &found.damaged {
        assert!(damage.offset + damage.bytes <= found.bytes, "{damage:?}");
        assert!(damage.from.is_none() || damage.to.is_none() || damage.from <= damage.to || !ascends(&chunks));
    }
    for bad in &told.bad {
        assert!(found.damaged.iter().any(|damage| (damage.offset, damage.bytes) == (bad.offset, bad.length)), "{bad:?}");
    }
    let taken = |position: u64| chunks.iter().any(|info| {
        (FIRST + u64::from(info.first)..=FIRST + u64::from(info.last)).contains(&position)
    });
    for missing in &found.missing {
        assert!(missing.first.0 >= FIRST && !taken(missing.first.0), "{missing:?}");
        assert!(missing.last.is_none_or(|last| last >= missing.first && !taken(last.0)), "{missing:?}");
    }
    let well = told.bad.is_empty() && matches!(told.end, End::Sealed { .. });
    assert!(well || !found.sealed || !found.damaged.is_empty(), "a sealed file is as it was written, or told");
    found
}

/// Whether the times of the chunks ascend, as those of a writer do whose clock does.
fn ascends(chunks: &[Info]) -> bool {
    chunks.windows(2).all(|pair| pair[0].log_time.1 <= pair[1].log_time.0)
}

/// Writes the file anew and checks that it is whole and the same.
fn mended(found: &Inspection, bytes: &[u8]) {
    let Some(new) = salvage(found, bytes, "home") else { return assert_eq!(found.chunks, 0) };
    let again = inspected("00000000000000000007.mcap", &new);
    let kept = |one: &Inspection| (one.chunks, one.events, one.unknown, one.positions, one.recorded, one.digest);
    assert_eq!(kept(&again), kept(found));
    assert!(again.missing.is_empty(), "{again:?}");
    let told = walk(&new, FIRST, |_| {});
    assert!(told.bad.is_empty() && matches!(told.end, End::Sealed { .. }), "{told:?}");
    assert_eq!(salvage(&again, &new, "other"), Some(new), "what is whole is copied as it is");
}

fuzz_target!(|data: &[u8]| {
    let Some((kind, rest)) = data.split_first() else { return };
    let bytes = match kind % 4 {
        0 | 1 => damaged(sealed().0, rest),
        2 => [header("home").as_slice(), rest].concat(),
        _ => rest.to_vec(),
    };
    for name in ["00000000000000000007.mcap", "00000000000000000007.open.mcap"] {
        let found = inspected(name, &bytes);
        mended(&found, &bytes);
        if kind % 4 < 2 && name.len() == 25 && bytes != sealed().0 {
            assert!(!found.damaged.is_empty(), "a change of a sealed file is noticed");
        }
    }
});
