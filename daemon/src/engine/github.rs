//! GitHub: connecting, reading it when it is due, and what to say of it.
//!
//! A call asks nothing but who the token belongs to, and a code; everything else is read by one thread, which
//! [`Engine::github_step`] tells what to do. Whatever fails waits longer each time, and is told in `status`.

use std::path::Path;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use clone_schema::api::IngestReply;
use clone_schema::event::Event;
use clone_schema::internal::Payload;
use clone_schema::{Fault, Timestamp, fault, time};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Engine, body, ok};
use crate::clock;
use crate::config;
use crate::outside::{Outside, OutsideError, Response};
use crate::paths::Paths;
use crate::secrets::{Place, Secret, Secrets, SecretsError, Store};
use crate::serve::{Call, Reply};
use crate::sources::Filter;
use crate::sources::github::{Account, Answer, Device, Halt, Memory, NAME, Polled, Question, Walk};

/// How often it is looked whether anything is due.
const LOOK: Duration = Duration::from_secs(30);
/// How long a keychain that refused is left alone, in seconds: at first, and at last.
const RESTS: (i64, i64) = (30, 3_600);
/// Questions after which what was read is remembered.
const SAVE_EVERY: u32 = 20;
/// The headers of every question.
const HEADERS: [(&str, &str); 2] = [("accept", "application/vnd.github+json"), ("x-github-api-version", "2022-11-28")];

/// The connection to GitHub.
pub struct Github {
    outside: Outside,
    secrets: Secrets,
    /// Connections begin and end one at a time: a keychain may wait for the person, and `state` does not wait for it.
    changing: Mutex<()>,
    state: Mutex<State>,
    woken: Condvar,
}

/// What is known of it.
#[derive(Default)]
struct State {
    loaded: bool,
    /// Why what is kept of it cannot be read.
    broken: Option<String>,
    /// Until when a keychain that refused is left alone, and for how long that is.
    rests: Option<(Timestamp, i64)>,
    connected: bool,
    token_in: Option<Place>,
    memory: Memory,
    /// Grows with every connecting and disconnecting: a walk of before keeps nothing.
    turn: u64,
    wanted: bool,
    walking: bool,
    walks: u64,
    read: Value,
    device: Option<Device>,
    /// How the device flow ended.
    told: Option<String>,
}

impl Github {
    /// The connection of this home; nothing is opened yet.
    #[must_use]
    pub fn new(paths: &Paths, config: &config::Config) -> Self {
        let store = match config.secrets.store {
            Store::Auto if paths.in_one_folder() => Store::File,
            store => store,
        };
        let secrets = Secrets::new(store, &paths.secrets, &paths.secrets_keys);
        let (changing, state) = (Mutex::default(), Mutex::default());
        Self { outside: Outside::default(), secrets, changing, state, woken: Condvar::new() }
    }

    fn change(&self) -> MutexGuard<'_, ()> {
        self.changing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A walk, and what became of what it read.
struct Reading<'a> {
    walk: Walk<'a>,
    /// The connection that it reads for.
    turn: u64,
    /// How far everything that was read is in the log.
    saved: Memory,
    /// Whether the log refused what was read last.
    refused: bool,
    answer: IngestReply,
}

/// `POST /api/sources/github/`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Connecting {
    /// A token; without one, the device flow begins.
    token: Option<String>,
}

impl Engine {
    /// Answers one call about GitHub.
    pub(super) fn github(&self, call: &Call) -> Result<Reply, Fault> {
        match call.operation.name {
            "github_get" => self.github_get(),
            "github_connect" => self.github_connect(body(call)?),
            "github_disconnect" => self.github_disconnect(),
            "github_sync" => self.github_sync(),
            other => Err(Fault::internal(format!("operation `{other}` has no method"))),
        }
    }

    /// What is known of GitHub.
    fn github_get(&self) -> Result<Reply, Fault> {
        ok(&self.github_told())
    }

    /// Connects with a token, or begins the device flow and answers with its code.
    fn github_connect(&self, body: Connecting) -> Result<Reply, Fault> {
        match body.token {
            Some(token) => {
                let token = Secret::new(&token).ok_or_else(|| {
                    Fault::invalid("'token' is no token: it is empty, too long, or holds spaces")
                        .hint("make one at github.com/settings/tokens")
                })?;
                self.github_accept(&token, None)?;
            }
            None => self.github_device()?,
        }
        self.github_get()
    }

