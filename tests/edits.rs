//! Memory written over the wire is the person's word in a note: it stands over every inference and outlives a rebuild.

use serde_json::{Value, json};

use crate::support::{Answer, Daemon, Home, imported, prompt};
use crate::vault::fact_file;

fn patch(daemon: &Daemon, path: &str, body: &Value) -> Answer {
    daemon.call("PATCH", path, Some(&body.to_string()))
}

fn delete(daemon: &Daemon, path: &str) -> u16 {
    daemon.call("DELETE", path, None).status
}

/// Everything that memory answers, and every file of the vault.
fn memory(home: &Home, daemon: &Daemon) -> (Vec<Value>, Vec<(String, Vec<u8>)>) {
    daemon.sync();
    let lists = ["/api/memory/facts/?limit=200", "/api/memory/episodes/?limit=200", "/api/memory/profile/"];
    (lists.iter().map(|path| daemon.get(path).body).collect(), home.vault_bytes())
}

/// Throws all that is derived away, the vault too, and starts anew.
fn rebuilt(home: &Home, daemon: Daemon) -> Daemon {
    daemon.stop();
    for folder in ["vault", "index"] {
        std::fs::remove_dir_all(home.path(folder)).unwrap();
    }
    std::fs::remove_file(home.path("state.redb")).unwrap();
    let _none = std::fs::remove_file(home.path("model.snapshot"));
    home.start()
}

#[test]
fn a_fact_is_stated_changed_and_withdrawn_and_a_rebuild_keeps_it() {
    let (home, daemon) = imported();
    let body =
        json!({"text": "I  drink zitronentee", "kind": "preference", "importance": 0.7, "tags": ["drinks", "a: b"]});
    let made = daemon.post("/api/memory/facts/", &body);
    assert_eq!(
        (made.status, &made.body["text"], &made.body["kind"]),
        (201, &json!("I drink zitronentee"), &body["kind"])
    );
    assert_eq!((&made.body["tags"], &made.body["importance"]), (&body["tags"], &json!(0.7)), "{}", made.body);
    assert_eq!((&made.body["provenance"], &made.body["evidence"][0]["origin"]), (&json!("stated"), &json!("typed")));
    let mine = format!("/api/memory/facts/{}/", made.body["id"].as_str().unwrap());
    let changed = patch(&daemon, &mine, &json!({"text": "I drink water", "status": "archived"}));
    assert_eq!((changed.status, &changed.body["id"]), (200, &made.body["id"]), "{}", changed.body);
    assert_eq!((&changed.body["text"], &changed.body["status"]), (&json!("I drink water"), &json!("archived")));
    assert_eq!((&changed.body["tags"], &changed.body["provenance"]), (&body["tags"], &json!("stated")));
    let again = patch(&daemon, &mine, &json!({"text": "I drink tap water"}));
    assert_eq!((&again.body["id"], &again.body["text"]), (&made.body["id"], &json!("I drink tap water")));

    let uses = |word: &str| {
        let facts = daemon.get("/api/memory/facts/?limit=200").body;
        facts.as_array().unwrap().iter().find(|fact| fact["text"].as_str().unwrap().contains(word)).cloned()
    };
    let inferred = uses("uv").unwrap();
    let (id, path) =
        (inferred["id"].as_str().unwrap(), format!("/api/memory/facts/{}/", inferred["id"].as_str().unwrap()));
    let file = fact_file(&home, id);
    let before = std::fs::read_to_string(&file).unwrap();
    let told = patch(&daemon, &path, &json!({"importance": 0.25})).body;
    assert_eq!((&told["importance"], &told["provenance"]), (&json!(0.25), &json!("edited")));
    assert_eq!((&told["text"], &told["evidence"][0]), (&inferred["text"], &inferred["evidence"][0]));
    let after = std::fs::read_to_string(&file).unwrap();
    let lines: Vec<&str> = after.lines().filter(|line| !before.lines().any(|one| one == *line)).collect();
    assert_eq!(lines, ["importance: 0.250"], "nothing else is changed");
    assert_eq!(delete(&daemon, &path), 204);
    assert_eq!((daemon.get(&path).status, delete(&daemon, &path), file.exists()), (404, 404, false));
    let history = daemon.get(&format!("/api/memory/history/?of={id}")).body;
    let evidence = inferred["evidence"].as_array().unwrap().len();
    assert_eq!((&history["id"], &history["still_held"]), (&json!(id), &json!(evidence)), "{history}");
    let shown = home.command().args(["memory", "history", id]).output().unwrap();
    let shown = String::from_utf8(shown.stdout).unwrap();
    assert!(shown.contains(&format!("`clone forget {id}`")), "{shown}");
    daemon.post(
        "/api/recording/events/",
        &json!([prompt("again", "again", "always use uv, never pip", "2026-06-01T00:00:00Z")]),
    );
    daemon.sync();
    assert_eq!((daemon.get(&path).status, uses("always use uv")), (404, None), "it is not inferred again");

    for (body, status) in [(json!({}), 400), (json!({"text": " "}), 400), (json!({"text": "a", "importance": 2}), 400)]
    {
        assert_eq!(daemon.post("/api/memory/facts/", &body).status, status, "{body}");
    }
    for body in [json!({"status": "pending"}), json!({"text": ""}), json!({"tags": [""]})] {
        assert_eq!(patch(&daemon, &mine, &body).status, 400, "{body}");
    }
    assert_eq!(patch(&daemon, "/api/memory/facts/fct_none/", &json!({})).status, 404);
    let before = memory(&home, &daemon);
    let daemon = rebuilt(&home, daemon);
    assert_eq!(memory(&home, &daemon), before);
    assert_eq!(delete(&daemon, &mine), 204);
    assert_eq!(daemon.get(&mine).status, 404);
}

