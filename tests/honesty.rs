//! The README's prediction table is the bench's: every number of it is compared with `docs/numbers.json`.
//!
//! `clone bench honesty --data DIR` makes Clone's rows; those of the plain predictors are the scorer's own.

use serde_json::Value;

use crate::support::repository;

/// A row of the table: its name, and its numbers as they are written.
type Row = (String, Vec<String>);

/// The columns, as the JSON calls them.
const COLUMNS: [&str; 5] = ["top1", "top3", "skill", "ece", "wrong_autos"];

fn text(path: &str) -> String {
    std::fs::read_to_string(repository(path)).unwrap()
}

/// The rows of the first table under "Honest numbers".
fn rows(readme: &str) -> Vec<Row> {
    let section = readme.split("## Honest numbers").nth(1).expect("the section");
    let lines = section.lines().skip_while(|line| !line.starts_with('|')).take_while(|line| line.starts_with('|'));
    let row = |line: &str| {
        let mut cells = line.trim_matches('|').split('|').map(|cell| cell.replace("**", "").trim().to_owned());
        (cells.next().unwrap_or_default(), cells.collect())
    };
    lines.skip(2).map(row).collect()
}

/// The key of a row in the JSON.
fn key(name: &str) -> Option<&'static str> {
    let known = [
        ("most frequent", "most frequent"),
        ("BM25 nearest", "BM25 nearest"),
        ("BM25 vote", "BM25 vote"),
        ("Clone, as shipped", "shipped"),
        ("Clone, leave-one-person-out", "leave-one-out"),
    ];
    known.into_iter().find(|(begin, _)| name.starts_with(begin)).map(|(_, key)| key)
}

/// The number as the README would write it: with as many decimals as it has there.
fn written(cell: &str, value: f64) -> String {
    let bare = cell.trim_end_matches('%').trim();
    let decimals = bare.split_once('.').map_or(0, |(_, digits)| digits.len());
    let scale = if cell.ends_with('%') { 100.0 } else { 1.0 };
    let number = format!("{:.decimals$}", value * scale).replace('-', "\u{2212}");
    if cell.ends_with('%') { format!("{number} %") } else { number }
}

/// What the README says otherwise than the numbers.
fn drift(readme: &str, numbers: &Value) -> Vec<String> {
    let mut out = Vec::new();
    let found = rows(readme);
    for (name, cells) in &found {
        let Some(row) = key(name).map(|key| &numbers["rows"][key]) else {
            out.push(format!("nobody measured `{name}`"));
            continue;
        };
        for (column, cell) in COLUMNS.iter().zip(cells) {
            let value = row[column].as_f64().map(|value| written(cell, value));
            if value.as_deref() != Some(cell) {
                out.push(format!("{name}, {column}: README {cell}, measured {value:?}"));
            }
        }
        if cells.len() != COLUMNS.len() {
            out.push(format!("`{name}` has {} numbers", cells.len()));
        }
    }
    let turns = numbers["turns"].as_u64().unwrap_or_default();
    let told = format!("{},{:03} scored turns", turns / 1000, turns % 1000);
    if found.len() != numbers["rows"].as_object().map_or(0, serde_json::Map::len) || !readme.contains(&told) {
        out.push(format!("{} rows, or not `{told}`", found.len()));
    }
    out
}

#[test]
fn the_readme_says_what_was_measured() {
    let numbers: Value = serde_json::from_str(&text("docs/numbers.json")).unwrap();
    let wrong = drift(&text("README.md"), &numbers);
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

#[test]
fn a_number_that_drifts_is_noticed() {
    let numbers: Value = serde_json::from_str(&text("docs/numbers.json")).unwrap();
    let readme = text("README.md");
    for (name, cells) in rows(&readme) {
        let line = readme.lines().find(|line| line.replace("**", "").starts_with(&format!("| {name} |"))).unwrap();
        for cell in cells {
            let wrong = cell.replacen(|c: char| c.is_ascii_digit(), "7", 1);
            let wrong = if wrong == cell { cell.replacen('7', "6", 1) } else { wrong };
            let changed = readme.replacen(line, &line.replacen(&cell, &wrong, 1), 1);
            assert!(!drift(&changed, &numbers).is_empty(), "{name}: {cell} became {wrong} and nobody noticed");
        }
        assert!(!drift(&readme.replacen(line, "", 1), &numbers).is_empty(), "{name} was taken out");
    }
}
