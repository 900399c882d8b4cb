//! `hook run`: what an agent or shell tells on standard input, made into events.
//!
//! Fail open: whatever goes wrong, nothing is said, the exit code is 0, and a watchdog ends the process in time.

use std::io::{self, Read};
use std::path::Path;
use std::time::{Duration, Instant};

use clap::Args;
use clone_schema::event::{Body, Choice, ChoiceKind, Event, Meta, Origin, Outcome, Source};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::super::{Context, print};
use super::shell;
use crate::client::Client;
use crate::clock;
use crate::config::Config;
use crate::failure::{Failure, exit};
use crate::scrub;
use crate::sources::{self, Filter, Format};

/// After so long the process ends, whatever it waits for.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long an agent's last words may take to reach its transcript.
const TRANSCRIPT_PATIENCE: Duration = Duration::from_millis(400);
/// How often the transcript is looked at meanwhile.
const TRANSCRIPT_PAUSE: Duration = Duration::from_millis(20);
/// How many bytes of standard input are read.
const MAX_INPUT_BYTES: u64 = 4 << 20;
/// How many of the transcript's last events are sent, in one request: more than a turn has, and no time to take them.
const RECENT_EVENTS: usize = 100;

/// `clone hook run`
#[derive(Args)]
pub struct Run {
    /// claude-code, codex, gemini, bash, zsh or fish
    name: String,
    /// Ask for a prediction when the agent stops, and show it
    #[arg(long)]
    predict: bool,
    #[command(flatten)]
    shell: shell::Told,
}

/// Records what is told; never fails and never says anything but a prediction that was asked for.
pub fn run(context: &Context, arguments: Run) -> u8 {
    let watchdog = std::thread::Builder::new().name("watchdog".to_owned());
    let _watched = watchdog.spawn(|| {
        std::thread::sleep(PATIENCE);
        std::process::exit(i32::from(exit::OK));
    });
    let _failed = record(context, arguments);
    exit::OK
}

fn record(context: &Context, arguments: Run) -> Result<(), Failure> {
    let mut input = Vec::new();
    io::stdin().lock().take(MAX_INPUT_BYTES).read_to_end(&mut input).map_err(Failure::new)?;
    let config = Config::read(&context.paths.config).map_err(Failure::new)?;
    let filter = Filter { include: Vec::new(), exclude: config.import.exclude };
    let client = context.client()?;
    let Some(format) = Format::FOLLOWED.into_iter().find(|format| format.name() == arguments.name) else {
        let command = String::from_utf8_lossy(&input);
        let event = arguments.shell.event(&arguments.name, &command, &filter);
        return send(&client, event.into_iter().collect());
    };
    let told: Value = serde_json::from_slice(&input).map_err(Failure::new)?;
    let call = Call { format, told: &told, filter: &filter };
    send(&client, call.events())?;
    if arguments.predict && call.is_stop() {
        predict(&client, &call)?;
    }
    Ok(())
}

fn send(client: &Client, events: Vec<Event>) -> Result<(), Failure> {
    if events.is_empty() {
        return Ok(());
    }
    let items: Result<Vec<Box<RawValue>>, _> = events
        .into_iter()
        .map(|mut event| {
            scrub::scrub_event(&mut event);
            RawValue::from_string(event.to_json())
        })
        .collect();
    let body = items.and_then(serde_json::to_value).map_err(Failure::new)?;
    client.blocking("events_ingest", None, &[], Some(&body))?;
    Ok(())
}

/// What Clone would say, where the agent shows what a hook prints.
fn predict(client: &Client, call: &Call<'_>) -> Result<(), Failure> {
    let (agent, said) = (call.agent(), call.said().unwrap_or_default());
    let session = format!("{}:{}", call.format.name(), call.text("session_id"));
    let body = json!({"agent": agent, "agent_input": said, "session_id": session});
    let answer = client.blocking("predict", None, &[], Some(&body))?;
    let reply = answer["predicted_response"].as_str().unwrap_or_default();
    let told = format!("Clone would say ({}): {reply}", answer["confidence"]);
    print::json_line(&json!({"systemMessage": told}).to_string());
    Ok(())
}

/// One call of an agent's hook.
struct Call<'a> {
    format: Format,
    told: &'a Value,
    filter: &'a Filter,
}

