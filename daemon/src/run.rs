//! The life of the process: lock, open the log, listen; load what is derived, one loop; drain.
//!
//! The door opens with the log: events are recorded, and `health` and `status` answer, while everything derived is loaded
//! on the thread that will run the loop. Whatever needs it waits for that, a while.

mod following;
mod github;

use std::collections::BTreeMap;
use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use clone_schema::memory::SoulTokens;
use clone_schema::{Fault, Position};
use notify::{RecursiveMode, Watcher};
use tokio::sync::watch;

use crate::clock;
use crate::config::{Config, Keep};
use crate::derive::progress::Progress;
use crate::derive::{Derive, DeriveError, Wake, forget};
use crate::engine::{Engine, Parts};
use crate::env::Env;
use crate::failure::Failure;
use crate::index::Index;
use crate::log::{Log, LogError, Options};
use crate::paths::Paths;
use crate::serve::{self, Handler};
use crate::state::{self, Mend, State, StateError};
use following::Following;
use github::Github;

/// Reasons to wake that may wait; more are folded into those.
const WAKES_MAX: usize = 1024;
/// Calls that may be answered at once: an append waits on one of these threads for its commit, and who waits together is
/// written together.
const ANSWERING: usize = 128;
/// How long a call waits for what is derived, before it is told to try again.
const LOADING_PATIENCE: Duration = Duration::from_secs(20);
/// The port of the HTTP door where nobody names one.
const PORT: u16 = 8001;
/// The address of the HTTP door where nobody names one.
const HOST: &str = "127.0.0.1";

/// Runs the daemon of this home until it is told to end.
///
/// # Errors
///
/// The settings are wrong, another daemon holds this home, or a place cannot be used; nothing was changed then.
pub fn daemon(env: &Env, paths: &Paths) -> Result<(), Failure> {
    tell(env);
    outlive_file_limits()?;
    let config = Config::read(&paths.config)
        .map_err(|error| Failure::new(error).hint("mend the file, or move it away to run with the defaults"))?;
    port(env)?;
    for dir in [paths.log.parent(), Some(paths.state_dir.as_path())].into_iter().flatten() {
        private(dir)?;
    }
    let (wake, wakes) = sync_channel(WAKES_MAX);
    let (grown, head) = watch::channel(Position(0));
    let log = open_log(paths, &config, &wake, grown.clone())?;
    grown.send_replace(log.head());
    let (http_wanted, http) = watch::channel(env.daemon_port.is_some());
    let (progress, rules) = (Arc::new(Progress::default()), config.retention.clone());
    let soul_tokens = config.memory.soul_tokens;
    let engine = Arc::new(Engine::new(Parts {
        log: log.clone(),
        progress: progress.clone(),
        wake: wake.clone(),
        config,
        paths: paths.clone(),
        key_made: Box::new(move || {
            http_wanted.send_replace(true);
        }),
    }));
    let (stage, stages) = watch::channel(Stage::Loading);
    let deriving = Deriving {
        paths: paths.clone(),
        rules,
        log: log.clone(),
        engine: engine.clone(),
        progress,
        stage,
        soul_tokens,
    };
    let (waker, named) = (wake.clone(), thread::Builder::new().name("derive".to_owned()));
    let looping = named.spawn(move || deriving.run_or_end(&waker, &wakes)).map_err(Failure::new)?;
    let following = Following::start(env, paths, &engine).map_err(Failure::new)?;
    let github = Github::start(&engine).map_err(Failure::new)?;
    let served = serve_until_told(env, paths, &engine, http, (&stages, head));
    github.end();
    following.end();
    // What is still being loaded holds nothing that the next start would miss, and may take long: it is left where it is.
    let derived = if *stages.borrow() == Stage::Loading {
        Ok(())
    } else {
        let _ended = wake.send(Wake::Shutdown);
        looping.join().unwrap_or(Ok(()))
    };
    log.close().map_err(Failure::new)?;
    derived.and(served)
}

/// How far the derived side of a start is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Events are recorded; whatever needs more than the log waits.
    Loading,
    /// Everything answers.
    Loaded,
    /// It cannot be opened; the daemon ends.
    Failed,
}

