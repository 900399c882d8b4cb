//! Tests of the index as its callers see it.

#![allow(clippy::unwrap_used)]

use clone_schema::Timestamp;
use proptest::prelude::*;

use super::*;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn document(id: &str, text: &str) -> Document {
    Document { session: "s1".into(), agent: "a1".into(), ..Document::new(id, Tier::Raw, text, at(1_000)) }
}

fn query(text: &str) -> Query<'_> {
    Query { text, limit: 10, snippets: true, ..Query::default() }
}

fn ids(index: &Index, query: &Query<'_>) -> Vec<String> {
    index.search(query).unwrap().into_iter().map(|hit| hit.id).collect()
}

fn found(index: &Index, text: &str) -> Vec<String> {
    ids(index, &query(text))
}

fn new() -> (tempfile::TempDir, Index) {
    let home = tempfile::tempdir().unwrap();
    let index = Index::open(&home.path().join("index")).unwrap();
    (home, index)
}

#[test]
fn a_write_is_seen_before_and_after_its_commit_with_the_same_score() {
    let (_home, index) = new();
    index.put(vec![document("a", "the quick fox"), document("b", "lazy dogs sleep, dogs dream")]).unwrap();
    let before = index.search(&query("dog fox")).unwrap();
    assert_eq!(before.len(), 2);
    index.commit(7).unwrap();
    assert_eq!((index.pending(), index.cursor(), index.count()), (0, Some(7), 2));
    assert_eq!(index.search(&query("dog fox")).unwrap(), before);
}

#[test]
fn a_second_document_of_the_same_id_replaces_the_first() {
    let (_home, index) = new();
    index.put(vec![document("a", "apples")]).unwrap();
    index.commit(1).unwrap();
    index.put(vec![document("a", "pears")]).unwrap();
    for _ in 0..2 {
        assert_eq!(found(&index, "apples"), [""; 0]);
        assert_eq!(found(&index, "pears"), ["a"]);
        assert_eq!(index.count(), 1);
        index.commit(2).unwrap();
    }
}

#[test]
fn what_is_removed_is_gone_at_once() {
    let (_home, index) = new();
    index.put(vec![document("a", "apples"), document("b", "apples")]).unwrap();
    index.commit(1).unwrap();
    index.put(vec![document("c", "apples")]).unwrap();
    index.remove(&["a".into(), "c".into(), "never".into()]).unwrap();
    for cursor in 2..4 {
        assert_eq!(found(&index, "apples"), ["b"]);
        assert_eq!(index.count(), 1);
        index.commit(cursor).unwrap();
    }
}

#[test]
fn filters_hold_in_the_overlay_and_in_the_index() {
    let (_home, index) = new();
    let long = "z".repeat(100_000);
    let mut documents = Vec::new();
    for (i, (tier, session, agent, tag)) in
        [(Tier::Fact, "s1", "claude", "x"), (Tier::Episode, "s2", "codex", "y"), (Tier::Raw, long.as_str(), "", "x")]
            .into_iter()
            .enumerate()
    {
        documents.push(Document {
            tier,
            session: session.into(),
            agent: agent.into(),
            tags: vec![tag.into(), "all".into()],
            at: at(i64::try_from(i).unwrap() * 100),
            ..document(&format!("d{i}"), "word")
        });
    }
    index.put(documents).unwrap();
    let (x, both) = (["x".to_owned()], ["y".to_owned(), "x".to_owned()]);
    let word = query("word");
    let cases: Vec<(Query<'_>, &[&str])> = vec![
        (word, &["d2", "d1", "d0"]),
        (Query { tier: Some(Tier::Episode), ..word }, &["d1"]),
        (Query { session: Some("s1"), ..word }, &["d0"]),
        (Query { session: Some(&long), ..word }, &["d2"]),
        (Query { agent: Some("codex"), ..word }, &["d1"]),
        (Query { tags: &x, ..word }, &["d2", "d0"]),
        (Query { tags: &both, ..word }, &["d2", "d1", "d0"]),
        (Query { since: Some(at(100)), ..word }, &["d2", "d1"]),
        (Query { until: Some(at(100)), ..word }, &["d0"]),
        (Query { since: Some(at(100)), until: Some(at(200)), ..word }, &["d1"]),
        (Query { since: Some(at(100)), tags: &x, ..word }, &["d2"]),
        (Query { session: Some("none"), ..word }, &[]),
        (Query { limit: 1, ..word }, &["d2"]),
        (Query { limit: 0, ..word }, &[]),
    ];
    for cursor in 0..2 {
        for (i, (query, expected)) in cases.iter().enumerate() {
            assert_eq!(ids(&index, query), *expected, "case {i}, cursor {cursor}");
        }
        index.commit(cursor).unwrap();
    }
}

