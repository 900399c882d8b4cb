//! The smallest change of a foreign file: text is put in at a few places, and taken out again exactly.
//!
//! What was put in is kept in a record beside the settings; removing looks for those texts. A file that holds none of them
//! any more was changed by somebody, and is left to them.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::super::Context;
use super::config::{Event, Kind, Target};
use super::shell;
use crate::failure::Failure;

/// The largest file that is edited.
const MAX_FILE_BYTES: u64 = 4 << 20;

/// Texts and where they go in, or where they stand: byte offsets into the file, ascending.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Plan {
    /// The file as it was then, if there was one.
    before: Option<String>,
    parts: Vec<(usize, String)>,
    /// The file did not exist.
    fresh: bool,
}

impl Plan {
    pub(super) fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    pub(super) fn texts(&self) -> Vec<&str> {
        self.parts.iter().map(|(_, text)| text.as_str()).collect()
    }
}

/// What an install put in.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Record {
    fresh: bool,
    texts: Vec<String>,
}

type Records = BTreeMap<PathBuf, Record>;

/// What installing would put where.
pub(super) fn install(target: &Target, program: &str, predict: bool) -> Result<Plan, Failure> {
    let text = read(&target.file)?;
    if text.as_deref().is_some_and(|text| has_ours(text, target)) {
        return Ok(Plan::default());
    }
    let (fresh, before) = (text.is_none(), text.clone());
    let text = text.unwrap_or_default();
    let parts = match target.kind {
        Kind::Shell(name) => {
            let gap = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
            vec![(text.len(), format!("{gap}{}", shell::line(name, program)))]
        }
        Kind::Json { events, timeout } => {
            let hooks = Hooks { events, timeout, command: command(program, target.name, predict) };
            match text.trim().is_empty() {
                true => vec![(0, format!("{}\n", hooks.whole()))],
                false => hooks.parts(&text).ok_or_else(|| not_understood(target, &hooks))?,
            }
        }
    };
    Ok(Plan { before, parts, fresh })
}

fn not_understood(target: &Target, hooks: &Hooks<'_>) -> Failure {
    let message = format!("`{}` is not plain JSON with an object `hooks`", target.file.display());
    Failure::new(message).hint(format!("add this to it by hand: {}", hooks.whole()))
}

/// Writes the plan, after a copy of the file and a record of the texts.
pub(super) fn apply(context: &Context, target: &Target, plan: &Plan) -> Result<(), Failure> {
    let before = unchanged(target, plan)?;
    if !plan.fresh {
        write(&backup(&target.file), &before)?;
    }
    let texts = plan.texts().into_iter().map(str::to_owned).collect();
    let mut records = records(context);
    records.insert(target.file.clone(), Record { fresh: plan.fresh, texts });
    keep(context, &records)?;
    let mut after = before;
    for (at, text) in plan.parts.iter().rev() {
        after.insert_str(*at, text);
    }
    write(&target.file, &after)
}

/// The file, if it is as it was when the plan was made: the places in the plan are those of that text.
fn unchanged(target: &Target, plan: &Plan) -> Result<String, Failure> {
    let now = read(&target.file)?;
    if now == plan.before {
        return Ok(now.unwrap_or_default());
    }
    Err(Failure::new(format!("`{}` was changed just now; nothing was written to it", target.file.display()))
        .hint("run it again"))
}

/// Where what was put in stands.
pub(super) fn removal(context: &Context, target: &Target) -> Result<Plan, Failure> {
    let Some(text) = read(&target.file)? else { return Ok(Plan::default()) };
    let mut records = records(context);
    let Some(record) = records.remove(&target.file) else {
        if !has_ours(&text, target) {
            return Ok(Plan::default());
        }
        return Err(by_hand(target));
    };
    let (mut parts, mut from) = (Vec::new(), 0);
    for put in &record.texts {
        let at = text[from..].find(put.as_str()).map(|at| from + at).ok_or_else(|| by_hand(target))?;
        parts.push((at, put.clone()));
        from = at + put.len();
    }
    Ok(Plan { before: Some(text), parts, fresh: record.fresh })
}

