//! A small GitHub on loopback: pages by Link, tags, limits, refusals and the device flow, in the shapes of the real one.
//!
//! With `GITHUB_SHAPES=FILE` every answer is written there too, for `make github-shapes` to check.

use std::collections::{BTreeMap, VecDeque};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

/// The token that it takes.
pub const TOKEN: &str = "gho_CanaryTokenOfTheTests0123456789abcd";

/// Status, headers and body.
type Answer = (u16, Vec<(String, String)>, Value);

/// The server; it ends with the process.
pub struct GitHub {
    pub base: String,
    world: Arc<Mutex<World>>,
    /// Questions that came; whoever holds the world keeps them from being answered.
    came: Arc<AtomicUsize>,
}

/// What it holds and what it was asked.
pub struct World {
    molds: Value,
    base: String,
    /// Lists by path, in pages of `page` items.
    pub lists: BTreeMap<String, Vec<Value>>,
    pub page: usize,
    /// Answers given before anything else.
    pub instead: VecDeque<Answer>,
    /// Answers of the device flow, in order.
    pub device: VecDeque<Value>,
    /// `GET /user 200` and the like, in order.
    pub asked: Vec<String>,
    pub revoked: bool,
}

/// A request: method, target, headers in lower case, body.
struct Asked {
    method: String,
    target: String,
    headers: BTreeMap<String, String>,
    body: String,
}

impl GitHub {
    /// Starts it with one person, two repositories, an issue and a pull request.
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let text = std::fs::read_to_string(super::repository("tests/data/github/molds.json")).unwrap();
        let mut world = World {
            molds: serde_json::from_str(&text).unwrap(),
            base: base.clone(),
            lists: BTreeMap::new(),
            page: 2,
            instead: VecDeque::new(),
            device: VecDeque::new(),
            asked: Vec::new(),
            revoked: false,
        };
        world.fill();
        let world = Arc::new(Mutex::new(world));
        let came = Arc::new(AtomicUsize::new(0));
        let served = (world.clone(), came.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (world, came) = served.clone();
                std::thread::spawn(move || serve(stream, &world, &came));
            }
        });
        Self { base, world, came }
    }

    /// Questions that came, answered or not.
    pub fn came(&self) -> usize {
        self.came.load(Ordering::SeqCst)
    }

    pub fn world(&self) -> std::sync::MutexGuard<'_, World> {
        self.world.lock().unwrap()
    }

    /// What it was asked since the last look.
    pub fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.world().asked)
    }

    /// The settings that lead a daemon here.
    pub fn config(&self, more: &str) -> String {
        format!("[github]\napi = \"{0}\"\nweb = \"{0}\"\n{more}", self.base)
    }
}

impl World {
    fn mold(&self, name: &str, more: Value) -> Value {
        let mut object = self.molds[name].clone();
        for (key, value) in more.as_object().unwrap() {
            object[key] = value.clone();
        }
        object
    }

    /// Somebody as they stand in other objects; 1 is the person whose token it is.
    pub fn somebody(&self, id: u64, kind: &str) -> Value {
        let login = if kind == "Bot" { format!("user{id}[bot]") } else { format!("user{id}") };
        self.mold("somebody", json!({"id": id, "login": login, "type": kind}))
    }

    pub fn add(&mut self, path: &str, item: Value) {
        self.lists.entry(path.to_owned()).or_default().push(item);
    }

    pub fn repository(&self, id: u64, name: &str) -> Value {
        let short = name.rsplit('/').next().unwrap();
        let about = json!({"id": id, "full_name": name, "name": short, "description": "A parser of dates", "language": "Rust",
            "topics": ["parser"], "created_at": "2025-01-01T00:00:00Z", "pushed_at": "2026-01-05T00:00:00Z"});
        self.mold("repository", about)
    }

    pub fn commit(&self, sha: &str, message: &str, by: u64) -> Value {
        let mut inner = self.molds["commit"]["commit"].clone();
        let signature = json!({"name": "A", "email": "a@example.org", "date": "2026-01-04T10:00:00Z"});
        (inner["message"], inner["author"], inner["committer"]) = (message.into(), signature.clone(), signature);
        let somebody = self.somebody(by, "User");
        self.mold("commit", json!({"sha": sha, "commit": inner, "author": somebody, "committer": somebody}))
    }

    pub fn issue(&self, id: u64, thread: &str, words: (&str, &str), by: &Value) -> Value {
        let (repository, number) = thread.split_once('#').unwrap();
        let about = json!({"id": id, "number": number.parse::<u64>().unwrap(), "title": words.0, "body": words.1,
            "user": by, "state": "open", "created_at": "2026-01-02T09:00:00Z",
            "updated_at": format!("2026-01-{:02}T09:00:00Z", 2 + id % 20),
            "repository_url": format!("{}/repos/{repository}", self.base)});
        self.mold("issue", about)
    }

