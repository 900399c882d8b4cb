//! API keys: shown once, kept as a hash, found by it; and the short tokens of a page.
//!
//! A page holds two secrets: an access token, which lives in memory for [`TOKEN_MINUTES`] and opens what its key would, and
//! a key that only renews it, which lives in the log like any key, is listed and is revoked like any. So a restart ends
//! access tokens and no sign-in.

use clone_schema::api::Scope;
use clone_schema::fault::Kind;
use clone_schema::internal::{Key, Payload};
use clone_schema::text::hex;
use clone_schema::{Fault, Timestamp, time};
use serde_json::{Value, json};

use super::tokens::Presented;
use super::{Engine, log_fault, ok, reply};
use crate::clock;
use crate::derive::{self, view::KeyRow};
use crate::serve::{Call, Caller, Reply};

/// The longest label, in characters.
const LABEL_MAX: usize = 200;
/// The most live keys.
const KEYS_MAX: usize = 100;
/// How long an access token is good, in minutes.
pub const TOKEN_MINUTES: i64 = 60;
/// How long a page may renew its access before it must be opened anew, in days.
pub const RENEWAL_DAYS: i64 = 30;
/// How often the use of a key becomes an event, in minutes; `last_used` is exact while the daemon runs.
const USE_NOTED_MINUTES: i64 = 60;
/// What a key may do where nobody says: record, predict and read, but not erase, export or change a setting.
const DEFAULT_SCOPE: Scope = Scope::Write;
/// The setting that holds when a key was used, before the key's id.
const USED: &str = "key.used.";

impl Engine {
    /// The caller behind a presented key or access token; nothing for one that is wrong or revoked.
    ///
    /// The lookup is by hash, so its time tells nothing about the keys that exist.
    ///
    /// # Errors
    ///
    /// `Unavailable` while nobody can say, because the keys are derived anew with everything else.
    pub fn authenticate(&self, presented: &str) -> Result<Option<Caller>, Fault> {
        let (hash, now) = (hashed(presented), clock::now());
        let found = {
            let view = self.read()?;
            let by_key = view.keys.iter().find(|(_, key)| key.hash == hash && !key.renews);
            let found = by_key.map(|(id, key)| (id.clone(), key.scope));
            let by_token = || {
                let id = self.tokens.key_of(&hash, now)?;
                // A token is good as long as the key that renews it.
                view.keys.get(&id).map(|key| (id.clone(), key.scope))
            };
            found.or_else(by_token)
        };
        Ok(found.map(|(id, scope)| {
            self.used(&id, now);
            Caller::Key { id, scope }
        }))
    }

    /// Remembers that a key was used; now and then as an event, so that a restart knows it too.
    fn used(&self, id: &str, now: Timestamp) {
        let noted = self.tokens.used(id, now);
        if noted.is_none_or(|noted| time::seconds_between(noted, now) >= USE_NOTED_MINUTES * 60) {
            self.tokens.noted(id, now);
            let setting = Payload::ConfigChanged { key: format!("{USED}{id}"), value: now.to_string() };
            if let Err(error) = self.log.append_later(vec![derive::entry(setting)]) {
                tracing::debug!(%error, "the use of a key was not noted");
            }
        }
    }

    fn last_used(&self, id: &str, settings: &std::collections::BTreeMap<String, String>) -> Option<Timestamp> {
        let noted = || settings.get(&format!("{USED}{id}")).and_then(|at| time::parse(at));
        self.tokens.last_used(id).or_else(noted)
    }

    /// Whether any key is live, which is what opens the HTTP door.
    #[must_use]
    pub fn has_keys(&self) -> bool {
        self.read().is_ok_and(|view| !view.keys.is_empty())
    }

    pub(super) fn me(&self, call: &Call) -> Result<Reply, Fault> {
        let (credential, key) = match &call.caller {
            Caller::Owner => ("socket", None),
            Caller::Key { id, .. } => ("key", Some(id)),
            Caller::Nobody => ("none", None),
        };
        ok(&json!({
            "id": "owner", "home": self.paths.state_dir, "version": env!("CARGO_PKG_VERSION"),
            "credential": credential, "key_id": key, "scope": call.caller.scope(),
        }))
    }

    pub(super) fn keys_create(&self, body: &Value) -> Result<Reply, Fault> {
        let label = label(body)?;
        let (key_id, token) = self.key_new(&label, scope(body)?, false)?;
        let (created_at, scope) = {
            let view = self.read()?;
            let row = view.keys.get(&key_id).ok_or_else(|| Fault::internal("the new key is not there"))?;
            (row.created_at, row.scope)
        };
        reply(201, &json!({"id": key_id, "key": token, "label": label, "scope": scope, "created_at": created_at}))
    }

    /// Makes a key and waits until it is good.
    fn key_new(&self, label: &str, scope: Scope, renews: bool) -> Result<(String, String), Fault> {
        if self.read()?.keys.len() >= KEYS_MAX {
            return Err(Fault::invalid(format!("there are {KEYS_MAX} keys already")).hint("revoke one first"));
        }
        let token = secret(if renews { "renew_" } else { "clone_" })?;
        let (key_id, hash) = (clock::new_id(), hashed(&token));
        let key = Key { key_id: key_id.clone(), label: label.to_owned(), hash, scope, renews };
        self.note(Payload::KeyCreated(key))?;
        self.settle()?;
        (self.key_made)();
        Ok((key_id, token))
    }

