//! Tools and languages that the person names again and again, and the language they write in.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use clone_schema::id::{Claim, normal};
use clone_schema::memory::{Fact, Tier};
use serde::{Deserialize, Serialize};

use crate::memory::fact::support::{Support, lower_bound};
use crate::memory::fact::tentative;
use crate::memory::session::Told;
use crate::memory::words::Phrases;

/// A tool is told when it was named in this many prompts.
const MIN_COUNT: u32 = 5;
/// A tool is told when it was named in this many sessions.
const MIN_SESSIONS: u32 = 3;
/// The most tools that are told.
const MAX_TOLD: usize = 12;
/// The shortest prompt whose language is read, in words.
const MIN_WORDS: usize = 5;

/// Names that mean one tool and nothing else, in normal form and as they are written.
#[rustfmt::skip]
const TOOLS: &[(&str, &str)] = &[
    ("supabase", "Supabase"), ("langsmith", "LangSmith"), ("langchain", "LangChain"), ("langgraph", "LangGraph"),
    ("vercel", "Vercel"), ("fly io", "Fly.io"), ("netlify", "Netlify"), ("heroku", "Heroku"),
    ("railway", "Railway"), ("cloudflare", "Cloudflare"), ("aws", "AWS"), ("lambda", "AWS Lambda"),
    ("dynamodb", "DynamoDB"), ("azure", "Azure"), ("gcp", "Google Cloud"), ("terraform", "Terraform"),
    ("ansible", "Ansible"), ("pulumi", "Pulumi"), ("docker", "Docker"), ("podman", "Podman"),
    ("kubernetes", "Kubernetes"), ("gitlab", "GitLab"), ("bitbucket", "Bitbucket"),
    ("github actions", "GitHub Actions"), ("jira", "Jira"), ("notion", "Notion"), ("obsidian", "Obsidian"),
    ("figma", "Figma"), ("stripe", "Stripe"), ("sendgrid", "SendGrid"), ("firebase", "Firebase"),
    ("postgres", "Postgres"), ("postgresql", "Postgres"), ("mysql", "MySQL"), ("sqlite", "SQLite"),
    ("mongodb", "MongoDB"), ("redis", "Redis"), ("prisma", "Prisma"), ("graphql", "GraphQL"), ("pytest", "pytest"),
    ("jest", "Jest"), ("vitest", "Vitest"), ("playwright", "Playwright"), ("cypress", "Cypress"),
    ("eslint", "ESLint"), ("prettier", "Prettier"), ("webpack", "webpack"), ("vite", "Vite"),
    ("turborepo", "Turborepo"), ("tailwind", "Tailwind"), ("shadcn", "shadcn/ui"), ("react", "React"),
    ("vue", "Vue"), ("svelte", "Svelte"), ("angular", "Angular"), ("nextjs", "Next.js"), ("next js", "Next.js"),
    ("nuxt", "Nuxt"), ("django", "Django"), ("flask", "Flask"), ("fastapi", "FastAPI"), ("laravel", "Laravel"),
    ("symfony", "Symfony"), ("wordpress", "WordPress"), ("elixir", "Elixir"), 
    ("typescript", "TypeScript"), ("javascript", "JavaScript"), ("python", "Python"), ("rust", "Rust"),
    ("golang", "Go"), ("kotlin", "Kotlin"), ("java", "Java"), ("haskell", "Haskell"), ("unity", "Unity"),
    ("unreal", "Unreal"), ("godot", "Godot"), ("bepinex", "BepInEx"), ("textmeshpro", "TextMeshPro"),
    ("p5 js", "p5.js"), ("p5js", "p5.js"), ("three js", "three.js"), ("pnpm", "pnpm"),
    ("yarn", "Yarn"), ("ffmpeg", "FFmpeg"), ("ipfs", "IPFS"), ("ipns", "IPNS"), ("openai", "OpenAI"),
    ("ollama", "Ollama"), ("gemini", "Gemini"), ("grafana", "Grafana"), ("prometheus", "Prometheus"),
    ("datadog", "Datadog"), ("kafka", "Kafka"), ("rabbitmq", "RabbitMQ"), ("elasticsearch", "Elasticsearch"),
    ("pandas", "pandas"), ("numpy", "NumPy"), ("pytorch", "PyTorch"), ("tensorflow", "TensorFlow"),
    ("jupyter", "Jupyter"), ("neovim", "Neovim"), ("tmux", "tmux"), ("nginx", "nginx"), ("caddy", "Caddy"),
    ("flutter", "Flutter"), ("xcode", "Xcode"), ("storybook", "Storybook"), ("cognito", "Cognito"),
    ("amplify", "Amplify"), ("erlang", "Erlang"), ("automerge", "Automerge"), ("codemirror", "CodeMirror"),
    ("websocket", "WebSocket"), ("websockets", "WebSocket"), ("steam workshop", "Steam Workshop"),
    ("tauri", "Tauri"), ("electron", "Electron"), ("expo", "Expo"), ("react native", "React Native"),
    ("latex", "LaTeX"), ("nixos", "NixOS"), ("conda", "conda"),
];

