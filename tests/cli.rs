//! Exit codes, JSON errors, and what is printed where.

use crate::support::Home;

#[test]
fn no_daemon_is_exit_3_and_says_how_to_start_it() {
    let home = Home::new();
    let output = home.command().arg("status").output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(3), "{told}");
    assert!(told.starts_with("error: ") && told.contains("hint: ") && told.contains("clone daemon"), "{told}");
    assert!(output.stdout.is_empty());
    let json = home.json(&["status"]);
    assert!(json["error"].is_string() && json["hint"].is_string());
}

#[test]
fn a_wrong_command_line_is_exit_2() {
    let home = Home::new();
    for arguments in [
        &["nonsense"][..],
        &["feedback", "id", "maybe"],
        &["import", "nothing-known", "/tmp"],
        &["auto", "perhaps"],
        &["bench", "scan", "--events", "1,2"],
    ] {
        assert_eq!(home.command().args(arguments).output().unwrap().status.code(), Some(2), "{arguments:?}");
    }
}

#[test]
fn paths_are_told_without_a_daemon() {
    let home = Home::new();
    for (name, file) in [("vault", "vault"), ("log", "log"), ("socket", "clone.sock"), ("config", "config.toml")] {
        let output = home.command().args(["path", name]).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), home.path(file).display().to_string());
    }
}

#[test]
fn status_and_doctor_pass_in_a_new_home() {
    let home = Home::new();
    let _daemon = home.start();
    for verb in ["status", "doctor"] {
        let output = home.run(&[verb]);
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stdout));
    }
}

#[test]
fn predict_says_by_its_exit_whether_to_ask() {
    let home = Home::new();
    let _daemon = home.start();
    assert_eq!(home.run(&["predict", "--exit-status", "Continue?"]).status.code(), Some(10));
    assert_eq!(home.run(&["predict", "Continue?"]).status.code(), Some(0));
}

#[test]
fn auto_is_shadow_until_the_person_says_so() {
    let home = Home::new();
    let daemon = home.start();
    assert_eq!(home.json(&["auto"])["auto"], "shadow");
    assert_eq!(home.json(&["auto", "on"])["auto"], "on");
    assert_eq!(home.json(&["auto", "off"])["auto"], "off");
    assert_eq!(home.json(&["predict", "Continue?"])["gate"], "off");
    daemon.stop();
    let _daemon = home.start();
    assert_eq!(home.json(&["auto"])["auto"], "off", "it survives a restart");
}

#[test]
fn ingest_takes_an_array_or_lines_and_says_what_it_refused() {
    let home = Home::new();
    let _daemon = home.start();
    let event = |id: &str| crate::support::prompt(id, "s", "words", "2026-05-05T12:00:00Z").to_string();
    let lines = home.path("events.jsonl");
    std::fs::write(&lines, format!("{}\nnot json\n{}\n", event("a"), event("b"))).unwrap();
    let output = home.run(&["ingest", lines.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1), "something was refused");
    let array = home.path("events.json");
    std::fs::write(&array, format!("[{}, {}]", event("a"), event("c"))).unwrap();
    let reply = home.json(&["ingest", array.to_str().unwrap()]);
    assert_eq!((reply["accepted"].as_u64(), reply["duplicates"].as_u64()), (Some(1), Some(1)));
}

#[test]
fn a_wrong_setting_stops_the_start_and_names_itself() {
    let home = Home::new();
    std::fs::write(home.path("config.toml"), "[predict]\ngates = \"strict\"\n").unwrap();
    let output = home.command().arg("daemon").output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1));
    assert!(told.contains("gates") && told.contains("config.toml"), "{told}");
}

#[test]
fn a_wrong_command_line_is_json_where_json_was_asked_for() {
    let home = Home::new();
    let output = home.command().args(["why", "--json"]).output().unwrap();
    let told: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(told["error"].as_str().unwrap().contains("<ID>") && told["hint"].is_string(), "{told}");
}

#[test]
fn a_prompt_may_be_piped_and_an_empty_one_is_a_wrong_command_line() {
    let home = Home::new();
    let _daemon = home.start();
    for arguments in [&["predict"][..], &["predict", ""], &["predict", "-"], &["continue", " "]] {
        let output = home.command().args(arguments).stdin(std::process::Stdio::null()).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
    }
}

#[test]
fn a_dry_run_in_json_is_one_value() {
    let home = Home::new();
    let sample = crate::support::repository("tests/data/sample/claude-code").display().to_string();
    let told = home.json(&["import", "claude-code", &sample, "--dry-run"]);
    assert_eq!(told["would_store"].as_array().unwrap().len() as u64, told["events"].as_u64().unwrap());
}

#[test]
fn a_line_that_is_not_utf8_is_refused_alone() {
    let home = Home::new();
    let _daemon = home.start();
    let event = crate::support::prompt("a", "s", "words", "2026-05-05T12:00:00Z").to_string();
    let lines = home.path("events.jsonl");
    std::fs::write(&lines, [b"\xff\xfe\n".as_slice(), event.as_bytes()].concat()).unwrap();
    let reply = home.json(&["ingest", lines.to_str().unwrap()]);
    assert_eq!((reply["accepted"].as_u64(), reply["invalid"][0]["line"].as_u64()), (Some(1), Some(1)));
}

#[test]
fn a_wrong_port_stops_the_start() {
    let home = Home::new();
    for port in ["abc", "99999"] {
        let output = home.command().env("CLONE_DAEMON_PORT", port).arg("daemon").output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{told}");
        assert!(told.contains(port) && told.contains("hint: "), "{told}");
    }
}

#[test]
fn the_curve_measures_every_figure_of_every_log_and_leaves_nothing_behind() {
    let home = Home::new();
    let scratch = home.path("scratch");
    let output = home
        .command()
        .args(["--json", "bench", "curve", "--events", "50,1200", "--dir"])
        .arg(&scratch)
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{told}");
    let curve: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let names = |point: &serde_json::Value| -> Vec<String> {
        point["rows"].as_array().unwrap().iter().map(|row| row["name"].as_str().unwrap().to_owned()).collect()
    };
    let points = curve["points"].as_array().unwrap();
    assert_eq!(points.iter().map(|point| point["events"].as_u64()).collect::<Vec<_>>(), [Some(50), Some(1200)]);
    assert_eq!(names(&points[0]), names(&points[1]));
    for point in points {
        for row in point["rows"].as_array().unwrap() {
            // Where the system does not tell the memory of a process there is no figure of it.
            let told = cfg!(target_os = "linux") || !row["name"].as_str().unwrap().starts_with("memory");
            assert!(row["ratio"].as_f64().is_some_and(|ratio| ratio > 0.0) == told, "{row}");
        }
    }
    assert_eq!(std::fs::read_dir(&scratch).unwrap().count(), 0);
}