fn by_hand(target: &Target) -> Failure {
    Failure::new(format!("`{}` was changed since the hooks were put in", target.file.display()))
        .hint(format!("take out what runs `clone hook run {}` by hand", target.name))
}

/// Takes the texts out, and the file too where it holds nothing else and was not there before.
pub(super) fn take_out(context: &Context, target: &Target, plan: &Plan) -> Result<(), Failure> {
    let mut text = unchanged(target, plan)?;
    for (at, put) in plan.parts.iter().rev() {
        text = without(&text, *at, put.len(), target.kind);
    }
    let is_whole = serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok();
    if matches!(target.kind, Kind::Json { .. }) && !is_whole && !text.trim().is_empty() {
        return Err(by_hand(target));
    }
    if plan.fresh && text.is_empty() {
        fs::remove_file(&target.file).map_err(|error| unwritable(&target.file, &error))?;
    } else {
        write(&target.file, &text)?;
    }
    let copy = backup(&target.file);
    if fs::read_to_string(&copy).is_ok_and(|copy| copy == text) {
        fs::remove_file(&copy).map_err(|error| unwritable(&copy, &error))?;
    }
    let mut records = records(context);
    records.remove(&target.file);
    keep(context, &records)
}

/// The text without a part, and in JSON without the comma that would join nothing to its neighbour any more.
fn without(text: &str, at: usize, length: usize, kind: Kind) -> String {
    let (mut before, mut after) = (&text[..at], &text[at + length..]);
    let (left, right) = (before.trim_end(), after.trim_start());
    if matches!(kind, Kind::Json { .. }) && left.ends_with(',') && right.starts_with(['}', ']']) {
        before = &left[..left.len() - 1];
    } else if matches!(kind, Kind::Json { .. }) && left.ends_with(['{', '[']) && right.starts_with(',') {
        after = &right[1..];
    }
    format!("{before}{after}")
}

/// Whether the file runs our hooks.
pub(super) fn is_installed(target: &Target) -> bool {
    read(&target.file).ok().flatten().is_some_and(|text| has_ours(&text, target))
}

fn has_ours(text: &str, target: &Target) -> bool {
    let marks = match target.kind {
        Kind::Json { .. } => format!("hook run {}", target.name),
        Kind::Shell(name) => format!("hook init {name}"),
    };
    text.contains(&marks)
}

fn backup(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".before-clone");
    PathBuf::from(name)
}

fn records_file(context: &Context) -> PathBuf {
    context.paths.config.with_file_name("hooks.json")
}

fn records(context: &Context) -> Records {
    fs::read(records_file(context)).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default()
}

fn keep(context: &Context, records: &Records) -> Result<(), Failure> {
    write(&records_file(context), &serde_json::to_string_pretty(records).map_err(Failure::new)?)
}

fn read(file: &Path) -> Result<Option<String>, Failure> {
    let failed = |error: std::io::Error| Failure::new(format!("cannot read `{}`: {error}", file.display()));
    match fs::metadata(file) {
        Ok(meta) if meta.len() > MAX_FILE_BYTES => Err(Failure::new(format!("`{}` is too large", file.display()))),
        Ok(_) => fs::read_to_string(file).map(Some).map_err(failed),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed(error)),
    }
}

fn unwritable(file: &Path, error: &std::io::Error) -> Failure {
    Failure::new(format!("cannot write `{}`: {error}", file.display()))
}

/// Writes beside and renames, with the mode that the file had; a link is followed, not replaced.
fn write(file: &Path, text: &str) -> Result<(), Failure> {
    let failed = |error: std::io::Error| unwritable(file, &error);
    let real = fs::canonicalize(file).unwrap_or_else(|_| file.to_owned());
    if let Some(folder) = real.parent() {
        fs::create_dir_all(folder).map_err(failed)?;
    }
    let mode = fs::metadata(&real).map_or(0o600, |meta| meta.permissions().mode() & 0o777);
    let mut beside = real.as_os_str().to_owned();
    beside.push(".clone-tmp");
    let beside = PathBuf::from(beside);
    let mut options = OpenOptions::new();
    let mut out = options.write(true).create(true).truncate(true).mode(mode).open(&beside).map_err(failed)?;
    out.write_all(text.as_bytes()).and_then(|()| out.sync_all()).map_err(failed)?;
    fs::rename(&beside, &real).map_err(failed)
}