/// The life of the derived side, on a thread of its own.
struct Deriving {
    paths: Paths,
    rules: BTreeMap<String, Keep>,
    log: Log,
    engine: Arc<Engine>,
    progress: Arc<Progress>,
    stage: watch::Sender<Stage>,
    soul_tokens: SoulTokens,
}

impl Deriving {
    /// Loads and then runs the loop; should it break, the process ends and is started anew rather than answer from a broken
    /// view.
    fn run_or_end(self, wake: &SyncSender<Wake>, wakes: &Receiver<Wake>) -> Result<(), Failure> {
        let run = std::panic::AssertUnwindSafe(|| self.run(wake, wakes));
        std::panic::catch_unwind(run).unwrap_or_else(|_| {
            tracing::error!(
                "the derive loop broke; nothing acked is lost; ending so that a supervisor starts the daemon anew"
            );
            std::process::exit(i32::from(crate::failure::exit::INTERNAL))
        })
    }

    fn run(self, wake: &SyncSender<Wake>, wakes: &Receiver<Wake>) -> Result<(), Failure> {
        let started = Instant::now();
        let opened = open_derived(&self.paths, &self.log, &self.progress, self.soul_tokens);
        let (index, derive) = opened.inspect_err(|_| _ = self.stage.send_replace(Stage::Failed))?;
        self.engine.loaded(index, derive.view());
        self.stage.send_replace(Stage::Loaded);
        tracing::info!(ms = started.elapsed().as_millis(), "everything derived is loaded");
        let _watcher = watch_vault(&self.paths.vault, wake, &self.engine);
        derive.keeping(self.rules).run(wakes);
        Ok(())
    }
}

/// Where messages of the daemon go: standard error, `info` and above unless asked otherwise.
fn tell(env: &Env) {
    let filter = env.log_filter.as_deref().unwrap_or("info");
    let filter = tracing_subscriber::EnvFilter::try_new(filter).unwrap_or_else(|_| "info".into());
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let _already_set =
        builder.with_ansi(!env.no_color && std::io::IsTerminal::is_terminal(&std::io::stderr())).try_init();
}

/// The port of the HTTP door; a wrong one stops the start, because a door elsewhere than asked is no door.
fn port(env: &Env) -> Result<u16, Failure> {
    let Some(port) = env.daemon_port.as_deref() else { return Ok(PORT) };
    let hint = "give a number from 0 (any free port) to 65535, or unset it";
    port.parse().map_err(|_| Failure::usage(format!("`CLONE_DAEMON_PORT` is not a port: `{port}`")).hint(hint))
}

fn private(dir: &Path) -> Result<(), Failure> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(dir);
    made.map_err(|error| Failure::new(format!("cannot make `{}`: {error}", dir.display())))
}

/// A limit on the size of files would end the process with SIGXFSZ; handled, the write that meets it fails instead.
fn outlive_file_limits() -> Result<(), Failure> {
    let met = Arc::new(std::sync::atomic::AtomicBool::new(false));
    signal_hook::flag::register(signal_hook::consts::SIGXFSZ, met).map(drop).map_err(Failure::new)
}

/// The size of the disk that this folder lies on, in bytes; where it cannot be told, no mark is too high for it.
fn disk_size(dir: &Path) -> u64 {
    rustix::fs::statvfs(dir).map_or(u64::MAX, |stat| stat.f_blocks.saturating_mul(stat.f_frsize))
}

fn open_log(
    paths: &Paths,
    config: &Config,
    wake: &SyncSender<Wake>,
    grown: watch::Sender<Position>,
) -> Result<Log, Failure> {
    let wake = wake.clone();
    let home = blake3::hash(paths.log.as_os_str().as_encoded_bytes()).to_hex()[..16].to_owned();
    let mut options = Options::new(home, clock::now);
    // A full channel holds reasons enough to wake.
    options.wake = Some(Box::new(move |head| {
        grown.send_replace(head);
        drop(wake.try_send(Wake::Appended));
    }));
    options.low_water = config.log.low_water(disk_size(paths.log.parent().unwrap_or(&paths.log)));
    Log::open(&paths.log, options).map(|(log, _)| log).map_err(|error| match error {
        LogError::Locked { .. } => Failure::new(error).hint("one daemon per home: stop that one first, or use it"),
        _ => Failure::new(error),
    })
}