    pub fn pull(&self, id: u64, thread: &str, words: (&str, &str), by: &Value) -> Value {
        let mut pull = self.issue(id, thread, words, by);
        pull["pull_request"] = json!({"diff_url": null, "html_url": null, "patch_url": null, "url": null});
        pull
    }

    pub fn comment(&self, mold: &str, id: u64, body: &str, by: &Value) -> Value {
        let at = "2026-01-03T11:00:00Z";
        let about = match mold {
            "review" => json!({"id": id, "body": body, "user": by, "submitted_at": at}),
            _ => json!({"id": id, "body": body, "user": by, "created_at": at, "updated_at": at}),
        };
        self.mold(mold, about)
    }

    fn fill(&mut self) {
        let (me, other, bot) = (self.somebody(1, "User"), self.somebody(2, "User"), self.somebody(3, "Bot"));
        for (id, name) in [(11, "user1/dates"), (12, "user1/site"), (13, "team/app")] {
            self.add("/user/repos", self.repository(id, name));
        }
        for n in 1..=5 {
            self.add(
                "/repos/user1/dates/commits",
                self.commit(&format!("aa{n}"), &format!("Mend step {n} of leap years"), 1),
            );
        }
        self.add("/repos/user1/site/commits", self.commit("bb1", "Merge pull request #1 from x/y", 1));
        let agent = "Add a test\n\n🤖 Generated with [Claude Code](https://claude.com/claude-code)";
        self.add("/repos/user1/site/commits", self.commit("bb2", agent, 1));
        let asked =
            self.issue(21, "user1/dates#4", ("Leap seconds", "<!-- template -->Should we support zanzibar time?"), &me);
        let pulled = self.pull(22, "team/app#7", ("Use jiff", "I prefer jiff over chrono."), &me);
        let theirs = self.issue(23, "them/lib#9", ("Broken", "It is broken."), &other);
        self.lists.insert("/issues".to_owned(), vec![asked.clone(), pulled.clone()]);
        self.lists.insert("/search/issues commenter issue".to_owned(), vec![asked, theirs]);
        self.lists.insert("/search/issues commenter pull-request".to_owned(), vec![pulled.clone()]);
        self.lists.insert("/search/issues reviewed-by pull-request".to_owned(), vec![pulled]);
        self.add(
            "/repos/user1/dates/issues/4/comments",
            self.comment("comment", 31, "> why?\n\nBecause of quokkas.", &me),
        );
        self.add("/repos/user1/dates/issues/4/comments", self.comment("comment", 32, "I am a machine", &bot));
        for (id, by) in [(33, &other), (34, &other), (35, &me)] {
            self.add("/repos/them/lib/issues/9/comments", self.comment("comment", id, "Seen on numbats too.", by));
        }
        self.add("/repos/team/app/issues/7/comments", self.comment("comment", 36, "Please look again.", &me));
        self.add("/repos/team/app/pulls/7/comments", self.comment("review-comment", 37, "Name it wombat.", &me));
        self.add("/repos/team/app/pulls/7/reviews", self.comment("review", 38, "Good but for the names.", &me));
    }

    fn answer(&mut self, asked: &Asked) -> Answer {
        if asked.method == "POST" {
            return self.device(asked);
        }
        if self.revoked || asked.headers.get("authorization") != Some(&format!("Bearer {TOKEN}")) {
            return (401, Vec::new(), json!({"message": "Bad credentials", "documentation_url": "", "status": "401"}));
        }
        assert!(
            asked.headers["user-agent"].starts_with("clone/") && asked.headers.contains_key("x-github-api-version")
        );
        if let Some(answer) = self.instead.pop_front() {
            return answer;
        }
        let (path, query) = asked.target.split_once('?').unwrap_or((&asked.target, ""));
        let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        let query: BTreeMap<&str, String> = pairs.map(|(name, value)| (name, decoded(value))).collect();
        let mut headers = vec![("x-ratelimit-limit".to_owned(), "5000".to_owned())];
        headers.push(("x-ratelimit-remaining".to_owned(), "4999".to_owned()));
        let (body, next) = if path == "/user" {
            headers.push(("x-oauth-scopes".to_owned(), "read:user, repo".to_owned()));
            (self.mold("user", json!({"id": 1, "login": "user1", "type": "User"})), None)
        } else {
            match self.page(path, &query) {
                Some(page) => page,
                None => {
                    return (404, headers, json!({"message": "Not Found", "documentation_url": "", "status": "404"}));
                }
            }
        };
        let etag =
            format!("W/\"{:x}\"", body.to_string().bytes().fold(7_u64, |sum, b| sum.wrapping_mul(31) + u64::from(b)));
        if asked.headers.get("if-none-match") == Some(&etag) {
            return (304, headers, Value::Null);
        }
        headers.push(("etag".to_owned(), etag));
        if let Some(next) = next {
            let target = asked.target.split("&page=").next().unwrap();
            let link =
                format!("<{0}{target}&page={next}>; rel=\"next\", <{0}{target}&page=99>; rel=\"last\"", self.base);
            headers.push(("link".to_owned(), link));
        }
        (200, headers, body)
    }

