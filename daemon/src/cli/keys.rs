//! `keys`: API keys for the HTTP door.

use clap::{Args, Subcommand};
use serde_json::json;

use super::{Context, print};
use crate::failure::Failure;

/// `clone keys`
#[derive(Args)]
pub struct Keys {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Make a key; it is shown once
    Create {
        /// What you call it
        #[arg(long)]
        label: String,
        /// What it may do; each includes the ones before it, and `admin` may erase and change settings
        #[arg(long, default_value = "write", value_parser = ["read", "predict", "write", "admin"])]
        scope: String,
    },
    /// List the keys
    List,
    /// End a key at once
    Revoke {
        /// The key's id
        id: String,
    },
}

/// Makes, lists or revokes keys.
///
/// # Errors
///
/// The daemon is not reachable or does not know the key.
pub fn run(context: &Context, arguments: &Keys) -> Result<u8, Failure> {
    let client = context.client()?;
    let answer = match &arguments.verb {
        Verb::Create { label, scope } => {
            client.blocking("keys_create", None, &[], Some(&json!({"label": label, "scope": scope})))?
        }
        Verb::List => client.blocking("keys_list", None, &[], None)?,
        Verb::Revoke { id } => client.blocking("keys_revoke", Some(id), &[], None)?,
    };
    if context.json {
        print::value(&answer);
        return Ok(0);
    }
    match &arguments.verb {
        Verb::Create { .. } => {
            print::line(answer["key"].as_str().unwrap_or_default());
            print::note("this key is shown once; it opens http://127.0.0.1 (see `clone status` for the port)");
        }
        Verb::List => {
            let keys = answer.as_array().map_or(&[][..], Vec::as_slice);
            if keys.is_empty() {
                print::note("no keys yet: `clone keys create --label NAME` makes one");
            }
            for key in keys {
                let field = |name: &str| key[name].as_str().unwrap_or_default().to_owned();
                let made = print::moment(&field("created_at"));
                let used = key["last_used"]
                    .as_str()
                    .map_or("never used".to_owned(), |at| format!("used {}", print::moment(at)));
                let what = if key["kind"] == "page" { "page" } else { "key" };
                let line = [field("id"), made, used, what.to_owned(), field("scope"), field("label")];
                print::line(line.join("  "));
            }
        }
        Verb::Revoke { id } => print::line(format!("revoked {id}")),
    }
    Ok(0)
}