/// Opens what is derived; a state that is damaged, or does not fit the log, is set aside and folded anew.
fn open_derived(
    paths: &Paths,
    log: &Log,
    progress: &Progress,
    soul_tokens: SoulTokens,
) -> Result<(Arc<Index>, Derive), Failure> {
    forget::resume(log, paths).map_err(Failure::new)?;
    let mut state = open_state(paths)?;
    if log.is_lost() && !state.1 {
        drop(state);
        state::set_aside(&paths.state, &StateError::Tombless).map_err(Failure::new)?;
        state = open_state(paths)?;
    }
    let index = Arc::new(Index::open(&paths.index).map_err(Failure::new)?);
    let derive = match Derive::open(log.clone(), state, index.clone(), paths, progress, soul_tokens) {
        Err(DeriveError::State(error)) if error.mend() == Mend::Rebuild => {
            state::set_aside(&paths.state, &error).map_err(Failure::new)?;
            Derive::open(log.clone(), open_state(paths)?, index.clone(), paths, progress, soul_tokens)
        }
        opened => opened,
    };
    Ok((index, derive.map_err(Failure::new)?))
}

fn open_state(paths: &Paths) -> Result<(State, bool), Failure> {
    State::open(&paths.state).map_err(|error| match error {
        StateError::Held(_) => Failure::new(error).hint("another daemon runs in this home"),
        _ => Failure::new(error),
    })
}

/// Watches the vault; where that is not possible, the loop still looks at every tick, and `status` says so.
fn watch_vault(vault: &Path, wake: &SyncSender<Wake>, engine: &Arc<Engine>) -> Option<notify::RecommendedWatcher> {
    let (wake, told) = (wake.clone(), engine.clone());
    let changed = move |event: notify::Result<notify::Event>| {
        if let Err(error) = &event {
            not_watched(&told, error);
        }
        // Our own reads come back as events; acting on them would never end.
        if !event.is_ok_and(|event| event.kind.is_access()) {
            drop(wake.try_send(Wake::VaultChanged));
        }
    };
    let watcher = notify::recommended_watcher(changed).and_then(|mut watcher| {
        watcher.watch(vault, RecursiveMode::Recursive)?;
        Ok(watcher)
    });
    watcher.inspect_err(|error| not_watched(engine, error)).ok()
}

fn not_watched(engine: &Engine, error: &notify::Error) {
    tracing::warn!(%error, "the vault is not watched; it is looked at now and then");
    let why = "the vault, or a part of it, is not watched, and is looked at every 30 seconds instead";
    let mend = "raise fs.inotify.max_user_watches and max_user_instances, then restart the daemon";
    engine.trouble("watch", &format!("{why}: {error}; {mend}"));
}

fn serve_until_told(
    env: &Env,
    paths: &Paths,
    engine: &Arc<Engine>,
    http: watch::Receiver<bool>,
    (stages, head): (&watch::Receiver<Stage>, watch::Receiver<Position>),
) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(ANSWERING)
        .enable_all()
        .build()
        .map_err(Failure::new)?;
    runtime.block_on(serving(env, paths, engine, http, (stages.clone(), head)))
}

async fn serving(
    env: &Env,
    paths: &Paths,
    engine: &Arc<Engine>,
    http: watch::Receiver<bool>,
    (mut stages, head): (watch::Receiver<Stage>, watch::Receiver<Position>),
) -> Result<(), Failure> {
    let (stop, stopping) = watch::channel(false);
    let handler = handler(engine, &stages, serve::Feed::new(head, stopping.clone()));
    let listener = serve::bind::bind_unix(&paths.socket).map_err(|error| {
        Failure::new(error).hint("the socket lies in the runtime folder of this user, or under CLONE_HOME")
    })?;
    let router = serve::router(handler.clone(), serve::Door::Socket);
    let socket = tokio::spawn(serve::unix(listener, router, stopping.clone()));
    let tcp = tokio::spawn(tcp(env.clone(), engine.clone(), handler, http, stages.clone(), stopping));
    let told = told_to_end();
    ready(env);
    tokio::select! {
        () = told => {}
        _ = reached(&mut stages, |stage| stage == Stage::Failed) => {}
    }
    let _sent = stop.send(true);
    let _ended = socket.await;
    let _ended = tcp.await;
    let _gone = std::fs::remove_file(&paths.socket);
    Ok(())
}

