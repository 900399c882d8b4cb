//! Walks over answers in the shapes of GitHub.

use clone_schema::{Body, Origin};
use serde_json::json;

use super::*;

const BASE: &str = "https://api.example.org";

fn at(text: &str) -> Timestamp {
    time::parse(text).unwrap()
}

fn now() -> Timestamp {
    at("2026-02-01T00:00:00Z")
}

fn user(id: u64) -> Value {
    json!({"id": id, "login": format!("user{id}"), "type": "User"})
}

fn commit(n: u64, author: u64) -> Value {
    json!({"sha": format!("c{n}"), "author": user(author), "committer": user(author),
        "commit": {"message": format!("Mend part {n}"), "author": {"date": "2026-01-02T10:00:00Z"}}})
}

fn issue(id: u64, number: u64, repository: &str, by: u64, pull: bool) -> Value {
    let day = 1 + id % 28;
    json!({"id": id, "number": number, "title": format!("Title {id}"), "body": "It fails.", "user": user(by),
        "created_at": "2026-01-01T10:00:00Z", "updated_at": format!("2026-01-{day:02}T10:00:00Z"),
        "repository_url": format!("{BASE}/repos/{repository}"), "pull_request": pull.then(|| json!({}))})
}

fn comment(id: u64, by: u64) -> Value {
    json!({"id": id, "body": format!("Comment {id}"), "user": user(by), "created_at": "2026-01-03T10:00:00Z"})
}

/// A GitHub of two repositories, an issue, a pull request and what was said about them; person 1 is ours.
#[derive(Default)]
struct World {
    asked: Vec<String>,
    /// Question by number that is answered with this status instead.
    instead: Option<(usize, u16)>,
}

impl World {
    fn lists(path: &str) -> Vec<Vec<Value>> {
        let repository = |id: u64, name: &str| {
            json!({"id": id, "full_name": name, "description": "Parses", "language": "Rust", "topics": ["parser"],
                "created_at": "2025-01-01T00:00:00Z", "pushed_at": "2026-01-02T00:00:00Z"})
        };
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        match path {
            "/user/repos" => vec![vec![repository(1, "me/one")], vec![repository(2, "me/two")]],
            "/repos/me/one/commits" => vec![vec![commit(1, 1), commit(2, 1)], vec![commit(3, 1), commit(4, 2)]],
            "/repos/me/two/commits" => vec![vec![commit(5, 1)]],
            "/issues" => vec![vec![issue(1, 1, "me/one", 1, false), issue(2, 2, "me/one", 1, true)]],
            "/search/issues" if query.contains("commenter%3Auser1+is%3Aissue") => {
                vec![vec![issue(1, 1, "me/one", 1, false)], vec![issue(3, 7, "them/lib", 2, false)]]
            }
            "/search/issues" => vec![vec![issue(2, 2, "me/one", 1, true)]],
            "/repos/me/one/issues/1/comments" => vec![vec![comment(1, 1), comment(2, 2)]],
            "/repos/them/lib/issues/7/comments" => vec![vec![comment(3, 2)], vec![comment(4, 1)]],
            "/repos/me/one/issues/2/comments" => vec![vec![comment(5, 1)]],
            "/repos/me/one/pulls/2/comments" => vec![vec![comment(6, 1)]],
            "/repos/me/one/pulls/2/reviews" => vec![vec![comment(7, 1), comment(8, 2)]],
            other => panic!("nobody asks for {other}"),
        }
    }

