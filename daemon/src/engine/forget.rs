//! Forgetting for callers: the wish goes to the loop, and a search of every file says what is left.

use std::time::Duration;

use clone_schema::api::{ForgetReply, ForgetRequest, RemoveRequest, RetentionRequest, VerifyRequest, WipeRequest};
use clone_schema::{Fault, fault};
use serde_json::json;

use super::{Engine, body, ok};
use crate::derive::forget::{CRITERIA, Forgot, Refusal, Wanted};
use crate::derive::selection::Selection;
use crate::derive::{Told, Wake};
use crate::log::Holds;
use crate::remains;
use crate::serve::{Call, Reply};

/// How long forgetting may take: it reads the log several times and derives everything anew.
const FORGET_PATIENCE: Duration = Duration::from_secs(3600);
/// Lines of what was forgotten that every file is searched for, at most.
const MARKS_MAX: usize = 2_000;

impl Engine {
    /// Answers what forgets, and what looks for what is left.
    pub(super) fn forgetting(&self, call: &Call, id: &str) -> Result<Reply, Fault> {
        match call.operation.name {
            "forget" => self.forget(body(call)?),
            "forget_verify" => self.forget_verify(&body(call)?),
            "retention_run" => self.retention_run(&body(call)?),
            "source_remove" => self.source_remove(id, body(call)?),
            "source_wipe" => self.source_wipe(id, body(call)?),
            _ => self.raw_forget(id),
        }
    }

    /// Forgets what is asked for, and looks into every file for what is left.
    fn forget(&self, request: ForgetRequest) -> Result<Reply, Fault> {
        if Selection::of(&request).is_none() {
            return Err(Fault::invalid("nothing says what to forget").hint(CRITERIA));
        }
        ok(&self.searched(self.forget_wanted(request.into())?)?)
    }

    /// Takes one item out of a source; it stays out until that is wiped or disconnected.
    fn source_remove(&self, source: &str, request: RemoveRequest) -> Result<Reply, Fault> {
        let RemoveRequest { id, vault, dry_run } = request;
        let item = Some(id.trim().to_owned()).filter(|id| !id.is_empty());
        let item = item.ok_or_else(|| Fault::invalid("'id' is a required property"))?;
        let none = || {
            let hint = "the id of an event, a session or a project of it, as `clone log cat` shows them";
            Fault::not_found(format!("nothing of `{source}` is `{item}`")).hint(hint)
        };
        let request = ForgetRequest { source: Some(source.to_owned()), vault, dry_run, ..ForgetRequest::default() };
        let holds = Holds::UntilCleared(source.to_owned());
        let forgot = self.forget_wanted(Wanted { request, item: Some(item.clone()), holds })?;
        if forgot.reply.events.is_empty() {
            return Err(none());
        }
        ok(&self.searched(forgot)?)
    }

    /// Forgets all that came from a source. It is no longer followed or connected, and nothing of it is kept out but what
    /// was forgotten otherwise: whoever imports or connects it again starts over.
    fn source_wipe(&self, source: &str, request: WipeRequest) -> Result<Reply, Fault> {
        let WipeRequest { vault, dry_run } = request;
        let ends = self.goes_on(source)?;
        let cleared = self.log.removed_from(source);
        if ends.is_none() && cleared == 0 && !self.read()?.tallies.contains_key(source) {
            return Err(
                Fault::not_found(format!("nothing came from `{source}`")).hint("`clone source list` shows what came")
            );
        }
        if !dry_run {
            self.end(source, ends)?;
        }
        let request = ForgetRequest { source: Some(source.to_owned()), vault, dry_run, ..ForgetRequest::default() };
        let holds = Holds::UntilEnded(source.to_owned());
        let forgot = self.forget_wanted(Wanted { request, item: None, holds })?;
        let reply = self.searched(forgot)?;
        ok(&ForgetReply { ended: ends.map(str::to_owned), cleared: Some(cleared), ..reply })
    }

    /// Lets come again what was taken out of a source.
    pub(super) fn source_clear(&self, source: &str) -> Result<(), Fault> {
        let source = source.to_owned();
        let cleared = self.ask(|told| Wake::Clear(source, told), FORGET_PATIENCE, "still at it; try again")?;
        cleared.map_err(|message| refused(Refusal::Failed(message)))
    }

    fn forget_wanted(&self, wanted: Wanted) -> Result<Forgot, Fault> {
        self.forgot(|told| Wake::Forget(Box::new(wanted), told))
    }

    /// Forgets what the rules of retention keep no longer.
    fn retention_run(&self, request: &RetentionRequest) -> Result<Reply, Fault> {
        let forgot = self.forgot(|told| Wake::Retain(request.trust_clock, told))?;
        ok(&self.searched(forgot)?)
    }

    /// What was forgotten, and what a search of every file still finds of it.
    fn searched(&self, forgot: Forgot) -> Result<ForgetReply, Fault> {
        let Forgot { mut reply, mut marks } = forgot;
        if !reply.dry_run && !marks.is_empty() {
            marks.truncate(MARKS_MAX);
            reply.searched = marks.len();
            reply.remains = remains::search(&self.paths, &marks).map_err(|error| not_searched(&error))?;
        }
        Ok(reply)
    }

    fn forgot(&self, wake: impl FnOnce(Told) -> Wake) -> Result<Forgot, Fault> {
        self.ask(wake, FORGET_PATIENCE, "still forgetting; it goes on by itself")?.map_err(refused)
    }

    /// Looks for words in every file.
    fn forget_verify(&self, request: &VerifyRequest) -> Result<Reply, Fault> {
        let text = request.text.trim();
        if text.is_empty() {
            return Err(Fault::invalid("'text' is a required property"));
        }
        let remains = remains::search(&self.paths, &[text.to_owned()]).map_err(|error| not_searched(&error))?;
        ok(&json!({"remains": remains}))
    }

    /// Forgets one raw row.
    fn raw_forget(&self, id: &str) -> Result<Reply, Fault> {
        self.raw_get(id)?;
        let request = ForgetRequest { id: Some(id.to_owned()), ..ForgetRequest::default() };
        self.forget_wanted(request.into())?;
        Ok(Reply { status: 204, body: String::new() })
    }
}

/// What the loop refuses, for a caller.
fn refused(refusal: Refusal) -> Fault {
    match refusal {
        Refusal::Asked(message, hint) => Fault::invalid(message).hint(hint),
        Refusal::Failed(message) => Fault::new(fault::Kind::Unavailable, message)
            .hint("what was begun is gone on with by itself; `clone status` tells of problems"),
    }
}

fn not_searched(error: &remains::RemainsError) -> Fault {
    Fault::internal(error).hint("it is forgotten, but not every file could be searched; mend that and verify again")
}
