//! Known answers to known questions: which property a word like `pnpm` or `4 spaces` is a value of.
//!
//! A property here holds one value at a time unless it says otherwise, so that a newer value closes the older one.

use std::sync::OnceLock;

use clone_schema::id::normal;

use crate::memory::words::Phrases;

/// A property and its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Slot {
    /// The property.
    pub(super) attribute: String,
    /// The value, one spelling for all of its names.
    pub(super) value: String,
    /// Whether another value of the same property takes its place.
    pub(super) single: bool,
}

/// Property, whether it holds one value at a time, and its values; `a=b` gives another spelling of one value.
#[rustfmt::skip]
const VALUES: &[(&str, bool, &[&str])] = &[
    ("js package manager", true, &["npm", "pnpm", "yarn"]),
    ("python package manager", true, &["pip", "pip3=pip", "uv", "poetry", "pipenv", "conda", "pdm"]),
    (
        "editor",
        true,
        &[
            "vim", "neovim", "nvim=neovim", "emacs", "vs code=vscode", "vscode", "visual studio code=vscode", "zed",
            "helix", "sublime text", "sublime=sublime text", "intellij", "pycharm", "webstorm", "nano",
        ],
    ),
    ("shell", true, &["bash", "zsh", "fish", "powershell", "nushell"]),
    ("terminal", true, &["iterm", "iterm2=iterm", "kitty", "alacritty", "wezterm", "ghostty"]),
    ("operating system", true, &["macos", "linux", "ubuntu", "debian", "fedora", "arch linux", "nixos", "windows"]),
    ("browser", true, &["chrome", "firefox", "safari", "brave"]),
    (
        "indentation",
        true,
        &[
            "tabs", "tab indentation=tabs", "2 spaces", "two spaces=2 spaces", "2 space=2 spaces",
            "two space=2 spaces", "4 spaces", "four spaces=4 spaces", "4 space=4 spaces", "four space=4 spaces",
            "8 spaces", "spaces",
        ],
    ),
    ("quotes", true, &["single quotes", "double quotes", "single quoted=single quotes", "double quoted=double quotes"]),
    ("js test runner", true, &["jest", "vitest", "mocha", "jasmine"]),
    ("python test runner", true, &["pytest", "unittest", "nose"]),
    ("browser tests", true, &["playwright", "cypress", "selenium", "puppeteer"]),
    ("formatter", true, &["prettier", "biome", "black", "yapf", "dprint", "rustfmt", "gofmt"]),
    ("linter", true, &["eslint", "ruff", "flake8", "pylint", "oxlint"]),
    (
        "database",
        true,
        &[
            "postgres", "postgresql=postgres", "mysql", "sqlite", "mongodb", "mongo=mongodb", "mariadb", "dynamodb",
            "duckdb", "cockroachdb",
        ],
    ),
    ("cache", true, &["redis", "memcached", "valkey"]),
    ("orm", true, &["prisma", "drizzle", "sqlalchemy", "typeorm", "sequelize", "diesel"]),
    ("frontend framework", true, &["react", "vue", "svelte", "angular", "solidjs", "preact"]),
    ("web framework", true, &["nextjs", "next js=nextjs", "nuxt", "remix", "sveltekit", "astro", "gatsby"]),
    (
        "backend framework",
        true,
        &["django", "flask", "fastapi", "express", "hono", "koa", "fastify", "rails", "spring boot", "axum", "actix", "nestjs"],
    ),
    ("styling", true, &["tailwind", "tailwindcss=tailwind", "bootstrap", "css modules", "styled components", "sass"]),
    ("bundler", true, &["vite", "webpack", "rollup", "esbuild", "parcel", "turbopack"]),
    ("build tool", true, &["gradle", "maven", "bazel", "cmake", "meson"]),
    ("cloud", true, &["aws", "gcp", "google cloud=gcp", "azure"]),
    (
        "hosting",
        true,
        &["vercel", "netlify", "heroku", "fly io", "railway", "cloudflare pages", "digitalocean", "hetzner"],
    ),
    ("ci", true, &["github actions", "circleci", "jenkins", "gitlab ci", "travis", "buildkite", "drone ci"]),
    ("code host", true, &["github", "gitlab", "bitbucket", "codeberg", "gitea"]),
    ("issue tracker", true, &["jira", "linear", "github issues", "asana", "trello", "shortcut", "youtrack"]),
    ("chat", true, &["slack", "discord", "microsoft teams", "mattermost", "zulip"]),
    ("notes", true, &["notion", "obsidian", "confluence", "evernote", "logseq"]),
    ("containers", true, &["docker", "podman"]),
    ("infrastructure", true, &["terraform", "opentofu", "pulumi", "ansible", "cloudformation"]),
    ("commit style", true, &["conventional commits", "gitmoji"]),
    ("merging", true, &["rebase", "squash merges=squash", "squash merge=squash", "squash", "merge commits"]),
    ("branching", true, &["trunk based development", "gitflow", "git flow=gitflow", "feature branches"]),
    ("naming", true, &["snake case", "camel case", "camelcase=camel case", "pascal case", "kebab case"]),
    (
        "spelling",
        true,
        &[
            "british english", "american english", "british spelling=british english",
            "american spelling=american english", "us english=american english", "uk english=british english",
        ],
    ),
    ("theme", true, &["dark mode", "light mode", "dark theme=dark mode", "light theme=light mode"]),
    ("message queue", true, &["rabbitmq", "kafka", "nats", "sqs", "activemq"]),
    ("js logging", true, &["winston", "pino", "bunyan"]),
    ("js dates", true, &["moment", "momentjs=moment", "date fns", "dayjs", "luxon"]),
    ("search engine", true, &["elasticsearch", "opensearch", "typesense", "meilisearch", "algolia", "solr"]),
    ("monitoring", true, &["datadog", "grafana", "new relic", "honeycomb"]),
    ("payments", true, &["stripe", "adyen", "paypal", "braintree", "paddle"]),
    ("sign in", true, &["okta", "keycloak", "auth0", "cognito"]),
    ("compute", true, &["fargate", "cloud run", "kubernetes", "nomad"]),
    ("js runtime", true, &["nodejs", "node js=nodejs", "bun", "deno"]),
    ("config format", true, &["yaml", "toml", "json5", "ini files"]),
    ("docs format", true, &["markdown", "asciidoc", "restructuredtext", "org mode"]),
    ("code search", true, &["ripgrep", "grep", "the silver searcher", "ugrep"]),
    ("job queue", true, &["celery", "dramatiq", "sidekiq", "bullmq", "rq"]),
    ("web server", true, &["nginx", "caddy", "traefik"]),
    ("time zone", true, &["utc", "local time"]),
    ("units", true, &["metric units", "imperial units", "metric=metric units"]),
    ("date format", true, &["iso dates", "iso 8601=iso dates", "iso 8601 dates=iso dates"]),
    ("clock", true, &["24 hour", "12 hour", "24h=24 hour", "12h=12 hour"]),
    ("api style", true, &["rest", "graphql", "grpc", "trpc"]),
    ("state library", true, &["redux", "zustand", "mobx", "jotai", "pinia", "vuex"]),
    ("http client", true, &["axios", "fetch", "httpx", "requests", "reqwest"]),
    (
        "language",
        false,
        &[
            "typescript", "javascript", "python", "rust", "golang", "go", "java", "kotlin", "swift", "ruby", "php",
            "elixir", "haskell", "scala", "clojure", "zig", "ocaml", "lua",
        ],
    ),
];