impl Call<'_> {
    fn text(&self, name: &str) -> &str {
        self.told[name].as_str().unwrap_or_default()
    }

    fn agent(&self) -> &'static str {
        self.format.agent()
    }

    fn is_stop(&self) -> bool {
        matches!(self.text("hook_event_name"), "Stop" | "AfterAgent")
    }

    /// What the agent said last, where the call tells it.
    fn said(&self) -> Option<&str> {
        let said = ["last_assistant_message", "prompt_response"].iter().find_map(|name| self.told[*name].as_str());
        said.map(str::trim).filter(|said| !said.is_empty())
    }

    fn events(&self) -> Vec<Event> {
        if self.text("session_id").is_empty() || !self.filter.takes(self.text("cwd")) {
            return Vec::new();
        }
        let mut events = self.bookend();
        match self.transcript() {
            Some(path) if path.is_file() => events.extend(self.of_transcript(path)),
            // It begins with the first prompt, which then stands in it; recording it here too would record it twice.
            Some(_) if !self.is_stop() => {}
            _ => events.extend(self.of_call()),
        }
        events
    }

    /// The transcript that the call names, written yet or not.
    fn transcript(&self) -> Option<&Path> {
        let path = Path::new(self.told["transcript_path"].as_str()?);
        path.is_absolute().then_some(path)
    }

    /// What the end of the transcript holds; the agent's last words are waited for a moment.
    fn of_transcript(&self, path: &Path) -> Vec<Event> {
        let began = Instant::now();
        loop {
            let mut events = Vec::new();
            let read = sources::recent(self.format, path, self.filter, &mut |event| events.push(event));
            let is_there = |said: &str| {
                events
                    .iter()
                    .any(|event| matches!(&event.body, Body::AgentResponse { response, .. } if response.trim() == said))
            };
            let waits = self.is_stop() && self.said().is_some_and(|said| !is_there(said));
            if read.is_err() || !waits || began.elapsed() >= TRANSCRIPT_PATIENCE {
                return events.split_off(events.len().saturating_sub(RECENT_EVENTS));
            }
            std::thread::sleep(TRANSCRIPT_PAUSE);
        }
    }

    /// What the call itself tells, where the agent keeps no transcript.
    fn of_call(&self) -> Vec<Event> {
        let agent = self.agent().to_owned();
        let body = match self.text("hook_event_name") {
            "UserPromptSubmit" | "BeforeAgent" if !self.text("prompt").trim().is_empty() => {
                (Origin::Typed, Body::AgentPrompt { agent, prompt: self.text("prompt").to_owned() })
            }
            "Stop" | "AfterAgent" => {
                let Some(said) = self.said() else { return Vec::new() };
                (Origin::Agent, Body::AgentResponse { agent, response: said.to_owned(), in_response_to: None })
            }
            "PostToolUse" => return self.choices(),
            _ => return Vec::new(),
        };
        vec![self.event(&format!("hook:{}", clock::new_id()), body.0, body.1)]
    }

    /// The answered questions of an `AskUserQuestion`.
    fn choices(&self) -> Vec<Event> {
        let answers = &self.told["tool_response"]["answers"];
        let mut events = Vec::new();
        for question in self.told["tool_input"]["questions"].as_array().into_iter().flatten() {
            let text = question["question"].as_str().unwrap_or_default();
            let Some(choice) = answers[text].as_str().filter(|answer| !answer.is_empty()) else { continue };
            let labels = question["options"].as_array().into_iter().flatten();
            let options: Vec<String> =
                labels.filter_map(|option| option["label"].as_str()).map(str::to_owned).collect();
            let outcome = if options.iter().any(|option| option == choice) { Outcome::Chosen } else { Outcome::Other };
            let body = Body::AgentChoice(Choice {
                agent: self.agent().to_owned(),
                kind: ChoiceKind::Question,
                question: text.to_owned(),
                options,
                choice: Some(choice.to_owned()),
                outcome,
                in_response_to: None,
            });
            events.push(self.event(&format!("hook:{}", clock::new_id()), Origin::Typed, body));
        }
        events
    }

    /// The begin of a session has the id that an import gives it; its end is known only here.
    fn bookend(&self) -> Vec<Event> {
        match self.text("hook_event_name") {
            "SessionStart" => vec![self.event("start", Origin::Unknown, Body::SessionStarted)],
            "SessionEnd" => {
                let id = format!("stop:{}", clock::new_id());
                vec![self.event(&id, Origin::Unknown, Body::SessionStopped)]
            }
            _ => Vec::new(),
        }
    }

    fn event(&self, key: &str, origin: Origin, body: Body) -> Event {
        let (name, session) = (self.format.name(), self.text("session_id"));
        let cwd = Some(self.text("cwd").to_owned()).filter(|cwd| !cwd.is_empty());
        let key = format!("{session}:{key}");
        Event {
            id: format!("{name}:{key}"),
            session_id: format!("{name}:{session}"),
            occurred_at: clock::now(),
            source: Source::Agent,
            source_detail: Some(name.to_owned()),
            meta: Some(Meta { origin: Some(origin), cwd, import_key: Some(key), ..Meta::default() }),
            body,
        }
    }
}
