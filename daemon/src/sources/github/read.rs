//! What a walk does with a good answer, and where it goes from there.

use super::*;

impl Walk<'_> {
    /// Reads a page, or says why it is none; `path` is the next of the same list afterwards, or empty.
    pub(super) fn read(&mut self, answer: &Answer, out: &mut dyn FnMut(Event)) -> Result<(), &'static str> {
        let page = std::mem::take(&mut self.path);
        if self.pages == 1 {
            self.tag = answer.header("etag").map(|etag| Tag { path: page, etag: etag.to_owned() });
        }
        let more = self.more(answer);
        match self.step.clone() {
            Step::Me => self.me(answer)?,
            Step::Repositories => {
                let new = self.repositories(&items(answer)?, out);
                // The newest push comes first: behind a page that is known whole, everything is.
                self.path = more.filter(|_| new || !self.memory.listed).unwrap_or_default();
            }
            Step::Commits(repository) => {
                let person = self.person();
                for item in items(answer)? {
                    let made = read(&item).and_then(|commit| events::commit(&commit, &repository, person));
                    events::count(made, &mut self.counts, out);
                }
                self.path = more.unwrap_or_default();
            }
            Step::List(list) => self.list(list, answer, more, out)?,
            Step::Thread(thread, part) => {
                let person = self.person();
                for item in items(answer)? {
                    let made = read(&item).and_then(|comment| events::comment(&comment, part.kind(), &thread, person));
                    events::count(made, &mut self.counts, out);
                }
                self.path = more.unwrap_or_default();
            }
            Step::End => {}
        }
        Ok(())
    }

    /// The next page of this list, as far as it is on the same server and not one too many.
    fn more(&mut self, answer: &Answer) -> Option<String> {
        let path = next_page(answer)?.strip_prefix(self.base).filter(|path| path.starts_with('/'));
        if path.is_none() {
            self.counts.skip("a next page elsewhere");
        }
        if self.pages >= PAGES_MAX {
            self.counts.skip("more pages than one list is read for");
            self.memory.cut |= matches!(self.step, Step::List(_));
            return None;
        }
        path.map(str::to_owned)
    }

    fn person(&self) -> Person {
        Person(self.memory.id.unwrap_or_default())
    }

    fn me(&mut self, answer: &Answer) -> Result<(), &'static str> {
        let me = Account::read(answer)?;
        if self.memory.id.is_some_and(|id| id != me.id) {
            self.memory = Memory::default();
        }
        (self.memory.id, self.memory.login, self.memory.scopes) = (Some(me.id), Some(me.login), me.scopes);
        Ok(())
    }

    /// Remembers what was pushed to; whether anything is new.
    fn repositories(&mut self, items: &[Value], out: &mut dyn FnMut(Event)) -> bool {
        let mut new = false;
        for item in items {
            let repository: wire::Repository = match read(item) {
                Ok(repository) => repository,
                Err(reason) => {
                    events::count(Err(reason), &mut self.counts, out);
                    continue;
                }
            };
            let (name, full) = (&repository.full_name, self.memory.repositories.len() >= REPOSITORIES_MAX);
            let reason = match self.memory.repositories.get(name) {
                _ if !is_repository(name) => Some("without a repository"),
                _ if !self.filter.takes(name) => Some("excluded"),
                None if full => Some("more repositories than are remembered"),
                _ => None,
            };
            if let Some(reason) = reason {
                events::count(Err(reason), &mut self.counts, out);
                continue;
            }
            let known = self.memory.repositories.entry(name.clone()).or_default();
            let at = repository.pushed_at.clone().unwrap_or_default();
            if known.at != at {
                (known.at, new) = (at, true);
                events::count(events::repository(&repository), &mut self.counts, out);
            }
        }
        new
    }

    fn list(
        &mut self,
        list: List,
        answer: &Answer,
        more: Option<String>,
        out: &mut dyn FnMut(Event),
    ) -> Result<(), &'static str> {
        let from = self.memory.cursors.get(list.name()).copied();
        let (mut newest, mut full) = (from, false);
        for item in items(answer)? {
            let issue = match read::<wire::Issue>(&item) {
                Ok(issue) => issue,
                Err(reason) => {
                    events::count(Err(reason), &mut self.counts, out);
                    continue;
                }
            };
            full = !self.listed(list, &issue, out);
            if full {
                break;
            }
            newest = newest.max(instant(&issue.updated_at));
        }
        if let Some(newest) = newest {
            self.memory.cursors.insert(list.name().to_owned(), newest);
        }
        self.memory.cut |= full;
        // From the new cursor on: what changes meanwhile moves to the end, and the pages would shift under the walk.
        self.path = match more.filter(|_| !full) {
            Some(_) if newest > from => list.path(self.login(), newest),
            Some(more) => more,
            None => String::new(),
        };
        Ok(())
    }

    /// Takes an issue or pull request of a list; not where too many threads wait.
    fn listed(&mut self, list: List, issue: &wire::Issue, out: &mut dyn FnMut(Event)) -> bool {
        let Some(repository) = issue.repository().filter(|name| self.filter.takes(name)) else {
            events::count(Err("excluded"), &mut self.counts, out);
            return true;
        };
        if list != List::Opened && !self.wait_for(format!("{repository}#{}", issue.number), issue) {
            return false;
        }
        // Others' threads are read for the person's comments alone.
        if list == List::Opened || self.person().wrote(issue.user.as_ref()) {
            events::count(events::issue(issue, self.person()), &mut self.counts, out);
        }
        true
    }

    /// Puts a thread among those that wait; not where there are too many.
    fn wait_for(&mut self, thread: String, issue: &wire::Issue) -> bool {
        if self.memory.threads.len() >= THREADS_MAX && !self.memory.threads.contains_key(&thread) {
            return false;
        }
        let since = self.memory.read_from.map(|at| time::after_seconds(at, -OVERLAP_SECONDS));
        let waiting = Thread { pull: issue.pull_request.is_some(), since };
        self.memory.threads.entry(thread).or_insert(waiting);
        true
    }

    fn login(&self) -> &str {
        self.memory.login.as_deref().unwrap_or_default()
    }

    /// The one repository or thread that is read; nothing where a list of them is.
    pub(super) fn item(&self) -> Option<&str> {
        match &self.step {
            Step::Commits(item) | Step::Thread(item, _) => Some(item),
            _ => None,
        }
    }

    /// The kind of list whose first page is asked for with a tag.
    pub(super) fn tagged(&self) -> Option<&'static str> {
        match &self.step {
            Step::Me => Some("me"),
            Step::Repositories => Some("repositories"),
            Step::List(list) => Some(list.name()),
            _ => None,
        }
    }

    /// Ends a step and turns to the next.
    pub(super) fn finish(&mut self, now: Timestamp) {
        // A list that moved on asks another question next time.
        let tag = self.tag.take().filter(|_| self.pages == 1 || self.step == Step::Repositories);
        if let (Some(name), Some(tag)) = (self.tagged(), tag) {
            self.memory.etags.insert(name.to_owned(), tag);
        }
        match &self.step {
            Step::Repositories => self.memory.listed = true,
            Step::Commits(repository) => {
                if let Some(pushed) = self.memory.repositories.get_mut(repository) {
                    pushed.read = Some(pushed.at.clone());
                }
            }
            _ => {}
        }
        let next = self.following();
        let left = std::mem::replace(&mut self.step, next);
        // A thread has several parts; how often it failed is known until the last.
        if let (Step::Commits(item) | Step::Thread(item, _), Some((on, _))) = (&left, &self.memory.stuck)
            && item == on
            && self.item() != Some(item)
        {
            self.memory.stuck = None;
        }
        (self.path, self.pages) = (self.path_of(&self.step), 0);
        if self.step == Step::End {
            self.end(now);
        }
    }

    fn end(&mut self, now: Timestamp) {
        let memory = &mut self.memory;
        (memory.failures, memory.problem) = (0, None);
        if !std::mem::take(&mut memory.cut) {
            memory.read_from = memory.began.take().or(memory.read_from);
            memory.synced_at = Some(now);
        }
    }

    fn following(&mut self) -> Step {
        match &self.step {
            Step::Me => Step::Repositories,
            Step::Repositories | Step::Commits(_) => {
                let mut all = self.memory.repositories.iter();
                let due = |(name, pushed): &(&String, &Pushed)| {
                    pushed.read.as_ref() != Some(&pushed.at) && self.filter.takes(name)
                };
                let pushed = all.find(due);
                pushed.map_or(Step::List(List::Opened), |(name, _)| Step::Commits(name.clone()))
            }
            Step::List(list) => {
                let next = List::ALL.into_iter().skip_while(|one| one != list).nth(1);
                next.map_or_else(|| self.thread(), Step::List)
            }
            Step::Thread(thread, part) => {
                let pull = self.memory.threads.get(thread).is_some_and(|waiting| waiting.pull);
                match part {
                    Part::Comments if pull => Step::Thread(thread.clone(), Part::LineComments),
                    Part::LineComments if pull => Step::Thread(thread.clone(), Part::Reviews),
                    _ => {
                        self.memory.threads.remove(thread);
                        self.thread()
                    }
                }
            }
            Step::End => Step::End,
        }
    }

    /// The first thread that waits.
    fn thread(&self) -> Step {
        let first = self.memory.threads.keys().next();
        first.map_or(Step::End, |thread| Step::Thread(thread.clone(), Part::Comments))
    }

    fn path_of(&self, step: &Step) -> String {
        match step {
            Step::Me => Account::PATH.to_owned(),
            Step::Repositories => "/user/repos?sort=pushed&direction=desc&per_page=100".to_owned(),
            Step::Commits(repository) => self.commits(repository),
            Step::List(list) => list.path(self.login(), self.memory.cursors.get(list.name()).copied()),
            Step::Thread(thread, part) => {
                let Some((repository, number)) = thread.rsplit_once('#') else { return String::new() };
                let since = self.memory.threads.get(thread).and_then(|waiting| waiting.since);
                let since = since.map(|at| format!("&since={at:.0}")).unwrap_or_default();
                match part {
                    Part::Comments => format!("/repos/{repository}/issues/{number}/comments?per_page=100{since}"),
                    Part::LineComments => format!("/repos/{repository}/pulls/{number}/comments?per_page=100{since}"),
                    Part::Reviews => format!("/repos/{repository}/pulls/{number}/reviews?per_page=100"),
                }
            }
            Step::End => String::new(),
        }
    }

    fn commits(&self, repository: &str) -> String {
        let read = self.memory.repositories.get(repository).and_then(|pushed| instant(pushed.read.as_deref()?));
        let since = read.map(|at| format!("&since={:.0}", time::after_seconds(at, -LATE_COMMIT_SECONDS)));
        format!("/repos/{repository}/commits?author={}&per_page=100{}", self.login(), since.unwrap_or_default())
    }
}

/// The items of a page.
fn items(answer: &Answer) -> Result<Vec<Value>, &'static str> {
    let read = match serde_json::from_slice(&answer.body) {
        Ok(Value::Array(items)) => Some(items),
        Ok(found) => serde_json::from_value(found).ok().map(|Found { items }| items),
        Err(_) => None,
    };
    read.ok_or("GitHub answered with no list")
}

/// An item of ours of one of theirs.
fn read<T: DeserializeOwned>(item: &Value) -> Result<T, &'static str> {
    T::deserialize(item).map_err(|_| "not what GitHub describes")
}
