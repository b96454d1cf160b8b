//! The sandbox of one check. What was made last is removed first, whatever happened.

use crate::{
    fixtures::{Fixtures, Properties, TypeFixture},
    host::quote,
    kit::Kit,
    outcome::{Check, fail, skip},
    peer::{Peer, Start},
    proxy::Line,
    session::Session,
};
use rectify_protocol::{COOKIE_VARIABLE, TypeDescriptor, message::Mode};
use serde_json::{Value, json};
use std::cell::{Cell, RefCell};

/// Search path that an engine gives.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A type with its fixtures.
pub(crate) struct Subject<'k> {
    pub descriptor: &'k TypeDescriptor,
    fixture: Option<&'k TypeFixture>,
    /// Why there is none.
    untested: &'k str,
}

impl<'k> Subject<'k> {
    pub(crate) fn new(descriptor: &'k TypeDescriptor, fixtures: &'k Fixtures) -> Self {
        let untested = fixtures.untested.get(&descriptor.name).map(String::as_str);
        Self {
            descriptor,
            fixture: fixtures.types.get(&descriptor.name),
            untested: untested.unwrap_or("there are no fixtures for it"),
        }
    }

    pub(crate) fn name(&self) -> &'k str {
        self.descriptor.name.as_str()
    }

    pub(crate) fn fixture(&self) -> Check<&'k TypeFixture> {
        match self.fixture {
            Some(fixture) => Ok(fixture),
            None => skip(self.untested),
        }
    }

    pub(crate) fn is(&self, kind: &str) -> bool {
        self.descriptor.kind == kind
    }

    /// Skips what only looks.
    pub(crate) fn changes(&self) -> Check {
        if self.is("resource") || self.is("action") { Ok(()) } else { skip("it changes nothing") }
    }

    /// Skips what is no resource.
    pub(crate) fn resource(&self) -> Check {
        if self.is("resource") { Ok(()) } else { skip("it is no resource") }
    }

    /// Skips what no ledger is kept of.
    pub(crate) fn once(&self) -> Check {
        if matches!(self.descriptor.retry.as_str(), "once" | "query") && self.is("action") {
            Ok(())
        } else {
            skip("its repetitions are safe by looking again, not by a ledger")
        }
    }

    pub(crate) fn b(&self) -> Check<&'k Properties> {
        self.part(self.fixture()?.b.as_ref(), "properties B")
    }

    pub(crate) fn slow(&self) -> Check<&'k Properties> {
        self.part(self.fixture()?.slow.as_ref(), "slow properties")
    }

    pub(crate) fn part<T>(&self, part: Option<&'k T>, what: &str) -> Check<&'k T> {
        part.map_or_else(|| skip(format!("the fixtures have no {what}")), Ok)
    }
}

/// Directories, and what to do when all is over.
pub(crate) struct Bed<'k> {
    pub kit: &'k Kit,
    base: String,
    works: Cell<u32>,
    operations: Cell<u32>,
    cleanup: RefCell<Vec<Cleanup>>,
}

/// What is to be done in the end.
enum Cleanup {
    /// A script.
    Script(String),
    /// Everything that was started ends.
    Sessions,
    /// The sandbox goes.
    Remove,
}

impl<'k> Bed<'k> {
    /// Makes a sandbox, with what a type needs in it.
    pub(crate) fn make(kit: &'k Kit, fixture: Option<&TypeFixture>) -> Check<Self> {
        let base = kit.host.sandbox()?;
        let bed = Self {
            kit,
            cleanup: RefCell::new(vec![Cleanup::Remove]),
            base,
            works: Cell::new(0),
            operations: Cell::new(0),
        };
        if let Some(fixture) = fixture {
            let scripts = fixture.teardown.iter().rev().map(|s| Cleanup::Script(bed.in_root(s)));
            bed.cleanup.borrow_mut().extend(scripts);
            bed.run(&fixture.setup)?;
        }
        // First of all what a session left behind ends.
        bed.cleanup.borrow_mut().push(Cleanup::Sessions);
        Ok(bed)
    }

    fn in_root(&self, script: &str) -> String {
        format!("umask 022; cd {}; {script}", quote(&self.path("root")))
    }

    /// Runs scripts in the root directory.
    pub(crate) fn run(&self, scripts: &[String]) -> Check {
        for script in scripts {
            self.sh(script)?;
        }
        Ok(())
    }

    /// Runs a script in the root directory.
    pub(crate) fn sh(&self, script: &str) -> Check<String> {
        self.kit.host.sh(&self.in_root(script))
    }