#[test]
fn what_has_no_note_yet_is_withdrawn_as_well() {
    let (_home, daemon) = imported();
    let ill = prompt("said", "said", "Remember that my wife has epilepsy", "2026-03-01T10:00:00Z");
    daemon.post("/api/recording/events/", &json!([ill]));
    daemon.sync();
    let facts = daemon.get("/api/memory/facts/?limit=200&status=pending").body;
    let id = facts[0]["id"].as_str().unwrap();
    let path = format!("/api/memory/facts/{id}/");
    assert_eq!((delete(&daemon, &path), daemon.get(&path).status), (204, 404));
    let history = daemon.get(&format!("/api/memory/history/?of={id}")).body;
    assert_eq!((&history["exists"], &history["versions"][0]["what"]), (&json!(false), &json!("deleted")), "{history}");
}

#[test]
fn an_episode_is_told_changed_and_taken_away_and_a_rebuild_keeps_it() {
    let (home, daemon) = imported();
    let body = json!({
        "title": "A walk", "summary": "We walked to the lake.\n\nIt rained.", "started_at": "2026-05-01T10:00:00Z",
        "ended_at": "2026-05-01T12:00:00Z", "tags": ["outside"], "open_ends": ["buy an umbrella"],
    });
    let made = daemon.post("/api/memory/episodes/", &body);
    assert_eq!(made.status, 201, "{}", made.body);
    for key in ["title", "summary", "started_at", "ended_at", "tags", "open_ends"] {
        assert_eq!(made.body[key], body[key], "{key}");
    }
    let first = made.body["evidence"][0]["id"].as_str().unwrap();
    assert_eq!(made.body["id"], clone_schema::id::episode("", first), "as the id of any other episode");
    let path = format!("/api/memory/episodes/{}/", made.body["id"].as_str().unwrap());
    let changed = patch(&daemon, &path, &json!({"title": "A long walk", "summary": "It rained."}));
    assert_eq!(
        (changed.status, &changed.body["title"], &changed.body["summary"]),
        (200, &json!("A long walk"), &json!("It rained."))
    );
    assert_eq!(changed.body["open_ends"], body["open_ends"]);
    assert_eq!(patch(&daemon, &path, &json!({"ended_at": "2026-05-01T09:00:00Z"})).status, 400);
    assert_eq!(daemon.post("/api/memory/episodes/", &json!({"summary": "no title"})).status, 400);

    let told = daemon.get("/api/memory/episodes/?limit=200").body;
    let derived = told.as_array().unwrap().iter().find(|one| one["id"] != made.body["id"]).unwrap();
    let theirs = format!("/api/memory/episodes/{}/", derived["id"].as_str().unwrap());
    let changed = patch(&daemon, &theirs, &json!({"summary": "What I did there is mine to tell."})).body;
    assert_eq!(
        (&changed["summary"], &changed["title"]),
        (&json!("What I did there is mine to tell."), &derived["title"])
    );
    let other =
        told.as_array().unwrap().iter().find(|one| one["id"] != made.body["id"] && one["id"] != derived["id"]).unwrap();
    let gone = format!("/api/memory/episodes/{}/", other["id"].as_str().unwrap());
    assert_eq!((delete(&daemon, &gone), daemon.get(&gone).status, delete(&daemon, &gone)), (204, 404, 404));
    let before = memory(&home, &daemon);
    let daemon = rebuilt(&home, daemon);
    assert_eq!(memory(&home, &daemon), before);
    assert_eq!(daemon.get(&gone).status, 404, "it is not told again");
}

#[test]
fn a_profile_is_written_and_compiled_afresh() {
    let (home, daemon) = imported();
    daemon.sync();
    let compiled = daemon.get("/api/memory/profile/").body;
    let soul = format!("{}\nNever before ten.\n", compiled["soul"].as_str().unwrap());
    let written = daemon.post("/api/memory/profile/", &json!({"soul": soul}));
    assert_eq!((written.status, &written.body["soul"], &written.body["body"]), (200, &json!(soul), &compiled["body"]));
    assert_eq!(std::fs::read_to_string(home.vault().join("soul.md")).unwrap(), soul);
    assert_eq!(daemon.post("/api/memory/profile/", &json!({})).status, 400);
    let before = memory(&home, &daemon);
    let daemon = rebuilt(&home, daemon);
    assert_eq!(memory(&home, &daemon), before);
    assert_eq!(delete(&daemon, "/api/memory/profile/"), 204);
    assert_eq!(daemon.get("/api/memory/profile/").body, compiled);
    assert_eq!(std::fs::read_to_string(home.vault().join("soul.md")).unwrap(), compiled["soul"].as_str().unwrap());
}

#[test]
fn the_command_line_states_a_fact() {
    let (home, daemon) = imported();
    let fact =
        home.json(&["memory", "add", "I read on paper.", "--kind", "habit", "--tag", "reading", "--tag", "paper"]);
    assert_eq!((&fact["kind"], &fact["tags"]), (&json!("habit"), &json!(["reading", "paper"])));
    let shown = daemon.get(&format!("/api/memory/facts/{}/", fact["id"].as_str().unwrap())).body;
    assert_eq!(shown["text"], "I read on paper.");
}