/// What an agent runs.
fn command(program: &str, name: &str, predict: bool) -> String {
    let quoted = if program.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/._-+".contains(&byte)) {
        program.to_owned()
    } else {
        shell::quoted(program)
    };
    format!("{quoted} hook run {name}{}", if predict { " --predict" } else { "" })
}

/// What goes into an agent's settings.
struct Hooks<'a> {
    events: &'a [Event],
    timeout: u64,
    command: String,
}

type Object<'a> = BTreeMap<Cow<'a, str>, &'a RawValue>;

impl Hooks<'_> {
    /// One entry of an event's list.
    fn entry(&self, event: &Event) -> Value {
        let hook = json!({"type": "command", "command": self.command, "timeout": self.timeout});
        match event.tool {
            Some(tool) => json!({"matcher": tool, "hooks": [hook]}),
            None => json!({"hooks": [hook]}),
        }
    }

    /// A new list of one entry, with its name.
    fn list(&self, event: &Event) -> String {
        format!("    \"{}\": [{}]", event.name, self.entry(event))
    }

    /// The member `hooks` with all its lists.
    fn member(&self) -> String {
        let lists: Vec<String> = self.events.iter().map(|event| self.list(event)).collect();
        format!("  \"hooks\": {{\n{}\n  }}", lists.join(",\n"))
    }

    /// A file that holds nothing else.
    fn whole(&self) -> String {
        format!("{{\n{}\n}}", self.member())
    }

    /// Where the hooks go into a text: behind the last value of the object or list that they join.
    fn parts(&self, text: &str) -> Option<Vec<(usize, String)>> {
        let start = |raw: &RawValue| raw.get().as_ptr() as usize - text.as_ptr() as usize;
        let root: Object<'_> = serde_json::from_str(text).ok()?;
        let Some(hooks) = root.get("hooks") else {
            let (at, comma) = behind(text.find('{')?, root.values().copied(), &start);
            return Some(vec![(at, format!("{comma}\n{}{}", self.member(), end(comma)))]);
        };
        let inner: Object<'_> = serde_json::from_str(hooks.get()).ok()?;
        let mut found: Vec<(usize, String)> = Vec::new();
        let (at, mut comma) = behind(start(hooks), inner.values().copied(), &start);
        let mut new = String::new();
        for event in self.events {
            if let Some(list) = inner.get(event.name) {
                let items: Vec<&RawValue> = serde_json::from_str(list.get()).ok()?;
                let (at, comma) = behind(start(list), items.into_iter(), &start);
                found.push((at, format!("{comma}\n      {}", self.entry(event))));
            } else {
                new.push_str(&format!("{comma}\n{}", self.list(event)));
                comma = ",";
            }
        }
        if !new.is_empty() {
            found.push((at, new));
        }
        found.sort_by_key(|(at, _)| *at);
        Some(found)
    }
}

/// A new first member stands before the brace on a line of its own.
fn end(comma: &str) -> &'static str {
    if comma.is_empty() { "\n" } else { "" }
}