/// A session in which somebody is asked and answers, and another that has nothing to do with it.
fn talked() -> Vec<Document> {
    let said = |id: &str, session: &str, speaker: &str, position: u64, text: &str| Document {
        session: session.into(),
        speaker: speaker.into(),
        position,
        ..Document::new(id, Tier::Raw, text, at(1_000 + i64::try_from(position).unwrap()))
    };
    vec![
        said("hello", "s1", "Ann", 1, "good morning everybody"),
        said("asked", "s1", "Bob", 2, "where did the kiln go?"),
        said("answer", "s1", "Ann", 4, "behind the shed since friday"),
        said("later", "s1", "Bob", 5, "thanks a lot"),
        said("far", "s1", "Bob", 9, "lunch is ready"),
        said("other", "s2", "Bob", 3, "paint it green"),
    ]
}

#[test]
fn what_stands_beside_a_match_is_found_before_and_after_a_commit() {
    let (_home, index) = new();
    index.put(talked()).unwrap();
    let before = index.search(&query("kiln")).unwrap();
    let ids: Vec<&str> = before.iter().map(|hit| hit.id.as_str()).collect();
    assert_eq!(ids[..2], ["asked", "answer"], "{ids:?}");
    assert!(ids.contains(&"hello") && ids.contains(&"later"), "{ids:?}");
    assert!(!ids.contains(&"far") && !ids.contains(&"other"), "{ids:?}");
    index.commit(1).unwrap();
    assert_eq!(index.search(&query("kiln")).unwrap(), before);
    index.put(vec![Document { session: "s1".into(), position: 3, ..document("between", "hm") }]).unwrap();
    let between = found(&index, "kiln");
    assert!(between.contains(&"between".to_owned()), "{between:?}");
    index.remove(&["answer".into()]).unwrap();
    assert!(!found(&index, "kiln").contains(&"answer".to_owned()), "a neighbour that was removed is gone at once");
}

#[test]
fn neighbours_obey_the_filters_and_names_ask_for_a_speaker() {
    let (_home, index) = new();
    index.put(talked()).unwrap();
    for cursor in 0..2 {
        let late = Query { since: Some(at(1_004)), ..query("kiln") };
        assert_eq!(ids(&index, &late), [""; 0], "nothing that matches is left");
        let early = Query { until: Some(at(1_004)), ..query("kiln") };
        assert_eq!(ids(&index, &early), ["asked", "hello"]);
        assert_eq!(found(&index, "where did Ann say the kiln went")[0], "answer", "cursor {cursor}");
        assert_eq!(found(&index, "what did Bob ask about the kiln")[0], "asked", "cursor {cursor}");
        index.commit(cursor).unwrap();
    }
}

#[test]
fn queries_find_text_of_every_script() {
    let (_home, index) = new();
    let texts = [
        ("zh", "请运行测试然后提交代码"),
        ("ja", "テストを実行してから猫をコミットする"),
        ("ko", "테스트를 실행하고 커밋하세요"),
        ("en", "Please run the tests, then commit src/parse_json.rs"),
    ];
    index.put(texts.map(|(id, text)| document(id, text)).to_vec()).unwrap();
    for cursor in 0..2 {
        for (text, id) in [
            ("提交代码", "zh"),
            ("码", "zh"),
            ("テスト", "ja"),
            ("ﾃｽﾄ", "ja"),
            ("猫", "ja"),
            ("테스트", "ko"),
            ("커밋", "ko"),
            ("testing", "en"),
            ("parse_json", "en"),
            ("ParseJson", "en"),
            ("src/parse_json.rs", "en"),
        ] {
            assert_eq!(found(&index, text), [id], "{text}");
        }
        index.commit(cursor).unwrap();
    }
}

#[test]
fn a_title_counts_more_and_ties_go_to_the_newer_then_the_smaller_id() {
    let (_home, index) = new();
    let titled = Document { title: "deploy".into(), ..document("t", "something else") };
    index.put(vec![document("c", "deploy it now"), titled]).unwrap();
    index.commit(1).unwrap();
    index.put(vec![document("a", "deploy it now"), document("b", "deploy it now")]).unwrap();
    index.put(vec![Document { at: at(2_000), ..document("d", "deploy it now") }]).unwrap();
    assert_eq!(found(&index, "deploy"), ["t", "d", "a", "b", "c"]);
    index.commit(2).unwrap();
    assert_eq!(found(&index, "deploy"), ["t", "d", "a", "b", "c"]);
}

