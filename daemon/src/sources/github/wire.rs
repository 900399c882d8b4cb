//! What GitHub's REST API sends, as far as it is read; unknown keys are passed over.

use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// Somebody with an account.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct User {
    pub(super) id: u64,
    pub(super) login: String,
    /// `User`, `Bot` or `Organization`.
    #[serde(default, rename = "type")]
    pub(super) kind: String,
}

/// A repository in a list.
#[derive(Debug, Deserialize)]
pub(super) struct Repository {
    pub(super) id: u64,
    pub(super) full_name: String,
    pub(super) description: Option<String>,
    pub(super) language: Option<String>,
    #[serde(default)]
    pub(super) topics: Vec<String>,
    #[serde(default)]
    pub(super) fork: bool,
    pub(super) created_at: Option<String>,
    pub(super) pushed_at: Option<String>,
}

/// A commit in a list.
#[derive(Debug, Deserialize)]
pub(super) struct Commit {
    pub(super) sha: String,
    pub(super) commit: Inner,
    #[serde(default, deserialize_with = "somebody")]
    pub(super) author: Option<User>,
    #[serde(default, deserialize_with = "somebody")]
    pub(super) committer: Option<User>,
}

/// What git itself holds of a commit.
#[derive(Debug, Deserialize)]
pub(super) struct Inner {
    pub(super) message: String,
    pub(super) author: Option<Signature>,
}

/// Who made a commit, and when.
#[derive(Debug, Deserialize)]
pub(super) struct Signature {
    pub(super) date: Option<String>,
}

/// An issue or a pull request, in a list or among search results.
#[derive(Debug, Deserialize)]
pub(super) struct Issue {
    pub(super) id: u64,
    pub(super) number: u64,
    pub(super) title: String,
    pub(super) body: Option<String>,
    #[serde(default, deserialize_with = "somebody")]
    pub(super) user: Option<User>,
    pub(super) created_at: String,
    pub(super) updated_at: String,
    pub(super) repository_url: String,
    pub(super) pull_request: Option<Value>,
    pub(super) performed_via_github_app: Option<Value>,
}

impl Issue {
    /// `owner/name` of its repository.
    pub(super) fn repository(&self) -> Option<&str> {
        let (_, name) = self.repository_url.rsplit_once("/repos/")?;
        super::is_repository(name).then_some(name)
    }
}

/// A page of search results.
#[derive(Debug, Deserialize)]
pub(super) struct Found {
    pub(super) items: Vec<Value>,
}

/// A comment on an issue, a pull request or a line of one; or a review, whose time has another name.
#[derive(Debug, Deserialize)]
pub(super) struct Comment {
    pub(super) id: u64,
    pub(super) body: Option<String>,
    #[serde(default, deserialize_with = "somebody")]
    pub(super) user: Option<User>,
    #[serde(alias = "submitted_at")]
    pub(super) created_at: Option<String>,
    pub(super) performed_via_github_app: Option<Value>,
}

/// The answer to a request for a device code.
#[derive(Debug, Deserialize)]
pub(super) struct DeviceCode {
    pub(super) device_code: String,
    pub(super) user_code: String,
    pub(super) verification_uri: String,
    pub(super) expires_in: i64,
    pub(super) interval: Option<i64>,
}

/// The answer to a request for the token of a device.
#[derive(Debug, Deserialize)]
pub(super) struct DeviceToken {
    pub(super) access_token: Option<String>,
    pub(super) error: Option<String>,
    pub(super) error_description: Option<String>,
    pub(super) interval: Option<i64>,
}

/// An account that is gone is null, and one that git names and GitHub does not know is an empty object.
fn somebody<'de, D: Deserializer<'de>>(from: D) -> Result<Option<User>, D::Error> {
    Ok(serde_json::from_value(Value::deserialize(from)?).ok())
}