    /// Answers a question; a cursor gives what is not older, as GitHub does.
    fn answer(&mut self, question: &Question) -> Answer {
        self.asked.push(question.path.clone());
        if let Some((_, status)) = self.instead.filter(|(number, _)| *number == self.asked.len()) {
            let reset = ("x-ratelimit-reset".to_owned(), (now().as_second() + 60).to_string());
            let headers = vec![("x-ratelimit-remaining".to_owned(), "0".to_owned()), reset];
            return Answer { status, headers, body: Vec::new() };
        }
        let etag = format!("\"{}\"", question.path.len());
        if question.etag.as_ref() == Some(&etag) {
            return Answer { status: 304, ..Answer::default() };
        }
        if question.path == "/user" {
            return good(&user(1), vec![("etag".to_owned(), etag)]);
        }
        let parameter = |name: &str| {
            let (_, rest) = question.path.split_once(name)?;
            Some(rest.split('&').next().unwrap_or_default().replace("%3A", ":"))
        };
        let from = parameter("updated%3A%3E%3D").or_else(|| parameter("&since=")).unwrap_or_default();
        let page: usize = parameter("&page=").and_then(|page| page.parse().ok()).unwrap_or(1);
        let fresh = |item: &Value| item["updated_at"].as_str().is_none_or(|at| at >= from.as_str());
        let mut pages: Vec<Vec<Value>> = Self::lists(&question.path);
        pages.iter_mut().for_each(|page| page.retain(fresh));
        pages.retain(|page| !page.is_empty());
        let mut headers = vec![("etag".to_owned(), etag)];
        if page < pages.len() {
            let first = question.path.split("&page=").next().unwrap_or_default();
            let next = format!("<{BASE}{first}&page={}>; rel=\"next\"", page + 1);
            headers.push(("link".to_owned(), next));
        }
        let items = pages.into_iter().nth(page - 1).unwrap_or_default();
        match question.path.starts_with("/search") {
            true => good(&json!({"total_count": 9, "incomplete_results": false, "items": items}), headers),
            false => good(&json!(items), headers),
        }
    }
}

fn good(body: &Value, headers: Vec<(String, String)>) -> Answer {
    Answer { status: 200, headers, body: body.to_string().into_bytes() }
}

fn walk(world: &mut World, filter: &Filter, memory: Memory) -> (Memory, Vec<Event>, Option<Halt>) {
    let (mut walk, mut events) = (Walk::new(BASE, filter, memory), Vec::new());
    while let Some(question) = walk.question() {
        let answer = world.answer(&question);
        if let Err(halt) = walk.take(&answer, now(), &mut |event| events.push(event)) {
            return (walk.memory().clone(), events, Some(halt));
        }
    }
    (walk.memory().clone(), events, None)
}

fn ids(events: &[Event]) -> Vec<&str> {
    let mut ids: Vec<&str> = events.iter().map(|event| event.id.as_str()).collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}

const EVERYTHING: [&str; 13] = [
    "github:comment:1",
    "github:comment:4",
    "github:comment:5",
    "github:commit:c1",
    "github:commit:c2",
    "github:commit:c3",
    "github:commit:c5",
    "github:issue:1",
    "github:pull:2",
    "github:repository:1",
    "github:repository:2",
    "github:review-comment:6",
    "github:review:7",
];

#[test]
fn everything_the_person_wrote_becomes_one_event_and_nothing_of_others_does() {
    let (memory, events, halt) = walk(&mut World::default(), &Filter::default(), Memory::default());
    assert_eq!((halt, ids(&events)), (None, EVERYTHING.to_vec()));
    assert_eq!((memory.synced_at, memory.login.as_deref()), (Some(now()), Some("user1")));
    let event = |id: &str| events.iter().find(|event| event.id == id).unwrap();
    let comment = event("github:comment:4");
    assert_eq!((comment.session_id.as_str(), comment.project()), ("github:them/lib#7", Some("them/lib")));
    assert_eq!((comment.origin(), comment.occurred_at), (Origin::Typed, at("2026-01-03T10:00:00Z")));
    assert!(comment.is_for_people());
    let commit = event("github:commit:c1");
    assert_eq!(
        (commit.session_id.as_str(), commit.occurred_at),
        ("github:me/one@2026-01-02", at("2026-01-02T10:00:00Z"))
    );
    let repository = event("github:repository:1");
    let Body::AgentResponse { response, .. } = &repository.body else { panic!("{repository:?}") };
    assert_eq!((response.as_str(), repository.origin()), ("me/one: Parses (Rust, parser)", Origin::Agent));
    for event in &events {
        assert_eq!(Event::parse(&event.to_json()).as_ref(), Ok(event), "as the wire reads it");
    }
}