#[test]
fn ties_at_the_last_place_do_not_depend_on_the_order_of_arrival() {
    let (_home, index) = new();
    for chunk in (0..300).rev().collect::<Vec<_>>().chunks(100) {
        index.put(chunk.iter().map(|i| document(&format!("{i:03}"), "same words")).collect()).unwrap();
        index.commit(1 + chunk[0]).unwrap();
    }
    let first = Query { limit: 3, ..query("words") };
    assert_eq!(ids(&index, &first), ["000", "001", "002"]);
}

#[test]
fn the_cursor_and_the_documents_survive_a_restart_but_what_waited_does_not() {
    let (home, index) = new();
    index.put(vec![document("a", "apples")]).unwrap();
    index.commit(41).unwrap();
    index.put(vec![document("b", "apples")]).unwrap();
    drop(index);
    let index = Index::open(&home.path().join("index")).unwrap();
    assert_eq!((index.cursor(), index.count(), index.pending()), (Some(41), 1, 0));
    assert_eq!(found(&index, "apples"), ["a"]);
}

#[test]
fn a_broken_or_foreign_index_is_set_aside() {
    type Damage = fn(&Path);
    let damages: [(&str, Damage); 4] = [
        ("meta", |dir| std::fs::write(dir.join("meta.json"), "{ not json").unwrap()),
        ("managed", |dir| std::fs::write(dir.join(".managed.json"), "[[[").unwrap()),
        ("version", |dir| {
            let text = std::fs::read_to_string(dir.join("meta.json")).unwrap();
            std::fs::write(dir.join("meta.json"), text.replace("clone-index 3", "clone-index 0")).unwrap();
        }),
        ("segment", |dir| {
            let mut files = std::fs::read_dir(dir).unwrap().map(|file| file.unwrap().path());
            std::fs::remove_file(files.find(|path| path.extension().is_some_and(|end| end == "term")).unwrap())
                .unwrap();
        }),
    ];
    for (name, damage) in damages {
        let (home, index) = new();
        let dir = home.path().join("index");
        index.put(vec![document("a", "apples")]).unwrap();
        index.commit(5).unwrap();
        drop(index);
        damage(&dir);
        let index = Index::open(&dir).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!((index.cursor(), index.count()), (None, 0), "{name}");
        assert!(home.path().join("index.broken").exists(), "{name}");
        index.put(vec![document("b", "apples")]).unwrap();
        index.commit(1).unwrap();
        assert_eq!(found(&index, "apples"), ["b"], "{name}");
    }
}

/// No byte of the index can be lost so that opening it fails for ever or panics.
#[test]
fn a_file_cut_short_is_broken_or_harmless() {
    let (home, index) = new();
    let dir = home.path().join("index");
    index.put(vec![document("a", "apples")]).unwrap();
    index.commit(5).unwrap();
    drop(index);
    let files: Vec<_> = std::fs::read_dir(&dir).unwrap().map(|file| file.unwrap().path()).collect();
    for path in files.iter().filter(|path| path.is_file()) {
        let whole = std::fs::read(path).unwrap();
        let copy = tempfile::tempdir().unwrap();
        let dir = copy.path().join("index");
        std::fs::create_dir(&dir).unwrap();
        for file in &files {
            std::fs::copy(file, dir.join(file.file_name().unwrap())).unwrap();
        }
        std::fs::write(dir.join(path.file_name().unwrap()), &whole[..whole.len() / 2]).unwrap();
        let index = Index::open(&dir).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let known = if index.cursor() == Some(5) { 1 } else { 0 };
        assert_eq!(found(&index, "apples").len(), known, "{}", path.display());
        index.put(vec![document("b", "pears")]).unwrap();
        index.commit(6).unwrap();
        assert_eq!(found(&index, "pears"), ["b"], "{}", path.display());
    }
}