    /// Asks whose token it is, and keeps it; one that came of a device flow only while that one waits.
    fn github_accept(&self, token: &Secret, flow: Option<&Device>) -> Result<(), Fault> {
        let question = Question { path: Account::PATH.to_owned(), etag: None };
        let answer = self.github_ask(&question, token).map_err(|error| unreachable_fault(&error))?;
        if answer.status == 401 {
            return Err(Fault::invalid("GitHub does not take this token")
                .hint("it may have run out or been revoked; make another at github.com/settings/tokens"));
        }
        if answer.status != 200 {
            let message = format!("GitHub answered {} to the question whose token this is", answer.status);
            return Err(Fault::new(fault::Kind::Unavailable, message).hint("try again in a minute"));
        }
        let account = Account::read(&answer).map_err(Fault::invalid)?;
        let login = account.login.clone();
        let memory = account.memory();
        {
            let _turn = self.github.change();
            if flow.is_some_and(|flow| !self.github.state().waits_for(flow)) {
                return Ok(());
            }
            self.github.secrets.set(NAME, token).map_err(|error| secrets_fault(&error))?;
            let token_in = self.github.secrets.place(NAME);
            let mut state = self.github.state();
            keep(&self.paths.github, &memory);
            *state = State { loaded: true, connected: true, token_in, memory, wanted: true, ..state.over() };
        }
        self.note(Payload::ConfigChanged { key: NAME.to_owned(), value: login })?;
        self.github_wake();
        Ok(())
    }

    fn github_device(&self) -> Result<(), Fault> {
        let config::Github { web, client_id, scopes, .. } = &self.config.github;
        let client_id = client_id.as_deref().ok_or_else(|| {
            Fault::new(fault::Kind::Conflict, "the device flow needs the id of an OAuth app, and none is set")
                .hint("pipe a token into `clone source connect github --token-stdin`, or set `client_id` under `[github]` in config.toml")
        })?;
        let form = Device::request(client_id, scopes);
        let got = self.github.outside.post(web, "/login/device/code", form);
        let got = got.map(answer).map_err(|error| unreachable_fault(&error))?;
        let device = Device::read(&got, clock::now()).map_err(|why| {
            Fault::new(fault::Kind::Conflict, why)
                .hint("look at `client_id` under `[github]`, and whether its app has the device flow on")
        })?;
        let turn = self.github.change();
        let mut state = self.github.state();
        (state.device, state.told) = (Some(device), None);
        drop((state, turn));
        self.github_wake();
        Ok(())
    }

    /// Ends the connection: the token goes, what was read stays, and what was taken out of it may come again.
    fn github_disconnect(&self) -> Result<Reply, Fault> {
        let ended = self.github_end()?;
        // Whatever stopped the clearing before, asking once more ends it.
        if !ended && self.log.removed_from(NAME) == 0 {
            return Err(Fault::new(fault::Kind::Conflict, "GitHub is not connected")
                .hint("`clone source connect github` connects it"));
        }
        self.source_clear(NAME)?;
        self.github_get()
    }

    /// Takes the token away; whether there was a connection, or one waited for its code.
    pub(super) fn github_end(&self) -> Result<bool, Fault> {
        {
            let _turn = self.github.change();
            let there = self.github.secrets.remove(NAME).map_err(|error| secrets_fault(&error))?;
            let mut state = self.github.state();
            if !there && state.device.is_none() {
                return Ok(false);
            }
            let _gone = std::fs::remove_file(&self.paths.github);
            *state = State { loaded: true, ..state.over() };
        }
        self.note(Payload::ConfigChanged { key: NAME.to_owned(), value: String::new() })?;
        Ok(true)
    }

