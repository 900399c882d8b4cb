//! Forgetting for callers: the wish goes to the loop, and a search of every file says what is left.

use std::time::Duration;

use clone_schema::api::{ForgetRequest, RetentionRequest, VerifyRequest};
use clone_schema::{Fault, fault};
use serde_json::json;

use super::{Engine, body, ok};
use crate::derive::forget::{CRITERIA, Forgot, Refusal};
use crate::derive::selection::Selection;
use crate::derive::{Told, Wake};
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
            _ => self.raw_forget(id),
        }
    }

    /// Forgets what is asked for, and looks into every file for what is left.
    fn forget(&self, request: ForgetRequest) -> Result<Reply, Fault> {
        if Selection::of(&request).is_none() {
            return Err(Fault::invalid("nothing says what to forget").hint(CRITERIA));
        }
        let forgot = self.forgot(|told| Wake::Forget(Box::new(request), told))?;
        self.searched(forgot)
    }

    /// Forgets what the rules of retention keep no longer.
    fn retention_run(&self, request: &RetentionRequest) -> Result<Reply, Fault> {
        let forgot = self.forgot(|told| Wake::Retain(request.trust_clock, told))?;
        self.searched(forgot)
    }

    /// What was forgotten, and what a search of every file still finds of it.
    fn searched(&self, forgot: Forgot) -> Result<Reply, Fault> {
        let Forgot { mut reply, mut marks } = forgot;
        if !reply.dry_run && !marks.is_empty() {
            marks.truncate(MARKS_MAX);
            reply.searched = marks.len();
            reply.remains = remains::search(&self.paths, &marks).map_err(|error| not_searched(&error))?;
        }
        ok(&reply)
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
        self.forgot(|told| Wake::Forget(Box::new(request), told))?;
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