/// Length and tone of answers: recognised wherever they stand in a short order.
#[rustfmt::skip]
const TONES: &[(&str, &str, &[&str])] = &[
    (
        "answer length", "short",
        &[
            "concise", "brief", "short answers", "short ones", "terse", "answers short", "replies short", "responses short",
            "short and to the point", "to the point", "short replies", "answer briefly", "responses brief",
            "answers brief",
        ],
    ),
    (
        "answer length", "detailed",
        &[
            "detailed answers", "detailed ones", "detailed explanations", "verbose", "thorough explanations", "long answers",
            "answers detailed", "explain in detail", "longer answers",
        ],
    ),
    ("tone", "informal", &["casual tone", "be casual", "informal", "casually"]),
    ("tone", "formal", &["formal tone", "be formal", "formally"]),
];

/// Natural languages that an agent can be told to answer in.
#[rustfmt::skip]
pub(super) const TONGUES: &[&str] = &[
    "english", "german", "french", "spanish", "italian", "portuguese", "dutch", "polish", "russian", "japanese",
    "chinese", "korean", "czech", "swedish", "turkish", "ukrainian", "hindi", "castellano", "deutsch", "français",
    "español",
];

/// Words between the verb of choice and what is chosen.
#[rustfmt::skip]
const BETWEEN: &[&str] = &[
    "the", "a", "an", "only", "just", "me", "code", "everything", "things", "your", "my", "our", "with", "in", "to",
    "on", "by", "us", "you", "of", "using", "strictly", "new", "always", "and", "everywhere", "all", "packages",
    "dependencies", "plain",
];