    /// Reads GitHub now rather than within the hour.
    fn github_sync(&self) -> Result<Reply, Fault> {
        // Whoever asks is there to answer a dialog.
        self.github.state().rests = None;
        self.github_loaded()?;
        let until = {
            let mut state = self.github.state();
            let conflict = |message: &str| {
                Fault::new(fault::Kind::Conflict, message).hint("`clone source connect github` connects it")
            };
            if !state.connected {
                return Err(conflict("GitHub is not connected"));
            }
            if state.memory.needs_reauth {
                return Err(conflict("GitHub no longer takes the token"));
            }
            if let Some(at) = state.memory.not_before.filter(|at| *at > clock::now()) {
                let why = state.memory.problem.clone().unwrap_or_else(|| "GitHub's limit is reached".to_owned());
                return Err(
                    Fault::new(fault::Kind::Unavailable, why).hint(format!("it is read again at {at:.0} by itself"))
                );
            }
            state.wanted = true;
            state.walks + 1 + u64::from(state.walking)
        };
        self.github_wake();
        let mut told = self.github_told();
        told["done_at"] = until.into();
        ok(&told)
    }

    /// Seals every secret with a new key and lets the older keys go.
    pub(super) fn secrets_rotate(&self) -> Result<Reply, Fault> {
        let sealed = self.github.secrets.rotate().map_err(|error| secrets_fault(&error))?;
        ok(&json!({"secrets": sealed}))
    }

    /// What is said of GitHub.
    pub(super) fn github_told(&self) -> Value {
        let _told = self.github_loaded();
        let state = self.github.state();
        let memory = &state.memory;
        let device = state.device.as_ref().map(|device| {
            json!({"user_code": device.user_code, "verification_uri": device.address, "expires_at": device.expires_at})
        });
        json!({
            "connected": state.connected, "token_in": state.token_in, "login": memory.login, "scopes": memory.scopes,
            "needs_reauth": memory.needs_reauth, "last_synced_at": memory.synced_at, "syncing": state.walking,
            "syncs": state.walks, "not_before": memory.not_before,
            "problem": state.broken.as_ref().or(memory.problem.as_ref()), "read": state.read,
            "device": device, "device_ended": state.told,
        })
    }

    /// Whether it is connected and where its token is, as far as that is known, for `status`; asks nobody.
    pub(super) fn github_kept(&self) -> Value {
        let state = self.github.state();
        json!({"connected": state.connected, "token_in": state.token_in})
    }

    /// What the person must do about it, for `status`.
    pub(super) fn github_problem(&self) -> Option<String> {
        let state = self.github.state();
        let problem = state.memory.problem.as_ref().filter(|_| state.connected);
        state.broken.as_ref().or(problem).map(|problem| format!("github: {problem}"))
    }

    /// Looks at what is kept of the connection, until that is known.
    fn github_loaded(&self) -> Result<(), Fault> {
        {
            let state = self.github.state();
            if state.loaded {
                return Ok(());
            }
            let rests = state.rests.is_some_and(|(until, _)| until > clock::now());
            if let Some(why) = state.broken.as_ref().filter(|_| rests) {
                return Err(Fault::new(fault::Kind::Conflict, why.clone())
                    .hint("`clone source sync github` asks the keychain at once"));
            }
        }
        let token = self.github.secrets.get(NAME);
        let token_in = self.github.secrets.place(NAME);
        let mut state = self.github.state();
        // A connection that began or ended meanwhile knows better.
        if state.loaded {
            return Ok(());
        }
        let token = token.map_err(|error| {
            state.broken = Some(error.to_string());
            if matches!(error, SecretsError::Keychain(_)) {
                state.rest();
            }
            secrets_fault(&error)
        })?;
        (state.loaded, state.connected, state.broken) = (true, token.is_some(), None);
        state.token_in = token_in.filter(|_| state.connected);
        let kept = std::fs::read(&self.paths.github).ok().filter(|_| state.connected);
        state.memory = kept.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default();
        Ok(())
    }

    /// Wakes the thread that reads.
    pub fn github_wake(&self) {
        self.github.woken.notify_all();
    }

    /// Sleeps until something may be due.
    pub fn github_rest(&self) {
        let state = self.github.state();
        let now = clock::now();
        if due(&state, now) {
            return;
        }
        let asked = state.device.as_ref().map(|device| time::seconds_between(now, device.ask_at).max(0));
        let wait = asked.map_or(LOOK, |seconds| Duration::from_secs(seconds.unsigned_abs()).min(LOOK));
        let _woken = self.github.woken.wait_timeout(state, wait);
    }

