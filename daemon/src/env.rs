//! The one place where the environment is read; every variable that Clone knows, with what it does.

use std::path::PathBuf;

/// What the environment says, read once.
///
/// Provider keys are never read from the environment.
#[derive(Clone, Debug, Default)]
pub struct Env {
    /// `CLONE_HOME`: one folder for everything, for demos, tests and second homes.
    pub clone_home: Option<PathBuf>,
    /// `CLONE_DAEMON_HOST`: the loopback address of the HTTP door; anything else is coerced with a warning.
    pub daemon_host: Option<String>,
    /// `CLONE_DAEMON_PORT`: opens the HTTP door on this port; 0 takes any free one.
    pub daemon_port: Option<String>,
    /// `CLONE_API_URL`: makes clients go over HTTP instead of the socket.
    pub api_url: Option<String>,
    /// `CLONE_API_TOKEN`: the key that those clients present.
    pub api_token: Option<String>,
    /// `CLONE_LOG_FILTER`: what the daemon tells on standard error, such as `debug` or `clone_daemon::log=trace`.
    pub log_filter: Option<String>,
    /// `NO_COLOR`: no colour even on a terminal.
    pub no_color: bool,
    /// `NOTIFY_SOCKET`: where systemd waits to hear that the daemon is ready.
    pub notify_socket: Option<String>,
    /// `VISUAL`, else `EDITOR`: what `clone memory edit` opens a note with.
    pub editor: Option<String>,
    /// `HOME`.
    pub home: Option<PathBuf>,
    /// `XDG_CONFIG_HOME`.
    pub xdg_config: Option<PathBuf>,
    /// `XDG_DATA_HOME`.
    pub xdg_data: Option<PathBuf>,
    /// `XDG_STATE_HOME`.
    pub xdg_state: Option<PathBuf>,
    /// `XDG_RUNTIME_DIR`.
    pub xdg_runtime: Option<PathBuf>,
    /// `CLAUDE_CONFIG_DIR`: where Claude Code keeps its transcripts, when not in `~/.claude`.
    pub claude_config: Option<PathBuf>,
    /// `CODEX_HOME`: where Codex keeps its own, when not in `~/.codex`.
    pub codex_home: Option<PathBuf>,
    /// `GEMINI_CLI_HOME`: the folder that holds `.gemini`, when not the home.
    pub gemini_home: Option<PathBuf>,
    /// `ZDOTDIR`: where zsh keeps its start files, when not in the home.
    pub zdotdir: Option<PathBuf>,
    /// `SHELL`: the person's shell.
    pub shell: Option<String>,
}

impl Env {
    /// Reads the environment of this process; an empty variable counts as unset.
    #[must_use]
    pub fn read() -> Self {
        Self {
            clone_home: path("CLONE_HOME"),
            daemon_host: text("CLONE_DAEMON_HOST"),
            daemon_port: text("CLONE_DAEMON_PORT"),
            api_url: text("CLONE_API_URL"),
            api_token: text("CLONE_API_TOKEN"),
            log_filter: text("CLONE_LOG_FILTER"),
            no_color: text("NO_COLOR").is_some(),
            notify_socket: text("NOTIFY_SOCKET"),
            editor: text("VISUAL").or_else(|| text("EDITOR")),
            home: path("HOME"),
            xdg_config: path("XDG_CONFIG_HOME"),
            xdg_data: path("XDG_DATA_HOME"),
            xdg_state: path("XDG_STATE_HOME"),
            xdg_runtime: path("XDG_RUNTIME_DIR"),
            claude_config: path("CLAUDE_CONFIG_DIR"),
            codex_home: path("CODEX_HOME"),
            gemini_home: path("GEMINI_CLI_HOME"),
            zdotdir: path("ZDOTDIR"),
            shell: text("SHELL"),
        }
    }
}

fn text(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

fn path(name: &str) -> Option<PathBuf> {
    std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}
