//! API keys: shown once, kept as a hash, found by it.

use clone_schema::Fault;
use clone_schema::api::Scope;
use clone_schema::internal::{Key, Payload};
use serde_json::{Value, json};

use super::{Engine, ok, reply};
use crate::clock;
use crate::serve::{Caller, Reply};

/// The longest label, in characters.
const LABEL_MAX: usize = 200;
/// The most live keys.
const KEYS_MAX: usize = 100;

impl Engine {
    /// The caller behind a presented key.
    ///
    /// The lookup is by hash, so its time tells nothing about the keys that exist.
    #[must_use]
    pub fn authenticate(&self, presented: &str) -> Option<Caller> {
        let hash = blake3::hash(presented.as_bytes()).to_hex().to_string();
        let view = self.read().ok()?;
        let (id, _) = view.keys.iter().find(|(_, key)| key.hash == hash)?;
        Some(Caller::Key { id: id.clone(), scope: Scope::Admin })
    }

    /// Whether any key is live, which is what opens the HTTP door.
    #[must_use]
    pub fn has_keys(&self) -> bool {
        self.read().is_ok_and(|view| !view.keys.is_empty())
    }

    pub(super) fn me(&self) -> Result<Reply, Fault> {
        ok(&json!({"id": "owner", "home": self.paths.state_dir, "version": env!("CARGO_PKG_VERSION")}))
    }

    pub(super) fn keys_create(&self, body: &Value) -> Result<Reply, Fault> {
        let label = body["label"].as_str().map(str::trim).filter(|label| !label.is_empty());
        let label = label.ok_or_else(|| Fault::invalid("'label' is a required property"))?;
        if label.chars().count() > LABEL_MAX {
            return Err(Fault::invalid(format!("a label has at most {LABEL_MAX} characters")));
        }
        if self.read()?.keys.len() >= KEYS_MAX {
            return Err(Fault::invalid(format!("there are {KEYS_MAX} keys already")).hint("revoke one first"));
        }
        let secret = clock::random().map_err(Fault::internal)?;
        let secret: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
        let token = format!("clone_{secret}");
        let key_id = clock::new_id();
        let hash = blake3::hash(token.as_bytes()).to_hex().to_string();
        self.note(Payload::KeyCreated(Key { key_id: key_id.clone(), label: label.to_owned(), hash }))?;
        self.settle()?;
        (self.key_made)();
        reply(201, &json!({"id": key_id, "key": token, "label": label, "created_at": clock::now()}))
    }

    pub(super) fn keys_list(&self) -> Result<Reply, Fault> {
        let view = self.read()?;
        let mut keys: Vec<(&String, _)> = view.keys.iter().collect();
        keys.sort_by(|a, b| b.1.created_at.cmp(&a.1.created_at).then_with(|| a.0.cmp(b.0)));
        let rows =
            keys.into_iter().map(|(id, key)| json!({"id": id, "label": key.label, "created_at": key.created_at}));
        ok(&rows.collect::<Vec<_>>())
    }

    pub(super) fn keys_get(&self, id: &str) -> Result<Reply, Fault> {
        let view = self.read()?;
        let key = view.keys.get(id).ok_or_else(|| Fault::not_found(format!("no key `{id}`")))?;
        ok(&json!({"id": id, "label": key.label, "created_at": key.created_at}))
    }

    /// Ends a key; nothing that presents it is answered after this returns.
    pub(super) fn keys_revoke(&self, id: &str) -> Result<Reply, Fault> {
        if !self.read()?.keys.contains_key(id) {
            return Err(Fault::not_found(format!("no key `{id}`")));
        }
        self.note(Payload::KeyRevoked { key_id: id.to_owned() })?;
        self.settle()?;
        Ok(Reply { status: 204, body: String::new() })
    }
}