    /// Does what is due: asks whether the code was entered, or reads GitHub; `going` says whether to go on.
    pub fn github_step(&self, going: &dyn Fn() -> bool) {
        self.github_poll();
        // Where what is kept cannot be read, `status` says so.
        if self.github_loaded().is_err() {
            return;
        }
        let (memory, turn) = {
            let mut state = self.github.state();
            if !state.connected || !state.memory.due(clock::now(), state.wanted) {
                return;
            }
            (state.wanted, state.walking) = (false, true);
            (state.memory.clone(), state.turn)
        };
        let going = || going() && self.github.state().turn == turn;
        let (memory, read) = self.github_walk(memory, turn, &going);
        let mut state = self.github.state();
        if state.turn != turn {
            return;
        }
        (state.walking, state.walks) = (false, state.walks + 1);
        keep(&self.paths.github, &memory);
        (state.memory, state.read) = (memory, read);
        // Who asked for another walk meanwhile is told how this one ended, where no other follows.
        if state.wanted && !state.memory.due(clock::now(), true) {
            (state.wanted, state.walks) = (false, state.walks + 1);
        }
    }

    /// Asks whether the person entered the code.
    fn github_poll(&self) {
        let config::Github { web, client_id, .. } = &self.config.github;
        let (Some(client_id), Some(mut device)) = (client_id, self.github.state().device.clone()) else { return };
        if device.ask_at > clock::now() {
            return;
        }
        let got = self.github.outside.post(web, "/login/oauth/access_token", device.question(client_id)).map(answer);
        let polled = match got {
            Ok(got) => device.take(&got, clock::now()),
            Err(_) if device.later(clock::now()) => Polled::Waiting,
            Err(error) => Polled::Over(error.to_string()),
        };
        let over = match polled {
            Polled::Waiting => {
                let mut state = self.github.state();
                if state.waits_for(&device) {
                    state.device = Some(device);
                }
                return;
            }
            Polled::Over(why) => why,
            Polled::Token(token) => match Secret::new(&token).map(|token| self.github_accept(&token, Some(&device))) {
                Some(Ok(())) => return,
                Some(Err(fault)) => fault.to_string(),
                None => "GitHub gave a token that no header can carry".to_owned(),
            },
        };
        let mut state = self.github.state();
        if state.waits_for(&device) {
            (state.device, state.told) = (None, Some(over));
        }
    }

    /// Walks through GitHub; how far it came and what it read.
    fn github_walk(&self, memory: Memory, turn: u64, going: &dyn Fn() -> bool) -> (Memory, Value) {
        let filter = Filter { include: Vec::new(), exclude: self.excluded() };
        let walk = Walk::new(self.config.github.api.as_str(), &filter, memory);
        let saved = walk.memory().clone();
        let mut reading = Reading { walk, turn, saved, refused: false, answer: IngestReply::default() };
        let failed = self.github_questions(&mut reading, going).err();
        let read = self.github_mark(&reading.walk, &reading.answer);
        // What the log did not take is read again.
        let mut memory = if reading.refused { reading.saved } else { reading.walk.memory().clone() };
        if let Some(why) = failed {
            tracing::info!("GitHub: {why}");
            memory.failed(&why, clock::now());
        }
        (memory, read)
    }

    /// Asks one question after the other until the walk ends, halts or is told to.
    fn github_questions(&self, reading: &mut Reading<'_>, going: &dyn Fn() -> bool) -> Result<(), String> {
        let token = self.github.secrets.get(NAME).map_err(|error| error.to_string())?;
        let token = token.ok_or_else(|| "the token is gone; connect again".to_owned())?;
        let mut asked = 0;
        while let Some(question) = reading.walk.question() {
            let got = self.github_ask(&question, &token);
            // What came too late for a connection that ended is not recorded.
            if !going() {
                return Ok(());
            }
            let halt = match got {
                Ok(got) => self.github_take(reading, &got)?,
                Err(error) => reading.walk.fails(&error.to_string(), clock::now()).err(),
            };
            if let Some(halt) = halt {
                tracing::info!("GitHub: {halt}");
                return Ok(());
            }
            asked += 1;
            if asked % SAVE_EVERY == 0 {
                self.github_save(reading);
            }
        }
        Ok(())
    }