/// Opens the HTTP door once it is wanted; a busy port is a problem in `status`, not a failed start.
///
/// Keys are derived: until they are loaded nobody could be told from a stranger, so it stays shut.
async fn tcp(
    env: Env,
    engine: Arc<Engine>,
    handler: Handler,
    mut http: watch::Receiver<bool>,
    mut stages: watch::Receiver<Stage>,
    mut stop: watch::Receiver<bool>,
) {
    tokio::select! {
        loaded = reached(&mut stages, |stage| stage == Stage::Loaded) => if !loaded { return },
        _ = stop.changed() => return,
    }
    if !*http.borrow() && !engine.has_keys() {
        tokio::select! {
            changed = http.changed() => if changed.is_err() { return },
            _ = stop.changed() => return,
        }
    }
    let port = port(&env).unwrap_or(PORT);
    let host = env.daemon_host.as_deref().unwrap_or(HOST);
    match serve::bind::bind_tcp(host, port).await {
        Ok((listener, warning)) => {
            if let Some(warning) = warning {
                tracing::warn!("{warning}");
            }
            let Ok(address) = listener.local_addr() else { return };
            tracing::info!(%address, "the HTTP door is open");
            engine.opened_http(Some(format!("http://{address}")));
            let router = serve::router(handler, serve::Door::Tcp { port: address.port() });
            serve::tcp(listener, router, stop).await;
        }
        Err(error) => {
            tracing::warn!(%error, "the HTTP door stays shut");
            engine.opened_http(Some(format!("shut: {error}")));
            engine
                .trouble("http", &format!("the HTTP door stays shut: {error}; free the port or set CLONE_DAEMON_PORT"));
        }
    }
}

/// The engine as the doors see it: every call on a thread where it may block.
///
/// Who waits for what is derived waits here, where that costs no such thread: events must find one meanwhile.
fn handler(engine: &Arc<Engine>, stages: &watch::Receiver<Stage>, feed: serve::Feed) -> Handler {
    let (caller, checker, stages) = (engine.clone(), engine.clone(), stages.clone());
    Handler {
        call: Arc::new(move |call| {
            let (engine, mut stages) = (caller.clone(), stages.clone());
            Box::pin(async move {
                if Engine::waits_for_derived(call.operation) {
                    // Too late, the engine says so itself.
                    let loaded = reached(&mut stages, |stage| stage != Stage::Loading);
                    let _late = tokio::time::timeout(LOADING_PATIENCE, loaded).await;
                }
                let answered = tokio::task::spawn_blocking(move || engine.call(&call)).await;
                answered.unwrap_or_else(|_| Err(Fault::internal("the operation broke; the daemon goes on")))
            })
        }),
        authenticate: Arc::new(move |key| checker.authenticate(key)),
        feed,
    }
}

/// Waits for a stage; says whether it came, which it cannot once the derived side is gone.
async fn reached(stages: &mut watch::Receiver<Stage>, is: impl Fn(Stage) -> bool) -> bool {
    stages.wait_for(|stage| is(*stage)).await.is_ok()
}

/// Listens from the call on, so that who is told to end right after being ready ends in order.
fn told_to_end() -> impl Future<Output = ()> {
    use tokio::signal::unix::{SignalKind, signal};
    let signals = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()));
    async move {
        let (Ok(mut term), Ok(mut int)) = signals else { return std::future::pending().await };
        tokio::select! {
            _ = term.recv() => {}
            _ = int.recv() => {}
        }
    }
}

