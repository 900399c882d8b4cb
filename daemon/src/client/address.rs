//! Where a call goes: the loopback URL, and the path and query of an operation. Pure.

use clone_schema::api::Operation;

use super::ClientError;

/// `host:port` of a loopback URL.
pub(super) fn loopback(url: &str) -> Option<String> {
    let authority = url.strip_prefix("http://")?;
    let authority = authority.strip_suffix('/').unwrap_or(authority);
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port.parse::<u16>().ok()?),
        _ => (authority, 80),
    };
    matches!(host, "127.0.0.1" | "localhost" | "[::1]").then(|| format!("{host}:{port}"))
}

/// Path and query of a call.
pub(super) fn target(operation: &Operation, id: Option<&str>, query: &[(&str, String)]) -> Result<String, ClientError> {
    let mut target = match (operation.path.contains("{id}"), id.filter(|id| !id.is_empty())) {
        (true, Some(id)) => operation.path.replace("{id}", &encoded(id)),
        (true, None) => return Err(ClientError::Misuse(format!("`{}` needs an id", operation.name))),
        (false, _) => operation.path.to_owned(),
    };
    for (index, (name, value)) in query.iter().enumerate() {
        target.push(if index == 0 { '?' } else { '&' });
        target.push_str(&format!("{}={}", encoded(name), encoded(value)));
    }
    Ok(target)
}

/// Percent-encodes everything but the unreserved characters.
fn encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::Client;
    use super::*;

    #[test]
    fn only_loopback_urls_are_taken() {
        for (url, expected) in [
            ("http://127.0.0.1:8001", Some("127.0.0.1:8001")),
            ("http://localhost:8001/", Some("localhost:8001")),
            ("http://[::1]:8001", Some("[::1]:8001")),
            ("http://[::1]", Some("[::1]:80")),
            ("http://localhost", Some("localhost:80")),
            ("https://127.0.0.1:8001", None),
            ("http://api.example.org", None),
            ("http://127.0.0.1.example.org:80", None),
            ("http://127.0.0.1@example.org:80", None),
            ("http://localhost:8001/path", None),
            ("http://localhost:99999", None),
            ("", None),
        ] {
            assert_eq!(loopback(url).as_deref(), expected, "{url}");
            assert_eq!(Client::http(url, None).is_ok(), expected.is_some(), "{url}");
        }
        assert!(Client::http("http://localhost:1", Some("two\r\nlines")).is_err());
        let client = Client::http("http://localhost:1", Some("clone_secret")).expect("client");
        assert!(!format!("{client:?}").contains("secret"));
    }
}