/// Wherever a limit, a failure or the end of the process cuts it off, the next walk goes on and loses nothing.
#[test]
fn a_walk_that_is_cut_off_anywhere_goes_on() {
    let mut whole = World::default();
    walk(&mut whole, &Filter::default(), Memory::default());
    for status in [403, 502] {
        for cut in 1..=whole.asked.len() {
            let mut world = World { instead: Some((cut, status)), ..World::default() };
            let (memory, mut events, halt) = walk(&mut world, &Filter::default(), Memory::default());
            assert!(
                halt.is_some() && !memory.due(now(), true) && memory.due(at("2026-02-01T00:01:00Z"), false),
                "{cut}"
            );
            let kept: Memory = serde_json::from_value(json!(memory)).unwrap();
            let (memory, more, halt) = walk(&mut World::default(), &Filter::default(), kept);
            events.extend(more);
            assert_eq!((halt, ids(&events), memory.synced_at), (None, EVERYTHING.to_vec(), Some(now())), "{cut}");
            assert_eq!(memory.not_before, None);
        }
    }
}

#[test]
fn an_hour_in_which_nothing_moved_costs_six_questions_that_count_against_no_limit() {
    let (memory, ..) = walk(&mut World::default(), &Filter::default(), Memory::default());
    // Once more from the cursors, which end at the newest of each list.
    let (memory, again, _) = walk(&mut World::default(), &Filter::default(), memory);
    assert!(ids(&again).iter().all(|id| EVERYTHING.contains(id)));
    let mut world = World::default();
    let (_, events, halt) = walk(&mut world, &Filter::default(), memory.clone());
    assert_eq!((halt, events), (None, Vec::new()));
    let kinds: Vec<&str> = world.asked.iter().map(|path| path.split('?').next().unwrap_or_default()).collect();
    assert_eq!(kinds, ["/user", "/user/repos", "/issues", "/search/issues", "/search/issues", "/search/issues"]);
    assert!(!memory.due(at("2026-02-01T00:59:59Z"), false) && memory.due(at("2026-02-01T01:00:00Z"), false));
    assert!(memory.due(now(), true));
}

/// A walk that begins with 304 is a walk as well: the next asks for comments since then.
#[test]
fn every_whole_walk_moves_the_instant_from_which_comments_are_new() {
    let (memory, ..) = walk(&mut World::default(), &Filter::default(), Memory::default());
    let later = at("2026-03-01T00:00:00Z");
    let filter = Filter::default();
    let (mut second, mut world) = (Walk::new(BASE, &filter, memory), World::default());
    while let Some(question) = second.question() {
        second.take(&world.answer(&question), later, &mut |_| {}).unwrap();
    }
    assert_eq!((second.memory().read_from, second.memory().synced_at), (Some(later), Some(later)));
}

#[test]
fn one_repository_on_which_github_always_fails_keeps_nothing_else_away() {
    let broken =
        |path: &str| path.starts_with("/repos/me/one/commits").then(|| Answer { status: 500, ..Answer::default() });
    let (memory, found, walks) = walks(Memory::default(), broken);
    assert_eq!((walks, memory.failures, memory.problem.as_deref()), (4, 0, None));
    let lost = ["github:commit:c1", "github:commit:c2", "github:commit:c3"];
    let rest: Vec<&str> = EVERYTHING.into_iter().filter(|id| !lost.contains(id)).collect();
    assert_eq!(ids(&found), rest);
}

/// Walks until one is whole; answers where `answer` has none are the world's. What was read, and how many walks it took.
fn walks(mut memory: Memory, answer: impl Fn(&str) -> Option<Answer>) -> (Memory, Vec<Event>, usize) {
    let (mut found, mut walks) = (Vec::new(), 0);
    while memory.synced_at.is_none() {
        walks += 1;
        assert!(walks < 20, "it goes on for ever");
        let filter = Filter::default();
        let (mut one, mut world) = (Walk::new(BASE, &filter, memory), World::default());
        while let Some(question) = one.question() {
            let answer = answer(&question.path).unwrap_or_else(|| world.answer(&question));
            if one.take(&answer, now(), &mut |event| found.push(event)).is_err() {
                break;
            }
        }
        memory = one.memory().clone();
    }
    (memory, found, walks)
}