/// Verbs that choose.
#[rustfmt::skip]
const CHOICES: &[&str] = &[
    "use", "using", "prefer", "choose", "pick", "go with", "going with", "stick with", "stick to", "write",
    "indent", "indent with", "format", "test with", "default to", "like", "want", "deploy to",
    "deploy on", "host on", "build with", "work in", "work on", "develop in", "opt for", "rely on",
    "standardize on", "standardise on", "follow", "adopt", "love", "am on", "are on", "suggest",
    "recommend", "do", "reach for", "go through", "bundle with", "install with", "format with", "lint with", "give me", "run on", "name things", "name variables", "be on", "live in", "usa",
    "utiliza", "benutze", "verwende", "utilise", "emploie", "nutze",
];

/// A known value: its property, its one name, and whether it takes the place of others.
type Term = (&'static str, &'static str, bool);

/// What stands in for a value: the value's one name.
pub(super) fn known(text: &str) -> Option<Slot> {
    let text = normal(text);
    terms().find(&text).find(|(at, term, _)| *at == 0 && *term == text).map(|(_, _, term)| slot(term))
}

fn slot((attribute, value, single): Term) -> Slot {
    Slot { attribute: attribute.to_owned(), value: value.to_owned(), single }
}

fn terms() -> &'static Phrases<Term> {
    static TERMS: OnceLock<Phrases<Term>> = OnceLock::new();
    TERMS.get_or_init(|| {
        Phrases::new(VALUES.iter().flat_map(|(attribute, single, values)| {
            values.iter().map(|entry| {
                let (term, value) = entry.split_once('=').unwrap_or((entry, entry));
                (term, (*attribute, value, *single))
            })
        }))
    })
}

/// The known values in a text with their places in its normal form between two spaces, longest names first where they
/// overlap.
pub(super) fn all(text: &str) -> Vec<(usize, usize, Slot)> {
    let padded = format!(" {} ", normal(text));
    let mut every: Vec<_> = terms().find(&padded).filter(|(_, term, _)| term.len() > 2 || *term == "uv").collect();
    every.sort_by_key(|(at, term, _)| (std::cmp::Reverse(term.len()), *at));
    let mut found: Vec<(usize, usize, Slot)> = Vec::new();
    for (at, term, stands) in every {
        // The space before it counts in.
        let (from, to) = (at - 1, at - 1 + term.len());
        if found.iter().all(|(start, end, _)| to <= *start || from >= *end) {
            found.push((from, to, slot(stands)));
        }
    }
    found.sort_by_key(|(from, _, _)| *from);
    found
}

/// The value that a sentence holds to, and whether it is wanted: the only known one, or of two of one property the one that
/// is not turned down.
pub(super) fn held(text: &str) -> Option<(Slot, bool)> {
    #[rustfmt::skip]
    const DOWN: &[&str] = &[
        "not", "no", "never", "over", "than", "of", "don t have", "don t run", "without", "or", "avoid", "plain",
        "bare", "not use", "t use",
    ];
    let padded = format!(" {} ", normal(text));
    let found = all(text);
    let down = |(from, _, _): &(usize, usize, Slot)| {
        let before = padded[..from + 1].trim();
        DOWN.iter().any(|word| before == *word || before.ends_with(&format!(" {word}")))
    };
    let (no, yes): (Vec<_>, Vec<_>) = found.into_iter().filter(|(_, _, slot)| slot.single).partition(down);
    match (yes.as_slice(), no.as_slice()) {
        ([one], rest) if rest.iter().all(|(_, _, other)| other.attribute == one.2.attribute) => {
            Some((one.2.clone(), true))
        }
        ([], [one]) => Some((one.2.clone(), false)),
        _ => None,
    }
}

/// The slot that an order like `use pnpm for packages` fills.
pub(super) fn of(order: &str) -> Option<Slot> {
    let order = normal(order);
    tone(&order)
        .or_else(|| tongue(&order))
        .or_else(|| measure(&order))
        .or_else(|| chosen(&order))
        .or_else(|| purposed(&order))
}

