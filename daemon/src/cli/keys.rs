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
        Verb::Create { label } => client.blocking("keys_create", None, &[], Some(&json!({"label": label})))?,
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
                print::line(format!("{}  {made}  {}", field("id"), field("label")));
            }
        }
        Verb::Revoke { id } => print::line(format!("revoked {id}")),
    }
    Ok(0)
}