/// The end of the last value, and the comma that a next one needs; behind the opening brace where there is none.
fn behind<'a>(
    open: usize,
    values: impl Iterator<Item = &'a RawValue>,
    start: &impl Fn(&RawValue) -> usize,
) -> (usize, &'static str) {
    let last = values.map(|value| start(value) + value.get().len()).max();
    last.map_or((open + 1, ""), |at| (at, ","))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::cli::hook::config::Event;

    const EVENTS: &[Event] = &[Event { name: "Stop", tool: None }, Event { name: "PreToolUse", tool: Some("Ask") }];

    fn hooks(command: &str) -> Hooks<'static> {
        Hooks { events: EVENTS, timeout: 5, command: command.to_owned() }
    }

    fn installed(text: &str) -> String {
        let mut out = text.to_owned();
        for (at, part) in hooks("clone hook run x").parts(text).expect("understood").iter().rev() {
            out.insert_str(*at, part);
        }
        out
    }

    #[test]
    fn what_goes_in_is_valid_keeps_the_rest_and_comes_out_byte_for_byte() {
        let table = [
            "{}",
            "{ }\n",
            "{\"a\":1}",
            "{\n  \"model\": \"x\",\n  \"hooks\": {}\n}\n",
            "{\"hooks\":{\"Stop\":[]},\"z\":[1, 2]}",
            "{\"hooks\" : {\"Stop\": [{\"hooks\":[{\"type\":\"command\",\"command\":\"other\"}]} ] , \"b\":[]}}\r\n",
            "{\"h\\u00e9\": \"{\\\"hooks\\\": [\", \"hooks\": {\"PreToolUse\": [ {} ]}, \"k\": {\"hooks\": {}}}",
        ];
        for text in table {
            let after = installed(text);
            let (old, new): (Value, Value) = (
                serde_json::from_str(text).unwrap(),
                serde_json::from_str(&after).unwrap_or_else(|e| panic!("{e}: {after}")),
            );
            for (key, value) in old.as_object().unwrap().iter().filter(|(key, _)| *key != "hooks") {
                assert_eq!(&new[key], value, "{after}");
            }
            for event in EVENTS {
                let list = new["hooks"][event.name].as_array().expect("a list");
                assert_eq!(list.last(), Some(&hooks("clone hook run x").entry(event)), "{after}");
                let before = old["hooks"][event.name].as_array().map_or(0, Vec::len);
                assert_eq!(list.len(), before + 1, "{after}");
            }
            let mut out = after.clone();
            for (at, part) in hooks("clone hook run x").parts(text).unwrap() {
                let found = out.find(&part).expect("stands there");
                assert!(found >= at);
                out.replace_range(found..found + part.len(), "");
            }
            assert_eq!(out, text);
        }
        for text in ["", "[]", "{\"hooks\": 7}", "{\"hooks\": {\"Stop\": {}}}", "{ // c\n}"] {
            assert_eq!(hooks("c").parts(text), None, "{text}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn any_object_stays_an_object(pairs in prop::collection::btree_map("[a-z]{1,4}|hooks", "[ -~]{0,6}", 0..4), pretty in any::<bool>()) {
            let mut value = json!(pairs);
            value.as_object_mut().unwrap().remove("hooks");
            let text = if pretty { serde_json::to_string_pretty(&value).unwrap() } else { value.to_string() };
            let after: Value = serde_json::from_str(&installed(&text)).unwrap();
            prop_assert_eq!(after["hooks"].as_object().map(serde_json::Map::len), Some(2));
        }
    }

    #[test]
    fn a_program_with_a_space_is_quoted() {
        assert_eq!(command("/a b/clone", "codex", true), "'/a b/clone' hook run codex --predict");
        assert_eq!(command("/usr/bin/clone", "codex", false), "/usr/bin/clone hook run codex");
    }

    /// Between showing a plan and carrying it out an editor may save: the places are then those of another text.
    #[test]
    fn a_file_that_changed_since_the_plan_is_left_alone() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("settings.json");
        let target = Target { name: "codex", file: file.clone(), kind: Kind::Json { events: EVENTS, timeout: 5 } };
        for (before, meanwhile) in [(Some("{\"a\": 1}"), "{\"abc\": 1}"), (None, "{}")] {
            let _fresh = fs::remove_file(&file);
            before.iter().for_each(|text| fs::write(&file, text).unwrap());
            let plan = install(&target, "clone", false).unwrap();
            assert_eq!(unchanged(&target, &plan).unwrap(), before.unwrap_or_default());
            fs::write(&file, meanwhile).unwrap();
            assert!(unchanged(&target, &plan).unwrap_err().message.contains("changed just now"));
        }
    }
}
