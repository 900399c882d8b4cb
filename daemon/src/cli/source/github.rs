//! `source connect|sync|disconnect github`: the token goes over the socket, never over a command line.

use std::io::{BufRead, Read};
use std::time::Duration;

use serde_json::{Value, json};

use super::super::print;
use crate::client::Client;
use crate::failure::Failure;
use crate::secrets::SECRET_MAX;

/// How often the daemon is asked whether it is done.
const LOOK: Duration = Duration::from_millis(250);

/// Connects with the token on standard input, or shows a code and waits until it was entered.
///
/// # Errors
///
/// There is no token, GitHub does not take it, or nobody entered the code in time.
pub(super) fn connect(client: &Client, token_stdin: bool) -> Result<Value, Failure> {
    let body = if token_stdin { json!({"token": token()?}) } else { json!({}) };
    let answer = client.blocking("github_connect", None, &[], Some(&body))?;
    if token_stdin {
        return Ok(answer);
    }
    let field = |name: &str| answer["device"][name].as_str().unwrap_or_default().to_owned();
    print::note(format!("enter the code {} at {}", field("user_code"), field("verification_uri")));
    loop {
        let answer = client.blocking("github_get", None, &[], None)?;
        if answer["device"].is_null() {
            return match answer["device_ended"].as_str() {
                Some(why) => Err(Failure::new(why).hint("`clone source connect github` gives a new code")),
                None => Ok(answer),
            };
        }
        std::thread::sleep(LOOK);
    }
}

/// Reads GitHub now and waits until it was read.
///
/// # Errors
///
/// It is not connected, or asks to wait.
pub(super) fn sync(client: &Client) -> Result<Value, Failure> {
    let asked = client.blocking("github_sync", None, &[], None)?;
    loop {
        let answer = client.blocking("github_get", None, &[], None)?;
        if answer["syncs"].as_u64() >= asked["done_at"].as_u64() || answer["connected"] == false {
            return Ok(answer);
        }
        print::progress("reading GitHub");
        std::thread::sleep(LOOK);
    }
}

/// Ends the connection.
///
/// # Errors
///
/// It is not connected.
pub(super) fn disconnect(client: &Client) -> Result<Value, Failure> {
    Ok(client.blocking("github_disconnect", None, &[], None)?)
}

/// Shows how it stands, on one line.
pub(super) fn show(answer: &Value) {
    print::progress_end();
    let text = |name: &str| answer[name].as_str();
    let told = match (answer["connected"] == true, answer["needs_reauth"] == true) {
        (false, _) => "not connected; `clone source connect github` connects it".to_owned(),
        (true, true) => {
            "needs reauth: GitHub no longer takes the token; `clone source connect github` again".to_owned()
        }
        (true, false) => {
            let synced = text("last_synced_at")
                .map_or("not read to its end yet".to_owned(), |at| format!("last read {}", print::moment(at)));
            let kept = match text("token_in") {
                Some("keychain") => "; the token is in the keychain",
                Some("file") => "; the token is in a sealed file",
                _ => "",
            };
            format!("{}, {synced}{kept}", text("login").unwrap_or("connected"))
        }
    };
    print::line(format!("github: {told}"));
    if let Some(problem) = text("problem").filter(|_| answer["needs_reauth"] == false) {
        let until = text("not_before").map(|at| format!("; it goes on after {}", print::moment(at)));
        print::line(format!("        {problem}{}", until.unwrap_or_default()));
    }
    let read = &answer["read"];
    if read.is_object() {
        print::line(format!("        {} items: {} recorded, {} known", read["items"], read["recorded"], read["known"]));
    }
}

/// The first line of standard input.
fn token() -> Result<String, Failure> {
    let mut line = String::new();
    let input = std::io::stdin().lock();
    let read = input.take(SECRET_MAX as u64 + 2).read_line(&mut line);
    read.map_err(|error| Failure::new(format!("cannot read the token from standard input: {error}")))?;
    match line.trim() {
        "" => Err(Failure::usage("no token on standard input")
            .hint("pipe it in, as in `gh auth token | clone source connect github --token-stdin`")),
        token => Ok(token.to_owned()),
    }
}