/// `keep lines under 100 columns`: the number.
fn measure(order: &str) -> Option<Slot> {
    const UNITS: &[&str] = &["columns", "cols", "characters", "chars", "column", "char", "character"];
    let words: Vec<&str> = order.split(' ').collect();
    let limits = ["under", "below", "within", "max", "maximum", "most", "to", "at", "over", "exceed", "than", "limit"];
    let limited = limits.iter().any(|limit| words.contains(limit)) || words.contains(&"wrap");
    let of_lines = limited && words.iter().any(|word| matches!(*word, "line" | "lines" | "wrap"));
    let at = words
        .windows(2)
        .position(|pair| pair[0].parse::<u16>().is_ok_and(|n| (20..=500).contains(&n)) && UNITS.contains(&pair[1]))?;
    (of_lines && words.len() <= 12).then(|| Slot {
        attribute: "line length".to_owned(),
        value: words[at].to_owned(),
        single: true,
    })
}

fn tone(order: &str) -> Option<Slot> {
    if order.split(' ').count() > 8 {
        return None;
    }
    let padded = format!(" {order} ");
    let found = TONES.iter().find(|(_, _, forms)| forms.iter().any(|form| padded.contains(&format!(" {form} "))))?;
    Some(Slot { attribute: found.0.to_owned(), value: found.1.to_owned(), single: true })
}

/// `answer in German`, `write comments in English`.
fn tongue(order: &str) -> Option<Slot> {
    #[rustfmt::skip]
    const ANSWERS: &[&str] = &[
        "answer", "respond", "reply", "speak", "talk", "write to me", "communicate", "responde", "antworte",
        "réponds", "answer me", "write", "respond to me", "reply to me", "talk to me", "speak to me", "answers", "replies", "responses", "explanations", "antworten", "escribe",
    ];
    let switched = ["switch to ", "go back to ", "change to "].iter().find_map(|lead| order.strip_prefix(lead));
    if let Some((language, when)) = switched.and_then(|rest| rest.split_once(' '))
        && TONGUES.contains(&language)
        && ["answer", "reply", "respond", "talk", "speak", "explain"].iter().any(|verb| when.contains(verb))
    {
        return Some(Slot { attribute: "language of answers".to_owned(), value: language.to_owned(), single: true });
    }
    if let Some((language, "answers" | "replies" | "responses" | "explanations")) = order.split_once(' ')
        && TONGUES.contains(&language)
    {
        return Some(Slot { attribute: "language of answers".to_owned(), value: language.to_owned(), single: true });
    }
    let (before, language) = [" in ", " en ", " auf "].iter().find_map(|word| order.rsplit_once(word))?;
    let language = language.trim_end_matches(" only").trim_end_matches(" please").trim_end_matches(" to me");
    if !TONGUES.contains(&language) {
        return None;
    }
    let about = if ANSWERS.contains(&before) { "answers" } else { before.strip_prefix("write ")? };
    let about = about.trim_start_matches("the ").trim_start_matches("your ").trim_start_matches("all ");
    Some(Slot { attribute: format!("language of {about}"), value: language.to_owned(), single: true })
}

/// The longest verb of choice that an order begins with, and what follows it.
fn after_choice(order: &str) -> Option<&str> {
    let behind = CHOICES.iter().filter_map(|verb| order.strip_prefix(verb)?.strip_prefix(' '));
    behind.min_by_key(|rest| rest.len())
}

fn chosen(order: &str) -> Option<Slot> {
    let mut rest = after_choice(order)?;
    for _ in 0..4 {
        if let Some((slot, behind)) = leading(rest) {
            return Some(purpose(as_said(slot, order), behind));
        }
        let (word, behind) = rest.split_once(' ')?;
        if !BETWEEN.contains(&word) {
            return None;
        }
        rest = behind;
    }
    None
}

/// What formats and lints as well: the verb says which is meant.
fn as_said(mut slot: Slot, order: &str) -> Slot {
    const BOTH: &[&str] = &["ruff", "biome", "eslint", "dprint"];
    let said = [("format ", "formatter"), ("lint ", "linter")].into_iter().find(|(verb, _)| order.starts_with(verb));
    if let Some((_, attribute)) = said.filter(|_| BOTH.contains(&slot.value.as_str())) {
        attribute.clone_into(&mut slot.attribute);
    }
    slot
}

/// The slot of a value that stands without a verb: `pnpm for everything here`, `double quotes in python`.
pub(super) fn named(order: &str) -> Option<Slot> {
    const BEHIND: &[&str] =
        &["for", "in", "on", "everywhere", "only", "please", "syntax", "here", "style", "to", "over", "it"];
    let order = normal(order);
    let (slot, behind) = leading(&order)?;
    let next = behind.split(' ').next().unwrap_or_default();
    (slot.single && (behind.is_empty() || BEHIND.contains(&next))).then(|| purpose(slot, behind))
}