/// Whatever bit is wrong, the index is begun anew or answers as before; it never answers anything else.
#[test]
fn a_flipped_bit_is_found_or_harmless() {
    let (home, index) = new();
    let dir = home.path().join("index");
    for (id, text, cursor) in [("a", "apples", 1), ("b", "pears and apples", 2), ("a", "apples fall", 3)] {
        index.put(vec![document(id, text)]).unwrap();
        index.commit(cursor).unwrap();
    }
    let before = (index.cursor(), index.count(), found(&index, "apples"), found(&index, "pears"));
    drop(index);
    let files = std::fs::read_dir(&dir).unwrap().map(|file| file.unwrap().path());
    let mut files: Vec<_> = files.filter(|path| path.metadata().unwrap().len() > 0).collect();
    files.sort();
    let whole: Vec<Vec<u8>> = files.iter().map(|path| std::fs::read(path).unwrap()).collect();
    for round in 0..120_usize {
        let copy = tempfile::tempdir().unwrap();
        let dir = copy.path().join("index");
        std::fs::create_dir(&dir).unwrap();
        for (number, (file, bytes)) in files.iter().zip(&whole).enumerate() {
            let mut bytes = bytes.clone();
            if number == round % files.len() {
                let at = round.wrapping_mul(7_919) % bytes.len();
                bytes[at] ^= 1 << (round % 8);
            }
            std::fs::write(dir.join(file.file_name().unwrap()), bytes).unwrap();
        }
        let index = Index::open(&dir).unwrap_or_else(|error| panic!("round {round}: {error}"));
        let after = (index.cursor(), index.count(), found(&index, "apples"), found(&index, "pears"));
        assert!(after == before || after == (None, 0, vec![], vec![]), "round {round}: {after:?}");
    }
}

#[test]
fn an_index_that_fails_over_its_bytes_is_begun_anew_and_refuses_until_it_is_filled() {
    let (home, index) = new();
    let dir = home.path().join("index");
    index.put(vec![document("a", "apples")]).unwrap();
    index.commit(5).unwrap();
    assert!(index.is_sound().unwrap() && !index.is_suspect());
    for file in std::fs::read_dir(&dir).unwrap().map(|file| file.unwrap().path()) {
        if file.extension().is_some_and(|end| end == "term" || end == "idx") {
            // In place: a file that is mapped and gets shorter ends the process.
            let length = file.metadata().unwrap().len();
            std::fs::write(&file, vec![0xa5; usize::try_from(length).unwrap()]).unwrap();
        }
    }
    assert!(!index.is_sound().unwrap());
    index.begin_anew().unwrap();
    assert!(matches!(index.search(&query("apples")), Err(IndexError::Unfilled)));
    assert!(!index.is_sound().unwrap(), "what lacks everything is not sound");
    index.put(vec![document("a", "apples")]).unwrap();
    index.commit(5).unwrap();
    index.filled();
    assert_eq!((found(&index, "apples"), index.times_set_aside()), (vec!["a".to_owned()], 1));
    assert!(index.is_sound().unwrap());
    drop(index);
    assert_eq!(Index::open(&dir).unwrap().cursor(), Some(5));
}

/// While a disk is full every commit fails, and each one that fails must not take more of it.
#[test]
fn commits_that_fail_leave_no_files_behind() {
    let (home, index) = new();
    let dir = home.path().join("index");
    let count = || std::fs::read_dir(&dir).unwrap().count();
    index.put(vec![document("a", "apples")]).unwrap();
    index.commit(1).unwrap();
    std::fs::rename(dir.join("meta.json"), home.path().join("meta.json")).unwrap();
    std::fs::create_dir(dir.join("meta.json")).unwrap();
    index.put(vec![document("b", "pears")]).unwrap();
    let mut counts = Vec::new();
    for _ in 0..6 {
        assert!(index.commit(2).is_err());
        counts.push(count());
    }
    assert_eq!(counts[1], counts[5], "{counts:?}");
    std::fs::remove_dir(dir.join("meta.json")).unwrap();
    std::fs::rename(home.path().join("meta.json"), dir.join("meta.json")).unwrap();
    index.commit(2).unwrap();
    assert_eq!((found(&index, "apples"), found(&index, "pears")), (vec!["a".to_owned()], vec!["b".to_owned()]));
}

#[test]
fn what_a_failed_commit_could_not_keep_stays_visible_and_waits() {
    let (home, index) = new();
    let dir = home.path().join("index");
    index.put(vec![document("a", "apples")]).unwrap();
    std::fs::rename(&dir, home.path().join("away")).unwrap();
    for _ in 0..2 {
        assert!(index.commit(1).is_err());
        assert_eq!((index.pending(), index.cursor()), (1, None));
        assert_eq!(found(&index, "apples"), ["a"]);
    }
    std::fs::rename(home.path().join("away"), &dir).unwrap();
    index.commit(1).unwrap();
    assert_eq!((index.pending(), index.cursor()), (0, Some(1)));
    assert_eq!(found(&index, "apples"), ["a"]);
}