#[test]
fn a_repository_without_a_list_or_a_thread_of_which_every_part_fails_is_passed_over_too() {
    let failing = |part: &'static str, answer: Answer| move |path: &str| path.starts_with(part).then(|| answer.clone());
    for (part, lost) in [
        ("/repos/me/two/commits", vec!["github:commit:c5"]),
        ("/repos/me/one/pulls/2/", vec!["github:review-comment:6", "github:review:7"]),
    ] {
        for answer in [good(&json!({"message": "none"}), Vec::new()), Answer { status: 502, ..Answer::default() }] {
            let (memory, found, walks) = walks(Memory::default(), failing(part, answer));
            let rest: Vec<&str> = EVERYTHING.into_iter().filter(|id| !lost.contains(id)).collect();
            assert_eq!((walks, memory.stuck, ids(&found)), (4, None, rest), "{part}");
        }
    }
}

#[test]
fn failures_elsewhere_do_not_count_for_a_repository_and_its_own_are_forgotten_once_it_is_read() {
    let filter = Filter::default();
    let mut memory = Memory::default();
    for _ in 0..4 {
        let mut offline = Walk::new(BASE, &filter, memory);
        assert!(offline.fails("cannot reach GitHub", now()).is_err());
        memory = offline.memory().clone();
    }
    assert_eq!((memory.failures, &memory.stuck), (4, &None));
    let mut world = World { instead: Some((4, 502)), ..World::default() };
    let (memory, _, halt) = walk(&mut world, &filter, memory);
    assert!(world.asked[3].starts_with("/repos/me/one/commits"), "{:?}", world.asked);
    assert_eq!((halt.is_some(), memory.stuck.clone()), (true, Some(("me/one".to_owned(), 1))));
    let (memory, events, walks) = walks(memory, |_| None);
    assert_eq!((walks, memory.stuck), (1, None));
    assert!(ids(&events).contains(&"github:commit:c1"));
}

#[test]
fn a_walk_that_left_a_list_before_its_end_is_not_whole_though_its_last_answer_is_304() {
    let filter = Filter::default();
    let memory = Memory { cut: true, ..walk(&mut World::default(), &filter, Memory::default()).0 };
    let memory = Memory { cut: true, synced_at: None, ..walk(&mut World::default(), &filter, memory).0 };
    let mut world = World::default();
    let (memory, ..) = walk(&mut world, &filter, memory);
    assert!(world.asked.last().is_some_and(|path| path.starts_with("/search/issues")), "{:?}", world.asked);
    assert_eq!((memory.synced_at, memory.cut), (None, false));
}

#[test]
fn a_push_is_read_on_from_before_the_last_and_old_threads_from_the_last_walk() {
    let (mut memory, ..) = walk(&mut World::default(), &Filter::default(), Memory::default());
    memory.repositories.get_mut("me/one").unwrap().read = Some("2026-01-01T00:00:00Z".to_owned());
    memory.etags.clear();
    let mut world = World::default();
    walk(&mut world, &Filter::default(), memory);
    let asked = |part: &str| world.asked.iter().find(|path| path.contains(part)).map(String::as_str);
    let commits = "/repos/me/one/commits?author=user1&per_page=100&since=2025-10-03T00:00:00Z";
    assert_eq!(asked("/me/one/commits"), Some(commits));
    assert_eq!(asked("/me/two/commits"), None);
    assert_eq!(
        asked("/issues/2/comments"),
        Some("/repos/me/one/issues/2/comments?per_page=100&since=2026-01-31T00:00:00Z")
    );
}

#[test]
fn an_excluded_repository_is_neither_asked_for_nor_recorded() {
    let filter = Filter { include: Vec::new(), exclude: vec!["me/one".to_owned()] };
    let mut world = World::default();
    let (_, events, _) = walk(&mut world, &filter, Memory::default());
    assert_eq!(ids(&events), ["github:comment:4", "github:commit:c5", "github:repository:2"]);
    assert!(world.asked.iter().all(|path| !path.contains("/me/one/")), "{:?}", world.asked);
}

