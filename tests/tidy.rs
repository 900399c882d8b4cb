//! The rules of the house that a compiler does not check, read off the source text.
//!
//! Every rule is a function from one file to what is wrong in it. One test per rule runs it over the tree, and one table
//! plants a violation of each, so that a rule that stops seeing is noticed too.

#![allow(clippy::unwrap_used, clippy::print_stderr)]

use std::path::{Path, PathBuf};

/// Lines of a function, tests apart.
const MAX_FUNCTION_LINES: usize = 70;
/// Lines of a file.
const MAX_FILE_LINES: usize = 800;
/// Lines from which a second reason to change is looked for.
const LONG_FILE_LINES: usize = 500;

/// One text file of the tree, its path relative to the root.
struct File {
    path: String,
    text: String,
}

type Rule = fn(&File) -> Vec<String>;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Every text file that is ours.
fn tree() -> Vec<File> {
    let mut out = Vec::new();
    gather(&root(), &mut out);
    out.sort_by(|a, b| a.path.cmp(&b.path));
    assert!(out.iter().any(|file| file.path == "daemon/src/lib.rs"), "the tree was not found");
    out
}

fn gather(dir: &Path, out: &mut Vec<File>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let relative = path.strip_prefix(root()).unwrap().to_string_lossy().replace('\\', "/");
        // In a linked worktree `.git` is a file.
        if matches!(name.as_str(), "target" | "node_modules" | ".git") || relative == "tests/data" {
            continue;
        }
        if path.is_dir() {
            gather(&path, out);
        } else if let Ok(text) = std::fs::read_to_string(&path) {
            out.push(File { path: relative, text });
        }
    }
}

