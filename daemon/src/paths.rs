//! Where everything lives; the only place that joins a file name to a home.

use std::path::{Path, PathBuf};

use crate::env::Env;

/// The places of one home.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paths {
    /// `config.toml`.
    pub config: PathBuf,
    /// The folder of markdown that the person edits.
    pub vault: PathBuf,
    /// The L0 log.
    pub log: PathBuf,
    /// What the recorder wrote: a windowed cache.
    pub recordings: PathBuf,
    /// The folder that holds everything derived.
    pub state_dir: PathBuf,
    /// `state.redb`.
    pub state: PathBuf,
    /// `model.snapshot`: what the reply model learned.
    pub model: PathBuf,
    /// The tantivy index.
    pub index: PathBuf,
    /// The Unix socket.
    pub socket: PathBuf,
    /// How far followed transcripts were read.
    pub following: PathBuf,
    /// How far GitHub was read.
    pub github: PathBuf,
    /// Tokens of services, sealed; beside the settings.
    pub secrets: PathBuf,
    /// The keys that open them; beside the log.
    pub secrets_keys: PathBuf,
}

/// Why the places of a home cannot be told.
#[derive(Debug, thiserror::Error)]
pub enum PathsError {
    /// Neither `CLONE_HOME` nor `HOME` is set.
    #[error("neither `CLONE_HOME` nor `HOME` is set")]
    NoHome,
    /// A relative home would move with the working directory.
    #[error("`CLONE_HOME` is not an absolute path: `{}`", .0.display())]
    Relative(PathBuf),
}

impl Paths {
    /// The places that this environment names.
    ///
    /// # Errors
    ///
    /// No home at all (set `HOME` or `CLONE_HOME`), or a relative one (make it absolute).
    pub fn of(env: &Env) -> Result<Self, PathsError> {
        match (&env.clone_home, &env.home) {
            (Some(dir), _) if dir.is_absolute() => Ok(Self::under(dir)),
            (Some(dir), _) => Err(PathsError::Relative(dir.clone())),
            (None, Some(home)) => Ok(Self::standard(env, home)),
            (None, None) => Err(PathsError::NoHome),
        }
    }

    /// Everything in one folder.
    #[must_use]
    pub fn under(dir: &Path) -> Self {
        Self {
            config: dir.join("config.toml"),
            vault: dir.join("vault"),
            log: dir.join("log"),
            recordings: dir.join("recordings"),
            state_dir: dir.to_owned(),
            state: dir.join("state.redb"),
            model: dir.join("model.snapshot"),
            index: dir.join("index"),
            socket: dir.join("clone.sock"),
            following: dir.join("following.json"),
            github: dir.join("github.json"),
            secrets: dir.join("secrets.sealed"),
            secrets_keys: dir.join("secrets.keys"),
        }
    }

    /// Whether everything lies in one folder, as a home of its own does: a demo, a test, a second one.
    #[must_use]
    pub fn in_one_folder(&self) -> bool {
        self.config.parent() == Some(&self.state_dir)
    }

    fn standard(env: &Env, home: &Path) -> Self {
        let (config, data, state) = if cfg!(target_os = "macos") {
            let library = home.join("Library");
            let support = library.join("Application Support");
            (support.clone(), support, library.join("Caches"))
        } else {
            (home.join(".config"), home.join(".local/share"), home.join(".local/state"))
        };
        let config = env.xdg_config.clone().unwrap_or(config).join("clone");
        let data = env.xdg_data.clone().unwrap_or(data).join("clone");
        let state = env.xdg_state.clone().unwrap_or(state).join("clone");
        let run = env.xdg_runtime.as_ref().map_or_else(|| state.join("run"), |dir| dir.join("clone"));
        Self {
            config: config.join("config.toml"),
            secrets: config.join("secrets.sealed"),
            vault: home.join("Clone"),
            log: data.join("log"),
            secrets_keys: data.join("secrets.keys"),
            recordings: data.join("recordings"),
            state: state.join("state.redb"),
            model: state.join("model.snapshot"),
            index: state.join("index"),
            following: state.join("following.json"),
            github: state.join("github.json"),
            state_dir: state,
            socket: run.join("clone.sock"),
        }
    }
}

/// The folders in which the agent of this name keeps its transcripts, whether they are there or not.
#[must_use]
pub fn transcripts(env: &Env, agent: &str) -> Vec<PathBuf> {
    let Some(home) = &env.home else { return Vec::new() };
    match agent {
        "claude-code" => match &env.claude_config {
            Some(list) => {
                let list = list.to_string_lossy();
                list.split(',')
                    .map(str::trim)
                    .filter(|dir| !dir.is_empty())
                    .map(|dir| Path::new(dir).join("projects"))
                    .collect()
            }
            None => vec![home.join(".claude/projects"), home.join(".config/claude/projects")],
        },
        "codex" => vec![env.codex_home.clone().unwrap_or_else(|| home.join(".codex")).join("sessions")],
        "gemini" => vec![env.gemini_home.as_ref().unwrap_or(home).join(".gemini/tmp")],
        "copilot" => vec![home.join(".copilot/session-state")],
        _ => Vec::new(),
    }
}

/// The file in which the agent or shell of this name looks for its hooks.
#[must_use]
pub fn hooked(env: &Env, name: &str) -> Option<PathBuf> {
    let home = env.home.as_ref()?;
    Some(match name {
        "claude-code" => match &env.claude_config {
            Some(list) => PathBuf::from(list.to_string_lossy().split(',').next()?.trim()).join("settings.json"),
            None => home.join(".claude/settings.json"),
        },
        "codex" => env.codex_home.clone().unwrap_or_else(|| home.join(".codex")).join("hooks.json"),
        "gemini" => env.gemini_home.as_ref().unwrap_or(home).join(".gemini/settings.json"),
        "bash" => home.join(".bashrc"),
        "zsh" => env.zdotdir.as_ref().unwrap_or(home).join(".zshrc"),
        "fish" => env.xdg_config.clone().unwrap_or_else(|| home.join(".config")).join("fish/conf.d/clone.fish"),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_folder_or_the_standard_places() {
        let env = Env { clone_home: Some("/h".into()), home: Some("/u".into()), ..Env::default() };
        assert_eq!(Paths::of(&env).unwrap().socket, Path::new("/h/clone.sock"));
        let env = Env { home: Some("/u".into()), ..Env::default() };
        let paths = Paths::of(&env).unwrap();
        assert_eq!(paths.vault, Path::new("/u/Clone"));
        assert!(!paths.in_one_folder() && Paths::under(Path::new("/h")).in_one_folder());
        if cfg!(not(target_os = "macos")) {
            assert_eq!(paths.socket, Path::new("/u/.local/state/clone/run/clone.sock"));
        }
    }

    #[test]
    fn refuses_what_would_move() {
        assert!(matches!(Paths::of(&Env::default()), Err(PathsError::NoHome)));
        let env = Env { clone_home: Some("h".into()), ..Env::default() };
        assert!(matches!(Paths::of(&env), Err(PathsError::Relative(_))));
    }
}