/// Tells systemd that the daemon is ready, where it waits for that.
fn ready(env: &Env) {
    tracing::info!("ready");
    if let Some(path) = env.notify_socket.as_deref().filter(|path| path.starts_with('/'))
        && let Ok(socket) = std::os::unix::net::UnixDatagram::unbound()
    {
        let _told = socket.send_to(b"READY=1", path);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::RwLock;

    use clone_schema::api;
    use serde_json::{Value, json};

    use super::*;
    use crate::derive::view::View;
    use crate::serve::{Answer, Call, Caller};

    /// A daemon whose derived side is still being loaded.
    struct Home {
        dir: tempfile::TempDir,
        engine: Arc<Engine>,
        stage: watch::Sender<Stage>,
        handler: Handler,
    }

    impl Home {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            let paths = Paths::under(dir.path());
            let (wake, _wakes) = sync_channel(WAKES_MAX);
            let log = open_log(&paths, &Config::default(), &wake, watch::channel(Position(0)).0).unwrap();
            let progress = Arc::new(Progress::default());
            progress.at("lessons", 0);
            let config = Config::default();
            let parts = Parts { log, progress, wake, config, paths, key_made: Box::new(|| {}) };
            let engine = Arc::new(Engine::new(parts));
            let (stage, stages) = watch::channel(Stage::Loading);
            let feed = serve::Feed::new(watch::channel(Position(0)).1, watch::channel(false).1);
            let handler = handler(&engine, &stages, feed);
            Self { dir, engine, stage, handler }
        }

        fn call(&self, name: &str, body: &Value) -> Answer {
            let operation = api::find(name).unwrap();
            let body = axum::body::Bytes::from(body.to_string());
            (self.handler.call)(Call { operation, id: None, query: [].into(), body, caller: Caller::Owner })
        }

        async fn json(&self, name: &str) -> Value {
            let reply = self.call(name, &json!({})).await.unwrap();
            serde_json::from_str(&reply.body).unwrap()
        }

        fn load(&self) {
            let index = Arc::new(Index::open(&self.dir.path().join("index")).unwrap());
            self.engine.loaded(index, Arc::new(RwLock::new(View::default())));
            self.stage.send_replace(Stage::Loaded);
        }
    }

    fn event() -> Value {
        json!([{
            "id": "e1", "session_id": "s", "occurred_at": "2026-01-01T00:00:00Z", "source": "agent",
            "type": "agent.prompt", "agent": "A", "prompt": "go on",
        }])
    }

    #[tokio::test]
    async fn while_it_loads_events_are_recorded_and_status_says_how_far_it_is() {
        let home = Home::new();
        assert_eq!(home.json("health").await["status"], "ok");
        assert_eq!(home.call("events_ingest", &event()).await.unwrap().status, 201);
        let status = home.json("status").await;
        assert_eq!(status["loading"], json!({"step": "lessons", "position": 0, "of": 1}));
        assert_eq!((&status["counts"], &status["log"]["events"]), (&Value::Null, &json!(1)));
        home.load();
        let status = home.json("status").await;
        assert_eq!((&status["loading"], &status["counts"]["facts"]), (&Value::Null, &json!(0)));
    }

    #[tokio::test]
    async fn who_needs_more_than_the_log_waits_until_it_is_loaded() {
        let home = Home::new();
        let mut asked: Vec<Answer> = (0..100).map(|_| home.call("facts_list", &json!({}))).collect();
        for answer in &mut asked {
            tokio::select! {
                biased;
                early = answer => panic!("an answer from nothing: {early:?}"),
                () = tokio::task::yield_now() => {}
            }
        }
        // However many wait, events find a thread.
        assert_eq!(home.call("events_ingest", &event()).await.unwrap().status, 201);
        home.load();
        for answer in asked {
            assert_eq!(answer.await.unwrap().body, "[]");
        }
    }

    #[test]
    fn what_comes_too_early_is_refused_and_never_answered_from_a_part() {
        let home = Home::new();
        for operation in api::OPERATIONS.iter().filter(|operation| Engine::waits_for_derived(operation)) {
            let call = Call {
                operation,
                id: Some("x".to_owned()),
                query: [].into(),
                body: axum::body::Bytes::from_static(b"{}"),
                caller: Caller::Owner,
            };
            match (operation.name, home.engine.call(&call)) {
                ("doctor", Ok(reply)) => assert!(reply.body.contains("still loading"), "{}", reply.body),
                (name, outcome) => {
                    let fault = outcome.expect_err(name);
                    assert_eq!(fault.kind, clone_schema::fault::Kind::Unavailable, "{name}: {fault}");
                }
            }
        }
    }
}