/// Runs a rule over the tree.
fn obeyed(rule: Rule) {
    let wrong: Vec<String> = tree().iter().flat_map(rule).collect();
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

impl File {
    fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    fn stem(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or_default().trim_end_matches(".rs")
    }

    /// Whether the whole file is tests.
    fn is_test(&self) -> bool {
        self.path.starts_with("tests/")
            || self.path.contains("/tests/")
            || self.stem() == "tests"
            || self.stem().ends_with("_tests")
    }

    /// The code that ships: no comments, no literals, no tests.
    fn shipped(&self) -> String {
        if self.is_test() { String::new() } else { split_tests(&bare(&self.text)).0 }
    }

    /// The code of the tests, without comments and literals.
    fn tests(&self) -> String {
        let code = bare(&self.text);
        if self.is_test() { code } else { split_tests(&code).1 }
    }

    /// One violation.
    fn wrong(&self, line: usize, what: &str) -> String {
        format!("{}:{line}: {what}", self.path)
    }

    /// A violation at every place of `code` where `needle` stands as a whole word.
    fn each(&self, code: &str, needle: &str, what: &str) -> Vec<String> {
        places(code, needle).map(|at| self.wrong(line_of(code, at), what)).collect()
    }
}

fn line_of(text: &str, at: usize) -> usize {
    text[..at].matches('\n').count() + 1
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// Where `needle` stands in `code` and is not a part of a longer word.
fn places<'a>(code: &'a str, needle: &'a str) -> impl Iterator<Item = usize> + 'a {
    let (bytes, ends) = (code.as_bytes(), (needle.as_bytes()[0], needle.as_bytes()[needle.len() - 1]));
    code.match_indices(needle).map(|(at, _)| at).filter(move |&at| {
        let before = at.checked_sub(1).map(|i| bytes[i]);
        let after = bytes.get(at + needle.len()).copied();
        !(is_word(ends.0) && before.is_some_and(is_word) || is_word(ends.1) && after.is_some_and(is_word))
    })
}

/// The text with comments and the insides of literals blanked; lines stay where they are.
fn bare(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = String::with_capacity(text.len());
    let mut i = 0;
    while i < bytes.len() {
        let end = skipped(bytes, i);
        if end > i {
            out.extend(bytes[i..end].iter().map(|&byte| if byte == b'\n' { '\n' } else { ' ' }));
            i = end;
        } else {
            out.push(if bytes[i].is_ascii() { char::from(bytes[i]) } else { ' ' });
            i += 1;
        }
    }
    out
}

/// Where the comment or literal that begins at `i` ends; `i` where none does.
fn skipped(bytes: &[u8], i: usize) -> usize {
    let rest = &bytes[i..];
    let inside_word = i > 0 && is_word(bytes[i - 1]);
    let hashes = |from: usize| rest[from.min(rest.len())..].iter().take_while(|&&byte| byte == b'#').count();
    match rest {
        [b'/', b'/', ..] => i + rest.iter().position(|&byte| byte == b'\n').unwrap_or(rest.len()),
        [b'/', b'*', ..] => i + find(rest, b"*/", 2),
        [b'"', ..] => i + quoted(rest),
        [b'r', ..] if !inside_word && rest.get(1 + hashes(1)) == Some(&b'"') => {
            let close = [b"\"".as_slice(), &vec![b'#'; hashes(1)]].concat();
            i + find(rest, &close, 2 + hashes(1))
        }
        [b'\'', b'\\', ..] => i + find(rest, b"'", 3),
        [b'\'', ..] => {
            // A lifetime has no closing quote within one character.
            let close = rest.iter().skip(2).take(4).position(|&byte| byte == b'\'');
            close.filter(|n| *n == 0 || !rest[1].is_ascii()).map_or(i, |n| i + n + 3)
        }
        _ => i,
    }
}

/// The length up to and with `close`, looked for from `from`.
fn find(bytes: &[u8], close: &[u8], from: usize) -> usize {
    let found = bytes[from.min(bytes.len())..].windows(close.len()).position(|window| window == close);
    found.map_or(bytes.len(), |at| from + at + close.len())
}

fn quoted(bytes: &[u8]) -> usize {
    let mut i = 1;
    while i < bytes.len() && bytes[i] != b'"' {
        i += if bytes[i] == b'\\' { 2 } else { 1 };
    }
    (i + 1).min(bytes.len())
}

/// Where the brace that opens at `open` closes.
fn closing(code: &str, open: usize) -> usize {
    let mut depth = 0_usize;
    for (at, byte) in code.bytes().enumerate().skip(open) {
        match byte {
            b'{' => depth += 1,
            b'}' if depth == 1 => return at,
            b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    code.len().saturating_sub(1)
}

/// Where the item that begins at `from` has its body or its end: the first `{` or `;` outside of brackets.
fn body(code: &str, from: usize) -> usize {
    let mut depth = 0_usize;
    for (at, byte) in code.bytes().enumerate().skip(from) {
        match byte {
            b'(' | b'[' => depth += 1,
            b')' | b']' => depth = depth.saturating_sub(1),
            b'{' | b';' if depth == 0 => return at,
            _ => {}
        }
    }
    code.len()
}

/// Where what stands under a `#[cfg(test)]` ends: an item at its brace, a field or a statement at its own end.
fn test_end(code: &str, from: usize) -> usize {
    const ITEMS: &[&str] = &["mod", "fn", "pub", "impl", "struct", "enum", "trait", "const", "static", "type", "use"];
    let mut rest = code[from..].trim_start();
    while let Some(attribute) = rest.strip_prefix("#[") {
        rest = attribute.split_once(']').map_or("", |(_, rest)| rest).trim_start();
    }
    let word: String = rest.chars().take_while(|c| c.is_ascii_alphabetic()).collect();
    if !ITEMS.contains(&word.as_str()) {
        return code[from..].find([',', ';', '}']).map_or(code.len(), |n| from + n);
    }
    let end = body(code, code.len() - rest.len());
    if code.as_bytes().get(end) == Some(&b'{') { closing(code, end) + 1 } else { (end + 1).min(code.len()) }
}

/// Bare code as (what ships, the `#[cfg(test)]` modules), each with the other blanked.
fn split_tests(code: &str) -> (String, String) {
    let blank = |part: &str| part.chars().map(|c| if c == '\n' { '\n' } else { ' ' }).collect::<String>();
    let (mut shipped, mut tests) = (String::new(), String::new());
    let mut from = 0;
    while let Some(at) = code[from..].find("#[cfg(test)]").map(|at| from + at) {
        let end = test_end(code, at + "#[cfg(test)]".len());
        shipped += &code[from..at];
        shipped += &blank(&code[at..end]);
        tests += &blank(&code[from..at]);
        tests += &code[at..end];
        from = end;
    }
    shipped += &code[from..];
    tests += &blank(&code[from..]);
    (shipped, tests)
}

/// Every file opens by saying what it is for.
fn headers(file: &File) -> Vec<String> {
    if file.is_rust() && !file.text.starts_with("//! ") { vec![file.wrong(1, "begin with `//!`")] } else { Vec::new() }
}

fn file_lengths(file: &File) -> Vec<String> {
    let lines = file.text.lines().count();
    if file.is_rust() && lines > LONG_FILE_LINES {
        eprintln!("long: {} has {lines} lines; look for a second reason to change", file.path);
    }
    let long = file.is_rust() && lines > MAX_FILE_LINES;
    if long { vec![file.wrong(lines, &format!("more than {MAX_FILE_LINES} lines"))] } else { Vec::new() }
}

fn function_lengths(file: &File) -> Vec<String> {
    if !file.is_rust() {
        return Vec::new();
    }
    let code = file.shipped();
    let mut out = Vec::new();
    for at in places(&code, "fn") {
        let name = code[at + 2..].trim_start();
        let open = body(&code, at);
        if code.as_bytes().get(open) != Some(&b'{') {
            continue;
        }
        let lines = line_of(&code, closing(&code, open)) - line_of(&code, at) + 1;
        if name.starts_with(|c: char| c.is_alphabetic() || c == '_') && lines > MAX_FUNCTION_LINES {
            let name: String = name.chars().take_while(|c| is_word(*c as u8)).collect();
            out.push(
                file.wrong(
                    line_of(&code, at),
                    &format!("`{name}` has {lines} lines, {MAX_FUNCTION_LINES} is the limit"),
                ),
            );
        }
    }
    out
}

/// Names that say nothing, for a module.
const EMPTY_NAMES: &[&str] = &["utils", "util", "common", "helpers", "helper", "types", "manager", "service"];

fn module_names(file: &File) -> Vec<String> {
    if !file.is_rust() {
        return Vec::new();
    }
    let path = file.path.trim_end_matches(".rs").split('/').filter(|part| EMPTY_NAMES.contains(part));
    let mut out: Vec<String> = path.map(|part| file.wrong(1, &format!("a module called `{part}`"))).collect();
    let code = bare(&file.text);
    for name in EMPTY_NAMES {
        out.extend(file.each(&code, &format!("mod {name}"), &format!("a module called `{name}`")));
    }
    out
}

/// Nothing is left for later.
fn unfinished(file: &File) -> Vec<String> {
    if !file.is_rust() {
        return Vec::new();
    }
    let code = bare(&file.text);
    ["todo!", "unimplemented!", "#[ignore"]
        .iter()
        .flat_map(|word| file.each(&code, word, &format!("`{word}`")))
        .collect()
}

/// A test that sleeps is slow on a quick machine and fails on a slow one.
fn sleeping_tests(file: &File) -> Vec<String> {
    if file.is_rust() { file.each(&file.tests(), "sleep(", "a test that sleeps") } else { Vec::new() }
}

/// The paths of the machine that this was written on.
fn machine_paths(file: &File) -> Vec<String> {
    let needle = ["/wo", "rk/"].concat();
    let absolute = |at: usize| {
        let before = file.text[..at].chars().next_back();
        !before.is_some_and(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '~' | '}' | '/'))
    };
    let found = file.text.match_indices(&needle).map(|(at, _)| at).filter(|at| absolute(*at));
    found.map(|at| file.wrong(line_of(&file.text, at), "a path of one machine")).collect()
}

/// Which crates of ours a crate may depend on.
const CRATES: &[(&str, &[&str])] = &[
    ("schema", &[]),
    ("markdown", &["clone-schema"]),
    ("daemon", &["clone-schema", "clone-markdown"]),
    ("recorder", &["clone-schema"]),
];

fn crate_direction(file: &File) -> Vec<String> {
    let Some((_, allowed)) = CRATES.iter().find(|(name, _)| file.path == format!("{name}/Cargo.toml")) else {
        return Vec::new();
    };
    let mut out = Vec::new();
    for (i, line) in file.text.lines().enumerate() {
        let key: String = line.trim().chars().take_while(|c| c.is_alphanumeric() || *c == '-').collect();
        let named = key.starts_with("clone-") && !allowed.contains(&key.as_str());
        if named || line.contains("path = \"../") && line.contains('{') {
            out.push(file.wrong(i + 1, &format!("may depend only on {allowed:?} of our crates")));
        }
    }
    out
}

const PARTS: &[&str] = &["log", "state", "memory", "index", "predict"];

/// The modules of the daemon that the module of this file may not name.
fn forbidden(module: &str) -> Vec<&'static str> {
    let mut out: Vec<&str> = match module {
        "serve" => PARTS.to_vec(),
        "sources" | "capture" => vec!["memory", "index"],
        part if PARTS.contains(&part) => PARTS.iter().copied().filter(|other| *other != part).collect(),
        _ => Vec::new(),
    };
    if !matches!(module, "main" | "cli" | "lib") {
        out.push("cli");
    }
    // One door out, and one room that opens it; the settings name what an address is.
    if !matches!(module, "engine" | "config" | "outside" | "lib") {
        out.push("outside");
    }
    out
}

fn who_names_whom(file: &File) -> Vec<String> {
    let Some(inner) = file.path.strip_prefix("daemon/src/").filter(|_| file.is_rust()) else { return Vec::new() };
    let module = inner.split('/').next().unwrap_or_default().trim_end_matches(".rs");
    let forbidden = forbidden(module);
    let code = bare(&file.text);
    let named = named_modules(&code);
    let wrong = named.iter().filter(|(_, name)| forbidden.contains(&name.as_str()));
    wrong.map(|(at, name)| file.wrong(line_of(&code, *at), &format!("`{module}` names `{name}`"))).collect()
}

/// The modules that code names from the root of its crate, and where.
fn named_modules(code: &str) -> Vec<(usize, String)> {
    let mut out = Vec::new();
    let ident = |text: &str| text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    for start in ["crate::", "super::", "clone_daemon::"] {
        for at in places(code, start) {
            let rest = &code[at + start.len()..];
            if let Some(group) = rest.strip_prefix('{') {
                let names = top_level(&group[..closing(rest, 0).saturating_sub(1)]);
                out.extend(names.iter().map(|name| (at, ident(name.trim()))));
            } else if start != "super::" || rest[ident(rest).len()..].starts_with("::") {
                // `super::index(…)` is a neighbour's function; `super::index::` may climb out of the module.
                out.push((at, ident(rest)));
            }
        }
    }
    out
}

/// The items of a `use` group, inner groups uncut.
fn top_level(group: &str) -> Vec<String> {
    let mut depth = 0_usize;
    let mut out = vec![String::new()];
    for c in group.chars() {
        match c {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                out.push(String::new());
                continue;
            }
            _ => {}
        }
        out.last_mut().unwrap().push(c);
    }
    out
}

/// The files of the daemon that take values and `now`, and return values and problems.
const PURE: &[&str] = &["session", "episode", "fact", "gate", "decay", "profile", "context", "local", "calibrate"];
/// What a pure file may not name.
const IMPURE: &[&str] = &["fs", "net", "time", "env", "process", "thread"];

fn is_pure(path: &str) -> bool {
    let inside = |dir: &str| {
        path.strip_prefix(dir).is_some_and(|rest| {
            let part = rest.split('/').next().unwrap_or_default().trim_end_matches(".rs");
            PURE.contains(&part)
        })
    };
    // Bugs are planted by the environment, and no release has them.
    path.starts_with("schema/src/") && path != "schema/src/sabotage.rs"
        || path.starts_with("markdown/src/")
        || inside("daemon/src/memory/")
        || inside("daemon/src/predict/")
}

fn purity(file: &File) -> Vec<String> {
    if !file.is_rust() || !is_pure(&file.path) {
        return Vec::new();
    }
    let code = file.shipped();
    let mut out = Vec::new();
    for name in IMPURE {
        out.extend(file.each(&code, &format!("std::{name}"), &format!("a pure file names `std::{name}`")));
    }
    for word in ["tokio", "SystemTime", "Instant", "Timestamp::now", "Zoned::now", "async fn", "getrandom"] {
        out.extend(file.each(&code, word, &format!("a pure file names `{word}`")));
    }
    for at in places(&code, "std::{") {
        let group = &code[at + 6..closing(&code, at + 5)];
        let impure = top_level(group)
            .into_iter()
            .any(|item| IMPURE.contains(&item.trim().split("::").next().unwrap_or_default()));
        if impure {
            out.push(file.wrong(line_of(&code, at), "a pure file names an impure part of `std`"));
        }
    }
    out
}

#[test]
fn every_file_says_what_it_is_for() {
    obeyed(headers);
}

#[test]
fn files_are_short() {
    obeyed(file_lengths);
}

#[test]
fn functions_are_short() {
    obeyed(function_lengths);
}

#[test]
fn modules_have_names_from_the_field() {
    obeyed(module_names);
}

#[test]
fn nothing_is_unfinished() {
    obeyed(unfinished);
}

#[test]
fn no_test_sleeps() {
    obeyed(sleeping_tests);
}

#[test]
fn nothing_names_the_machine_it_was_written_on() {
    obeyed(machine_paths);
}

#[test]
fn crates_depend_in_one_direction() {
    let seen =
        tree().iter().filter(|file| CRATES.iter().any(|(name, _)| file.path == format!("{name}/Cargo.toml"))).count();
    assert_eq!(seen, CRATES.len(), "a manifest was not found");
    obeyed(crate_direction);
}

#[test]
fn modules_name_only_whom_they_may() {
    obeyed(who_names_whom);
}

#[test]
fn pure_files_are_pure() {
    obeyed(purity);
}

#[test]
fn the_changelog_says_something() {
    assert!(std::fs::read_to_string(root().join("CHANGELOG.md")).unwrap().lines().count() > 1);
}

/// Every rule catches what it is for, as often as it stands there, and nothing else.
#[test]
fn every_rule_catches_a_planted_violation() {
    let long = |lines: usize| format!("//! X.\nfn f() {{\n{}}}\n", "    x();\n".repeat(lines - 2));
    let in_tests = |body: &str| format!("//! X.\nfn sleep() {{}}\n#[cfg(test)]\nmod tests {{\n{body}\n}}\n");
    let machine = format!("see {}here and /home/me{}there", ["/wo", "rk/"].concat(), ["/wo", "rk/"].concat());
    let cases: Vec<(Rule, &str, String, usize)> = vec![
        (headers, "a.rs", "use x;\n".into(), 1),
        (headers, "a.rs", "//! X.\n".into(), 0),
        (headers, "a.md", "text".into(), 0),
        (file_lengths, "a.rs", "\n".repeat(MAX_FILE_LINES + 1), 1),
        (file_lengths, "a.rs", "\n".repeat(MAX_FILE_LINES), 0),
        (function_lengths, "schema/src/a.rs", long(MAX_FUNCTION_LINES + 1), 1),
        (function_lengths, "schema/src/a.rs", long(MAX_FUNCTION_LINES), 0),
        (function_lengths, "schema/src/a.rs", in_tests(&long(90)), 0),
        (function_lengths, "daemon/src/log/tests.rs", long(90), 0),
        (function_lengths, "daemon/src/a.rs", long(90).replace("fn f()", "fn f(x: [u8; 2]) -> [u8; 4]"), 1),
        (function_lengths, "daemon/src/a.rs", format!("fn g() {{ A {{\n#[cfg(test)]\nx: y(),\n}} }}\n{}", long(60)), 0),
        (function_lengths, "daemon/src/a.rs", format!("fn g() {{ A {{\n#[cfg(test)]\nx: y(),\n}} }}\n{}", long(90)), 1),
        (
            sleeping_tests,
            "daemon/src/a.rs",
            "#[cfg(test)]\n#[rustfmt::skip]\npub(crate) fn f() { sleep(1) }\nfn g() { sleep(2) }".into(),
            1,
        ),
        (module_names, "daemon/src/log/helpers.rs", "//! X.\n".into(), 1),
        (module_names, "daemon/src/utils/a.rs", "//! X.\n".into(), 1),
        (module_names, "a.rs", "mod common;\nmod commons;\n// mod types;\n".into(), 1),
        (unfinished, "a.rs", "fn f() { todo!() }\n#[ignore = \"slow\"]\nfn g() { unimplemented!() }\n".into(), 3),
        (unfinished, "a.rs", "// todo!()\nlet x = \"todo!()\";\nlet y = r#\"\"todo!()\"#;\n".into(), 0),
        (sleeping_tests, "daemon/src/a.rs", in_tests("std::thread::sleep(x);"), 1),
        (sleeping_tests, "tests/a.rs", "fn f() { tokio::time::sleep(x).await }".into(), 1),
        (sleeping_tests, "daemon/src/a.rs", "fn f() { std::thread::sleep(x); }".into(), 0),
        (machine_paths, "README.md", machine, 1),
        (crate_direction, "schema/Cargo.toml", "[dependencies]\nclone-daemon.workspace = true\n".into(), 1),
        (
            crate_direction,
            "recorder/Cargo.toml",
            "[dev-dependencies]\nclone-markdown = { path = \"../markdown\" }\n".into(),
            1,
        ),
        (crate_direction, "markdown/Cargo.toml", "[dependencies]\nclone-schema.workspace = true\n".into(), 0),
        (who_names_whom, "daemon/src/log/mod.rs", "use crate::state::Table;\n".into(), 1),
        (who_names_whom, "daemon/src/memory/fact.rs", "use crate::{clock, index::{Index, log}};\n".into(), 1),
        (who_names_whom, "daemon/src/predict/mod.rs", "fn f() { super::memory::x() }\n// crate::log::x\n".into(), 1),
        (who_names_whom, "daemon/src/sources/mod.rs", "use crate::memory;\nuse crate::engine;\n".into(), 1),
        (who_names_whom, "daemon/src/serve/routes.rs", "use crate::engine;\nuse crate::log::Log;\n".into(), 1),
        (who_names_whom, "daemon/src/run.rs", "use crate::cli::print;\nuse crate::client;\n".into(), 1),
        (who_names_whom, "daemon/src/sources/github/mod.rs", "use crate::outside::Outside;\n".into(), 1),
        (who_names_whom, "daemon/src/engine/github.rs", "use crate::outside::Outside;\n".into(), 0),
        (who_names_whom, "daemon/src/main.rs", "use clone_daemon::cli;\n".into(), 0),
        (who_names_whom, "daemon/src/log/mod.rs", "use crate::log::reader;\nuse crate::logger;\n".into(), 0),
        (who_names_whom, "daemon/src/engine.rs", "use crate::{index, log, memory, predict, state};\n".into(), 0),
        (purity, "schema/src/a.rs", "use std::fs;\nuse std::fmt;\n".into(), 1),
        (purity, "daemon/src/memory/decay.rs", "use std::{fmt, time::Duration};\nlet x = SystemTime::y();\n".into(), 2),
        (purity, "daemon/src/predict/local.rs", "let now = Timestamp::now();\nstruct Instants;\n".into(), 1),
        (purity, "daemon/src/memory/vault.rs", "use std::fs;\n".into(), 0),
        (purity, "markdown/src/a.rs", in_tests("use std::fs;"), 0),
    ];
    for (i, (rule, path, text, expected)) in cases.into_iter().enumerate() {
        let found = rule(&File { path: path.into(), text });
        assert_eq!(found.len(), expected, "case {i}, {path}: {found:?}");
    }
}

#[test]
fn comments_and_literals_are_blanked_and_lines_stay() {
    let text = "a \"b\\\"c\" 'd' '\\'' '{' &'e f // g\n/* h\n*/ r#\"i\"j\"# k";
    let code = bare(text);
    assert_eq!(code.split_whitespace().collect::<Vec<_>>(), ["a", "&'e", "f", "k"]);
    assert_eq!(code.lines().count(), 3);
}
