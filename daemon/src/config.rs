//! The settings that a person keeps in `config.toml`; a missing file means the defaults.

use std::collections::BTreeMap;
use std::path::Path;

use clone_schema::memory::SoulTokens;
use clone_schema::prediction::{Mute, Policy};
use serde::{Deserialize, Serialize};

use crate::outside::Base;
use crate::secrets::Store;

/// Everything that can be set in the file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// How predictions are decided.
    pub predict: Predict,
    /// Where nothing is ever automatic.
    pub mute: Mute,
    /// What imports pass over.
    pub import: Import,
    /// Which agents are followed.
    pub follow: Follow,
    /// How what is known is told.
    pub memory: Memory,
    /// How the log is kept.
    pub log: Log,
    /// Where GitHub is.
    pub github: Github,
    /// Where tokens are kept.
    pub secrets: Secrets,
    /// How much of a topic is kept, by its name; all of every topic that is not named.
    pub retention: BTreeMap<String, Keep>,
}

/// `[retention."agent.response"]`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Keep {
    /// What happened more days ago is forgotten.
    pub max_days: Option<u32>,
    /// Of more MiB, as JSON, the oldest are forgotten.
    pub max_mb: Option<u32>,
}

/// `[predict]`
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Predict {
    /// `strict` (the default) or `standard`, also written `gate`: how far the lower bound lies below the estimate.
    #[serde(alias = "gate")]
    pub policy: Policy,
}

/// `[import]`
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Import {
    /// Projects whose sessions are never imported, by a part of their path.
    pub exclude: Vec<String>,
}

/// `[follow]`
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Follow {
    /// Agents whose transcripts are recorded as they grow: `claude-code`, `codex`, `gemini`; none by default.
    ///
    /// `clone source follow` and `clone source disconnect` win over this once they were used.
    pub agents: Vec<String>,
}

/// `[memory]`
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Memory {
    /// The most tokens that `soul.md` takes: 50 to 10,000, 600 by default.
    pub soul_tokens: SoulTokens,
}

/// `[github]`; nothing is asked there before `clone source connect github`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Github {
    /// Its REST API; `https://HOST/api/v3` where a company runs its own.
    pub api: Base,
    /// Where a person signs in; `https://HOST` where a company runs its own.
    pub web: Base,
    /// The id of the OAuth app that the device flow connects with; without one, only a token does.
    pub client_id: Option<String>,
    /// What the device flow asks for: `read:user` sees what is public, `repo` what is private as well.
    pub scopes: String,
}

impl Default for Github {
    fn default() -> Self {
        let base = |text: &str| Base::try_from(text.to_owned());
        let (Ok(api), Ok(web)) = (base("https://api.github.com"), base("https://github.com")) else { unreachable!() };
        Self { api, web, client_id: None, scopes: "read:user".to_owned() }
    }
}

/// `[secrets]`
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Secrets {
    /// `auto` (the default), `keychain` or `file`.
    pub store: Store,
}

/// `[log]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    /// Below so many free MiB on the disk nothing is recorded; 0 turns the mark off.
    ///
    /// On a small disk the mark is one twentieth of it, should that be less.
    pub low_water_mb: u32,
}

impl Default for Log {
    fn default() -> Self {
        Self { low_water_mb: 256 }
    }
}

impl Log {
    /// The mark in bytes on a disk of this size.
    #[must_use]
    pub fn low_water(&self, disk: u64) -> u64 {
        (u64::from(self.low_water_mb) << 20).min(disk / 20)
    }
}

/// Why the settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file exists but cannot be read.
    #[error("cannot read `{path}`: {source}")]
    Read {
        /// The file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not what it should be; the message names line, column and key.
    #[error("`{path}` is not valid: {message}")]
    Parse {
        /// The file.
        path: String,
        /// Where and what.
        message: String,
    },
}

impl Config {
    /// Reads the file; a missing one gives the defaults.
    ///
    /// # Errors
    ///
    /// The file cannot be read, or holds an unknown key or a wrong value; the daemon does not start on a guess.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let name = || path.display().to_string();
        match std::fs::read_to_string(path) {
            Ok(text) => Self::parse(&text).map_err(|message| ConfigError::Parse { path: name(), message }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(source) => Err(ConfigError::Read { path: name(), source }),
        }
    }