    /// Remembers how far a walk came, while its connection is the one that holds.
    fn github_save(&self, reading: &mut Reading<'_>) {
        reading.saved = reading.walk.memory().clone();
        let state = self.github.state();
        if state.turn == reading.turn {
            keep(&self.paths.github, &reading.saved);
        }
    }

    /// Records what an answer holds before the walk is remembered to have read it.
    fn github_take(&self, reading: &mut Reading<'_>, got: &Answer) -> Result<Option<Halt>, String> {
        let mut events: Vec<Event> = Vec::new();
        let halt = reading.walk.take(got, clock::now(), &mut |event| events.push(event)).err();
        if !events.is_empty() {
            let mut batch = IngestReply::default();
            self.record_events(events, &mut batch).map_err(|fault| {
                reading.refused = true;
                fault.to_string()
            })?;
            reading.answer.accepted += batch.accepted;
            reading.answer.duplicates += batch.duplicates;
            reading.answer.forgotten += batch.forgotten;
        }
        Ok(halt)
    }

    /// Marks the end of a walk that found something, so that its sessions become episodes at once; what it read.
    fn github_mark(&self, walk: &Walk<'_>, answer: &IngestReply) -> Value {
        let counts = walk.counts();
        if answer.accepted > 0 {
            let (imported, duplicates) = (answer.accepted as u64, answer.duplicates as u64);
            let mark = Payload::ImportMarked {
                format: NAME.to_owned(),
                imported,
                duplicates,
                skipped: counts.skipped.clone(),
            };
            if let Err(error) = self.note(mark) {
                tracing::warn!(%error, "the end of a reading of GitHub was not marked");
            }
        }
        json!({
            "items": counts.read, "events": counts.events, "human": counts.human, "recorded": answer.accepted,
            "known": answer.duplicates, "forgotten": answer.forgotten, "skipped": counts.skipped,
        })
    }

    fn github_ask(&self, question: &Question, token: &Secret) -> Result<Answer, OutsideError> {
        let mut headers = HEADERS.to_vec();
        headers.extend(question.etag.as_deref().map(|etag| ("if-none-match", etag)));
        let base = &self.config.github.api;
        self.github.outside.get(base, &question.path, &headers, Some(token)).map(answer)
    }
}

impl State {
    /// Whether this device flow is the one that waits; another may have begun meanwhile, or none may be wanted any more.
    fn waits_for(&self, flow: &Device) -> bool {
        self.device.as_ref().is_some_and(|waiting| waiting.user_code == flow.user_code)
    }

    /// Leaves the keychain alone, longer each time: it may show a dialog whenever it is asked.
    fn rest(&mut self) {
        let seconds = self.rests.map_or(RESTS.0, |(_, before)| (before * 2).min(RESTS.1));
        let until = time::after_seconds(clock::now(), seconds);
        self.rests = Some((until, seconds));
    }

    /// What comes after a connection began or ended: the walks before it keep nothing.
    fn over(&self) -> Self {
        Self { turn: self.turn + 1, walks: self.walks + u64::from(self.walking), ..Self::default() }
    }
}

fn due(state: &State, now: Timestamp) -> bool {
    let asked = state.device.as_ref().is_some_and(|device| device.ask_at <= now);
    asked || state.connected && state.memory.due(now, state.wanted)
}

fn answer(response: Response) -> Answer {
    let Response { status, headers, body } = response;
    Answer { status, headers, body }
}

fn unreachable_fault(error: &OutsideError) -> Fault {
    Fault::new(fault::Kind::Unavailable, error.to_string())
        .hint("look at the network, and at `[github]` in config.toml")
}

fn secrets_fault(error: &SecretsError) -> Fault {
    Fault::new(fault::Kind::Conflict, error.to_string()).hint("nothing was changed")
}

/// Writes beside and renames, so that a crash leaves the old one; what is lost here is read again.
fn keep(file: &Path, memory: &Memory) {
    let beside = file.with_extension("tmp");
    let text = serde_json::to_vec(memory).unwrap_or_default();
    let kept = std::fs::write(&beside, text).and_then(|()| std::fs::rename(&beside, file));
    if let Err(error) = kept {
        tracing::debug!(%error, "how far GitHub was read is not remembered; it is read again after a restart");
    }
}