/// The value that a text begins with, and the rest.
fn leading(text: &str) -> Option<(Slot, &str)> {
    let fits = terms().find(text).take_while(|(at, _, _)| *at == 0);
    let (_, term, stands) = fits.max_by_key(|(_, term, _)| term.len())?;
    let behind = text[term.len()..].trim_start();
    // `the rest of it` is no style of an interface.
    (term != "rest" || behind.is_empty() || behind.starts_with("api")).then(|| (slot(stands), behind))
}

/// `… for tests`: another property than the plain one, unless it only names what the value is for anyway.
fn purpose(mut slot: Slot, behind: &str) -> Slot {
    #[rustfmt::skip]
    const PLAIN: &[&str] = &[
        "everything", "all", "anything", "whatever", "this", "the", "my", "our", "packages", "package", "indent", "indents", "dependencies", "installs",
        "installing", "indentation", "indenting", "code", "strings", "tests", "testing", "unit", "formatting",
        "linting", "styling", "notes", "tickets", "issues", "ci", "deploys", "deployment", "hosting", "commits",
        "variables", "names", "components", "editing", "any", "new", "projects", "me", "us", "work", "containers",
        "infrastructure", "data", "storage", "python", "javascript", "node", "typescript", "managing",
        "package management", "state", "requests", "apis", "builds", "bundling", "chat", "dates",
    ];
    if let Some(what) = behind.strip_prefix("for ") {
        let first = what.split(' ').next().unwrap_or_default();
        if !PLAIN.contains(&first) && what.split(' ').count() <= 4 {
            slot.attribute = format!("{} for {what}", slot.attribute);
        }
    }
    slot
}

/// `use X for Y` with a value nobody listed.
fn purposed(order: &str) -> Option<Slot> {
    let rest = ["use ", "usa ", "prefer "].iter().find_map(|verb| order.strip_prefix(verb))?;
    let rest = rest.trim_start_matches("the ").trim_start_matches("our ");
    let (value, purpose) = rest.split_once(" for ")?;
    let purpose = purpose.trim_start_matches("the ").trim_start_matches("all ").trim_start_matches("any ");
    let vague =
        |word: &str| matches!(word, "it" | "this" | "that" | "them" | "these" | "those" | "same" | "a" | "an" | "more");
    let first = value.split(' ').next().unwrap_or_default();
    let fits = (1..=3).contains(&value.split(' ').count()) && (1..=3).contains(&purpose.split(' ').count());
    let clear = !vague(first)
        && !purpose.split(' ').any(|word| {
            vague(word) || matches!(word, "now" | "the" | "here" | "each" | "everything" | "all" | "anything")
        });
    (fits && clear).then(|| Slot { attribute: format!("for {purpose}"), value: value.to_owned(), single: true })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_fill_slots() {
        let table = [
            ("use pnpm", "js package manager", "pnpm"),
            ("use pnpm for installing packages", "js package manager", "pnpm"),
            ("prefer the PostgreSQL", "database", "postgres"),
            ("use sqlite for integration fixtures", "database for integration fixtures", "sqlite"),
            ("indent with two spaces", "indentation", "2 spaces"),
            ("use 2-space indentation", "indentation", "2 spaces"),
            ("use tabs for indentation", "indentation", "tabs"),
            ("answer in German", "language of answers", "german"),
            ("write comments in English", "language of comments", "english"),
            ("keep your answers short", "answer length", "short"),
            ("be concise", "answer length", "short"),
            ("use loguru for logging", "for logging", "loguru"),
            ("use VS Code", "editor", "vscode"),
        ];
        for (order, attribute, value) in table {
            let slot = of(order).unwrap_or_else(|| panic!("{order:?}"));
            assert_eq!((slot.attribute.as_str(), slot.value.as_str()), (attribute, value), "{order:?}");
        }
        for order in
            ["use it for now", "use this for the tests", "run the tests", "add a go button", "fix the tabs", ""]
        {
            assert_eq!(of(order), None, "{order:?}");
        }
    }

    #[test]
    fn every_value_in_a_sentence() {
        let names: Vec<_> =
            all("We went from VS Code to Neovim, not vim").into_iter().map(|(_, _, slot)| slot.value).collect();
        assert_eq!(names, ["vscode", "neovim", "vim"]);
    }
}