    fn parse(text: &str) -> Result<Self, String> {
        let config: Self = toml::from_str(text).map_err(|error| {
            let line =
                error.span().map_or(1, |span| text.bytes().take(span.start).filter(|byte| *byte == b'\n').count() + 1);
            format!("line {line}: {}", error.message().trim_end().replace('\n', ", "))
        })?;
        // A rule for a topic that nobody has would keep everything and look as if it did not.
        if let Some(topic) = config.retention.keys().find(|topic| !may_go(topic)) {
            return Err(format!(
                "`[retention]` names `{topic}`, which is no topic that can be forgotten; see `clone events --help`"
            ));
        }
        Ok(config)
    }
}

/// Whether a rule may be about this topic: what happened, and what was predicted of it or noted down.
fn may_go(topic: &str) -> bool {
    let found = clone_schema::topic::find(topic);
    found.is_some_and(|(_, topic)| topic.wire) || ["prediction.made", "memory.noted"].contains(&topic)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_settings_and_refusals() {
        assert_eq!(Config::parse("").unwrap(), Config::default());
        assert_eq!(Config::parse("[predict]\ngate = \"standard\"").unwrap().predict.policy, Policy::Standard);
        assert_eq!(Config::parse("[predict]\npolicy = \"standard\"").unwrap().predict.policy, Policy::Standard);
        let muted = Config::parse("[mute]\nagents = [\"Codex\"]\nhours = [\"22-7\"]").unwrap().mute;
        assert_eq!((muted.agents.len(), muted.hours.len()), (1, 1));
        assert!(Config::parse("[mute]\nhours = [\"25-7\"]").unwrap_err().starts_with("line 2:"));
        assert!(Config::parse("[predict]\ngates = 1").unwrap_err().contains("gates"));
        let tokens = |text: &str| Config::parse(text).map(|config| config.memory.soul_tokens.get());
        assert_eq!((tokens(""), tokens("[memory]\nsoul_tokens = 900")), (Ok(600), Ok(900)));
        for wrong in ["49", "10001", "-1", "\"many\""] {
            let told = tokens(&format!("[memory]\nsoul_tokens = {wrong}")).unwrap_err();
            assert!(told.starts_with("line 2:"), "{told}");
        }
        let told = Config::parse("[log]\nlow_water_mb = -1").unwrap_err();
        assert!(told.starts_with("line 2:"), "{told}");
        for (text, disk, mark) in [
            ("", 1 << 40, 256 << 20),
            ("", 1 << 30, (1 << 30) / 20),
            ("[log]\nlow_water_mb = 5000", 1 << 40, 5000 << 20),
            ("[log]\nlow_water_mb = 0", 1 << 40, 0),
        ] {
            assert_eq!(Config::parse(text).unwrap().log.low_water(disk), mark, "{text}");
        }
        assert!(Config::parse("nonsense").is_err());
        let kept = Config::parse("[retention.\"agent.response\"]\nmax_days = 30\n").unwrap().retention;
        assert_eq!(kept["agent.response"], Keep { max_days: Some(30), max_mb: None });
        for topic in ["agent.responses", "vault.edited", "key.created"] {
            let told = Config::parse(&format!("[retention.\"{topic}\"]\nmax_mb = 1")).unwrap_err();
            assert!(told.contains(topic), "{told}");
        }
        let github = Config::parse("[github]\napi = \"http://127.0.0.1:1/\"\nclient_id = \"x\"").unwrap().github;
        assert_eq!((github.api.as_str(), github.web.as_str()), ("http://127.0.0.1:1", "https://github.com"));
        assert_eq!(Config::parse("[secrets]\nstore = \"keychain\"").unwrap().secrets.store, Store::Keychain);
        assert!(Config::parse("[secrets]\nstore = \"cloud\"").unwrap_err().starts_with("line 2:"));
        let told = Config::parse("[github]\napi = \"http://api.github.com\"").unwrap_err();
        assert!(told.starts_with("line 2: `http://api.github.com` must be `https://`"), "{told}");
        let told = Config::parse("\n[predict]\ngates = 1").unwrap_err();
        assert!(told.starts_with("line 3: unknown field `gates`") && !told.contains('\n'), "{told}");
    }
}