    /// A page of a list, and the number of the next.
    fn page(&self, path: &str, query: &BTreeMap<&str, String>) -> Option<(Value, Option<usize>)> {
        let words = query.get("q").map(String::as_str).unwrap_or_default();
        let word = |name: &str| words.split(' ').find_map(|word| word.strip_prefix(name));
        let (mut key, mut from) = (path.to_owned(), query.get("since").cloned());
        if path == "/search/issues" {
            let who = words.split(':').next().unwrap_or_default();
            key = format!("{path} {who} {}", word("is:").unwrap_or_default());
            from = word("updated:>=").map(str::to_owned);
        }
        let from = from.unwrap_or_default();
        let fresh = |item: &&Value| item["updated_at"].as_str().is_none_or(|at| at >= from.as_str());
        let mut items: Vec<Value> = match self.lists.get(&key) {
            Some(items) => items.iter().filter(fresh).cloned().collect(),
            None if path.starts_with("/repos/team/app/commits") => Vec::new(),
            None => return None,
        };
        items.sort_by_key(|item| item["updated_at"].as_str().filter(|_| path != "/user/repos").map(str::to_owned));
        let number: usize = query.get("page").map_or(1, |page| page.parse().unwrap());
        let total = items.len();
        let page: Vec<Value> = items.into_iter().skip((number - 1) * self.page).take(self.page).collect();
        let next = (number * self.page < total).then_some(number + 1);
        if path != "/search/issues" {
            return Some((json!(page), next));
        }
        let scored = page.into_iter().map(|mut item| {
            (item["score"], item["author_association"]) = (json!(1.0), json!("NONE"));
            item
        });
        let found = scored.collect::<Vec<_>>();
        Some((
            json!({"total_count": total, "incomplete_results": false, "search_type": "lexical", "items": found}),
            next,
        ))
    }

    fn device(&mut self, asked: &Asked) -> Answer {
        assert_eq!(asked.headers["accept"], "application/json");
        assert!(asked.body.contains("client_id=Iv1.test"), "{}", asked.body);
        let answer = match asked.target.as_str() {
            "/login/device/code" => self.mold("device", json!({"device_code": "device-canary-code"})),
            "/login/oauth/access_token" => {
                assert!(asked.body.contains("device_code=device-canary-code"), "{}", asked.body);
                self.device.pop_front().unwrap_or_else(|| json!({"error": "authorization_pending"}))
            }
            other => panic!("nobody posts to {other}"),
        };
        (200, Vec::new(), answer)
    }
}

fn serve(stream: TcpStream, world: &Mutex<World>, came: &AtomicUsize) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut stream = stream;
    while let Some(asked) = read(&mut reader) {
        came.fetch_add(1, Ordering::SeqCst);
        let (status, headers, body) = {
            let mut world = world.lock().unwrap();
            let answer = world.answer(&asked);
            world.asked.push(format!("{} {} {}", asked.method, asked.target, answer.0));
            answer
        };
        shape(&asked, status, &body);
        let body = if status == 304 { String::new() } else { body.to_string() };
        let mut head =
            format!("HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {}\r\n", body.len());
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if stream.write_all(format!("{head}\r\n{body}").as_bytes()).is_err() {
            return;
        }
    }
}

fn read(reader: &mut BufReader<TcpStream>) -> Option<Asked> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
    let mut words = line.split_whitespace().map(str::to_owned);
    let (method, target) = (words.next()?, words.next()?);
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.insert(name.to_lowercase(), value.trim().to_owned());
    }
    let mut body = String::new();
    if headers.get("transfer-encoding").is_some_and(|coding| coding == "chunked") {
        panic!("a form is sent with its length");
    }
    let length = headers.get("content-length").map_or(0, |length| length.parse().unwrap());
    reader.take(length).read_to_string(&mut body).ok()?;
    Some(Asked { method, target, headers, body })
}

fn decoded(text: &str) -> String {
    let mut parts = text.split('%');
    let first = parts.next().unwrap_or_default().to_owned();
    let text = parts.fold(first, |text, part| {
        let (digits, rest) = part.split_at(2);
        text + &char::from(u8::from_str_radix(digits, 16).unwrap()).to_string() + rest
    });
    text.replace('+', " ")
}

/// Writes an answer for the check of its shape.
fn shape(asked: &Asked, status: u16, body: &Value) {
    let Some(path) = std::env::var_os("GITHUB_SHAPES") else { return };
    let line = json!({"method": asked.method, "path": asked.target, "status": status, "body": body});
    let mut file = std::fs::OpenOptions::new().append(true).create(true).open(path).unwrap();
    file.write_all(format!("{line}\n").as_bytes()).unwrap();
}
