//! What an answer of GitHub means: go on, pass it over, come back later, or ask the person again.

use clone_schema::{Timestamp, time};

/// What was answered.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Headers, their names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Answer {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.trim())
    }

    fn number(&self, name: &str) -> Option<i64> {
        self.header(name)?.parse().ok()
    }
}

/// How long GitHub asks to wait at least where it refuses for another reason than the hourly limit, in seconds.
const SECONDARY_SECONDS: i64 = 60;
/// Longer waits than this are not believed, in seconds.
const LONGEST_SECONDS: i64 = 2 * 3_600;
/// The share of the hourly limit that is left to the person's other tools: one tenth.
const RESERVE: i64 = 10;

/// What to do with an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Read it.
    Good,
    /// Nothing changed since it was read last.
    Unchanged,
    /// The token is no longer good.
    Reauth,
    /// This item cannot be read; the others can.
    Skip(&'static str),
    /// Nothing before this instant.
    Wait(Timestamp),
    /// GitHub is broken, or it is not GitHub.
    Broken,
}

/// What to do with an answer.
pub(super) fn verdict(answer: &Answer, now: Timestamp) -> Verdict {
    match answer.status {
        200..=299 => Verdict::Good,
        304 => Verdict::Unchanged,
        401 => Verdict::Reauth,
        403 | 429 => limited(answer, now).map_or(Verdict::Skip("not allowed to read it"), Verdict::Wait),
        404 | 410 | 451 => Verdict::Skip("not there for this token"),
        409 => Verdict::Skip("an empty repository"),
        422 => Verdict::Skip("not a question that GitHub answers"),
        _ => Verdict::Broken,
    }
}

/// Until when a refusal holds, where it is for asking too much.
fn limited(answer: &Answer, now: Timestamp) -> Option<Timestamp> {
    let after = |seconds: i64| time::after_seconds(now, seconds.clamp(1, LONGEST_SECONDS));
    if let Some(seconds) = answer.number("retry-after") {
        return Some(after(seconds));
    }
    if answer.number("x-ratelimit-remaining") == Some(0) {
        return Some(after(until_reset(answer, now)));
    }
    let told = String::from_utf8_lossy(&answer.body).to_lowercase();
    let secondary = answer.status == 429 || told.contains("rate limit") || told.contains("abuse detection");
    secondary.then(|| after(SECONDARY_SECONDS))
}

/// Until when nothing more is asked, so that the person's other tools have something left of the hour.
pub(super) fn reserved(answer: &Answer, now: Timestamp) -> Option<Timestamp> {
    let (left, limit) = (answer.number("x-ratelimit-remaining")?, answer.number("x-ratelimit-limit")?);
    // Searches have a small limit of their own by the minute; nobody else needs it that badly.
    let kept = if answer.header("x-ratelimit-resource") == Some("search") { 0 } else { limit / RESERVE };
    (left <= kept).then(|| time::after_seconds(now, until_reset(answer, now).clamp(1, LONGEST_SECONDS)))
}

fn until_reset(answer: &Answer, now: Timestamp) -> i64 {
    answer.number("x-ratelimit-reset").map_or(SECONDARY_SECONDS, |reset| reset.saturating_sub(now.as_second()))
}

/// The address of the next page, where there is one.
pub(super) fn next_page(answer: &Answer) -> Option<&str> {
    // An address may hold commas, but no angle.
    answer.header("link")?.split('<').skip(1).find_map(|link| {
        let (address, rest) = link.split_once('>')?;
        let next = rest.split([';', ',']).any(|part| matches!(part.trim(), "rel=\"next\"" | "rel=next"));
        next.then_some(address)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Timestamp {
        time::parse("2026-01-01T00:00:00Z").unwrap()
    }

    fn answer(status: u16, headers: &[(&str, &str)], body: &str) -> Answer {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Answer { status, headers, body: body.as_bytes().to_vec() }
    }

    #[test]
    fn every_status_has_a_meaning() {
        let until = |seconds| Verdict::Wait(time::after_seconds(now(), seconds));
        let reset = (now().as_second() + 900).to_string();
        let far = (now().as_second() + 999_999).to_string();
        for (status, headers, body, expected) in [
            (200, vec![], "", Verdict::Good),
            (304, vec![], "", Verdict::Unchanged),
            (401, vec![], "", Verdict::Reauth),
            (403, vec![], "Resource not accessible", Verdict::Skip("not allowed to read it")),
            (403, vec![("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", &reset)], "", until(900)),
            (403, vec![("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", &far)], "", until(LONGEST_SECONDS)),
            (403, vec![("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1")], "", until(1)),
            (403, vec![("x-ratelimit-remaining", "0")], "", until(60)),
            (429, vec![("retry-after", "30")], "", until(30)),
            (429, vec![("retry-after", "-5")], "", until(1)),
            (429, vec![], "", until(60)),
            (403, vec![], "You have exceeded a secondary rate limit", until(60)),
            (404, vec![], "", Verdict::Skip("not there for this token")),
            (409, vec![], "Git Repository is empty.", Verdict::Skip("an empty repository")),
            (422, vec![], "", Verdict::Skip("not a question that GitHub answers")),
            (500, vec![], "", Verdict::Broken),
            (502, vec![("retry-after", "30")], "", Verdict::Broken),
            (301, vec![], "", Verdict::Broken),
        ] {
            assert_eq!(verdict(&answer(status, &headers, body), now()), expected, "{status} {headers:?} {body}");
        }
    }

    #[test]
    fn a_tenth_of_the_hour_is_left_to_others() {
        let reset = (now().as_second() + 600).to_string();
        let left = |left: &str, resource: &str| {
            let headers = [
                ("x-ratelimit-remaining", left),
                ("x-ratelimit-limit", "5000"),
                ("x-ratelimit-reset", &reset),
                ("x-ratelimit-resource", resource),
            ];
            reserved(&answer(200, &headers, ""), now())
        };
        let until = Some(time::after_seconds(now(), 600));
        assert_eq!([left("501", "core"), left("500", "core"), left("0", "core")], [None, until, until]);
        assert_eq!([left("1", "search"), left("0", "search")], [None, until]);
        assert_eq!(reserved(&answer(200, &[], ""), now()), None);
    }

    #[test]
    fn the_next_page_is_the_link_that_says_so() {
        let page = |link: &str| next_page(&answer(200, &[("link", link)], "")).map(str::to_owned);
        let both = r#"<https://h/x?page=1>; rel="prev", <https://h/x?a=b,c&page=3>; rel="next""#;
        assert_eq!(
            page(r#"<https://h/x?page=2>; rel="next", <https://h/x?page=9>; rel="last""#).as_deref(),
            Some("https://h/x?page=2")
        );
        assert_eq!(page(both).as_deref(), Some("https://h/x?a=b,c&page=3"));
        for link in ["", "nonsense", r#"<https://h/x>; rel="last""#, r#"<https://h/x"#] {
            assert_eq!(page(link), None, "{link}");
        }
    }
}