    pub(super) fn keys_list(&self) -> Result<Reply, Fault> {
        let view = self.read()?;
        let mut keys: Vec<(&String, &KeyRow)> = view.keys.iter().collect();
        keys.sort_by(|a, b| b.1.created_at.cmp(&a.1.created_at).then_with(|| a.0.cmp(b.0)));
        let rows = keys.into_iter().map(|(id, key)| row(id, key, self.last_used(id, &view.settings)));
        ok(&rows.collect::<Vec<_>>())
    }

    pub(super) fn keys_get(&self, id: &str) -> Result<Reply, Fault> {
        let view = self.read()?;
        let key = view.keys.get(id).ok_or_else(|| Fault::not_found(format!("no key `{id}`")))?;
        ok(&row(id, key, self.last_used(id, &view.settings)))
    }

    /// Ends a key; nothing that presents it, or a token of it, is answered after this returns.
    pub(super) fn keys_revoke(&self, id: &str) -> Result<Reply, Fault> {
        if !self.read()?.keys.contains_key(id) {
            return Err(Fault::not_found(format!("no key `{id}`")));
        }
        self.note(Payload::KeyRevoked { key_id: id.to_owned() })?;
        self.settle()?;
        self.tokens.end(id);
        Ok(Reply { status: 204, body: String::new() })
    }

    /// Signs a page in: an access token, and the key that renews it.
    pub(super) fn token_create(&self, body: &Value) -> Result<Reply, Fault> {
        self.expire_renewals()?;
        let label = if body["label"].is_null() { "page".to_owned() } else { label(body)? };
        let scope = if body["scope"].is_null() { Scope::Admin } else { scope(body)? };
        let (key_id, refresh) = self.key_new(&label, scope, true)?;
        let mut answer = self.access(&key_id, scope)?;
        answer["refresh"] = refresh.into();
        reply(201, &answer)
    }

    /// Ends what can renew nothing any more, so that pages never opened again do not fill the list.
    fn expire_renewals(&self) -> Result<(), Fault> {
        let now = clock::now();
        let view = self.read()?;
        let over = view.keys.iter().filter(|(_, key)| key.renews && !renewable(key, now));
        let over: Vec<String> = over.map(|(id, _)| id.clone()).collect();
        drop(view);
        if over.is_empty() {
            return Ok(());
        }
        let revoked = over.into_iter().map(|key_id| derive::entry(Payload::KeyRevoked { key_id }));
        self.log.append(revoked.collect()).map_err(|error| log_fault(&error))?;
        // Only what is derived counts the keys, and the page that is to be signed in needs the room.
        self.settle().map(drop)
    }

    /// A fresh access token for the key that renews.
    pub(super) fn token_refresh(&self, body: &Value) -> Result<Reply, Fault> {
        let presented = body["refresh"].as_str().ok_or_else(|| Fault::invalid("'refresh' is a required property"))?;
        let (hash, now) = (hashed(presented), clock::now());
        let found = {
            let view = self.read()?;
            let found = view.keys.iter().find(|(_, key)| key.hash == hash && key.renews && renewable(key, now));
            found.map(|(id, key)| (id.clone(), key.scope))
        };
        let (key_id, scope) = found.ok_or_else(|| {
            Fault::new(Kind::Unauthorized, "the refresh token is wrong, revoked or too old")
                .hint("open the page again with a fresh one: `POST /api/auth/token/` over the socket")
        })?;
        self.used(&key_id, now);
        ok(&self.access(&key_id, scope)?)
    }

    fn access(&self, key_id: &str, scope: Scope) -> Result<Value, Fault> {
        let (token, now) = (secret("access_")?, clock::now());
        let until = time::after_seconds(now, TOKEN_MINUTES * 60);
        self.tokens.put(hashed(&token), Presented { key_id: key_id.to_owned(), until }, now);
        Ok(json!({
            "access": token, "expires_in": TOKEN_MINUTES * 60, "expires_at": until, "key_id": key_id, "scope": scope,
        }))
    }
}

fn renewable(key: &KeyRow, now: Timestamp) -> bool {
    time::seconds_between(key.created_at, now) < RENEWAL_DAYS * 86_400
}

fn row(id: &str, key: &KeyRow, last_used: Option<Timestamp>) -> Value {
    json!({
        "id": id, "label": key.label, "scope": key.scope, "kind": if key.renews { "page" } else { "key" },
        "created_at": key.created_at, "last_used": last_used,
    })
}

fn label(body: &Value) -> Result<String, Fault> {
    let label = body["label"].as_str().map(str::trim).filter(|label| !label.is_empty());
    let label = label.ok_or_else(|| Fault::invalid("'label' is a required property"))?;
    if label.chars().count() > LABEL_MAX {
        return Err(Fault::invalid(format!("a label has at most {LABEL_MAX} characters")));
    }
    Ok(label.to_owned())
}

fn scope(body: &Value) -> Result<Scope, Fault> {
    match &body["scope"] {
        Value::Null => Ok(DEFAULT_SCOPE),
        given => given
            .as_str()
            .and_then(Scope::of_key)
            .ok_or_else(|| Fault::invalid("'scope' must be read, predict, write or admin")),
    }
}

/// A secret that nobody can guess, after a word that says what it is.
fn secret(prefix: &str) -> Result<String, Fault> {
    let bytes = clock::random().map_err(Fault::internal)?;
    Ok(format!("{prefix}{}", hex(&bytes)))
}

fn hashed(secret: &str) -> String {
    blake3::hash(secret.as_bytes()).to_hex().to_string()
}
