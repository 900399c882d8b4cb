//! Files that grow in pieces of any length give what they give in one piece.

use std::fs::{self, OpenOptions};
use std::io::Write;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::sources::{self, Format};

const FORMATS: [Format; 3] = [Format::ClaudeCode, Format::Codex, Format::Gemini];

fn name(format: Format) -> &'static str {
    match format {
        Format::Codex => "rollout-1.jsonl",
        Format::Gemini => "chats/session-1.jsonl",
        _ => "p/s.jsonl",
    }
}

/// The nth line of a transcript; what it is about is drawn.
fn line(format: Format, n: usize, what: u8) -> Value {
    let (at, text) = (format!("2026-05-05T08:{:02}:{:02}.000Z", n / 60, n % 60), format!("words {n} é\u{1f600}"));
    match format {
        Format::ClaudeCode => {
            let base = |kind: &str| json!({"type": kind, "uuid": format!("u{n}"), "sessionId": "s", "timestamp": at});
            let (mut user, mut agent) = (base("user"), base("assistant"));
            user["message"] = json!({"content": text});
            agent["message"] = json!({"content": [{"type": "text", "text": text}]});
            let queue = |operation: &str| {
                json!({"type": "queue-operation", "operation": operation, "sessionId": "s",
                                                 "timestamp": at, "content": "queued words"})
            };
            let mut queued = base("attachment");
            queued["attachment"] = json!({"type": "queued_command", "prompt": "queued words", "commandMode": "prompt"});
            [user, agent, queue("enqueue"), queue("dequeue"), queued, base("oracle")][usize::from(what % 6)].clone()
        }
        Format::Codex => {
            let item =
                |role: &str| json!({"type": "message", "role": role, "content": [{"type": "text", "text": text}]});
            let user = json!({"type": "user_message", "message": text});
            let (kind, payload) = match what % 5 {
                _ if n == 0 => ("session_meta", json!({"id": "t", "cwd": "/w"})),
                0 => ("event_msg", user),
                1 => ("event_msg", json!({"type": "agent_message", "message": text})),
                2 => ("response_item", item("assistant")),
                3 => ("response_item", item("user")),
                _ => ("oracle", json!({})),
            };
            json!({"timestamp": at, "type": kind, "payload": payload})
        }
        _ => match what % 5 {
            _ if n == 0 => json!({"sessionId": "g", "kind": "main"}),
            0 => json!({"id": format!("m{n}"), "timestamp": at, "type": "user", "content": text}),
            1 => json!({"id": format!("m{n}"), "timestamp": at, "type": "gemini", "content": text}),
            2 => json!({"id": "same", "timestamp": at, "type": "gemini", "content": text}),
            3 => json!({"$rewindTo": "m1"}),
            _ => json!({"$set": {"lastUpdated": at}}),
        },
    }
}

fn transcript(format: Format, whats: &[u8]) -> String {
    whats.iter().enumerate().map(|(n, what)| format!("{}\n", line(format, n, *what))).collect()
}

/// Everything that a follower hands out while the file gets these pieces; at `restart` it forgets all but its memory.
fn followed(format: Format, pieces: &[&[u8]], restart: usize) -> Vec<Event> {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join(name(format));
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let folders = || vec![Folder { format, path: home.path().to_owned() }];
    let mut follower = Follower::new(folders(), Filter::default(), Memory::default());
    let (mut events, mut memory) = (Vec::new(), Memory::default());
    for (n, piece) in pieces.iter().enumerate() {
        if n == restart {
            follower = Follower::new(folders(), Filter::default(), memory.clone());
        }
        OpenOptions::new().create(true).append(true).open(&path).unwrap().write_all(piece).unwrap();
        follower.look_at_all(&|| true, &mut |event| events.push(event));
        follower.look_at(&path, &mut |_| panic!("nothing was added"));
        memory = follower.take_memory().unwrap_or(memory);
    }
    events
}

fn pieces<'a>(text: &'a [u8], cuts: &[usize]) -> Vec<&'a [u8]> {
    let mut at: Vec<usize> = cuts.iter().map(|cut| cut % (text.len() + 1)).chain([0, text.len()]).collect();
    at.sort_unstable();
    at.dedup();
    at.windows(2).map(|ends| &text[ends[0]..ends[1]]).collect()
}

