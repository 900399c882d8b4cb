//! The life of the process: lock, open, listen, one loop, drain.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use clone_schema::{Fault, Position};
use notify::{RecursiveMode, Watcher};
use tokio::sync::watch;

use crate::clock;
use crate::config::Config;
use crate::derive::{Derive, DeriveError, Wake};
use crate::engine::{Engine, Parts};
use crate::env::Env;
use crate::failure::Failure;
use crate::index::Index;
use crate::log::{self, Log, LogError, Options};
use crate::paths::Paths;
use crate::serve::{self, Handler};
use crate::state::{self, Mend, State};

/// Reasons to wake that may wait; more are folded into those.
const WAKES_MAX: usize = 1024;
/// Calls that may be answered at once: an append waits on one of these threads for its commit, and who waits together is
/// written together.
const ANSWERING: usize = 128;
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
    let (log, recovery) = open_log(paths, &config, &wake)?;
    let (index, derive) = open_derived(paths, &log)?;
    let (http_wanted, http) = watch::channel(env.daemon_port.is_some());
    let engine = Arc::new(Engine::new(Parts {
        log: log.clone(),
        index,
        view: derive.view(),
        wake: wake.clone(),
        config,
        paths: paths.clone(),
        recovery,
        key_made: Box::new(move || {
            http_wanted.send_replace(true);
        }),
    }));
    let _watcher = watch_vault(&paths.vault, &wake);
    let looping = thread::Builder::new().name("derive".to_owned()).spawn(move || derive_or_end(derive, &wakes));
    let looping = looping.map_err(Failure::new)?;
    let served = serve_until_told(env, paths, &engine, http);
    let _ended = wake.send(Wake::Shutdown);
    let _joined = looping.join();
    log.close().map_err(Failure::new)?;
    served
}

/// Runs the loop; should it break, the process ends and is started anew rather than answer from a broken view.
fn derive_or_end(derive: Derive, wakes: &Receiver<Wake>) {
    let run = std::panic::AssertUnwindSafe(|| derive.run(wakes));
    if std::panic::catch_unwind(run).is_err() {
        tracing::error!(
            "the derive loop broke; nothing acked is lost; ending so that a supervisor starts the daemon anew"
        );
        std::process::exit(i32::from(crate::failure::exit::INTERNAL));
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

fn open_log(paths: &Paths, config: &Config, wake: &SyncSender<Wake>) -> Result<(Log, crate::log::Recovery), Failure> {
    let wake = wake.clone();
    let options = Options {
        home_id: blake3::hash(paths.log.as_os_str().as_encoded_bytes()).to_hex()[..16].to_owned(),
        // A full channel holds reasons enough to wake.
        wake: Some(Box::new(move |_head: Position| drop(wake.try_send(Wake::Appended)))),
        roll_bytes: log::ROLL_BYTES,
        queue: log::QUEUE,
        low_water: config.log.low_water(disk_size(paths.log.parent().unwrap_or(&paths.log))),
        now: clock::now,
    };
    Log::open(&paths.log, options).map_err(|error| match error {
        LogError::Locked { .. } => Failure::new(error).hint("one daemon per home: stop that one first, or use it"),
        _ => Failure::new(error),
    })
}

/// Opens what is derived; a state that is damaged, or does not fit the log, is set aside and folded anew.
fn open_derived(paths: &Paths, log: &Log) -> Result<(Arc<Index>, Derive), Failure> {
    let state = open_state(paths)?;
    let index = Arc::new(Index::open(&paths.index).map_err(Failure::new)?);
    let derive = match Derive::open(log.clone(), state, index.clone(), &paths.vault) {
        Err(DeriveError::State(error)) if error.mend() == Mend::Rebuild => {
            state::set_aside(&paths.state, &error).map_err(Failure::new)?;
            Derive::open(log.clone(), open_state(paths)?, index.clone(), &paths.vault)
        }
        opened => opened,
    };
    Ok((index, derive.map_err(Failure::new)?))
}

fn open_state(paths: &Paths) -> Result<(State, bool), Failure> {
    State::open(&paths.state).map_err(|error| match error {
        state::StateError::Held(_) => Failure::new(error).hint("another daemon runs in this home"),
        _ => Failure::new(error),
    })
}

/// Watches the vault; where that is not possible, the loop still looks at every tick.
fn watch_vault(vault: &Path, wake: &SyncSender<Wake>) -> Option<notify::RecommendedWatcher> {
    let wake = wake.clone();
    let changed = move |event: notify::Result<notify::Event>| {
        // Our own reads come back as events; acting on them would never end.
        if !event.is_ok_and(|event| event.kind.is_access()) {
            drop(wake.try_send(Wake::VaultChanged));
        }
    };
    let watcher = notify::recommended_watcher(changed).and_then(|mut watcher| {
        watcher.watch(vault, RecursiveMode::Recursive)?;
        Ok(watcher)
    });
    watcher.inspect_err(|error| tracing::warn!(%error, "the vault is not watched; it is looked at now and then")).ok()
}

fn serve_until_told(
    env: &Env,
    paths: &Paths,
    engine: &Arc<Engine>,
    http: watch::Receiver<bool>,
) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(ANSWERING)
        .enable_all()
        .build()
        .map_err(Failure::new)?;
    runtime.block_on(serving(env, paths, engine, http))
}

async fn serving(env: &Env, paths: &Paths, engine: &Arc<Engine>, http: watch::Receiver<bool>) -> Result<(), Failure> {
    let (stop, stopping) = watch::channel(false);
    let listener = serve::bind::bind_unix(&paths.socket).map_err(|error| {
        Failure::new(error).hint("the socket lies in the runtime folder of this user, or under CLONE_HOME")
    })?;
    let router = serve::router(handler(engine), serve::Door::Socket);
    let socket = tokio::spawn(serve::unix(listener, router, stopping.clone()));
    let wanted = *http.borrow() || engine.has_keys();
    let tcp = tokio::spawn(tcp(env.clone(), engine.clone(), http, wanted, stopping));
    ready(env);
    told_to_end().await;
    let _sent = stop.send(true);
    let _ended = socket.await;
    let _ended = tcp.await;
    let _gone = std::fs::remove_file(&paths.socket);
    Ok(())
}

/// Opens the HTTP door once it is wanted; a busy port is a problem in `status`, not a failed start.
async fn tcp(
    env: Env,
    engine: Arc<Engine>,
    mut http: watch::Receiver<bool>,
    wanted: bool,
    mut stop: watch::Receiver<bool>,
) {
    if !wanted {
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
            let router = serve::router(handler(&engine), serve::Door::Tcp { port: address.port() });
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
fn handler(engine: &Arc<Engine>) -> Handler {
    let (caller, checker) = (engine.clone(), engine.clone());
    Handler {
        call: Arc::new(move |call| {
            let engine = caller.clone();
            Box::pin(async move {
                let answered = tokio::task::spawn_blocking(move || engine.call(&call)).await;
                answered.unwrap_or_else(|_| Err(Fault::internal("the operation broke; the daemon goes on")))
            })
        }),
        authenticate: Arc::new(move |key| checker.authenticate(key)),
    }
}

async fn told_to_end() {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut term), Ok(mut int)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt())) else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = term.recv() => {}
        _ = int.recv() => {}
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
