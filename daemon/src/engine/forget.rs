//! Forgetting for callers: the wish goes to the loop, and a search of every file says what is left.

use std::time::Duration;

use clone_schema::api::{ForgetRequest, RetentionRequest, VerifyRequest};
use clone_schema::{Fault, fault};
use serde_json::json;

use super::{Engine, ok};
use crate::derive::Wake;
use crate::derive::forget::Forgot;
use crate::derive::selection::Selection;
use crate::remains;
use crate::serve::Reply;

/// How long forgetting may take: it reads the log several times and derives everything anew.
const FORGET_PATIENCE: Duration = Duration::from_secs(3600);
/// Lines of what was forgotten that every file is searched for, at most.
const MARKS_MAX: usize = 2_000;

impl Engine {
    /// Forgets what is asked for, and looks into every file for what is left.
    pub(super) fn forget(&self, request: ForgetRequest) -> Result<Reply, Fault> {
        if Selection::of(&request).is_none() {
            return Err(Fault::invalid("nothing says what to forget")
                .hint("give one or more of id, session_id, app, project, from, to, text"));
        }
        let forgot = self.forgot(request)?;
        self.searched(forgot)
    }

    /// Forgets what the rules of retention keep no longer.
    pub(super) fn retention_run(&self, request: &RetentionRequest) -> Result<Reply, Fault> {
        let slow = "still forgetting; it goes on by itself";
        let forgot = self.ask(|told| Wake::Retain(request.trust_clock, told), FORGET_PATIENCE, slow)?;
        self.searched(forgot.map_err(Fault::invalid)?)
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

    fn forgot(&self, request: ForgetRequest) -> Result<Forgot, Fault> {
        let slow = "still forgetting; it goes on by itself";
        self.ask(|told| Wake::Forget(Box::new(request), told), FORGET_PATIENCE, slow)?.map_err(|message| {
            Fault::new(fault::Kind::Unavailable, message)
                .hint("what was begun is gone on with by itself; `clone status` tells of problems")
        })
    }

    /// Looks for words in every file.
    pub(super) fn forget_verify(&self, request: &VerifyRequest) -> Result<Reply, Fault> {
        let text = request.text.trim();
        if text.is_empty() {
            return Err(Fault::invalid("'text' is a required property"));
        }
        let remains = remains::search(&self.paths, &[text.to_owned()]).map_err(|error| not_searched(&error))?;
        ok(&json!({"remains": remains}))
    }

    /// Forgets one raw row.
    pub(super) fn raw_forget(&self, id: &str) -> Result<Reply, Fault> {
        self.raw_get(id)?;
        self.forgot(ForgetRequest { id: Some(id.to_owned()), ..ForgetRequest::default() })?;
        Ok(Reply { status: 204, body: String::new() })
    }
}

fn not_searched(error: &remains::RemainsError) -> Fault {
    Fault::internal(error).hint("it is forgotten, but not every file could be searched; mend that and verify again")
}