/// The log's rule: the first event of an id stays.
fn kept(events: Vec<Event>) -> Vec<Event> {
    let mut seen = std::collections::BTreeSet::new();
    events.into_iter().filter(|event| seen.insert(event.id.clone())).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn wherever_a_file_is_cut_nothing_is_lost_or_doubled(
        whats in prop::collection::vec(any::<u8>(), 1..24),
        cuts in prop::collection::vec(any::<usize>(), 0..12),
        restart in 0_usize..12,
    ) {
        for format in FORMATS {
            let text = transcript(format, &whats);
            let whole = followed(format, &[text.as_bytes()], usize::MAX);
            prop_assert_eq!(kept(whole.clone()).len(), whole.len(), "one reading doubles nothing");
            let pieces = pieces(text.as_bytes(), &cuts);
            prop_assert_eq!(&followed(format, &pieces, usize::MAX), &whole);
            prop_assert_eq!(&kept(followed(format, &pieces, restart)), &whole);
        }
    }
}

/// Real files, cut at seeded places, give what an import gives.
#[test]
fn real_files_in_pieces_are_what_an_import_reads() {
    let mut seed = 20_261_125_usize;
    for format in [Format::ClaudeCode, Format::Codex] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/raw").join(format.name());
        if !folder.exists() {
            eprintln!("SKIPPED: no ../shared/data/raw/{}", format.name());
            continue;
        }
        for file in sources::transcripts(format, &folder).unwrap() {
            let mut imported = Vec::new();
            sources::read(format, &file, &Filter::default(), &mut |event| imported.push(event)).unwrap();
            let cuts: Vec<usize> = (0..8)
                .map(|_| {
                    seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    seed >> 16
                })
                .collect();
            let text = fs::read(&file).unwrap();
            assert_eq!(kept(followed(format, &pieces(&text, &cuts), 4)), kept(imported), "{}", file.display());
        }
    }
}

#[test]
fn a_file_that_was_replaced_is_read_again_from_its_beginning() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("s.jsonl");
    let folders = vec![Folder { format: Format::ClaudeCode, path: home.path().to_owned() }];
    let mut follower = Follower::new(folders, Filter::default(), Memory::default());
    let mut ids = Vec::new();
    let long = transcript(Format::ClaudeCode, &[0, 1, 0]);
    for text in [long.clone(), transcript(Format::ClaudeCode, &[1, 0]), long.replace("u0", "v0") + &long] {
        fs::write(&path, text).unwrap();
        follower.look_at_all(&|| true, &mut |event| ids.push(event.id));
    }
    let expected = ["s:start", "u0", "u1", "u2", "s:start", "u0", "u1", "s:start", "v0", "u1", "u2", "u0", "u1", "u2"];
    assert_eq!(ids, expected.map(|id| format!("claude-code:{id}")));
}

#[test]
fn what_is_not_a_transcript_is_left_alone_and_what_cannot_be_read_is_told() {
    let home = tempfile::tempdir().unwrap();
    let folders = vec![Folder { format: Format::Codex, path: home.path().to_owned() }];
    let mut follower = Follower::new(folders, Filter::default(), Memory::default());
    fs::write(home.path().join("history.jsonl"), "{}\n").unwrap();
    fs::write(home.path().join("rollout-1.jsonl.zst"), "not zstd").unwrap();
    std::os::unix::fs::symlink("/dev/zero", home.path().join("rollout-2.jsonl")).unwrap();
    follower.look_at_all(&|| true, &mut |event| panic!("{event:?}"));
    assert_eq!(follower.unreadable().count(), 1);
    assert_eq!(follower.counts()["codex"].read, 0);
}

#[test]
fn a_look_that_is_cut_short_leaves_the_rest_for_the_next() {
    let home = tempfile::tempdir().unwrap();
    let folders = vec![Folder { format: Format::ClaudeCode, path: home.path().to_owned() }];
    for n in 0..4_u8 {
        let text = transcript(Format::ClaudeCode, &[0]).replace("u0", &format!("u{n}"));
        fs::write(home.path().join(format!("{n}.jsonl")), text).unwrap();
    }
    let mut follower = Follower::new(folders.clone(), Filter::default(), Memory::default());
    let (asked, mut ids) = (std::cell::Cell::new(0), Vec::new());
    let twice = || asked.replace(asked.get() + 1) < 2;
    follower.look_at_all(&twice, &mut |event| ids.push(event.id));
    assert_eq!(ids.iter().filter(|id| !id.ends_with(":start")).count(), 2, "{ids:?}");
    let mut next = Follower::new(folders, Filter::default(), follower.take_memory().unwrap());
    next.look_at_all(&|| true, &mut |event| ids.push(event.id));
    ids.retain(|id| !id.ends_with(":start"));
    assert_eq!(ids, ["u0", "u1", "u2", "u3"].map(|id| format!("claude-code:{id}")));
}