/// Small words that tell a language.
#[rustfmt::skip]
const TONGUES: &[(&str, &str)] = &[
    ("English", " the and is to that it of you can we please this with not for in on "),
    ("Spanish", " el la los las que de un una por para con está como pero lo del haz hay en "),
    ("German", " der die das und ist nicht ein eine mit bitte kannst auf wir ich den zu für dass "),
    ("French", " le les des est une pour pas que vous je dans avec sur ce cette il faut et "),
    ("Portuguese", " não uma para com você isso por mas está em o os são quero "),
    ("Italian", " il che non una per con sono questo di è gli come anche puoi "),
    ("Dutch", " het een niet en ik dat voor met van je kun op zijn "),
    ("Polish", " nie jest to się na że czy jak dla "),
];

/// How often each was named.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Named {
    tools: BTreeMap<String, Support>,
    tongues: BTreeMap<String, Support>,
    read: u32,
}

impl Named {
    /// Takes in a prompt, whose sentences are in normal form and parted by two spaces.
    pub(super) fn observe(&mut self, told: &Told, sentences: &str) {
        static PHRASES: OnceLock<Phrases<&'static str>> = OnceLock::new();
        let phrases = PHRASES.get_or_init(|| Phrases::new(TOOLS.iter().copied()));
        let found: BTreeSet<&str> = phrases.find(sentences).map(|(_, _, name)| name).collect();
        for name in found {
            self.tools.entry(name.to_owned()).or_default().add(told);
        }
        if sentences.split_whitespace().count() >= MIN_WORDS {
            self.read = self.read.saturating_add(1);
            // English goes without saying.
            if let Some(tongue) = tongue(sentences).filter(|tongue| *tongue != "English") {
                self.tongues.entry(tongue.to_owned()).or_default().add(told);
            }
        }
    }

    pub(super) fn facts(&self, prompts: u32) -> impl Iterator<Item = Fact> + '_ {
        let mut tools: Vec<_> = self.tools.iter().filter(|(_, support)| is_told(support)).collect();
        tools.sort_by_key(|(name, support)| (std::cmp::Reverse((support.sessions(), support.count())), *name));
        tools.truncate(MAX_TOLD);
        let tools = tools.into_iter().filter_map(move |(name, support)| {
            let claim = claim("skill", "works with", name);
            let mut fact =
                support.fact(claim, format!("Has projects that involve {name}"), prompts, Tier::Tentative)?;
            fact.importance = tentative(f64::from(support.sessions()) / 20.0);
            Some(fact)
        });
        tools.chain(self.tongues.iter().filter_map(|(name, support)| self.tongue(name, support)))
    }

    /// The language that most prompts are in.
    fn tongue(&self, name: &str, support: &Support) -> Option<Fact> {
        let (count, sessions) = (support.count(), support.sessions());
        if count < 5 || sessions < 2 || lower_bound(count, self.read) < 0.5 {
            return None;
        }
        support.fact(claim("habit", "writes in", name), format!("Writes to agents in {name}"), self.read, Tier::Strong)
    }
}

fn is_told(support: &Support) -> bool {
    support.count() >= MIN_COUNT && support.sessions() >= MIN_SESSIONS
}

fn claim(kind: &str, attribute: &str, value: &str) -> Claim {
    Claim {
        kind: kind.into(),
        subject: "user".into(),
        attribute: attribute.into(),
        scope: String::new(),
        value: normal(value),
        polarity: "+".into(),
    }
}

/// The language of a text in normal form, where its small words leave no doubt.
fn tongue(text: &str) -> Option<&'static str> {
    let wide = |range: std::ops::RangeInclusive<char>| text.chars().filter(|c| range.contains(c)).count();
    let (kana, hangul, han) =
        (wide('\u{3040}'..='\u{30ff}'), wide('\u{ac00}'..='\u{d7a3}'), wide('\u{4e00}'..='\u{9fff}'));
    if kana + hangul + han >= 5 {
        return Some(if hangul > kana + han {
            "Korean"
        } else if kana > 0 {
            "Japanese"
        } else {
            "Chinese"
        });
    }
    let count = |small: &str| text.split_whitespace().filter(|word| small.contains(&format!(" {word} "))).count();
    let mut counts: Vec<(usize, &str)> = TONGUES.iter().map(|(name, small)| (count(small), *name)).collect();
    counts.sort_by_key(|(count, _)| std::cmp::Reverse(*count));
    (counts[0].0 >= 2 && counts[0].0 > counts[1].0).then_some(counts[0].1)
}

#[cfg(test)]
mod tests {
    use clone_schema::Position;

    use super::*;
    use crate::memory::session::tests::prompt;

    fn named(words: &str) -> Vec<String> {
        let mut named = Named::default();
        for n in 0..6_u64 {
            let event = prompt(&n.to_string(), &(n % 3).to_string(), 0, words);
            named.observe(&Told { position: Position(n), event }, &normal(words));
        }
        named.facts(6).map(|fact| fact.text).collect()
    }

    #[test]
    fn tools_and_tongues() {
        assert_eq!(named("please look at the terraform module and fix it"), ["Has projects that involve Terraform"]);
        assert_eq!(named("haz un push de los cambios que hay en el proyecto"), ["Writes to agents in Spanish"]);
    }
}
