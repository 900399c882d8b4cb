//! The device flow of OAuth: a code that the person types in a browser, and asking until they did.

use clone_schema::{Timestamp, time};

use super::answer::Answer;
use super::wire::{DeviceCode, DeviceToken};

/// How long to wait between two questions where nobody says, in seconds.
const INTERVAL_SECONDS: i64 = 5;
/// The longest wait between two questions that is believed, in seconds.
const INTERVAL_MAX: i64 = 60;
/// The longest that a code is waited for, in seconds.
const PATIENCE_SECONDS: i64 = 30 * 60;

/// A connection that waits for the person.
#[derive(Clone, PartialEq, Eq)]
pub struct Device {
    code: String,
    /// What the person types.
    pub user_code: String,
    /// Where they type it.
    pub address: String,
    /// Until when it is good.
    pub expires_at: Timestamp,
    /// When to ask next.
    pub ask_at: Timestamp,
    interval: i64,
}

impl std::fmt::Debug for Device {
    /// What becomes the token stays out of every log.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Device").field("user_code", &self.user_code).finish_non_exhaustive()
    }
}

/// What came of asking.
#[derive(Clone, PartialEq, Eq)]
pub enum Polled {
    /// Not yet.
    Waiting,
    /// The person agreed.
    Token(String),
    /// It is over; why.
    Over(String),
}

impl Device {
    /// The form that asks for a code.
    #[must_use]
    pub fn request<'a>(client_id: &'a str, scopes: &'a str) -> Vec<(&'static str, &'a str)> {
        vec![("client_id", client_id), ("scope", scopes)]
    }

    /// Reads the code out of the answer.
    ///
    /// # Errors
    ///
    /// GitHub gives none; the words say why.
    pub fn read(answer: &Answer, now: Timestamp) -> Result<Self, String> {
        let read: DeviceCode = serde_json::from_slice(&answer.body).map_err(|_| refusal(answer))?;
        let interval = read.interval.unwrap_or(INTERVAL_SECONDS).clamp(1, INTERVAL_MAX);
        Ok(Self {
            code: read.device_code,
            user_code: read.user_code,
            address: read.verification_uri,
            expires_at: time::after_seconds(now, read.expires_in.clamp(1, PATIENCE_SECONDS)),
            ask_at: time::after_seconds(now, interval),
            interval,
        })
    }

    /// The form that asks whether the person agreed.
    #[must_use]
    pub fn question<'a>(&'a self, client_id: &'a str) -> Vec<(&'static str, &'a str)> {
        let grant = "urn:ietf:params:oauth:grant-type:device_code";
        vec![("client_id", client_id), ("device_code", &self.code), ("grant_type", grant)]
    }

    /// Takes the answer to that; `ask_at` says when to ask again.
    pub fn take(&mut self, answer: &Answer, now: Timestamp) -> Polled {
        let read: Option<DeviceToken> = serde_json::from_slice(&answer.body).ok();
        let error = match read {
            Some(DeviceToken { access_token: Some(token), .. }) if !token.is_empty() => return Polled::Token(token),
            Some(DeviceToken { error: Some(error), interval, .. }) if error == "slow_down" => {
                self.interval = interval.unwrap_or(self.interval + INTERVAL_SECONDS).clamp(1, INTERVAL_MAX);
                None
            }
            Some(DeviceToken { error: Some(error), .. }) if error == "authorization_pending" => None,
            // A hiccup of the server is no answer.
            _ if answer.status >= 500 => None,
            _ => Some(refusal(answer)),
        };
        self.ask_at = time::after_seconds(now, self.interval);
        match error {
            Some(why) => Polled::Over(why),
            None if self.ask_at > self.expires_at => Polled::Over("nobody entered the code in time".to_owned()),
            None => Polled::Waiting,
        }
    }

    /// Asks later after a failure of the network; whether there is still time.
    pub fn later(&mut self, now: Timestamp) -> bool {
        self.ask_at = time::after_seconds(now, self.interval);
        self.ask_at <= self.expires_at
    }
}

/// Why GitHub gave nothing, in its own words where it has some.
fn refusal(answer: &Answer) -> String {
    let read: Option<DeviceToken> = serde_json::from_slice(&answer.body).ok();
    let error = read.as_ref().and_then(|read| read.error.as_deref());
    match (error, read.as_ref().and_then(|read| read.error_description.as_deref())) {
        (Some("access_denied"), _) => "you refused it in the browser".to_owned(),
        (Some("expired_token"), _) => "nobody entered the code in time".to_owned(),
        (Some(error), Some(why)) => format!("GitHub refuses: {error}: {why}"),
        (Some(error), None) => format!("GitHub refuses: {error}"),
        (None, _) => format!("GitHub answered {} to the device flow", answer.status),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        time::after_seconds(time::parse("2026-01-01T00:00:00Z").unwrap(), seconds)
    }

    fn answer(body: &str) -> Answer {
        Answer { status: 200, headers: Vec::new(), body: body.as_bytes().to_vec() }
    }

    fn device(more: &str) -> Device {
        let code = r#""device_code":"secret","user_code":"AB-12","verification_uri":"https://h/login/device""#;
        Device::read(&answer(&format!("{{{code},\"expires_in\":900{more}}}")), at(0)).unwrap()
    }

    #[test]
    fn it_asks_as_often_as_it_may_and_more_slowly_when_told() {
        let mut device = device(",\"interval\":7");
        assert_eq!((device.ask_at, device.expires_at), (at(7), at(900)));
        let pending = answer(r#"{"error":"authorization_pending"}"#);
        assert!(device.take(&pending, at(7)) == Polled::Waiting && device.ask_at == at(14));
        assert!(device.take(&answer(r#"{"error":"slow_down","interval":20}"#), at(14)) == Polled::Waiting);
        assert_eq!(device.ask_at, at(34));
        assert!(device.take(&answer(r#"{"error":"slow_down"}"#), at(34)) == Polled::Waiting);
        assert_eq!(device.ask_at, at(59));
        let broken = Answer { status: 502, ..Answer::default() };
        assert!(device.take(&broken, at(59)) == Polled::Waiting);
        assert!(
            device.take(&answer(r#"{"access_token":"gho_x","scope":""}"#), at(90)) == Polled::Token("gho_x".into())
        );
        assert!(device.take(&pending, at(899)) == Polled::Over("nobody entered the code in time".into()));
    }

    #[test]
    fn what_ends_it_is_told() {
        for (body, told) in [
            (r#"{"error":"access_denied"}"#, "you refused it in the browser"),
            (r#"{"error":"expired_token"}"#, "nobody entered the code in time"),
            (r#"{"error":"incorrect_client_credentials"}"#, "GitHub refuses: incorrect_client_credentials"),
            (r#"{"error":"x","error_description":"y"}"#, "GitHub refuses: x: y"),
            ("<html>", "GitHub answered 200 to the device flow"),
            (r#"{"access_token":""}"#, "GitHub answered 200 to the device flow"),
        ] {
            assert!(device("").take(&answer(body), at(5)) == Polled::Over(told.into()), "{body}");
            assert_eq!(Device::read(&answer(body), at(0)).err().as_deref(), Some(told), "{body}");
        }
        assert_eq!(device("").ask_at, at(5));
        assert!(!format!("{:?}", device("")).contains("secret"));
    }
}
