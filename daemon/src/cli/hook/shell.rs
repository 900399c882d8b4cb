//! Shells: the snippet that each evaluates, and the event that comes of a command line.
//!
//! A shell hands over the line as its history has it, so what is typed where the terminal does not echo is never seen. The
//! line travels through a pipe, never as an argument that other processes can read, and in the background. A line that
//! begins with a space is the person's own business.

use clap::Args;
use clone_schema::event::{Body, Event, Meta, Origin, Source};

use crate::clock;
use crate::sources::Filter;

/// How many bytes of one line are kept.
const MAX_LINE_BYTES: usize = 64 * 1024;

/// What a shell tells beside the line.
#[derive(Args, Default)]
pub struct Told {
    /// The working directory
    #[arg(long, hide = true)]
    cwd: Option<String>,
    /// The exit code
    #[arg(long, hide = true, allow_negative_numbers = true)]
    exit: Option<i64>,
    /// How long it ran, in milliseconds
    #[arg(long, hide = true)]
    ms: Option<i64>,
    /// The shell's own session
    #[arg(long, hide = true)]
    session: Option<String>,
}

impl Told {
    /// The event of a line; none for one that begins with a space, is empty, or belongs to an excluded project.
    pub(super) fn event(self, name: &str, line: &str, filter: &Filter) -> Option<Event> {
        let cwd = self.cwd.filter(|cwd| !cwd.is_empty());
        let text = line.trim_end();
        if !matches!(name, "bash" | "zsh" | "fish") || text.is_empty() || text.starts_with(char::is_whitespace) {
            return None;
        }
        if !filter.takes(cwd.as_deref().unwrap_or_default()) {
            return None;
        }
        let command = clone_schema::text::head(text, MAX_LINE_BYTES).to_owned();
        let session = self.session.filter(|session| !session.is_empty()).unwrap_or_else(clock::new_id);
        Some(Event {
            id: clock::new_id(),
            session_id: format!("shell:{session}"),
            occurred_at: clock::now(),
            source: Source::Cli,
            source_detail: Some(name.to_owned()),
            meta: Some(Meta { origin: Some(Origin::Typed), cwd: cwd.clone(), ..Meta::default() }),
            body: Body::TerminalCommand { command, cwd, exit_code: self.exit, duration_ms: self.ms },
        })
    }
}

/// The line that goes into a shell's start file.
pub(super) fn line(shell: &str, program: &str) -> String {
    let program = quoted(program);
    match shell {
        "fish" => format!(
            "# Clone remembers what you run; `clone hook remove fish` ends it.\n{program} hook init fish | source\n"
        ),
        shell => format!(
            "# Clone remembers what you run; `clone hook remove {shell}` ends it.\neval \"$({program} hook init {shell})\"\n"
        ),
    }
}

/// The program as one word of a shell, whatever stands in its path.
pub(super) fn quoted(program: &str) -> String {
    format!("'{}'", program.replace('\'', "'\\''"))
}

/// What a shell evaluates.
pub(super) fn snippet(shell: &str, program: &str) -> String {
    let template = match shell {
        "zsh" => ZSH,
        "fish" => FISH,
        _ => BASH,
    };
    template.replace("@CLONE@", &quoted(program))
}

/// The number of the newest line tells whether the last one went into the history; one with a space before it did not.
const BASH: &str = r#"if [[ $- == *i* && -z ${__clone_session-} && -n ${EPOCHREALTIME-} ]]; then
  __clone_session="$$-${EPOCHREALTIME//[.,]/}"
  __clone_began=0
  __clone_number=
  __clone_after() {
    local code=$? entry number line ms=
    entry=$(HISTTIMEFORMAT= builtin history 1)
    entry=${entry#"${entry%%[![:space:]]*}"}
    number=${entry%%[!0-9]*}
    line=${entry#"$number"}
    line=${line#[* ]}
    line=${line# }
    if [[ -n $__clone_number && $number != "$__clone_number" && $__clone_began != 0 && $line != [[:space:]]* ]]; then
      ms=$(( (${EPOCHREALTIME//[.,]/} - __clone_began) / 1000 ))
      ( builtin printf '%s' "$line" | @CLONE@ hook run bash --cwd "$PWD" --exit "$code" --ms "$ms" --session "$__clone_session" >/dev/null 2>&1 & )
    fi
    __clone_number=${number:-0}
    __clone_began=0
    return $code
  }
  PS0="${PS0-}"'${__clone_none[__clone_began=${EPOCHREALTIME//[.,]/},0]-}'
  if [[ $(builtin declare -p PROMPT_COMMAND 2>/dev/null) == "declare -a"* ]]; then
    PROMPT_COMMAND=(__clone_after "${PROMPT_COMMAND[@]}")
  else
    PROMPT_COMMAND="__clone_after${PROMPT_COMMAND:+; $PROMPT_COMMAND}"
  fi
fi
"#;

const ZSH: &str = r#"if [[ -o interactive && -z ${__clone_session-} ]]; then
  zmodload zsh/datetime
  typeset -g __clone_session="$$-${EPOCHREALTIME/./}" __clone_line= __clone_began=
  __clone_before() {
    __clone_line=$1
    __clone_began=$EPOCHREALTIME
  }
  __clone_after() {
    local code=$?
    if [[ -n $__clone_line && $__clone_line != [[:space:]]* ]]; then
      local -i ms=$(( (EPOCHREALTIME - __clone_began) * 1000 ))
      { builtin print -rn -- "$__clone_line" | @CLONE@ hook run zsh --cwd "$PWD" --exit "$code" --ms "$ms" --session "$__clone_session" >/dev/null 2>&1 } &!
    fi
    __clone_line=
    return $code
  }
  autoload -Uz add-zsh-hook
  add-zsh-hook preexec __clone_before
  precmd_functions=(__clone_after ${precmd_functions[@]})
fi
"#;

const FISH: &str = r#"if status is-interactive; and not set -q __clone_session
  set -g __clone_session "$fish_pid-"(date +%s)
  function __clone_after --on-event fish_postexec
    set -l code $status
    set -l line "$argv[1]"
    if test -n "$line"; and not string match -qr '^\s' -- "$line"
      printf '%s' "$line" | @CLONE@ hook run fish --cwd "$PWD" --exit $code --ms "$CMD_DURATION" --session "$__clone_session" >/dev/null 2>&1 &
      disown 2>/dev/null
    end
  end
end
"#;
