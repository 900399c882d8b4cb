//! The one door out: HTTPS to a service that the person connected, and plain HTTP to loopback alone.
//!
//! Nothing is asked before somebody connects. A redirect is followed only to the same server, and what is sent along stays
//! out of every message.

use std::sync::OnceLock;
use std::time::Duration;

use ureq::tls::{Certificate, RootCerts, TlsConfig};

use crate::secrets::Secret;

/// How long one question may take, from the first packet to the last.
const PATIENCE: Duration = Duration::from_secs(30);
/// The largest answer, in bytes.
const ANSWER_MAX: u64 = 16 << 20;
/// Redirects that are followed.
const REDIRECTS_MAX: usize = 3;

/// Where a service is: `https://host[:port][/path]`, or plain `http://` on loopback.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Base(String);

impl Base {
    /// The address, without a slash at its end.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Base {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let wrong =
            || format!("`{text}` must be `https://` with a host, or `http://` on 127.0.0.1, [::1] or localhost");
        let (scheme, rest) = text.split_once("://").ok_or_else(wrong)?;
        let host = rest.split('/').next().unwrap_or_default();
        let name = match host.rsplit_once(':') {
            Some((name, port)) if !port.ends_with(']') => port.parse::<u16>().map(|_| name).map_err(|_| wrong())?,
            _ => host,
        };
        let plain = rest.bytes().all(|byte| byte.is_ascii_graphic() && !b"@?#\\".contains(&byte));
        let loopback = matches!(name, "127.0.0.1" | "[::1]" | "localhost");
        if name.is_empty() || !plain || !(scheme == "https" || scheme == "http" && loopback) {
            return Err(wrong());
        }
        Ok(Self(text.trim_end_matches('/').to_owned()))
    }
}

impl From<Base> for String {
    fn from(base: Base) -> Self {
        base.0
    }
}

/// What was answered.
#[derive(Clone, Debug, Default)]
pub struct Response {
    /// HTTP status.
    pub status: u16,
    /// Headers, their names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Response {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
#[error("cannot reach `{host}`: {why}")]
pub struct OutsideError {
    host: String,
    why: String,
}

/// Who asks.
#[derive(Debug, Default)]
pub struct Outside {
    /// Made at the first question: reading the certificates of the system takes a moment.
    agent: OnceLock<ureq::Agent>,
}

impl Outside {
    fn agent(&self) -> &ureq::Agent {
        self.agent.get_or_init(|| {
            let config = ureq::Agent::config_builder()
                .http_status_as_error(false)
                .max_redirects(0)
                .max_redirects_will_error(false)
                .timeout_global(Some(PATIENCE))
                .user_agent(concat!("clone/", env!("CARGO_PKG_VERSION")))
                .tls_config(TlsConfig::builder().root_certs(trusted()).build())
                // The environment is read in one place, and not here.
                .proxy(None)
                .build();
            config.into()
        })
    }

    /// Asks for a path below the base, with these headers and this token.
    ///
    /// # Errors
    ///
    /// No answer came, or one too large or too slow; the message names the host and never the path.
    pub fn get(
        &self,
        base: &Base,
        path: &str,
        headers: &[(&str, &str)],
        token: Option<&Secret>,
    ) -> Result<Response, OutsideError> {
        let mut path = path.to_owned();
        for _ in 0..=REDIRECTS_MAX {
            let mut request = self.agent().get(format!("{}{path}", base.as_str()));
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            if let Some(token) = token {
                request = request.header("authorization", format!("Bearer {}", token.expose()));
            }
            let response = request.call().map_err(|error| failed(base, &error)).and_then(|got| read(base, got))?;
            match moved(base, &response) {
                Some(to) => path = to,
                None => return Ok(response),
            }
        }
        Err(OutsideError { host: base.as_str().to_owned(), why: "it redirects without end".to_owned() })
    }

    /// Sends a form to a path below the base and asks for JSON.
    ///
    /// # Errors
    ///
    /// As [`Outside::get`].
    pub fn post(&self, base: &Base, path: &str, form: Vec<(&str, &str)>) -> Result<Response, OutsideError> {
        let request = self.agent().post(format!("{}{path}", base.as_str())).header("accept", "application/json");
        request.send_form(form).map_err(|error| failed(base, &error)).and_then(|got| read(base, got))
    }
}

/// Whom the system trusts, a company's own authority among them; Mozilla's list where it names nobody.
fn trusted() -> RootCerts {
    let certificates = rustls_native_certs::load_native_certs().certs;
    if certificates.is_empty() {
        return RootCerts::WebPki;
    }
    certificates.iter().map(|one| Certificate::from_der(one).to_owned()).into()
}

/// The path of a redirect to the same server.
fn moved(base: &Base, response: &Response) -> Option<String> {
    let to = response.header("location").filter(|_| matches!(response.status, 301 | 302 | 307 | 308))?;
    to.strip_prefix(base.as_str()).filter(|path| path.starts_with('/')).map(str::to_owned)
}

fn read(base: &Base, mut got: ureq::http::Response<ureq::Body>) -> Result<Response, OutsideError> {
    let header = |(name, value): (&ureq::http::HeaderName, &ureq::http::HeaderValue)| {
        Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned()))
    };
    let headers = got.headers().iter().filter_map(header).collect();
    let status = got.status().as_u16();
    let body = got.body_mut().with_config().limit(ANSWER_MAX).read_to_vec().map_err(|error| failed(base, &error))?;
    Ok(Response { status, headers, body })
}

fn failed(base: &Base, error: &ureq::Error) -> OutsideError {
    OutsideError { host: base.as_str().to_owned(), why: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_is_https_or_loopback_and_nothing_in_disguise() {
        for (text, kept) in [
            ("https://api.github.com", Some("https://api.github.com")),
            ("https://git.example.org:8443/api/v3/", Some("https://git.example.org:8443/api/v3")),
            ("http://127.0.0.1:8080", Some("http://127.0.0.1:8080")),
            ("http://[::1]:80/x", Some("http://[::1]:80/x")),
            ("http://localhost", Some("http://localhost")),
            ("http://api.github.com", None),
            ("http://127.0.0.1.example.org", None),
            ("http://127.0.0.1@example.org", None),
            ("http://localhost@example.org:80", None),
            ("https://user:secret@example.org", None),
            ("https://", None),
            ("https:///x", None),
            ("https://example.org:99999", None),
            ("https://example.org?x", None),
            ("https://example.org/a b", None),
            ("ftp://example.org", None),
            ("example.org", None),
            ("", None),
        ] {
            assert_eq!(Base::try_from(text.to_owned()).ok().as_ref().map(Base::as_str), kept, "{text}");
        }
    }

    #[test]
    fn a_redirect_leads_nowhere_but_to_the_same_server() {
        let base = Base::try_from("https://api.github.com".to_owned()).unwrap();
        for (status, to, path) in [
            (301, "https://api.github.com/repositories/1", Some("/repositories/1")),
            (307, "https://api.github.com/x?y=1", Some("/x?y=1")),
            (200, "https://api.github.com/x", None),
            (301, "https://api.github.com.example.org/x", None),
            (301, "https://example.org/x", None),
            (301, "/x", None),
        ] {
            let response = Response { status, headers: vec![("location".into(), to.into())], body: Vec::new() };
            assert_eq!(moved(&base, &response).as_deref(), path, "{to}");
        }
    }
}