    pub(crate) fn path(&self, name: &str) -> String {
        format!("{}/{name}", self.base)
    }

    /// A file of the sandbox; `None` where there is none.
    pub(crate) fn file(&self, name: &str) -> Check<Option<Vec<u8>>> {
        self.kit.host.read(&self.path(name))
    }

    /// Writes a file of the sandbox, mode 0600.
    pub(crate) fn write(&self, name: &str, bytes: &[u8]) -> Check {
        self.kit.host.write(&self.path(name), bytes)
    }

    /// Everything about the root directory: names, kinds, modes, owners, sizes, times, links, contents.
    pub(crate) fn snapshot(&self) -> Check<String> {
        self.kit.host.snapshot(&self.path("root"), true)
    }

    /// [`Bed::snapshot`] without the times of directories, in which something was made and removed.
    pub(crate) fn things(&self) -> Check<String> {
        self.kit.host.snapshot(&self.path("root"), false)
    }

    /// How many lines a file in the root directory has.
    pub(crate) fn count(&self, name: &str) -> Check<usize> {
        let bytes = self.file(&format!("root/{name}"))?.unwrap_or_default();
        Ok(bytes.iter().filter(|byte| **byte == b'\n').count())
    }

    /// A new id of an operation.
    pub(crate) fn operation(&self) -> String {
        self.operations.set(self.operations.get() + 1);
        rectify_base::Digest::of_bytes(format!("{} {}", self.base, self.operations.get()).as_bytes()).hex()
    }

    /// The environment that an engine gives.
    pub(crate) fn environment() -> Vec<(String, String)> {
        [("PATH", PATH), ("LANG", "C.UTF-8"), ("TZ", "UTC"), (COOKIE_VARIABLE, "1")]
            .map(|(k, v)| (k.to_owned(), v.to_owned()))
            .to_vec()
    }

    /// A fresh work directory.
    pub(crate) fn work(&self) -> Check<String> {
        self.works.set(self.works.get() + 1);
        let work = self.path(&format!("work-{}", self.works.get()));
        Ok(work)
    }

    /// A process that nobody has spoken to.
    pub(crate) fn start(&self) -> Check<(Peer, String)> {
        self.start_with(Self::environment(), Line::default(), "")
    }

    pub(crate) fn start_with(
        &self,
        environment: Vec<(String, String)>,
        line: Line,
        before: &str,
    ) -> Check<(Peer, String)> {
        let work = self.work()?;
        let argv = self.kit.serve();
        let start = Start { argv, environment, work: &work, line, before };
        Ok((Peer::start(&self.kit.host, &start)?, work))
    }

    /// Directories of a session in this mode.
    pub(crate) fn dirs(&self, mode: Mode, work: &str) -> Value {
        if mode == Mode::Apply {
            json!({"work": work, "state": self.path("state"), "blobs": self.path("blobs")})
        } else {
            json!({"work": work, "state": "", "blobs": ""})
        }
    }

    /// What `configure` says.
    pub(crate) fn configuration(&self) -> Value {
        let mut configure = json!({});
        if let Some(members) = configure.as_object_mut() {
            if self.kit.fixtures.root {
                members.insert("root".into(), self.path("root").into());
            }
            if !self.kit.fixtures.plan_commands.is_empty() {
                members.insert("plan_commands".into(), json!(self.kit.fixtures.plan_commands));
            }
        }
        configure
    }

    /// A process that was greeted and configured.
    pub(crate) fn session(&self, mode: Mode) -> Check<Session<'k>> {
        self.session_with(mode, &self.configuration())
    }

    pub(crate) fn session_with(&self, mode: Mode, configure: &Value) -> Check<Session<'k>> {
        let (peer, work) = self.start()?;
        self.greet(peer, &work, mode, configure)
    }

    pub(crate) fn greet(&self, peer: Peer, work: &str, mode: Mode, configure: &Value) -> Check<Session<'k>> {
        let mut session = Session::new(self.kit, peer);
        session.greet(&Session::greeting(mode, self.dirs(mode, work)))?;
        if let Err(refusal) = session.call("configure", configure)? {
            return fail(format!("`configure` was refused: {} ({})", refusal.message, refusal.code));
        }
        Ok(session)
    }
}

impl Drop for Bed<'_> {
    fn drop(&mut self) {
        let host = &self.kit.host;
        while let Some(step) = self.cleanup.get_mut().pop() {
            match step {
                Cleanup::Remove => host.remove(&self.base),
                Cleanup::Sessions => host.end_sessions(&self.base),
                // The next one is done all the same.
                Cleanup::Script(script) => drop(host.sh(&script)),
            }
        }
    }
}