#[test]
fn a_thread_that_waits_is_not_read_once_its_repository_is_excluded() {
    // The first of the threads is refused, so that all of them wait.
    let mut whole = World::default();
    walk(&mut whole, &Filter::default(), Memory::default());
    let first = whole.asked.iter().position(|path| path.contains("/comments")).unwrap() + 1;
    let mut world = World { instead: Some((first, 403)), ..World::default() };
    let (memory, ..) = walk(&mut world, &Filter::default(), Memory::default());
    assert_eq!(memory.threads.keys().collect::<Vec<_>>(), ["me/one#1", "me/one#2", "them/lib#7"]);
    let filter = Filter { include: Vec::new(), exclude: vec!["me/one".to_owned()] };
    let mut world = World::default();
    let (_, events, _) = walk(&mut world, &filter, memory);
    assert_eq!(ids(&events), ["github:comment:4"]);
    assert!(world.asked.iter().all(|path| !path.contains("/me/one/")), "{:?}", world.asked);
}

#[test]
fn a_token_that_is_no_longer_good_waits_for_the_person() {
    let mut world = World { instead: Some((4, 401)), ..World::default() };
    let (memory, _, halt) = walk(&mut world, &Filter::default(), Memory::default());
    assert_eq!((halt, memory.needs_reauth), (Some(Halt::Reauth), true));
    assert!(!memory.due(at("2027-01-01T00:00:00Z"), true));
}

#[test]
fn nothing_leads_to_another_server_or_out_of_its_path() {
    let filter = Filter::default();
    let mut walk = Walk::new(BASE, &filter, Memory::default());
    let out = &mut |_| {};
    walk.take(&good(&user(1), Vec::new()), now(), out).unwrap();
    let elsewhere = vec![("link".to_owned(), format!("<{BASE}.evil.org/user/repos?page=2>; rel=\"next\""))];
    let names = ["a/b/c", "../x", "a/..", "a b/c", "a/b?x", ""];
    let repositories: Vec<Value> =
        names.iter().map(|name| json!({"id": 1, "full_name": name, "description": null})).collect();
    walk.take(&good(&json!(repositories), elsewhere), now(), out).unwrap();
    assert!(walk.question().unwrap().path.starts_with("/issues?"), "{:?}", walk.question());
    assert_eq!(walk.counts().skipped["without a repository"], 6);
    assert_eq!(walk.counts().skipped["a next page elsewhere"], 1);
    for account in
        [json!({"id": 1, "login": "a/../b", "type": "User"}), json!({"id": 1, "login": "x", "type": "Bot"}), json!([])]
    {
        assert!(Account::read(&good(&account, Vec::new())).is_err(), "{account}");
    }
}

#[test]
fn what_bots_apps_and_strangers_wrote_is_counted_and_never_taken() {
    let filter = Filter::default();
    let mut walk = Walk::new(BASE, &filter, Memory::default());
    let mut events = Vec::new();
    let by = |user: Value, app: Value, body: &str| {
        let mut item = issue(9, 1, "me/one", 1, false);
        (item["user"], item["performed_via_github_app"], item["body"]) = (user, app, body.into());
        item
    };
    let items = vec![
        by(json!({"id": 1, "login": "user1[bot]", "type": "Bot"}), Value::Null, "x"),
        by(user(1), json!({"slug": "ci"}), "x"),
        by(user(2), Value::Null, "x"),
        by(Value::Null, Value::Null, "x"),
        by(user(1), Value::Null, "🤖 Generated with [Claude Code](https://claude.com/claude-code)"),
        json!({"id": "no issue"}),
    ];
    walk.take(&good(&user(1), Vec::new()), now(), &mut |_| {}).unwrap();
    walk.take(&good(&json!([]), Vec::new()), now(), &mut |_| {}).unwrap();
    walk.take(&good(&json!(items), Vec::new()), now(), &mut |event| events.push(event)).unwrap();
    assert_eq!(events.iter().map(Event::origin).collect::<Vec<_>>(), [Origin::Agent]);
    let skipped = &walk.counts().skipped;
    assert_eq!(
        (skipped["by somebody else"], skipped["written by an app"], skipped["not what GitHub describes"]),
        (3, 1, 1)
    );
}

#[test]
fn failures_wait_longer_each_time_up_to_an_hour() {
    let mut memory = Memory::default();
    let waits: Vec<i64> = (0..9)
        .map(|_| {
            memory.failed("the network is down", now());
            time::seconds_between(now(), memory.not_before.unwrap())
        })
        .collect();
    assert_eq!(waits, [60, 120, 240, 480, 960, 1920, 3600, 3600, 3600]);
}