#[test]
fn searches_go_on_during_commits_and_never_see_half() {
    let (_home, index) = new();
    index.put((0..10).map(|i| document(&format!("d{i}"), "common")).collect()).unwrap();
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for round in 0..4 {
                index.put((0..10).map(|i| document(&format!("d{i}"), &format!("common r{round}"))).collect()).unwrap();
                index.commit(round).unwrap();
            }
        });
        while !writer.is_finished() {
            assert_eq!(found(&index, "common").len(), 10);
            assert_eq!(index.count(), 10);
        }
    });
}

#[test]
fn a_held_lock_is_said_and_nothing_is_set_aside() {
    let (home, index) = new();
    let dir = home.path().join("index");
    index.put(vec![document("a", "apples")]).unwrap();
    index.commit(5).unwrap();
    // Even where the files look broken, they belong to whoever holds the lock.
    std::fs::write(dir.join("meta.json"), "{ not json").unwrap();
    let error = Index::open(&dir).unwrap_err();
    assert!(matches!(error, IndexError::Busy(_)), "{error:?}");
    assert!(error.to_string().contains("in use by another process"), "{error}");
    assert!(!home.path().join("index.broken").exists());
}

#[test]
fn a_file_in_the_place_of_the_folder_is_an_error_and_stays() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("index");
    std::fs::write(&dir, "mine").unwrap();
    assert!(matches!(Index::open(&dir), Err(IndexError::Io { .. })));
    assert_eq!(std::fs::read_to_string(&dir).unwrap(), "mine");
}

#[test]
fn a_full_overlay_is_committed_without_moving_the_cursor() {
    let (_home, index) = new();
    index.put((0..=MAX_PENDING).map(|i| document(&format!("{i}"), "x")).collect()).unwrap();
    assert_eq!((index.pending(), index.cursor(), index.count()), (0, None, MAX_PENDING as u64 + 1));
}

#[test]
fn an_untouched_index_has_no_cursor_and_finds_nothing() {
    let (home, index) = new();
    assert_eq!((index.cursor(), index.count()), (None, 0));
    assert_eq!(found(&index, "anything"), [""; 0]);
    index.remove(&["nothing".into()]).unwrap();
    index.commit(3).unwrap();
    drop(index);
    assert_eq!(Index::open(&home.path().join("index")).unwrap().cursor(), Some(3));
}

#[test]
fn no_query_is_an_error() {
    let (_home, index) = new();
    index.put(vec![document("a", "apples AND pears"), document("b", "請 (x:y) *")]).unwrap();
    index.commit(1).unwrap();
    index.put(vec![document("c", "apples")]).unwrap();
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(128));
    let texts = prop_oneof!["\\PC{0,80}", "[\\x00-\\x7f]{0,40}", "(AND|OR|NOT|[(\"*:\\[~^+-])( [a-z(\"*:]{0,4}){0,8}"];
    runner
        .run(&texts, |text| {
            let hits = index.search(&query(&text)).map_err(|error| TestCaseError::fail(error.to_string()))?;
            prop_assert!(hits.iter().all(|hit| hit.snippet.chars().count() <= MAX_SNIPPET_CHARS));
            Ok(())
        })
        .unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    /// Whatever is put, removed and committed, a search sees what a plain map would hold.
    #[test]
    fn the_index_agrees_with_a_map(steps in prop::collection::vec((0_u8..4, 0_u8..6), 1..30)) {
        let (_home, index) = new();
        let mut model = std::collections::BTreeMap::new();
        for (n, (step, id)) in steps.into_iter().enumerate() {
            let id = format!("d{id}");
            match step {
                0 | 1 => {
                    index.put(vec![document(&id, &format!("common v{n}"))]).unwrap();
                    model.insert(id, n);
                }
                2 => {
                    index.remove(std::slice::from_ref(&id)).unwrap();
                    model.remove(&id);
                }
                _ => index.commit(n as u64).unwrap(),
            }
            let mut seen = found(&index, "common");
            seen.sort();
            prop_assert_eq!(&seen, &model.keys().cloned().collect::<Vec<_>>());
            prop_assert_eq!(index.count(), model.len() as u64);
            if let Some((id, version)) = model.first_key_value() {
                prop_assert_eq!(found(&index, &format!("v{version}")), vec![id.clone()]);
            }
        }
    }
}
