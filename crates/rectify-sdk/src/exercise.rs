//! What an engine does with a resource, step by step, for the tests of its provider: plan, look, apply,
//! look again, plan again, take back.

use crate::{Provider, testing::Client};
use rectify_base::{Digest, Secret, SecretName, TypeName, fingerprint::fingerprint};
use rectify_protocol::{
    ItemError, Manifest,
    message::{
        Applied, Apply, ApplyStatus, Configure, DesiredItem, Directories, Mode, PlanAnswer, PlanItem,
        Predicted, RESTORE, ReadAnswer, ReadItem, Restore, SecretValue, method,
    },
};
use serde_json::{Map, Value};
use std::path::Path;
use tempfile::TempDir;

/// A session with a provider, in this process or in one of its own, in mode `apply`, with private directories of its own.
pub struct Exercise {
    client: Client,
    dirs: TempDir,
    manifest: Manifest,
    operations: u64,
}

/// A change as planned.
#[derive(Clone, Debug, PartialEq)]
pub struct Planned {
    /// The state before.
    pub prior: Option<Value>,
    /// The state after.
    pub planned: Option<Value>,
    /// How sure it is.
    pub prediction: String,
    /// How well it can be taken back.
    pub undo: String,
    /// What would be lost.
    pub undo_note: Option<String>,
}

/// What somebody who writes a test reads.
type Told<T> = Result<T, String>;

fn object(value: &Value) -> Map<String, Value> {
    value.as_object().cloned().unwrap_or_default()
}

impl Exercise {
    /// Starts a session about a root directory, or about this machine. `secrets` are names and values.
    ///
    /// # Errors
    /// When the session cannot be opened.
    pub fn new(provider: impl Provider, root: Option<&Path>, secrets: &[(&str, &str)]) -> Told<Self> {
        Self::with(Client::in_process(provider).map_err(|e| e.to_string())?, root, secrets)
    }

    /// Starts a session with the executable of a provider, as `env!("CARGO_BIN_EXE_name")` in a test gives it.
    ///
    /// # Errors
    /// When the session cannot be opened.
    pub fn spawn(program: impl AsRef<Path>, root: Option<&Path>, secrets: &[(&str, &str)]) -> Told<Self> {
        Self::with(Client::spawn(program.as_ref()).map_err(|e| e.to_string())?, root, secrets)
    }

    fn with(mut client: Client, root: Option<&Path>, secrets: &[(&str, &str)]) -> Told<Self> {
        let dirs = tempfile::tempdir().map_err(|e| e.to_string())?;
        let at = |name: &str| -> Told<String> {
            let path = dirs.path().join(name);
            std::fs::create_dir(&path).map_err(|e| e.to_string())?;
            Ok(path.display().to_string())
        };
        let directories = Directories { work: at("work")?, state: at("state")?, blobs: at("blobs")? };
        let mut configure = Configure {
            root: root.map(|root| root.display().to_string()),
            digest_key: Some(rectify_base::DigestKey::from_bytes([7; 32])),
            ..Configure::default()
        };
        for (name, value) in secrets {
            let name = SecretName::new(*name).map_err(|e| e.to_string())?;
            configure.secrets.insert(name, SecretValue(Secret::new((*value).to_owned())));
        }
        client.greet(Mode::Apply, directories, &configure).map_err(|e| e.to_string())?;
        let manifest = client.call(method::SCHEMA_GET, &serde_json::json!({})).map_err(|e| e.to_string())?;
        Ok(Self { client, dirs, manifest, operations: 0 })
    }

    /// The session's private directories.
    #[must_use]
    pub fn directory(&self) -> &Path {
        self.dirs.path()
    }

    fn type_name(&self, name: &str) -> Told<TypeName> {
        let known = self.manifest.types.iter().find(|known| known.name.as_str() == name);
        known.map(|known| known.name.clone()).ok_or_else(|| format!("the provider has no type `{name}`"))
    }

    /// The fingerprint of a state.
    ///
    /// # Errors
    /// When it has none.
    pub fn print(&self, name: &str, state: Option<&Value>) -> Told<Digest> {
        let name = self.type_name(name)?;
        let (version, volatile) =
            self.manifest.descriptor(&name).map_or((1, &[][..]), |d| (d.version, d.volatile.as_slice()));
        fingerprint(&name, version, state, volatile).map_err(|e| e.to_string())
    }

    fn item<T>(result: Result<T, crate::testing::CallError>) -> Told<Result<T, ItemError>> {
        match result {
            Ok(value) => Ok(Ok(value)),
            Err(crate::testing::CallError::Item(error)) => Ok(Err(error)),
            Err(other) => Err(other.to_string()),
        }
    }

    /// Checks properties.
    ///
    /// # Errors
    /// When the session broke.
    pub fn validate(&mut self, name: &str, desired: &Value) -> Told<Result<(), ItemError>> {
        let item = DesiredItem { type_name: self.type_name(name)?, desired: object(desired) };
        Self::item(self.client.single(method::VALIDATE, item))
    }

    /// Plans. `Ok(None)`: there is nothing to do.
    ///
    /// # Errors
    /// When the session broke.
    pub fn plan(&mut self, name: &str, desired: &Value) -> Told<Result<Option<Planned>, ItemError>> {
        self.plan_on(name, desired, None)
    }

    /// Plans on what an earlier step leaves behind.
    ///
    /// # Errors
    /// When the session broke.
    pub fn plan_on(
        &mut self,
        name: &str,
        desired: &Value,
        prior: Option<Predicted>,
    ) -> Told<Result<Option<Planned>, ItemError>> {
        let item = PlanItem {
            type_name: self.type_name(name)?,
            desired: object(desired),
            prior,
            directories: Some(Vec::new()),
        };
        let answer = match Self::item(self.client.plan(item))? {
            Ok(answer) => answer,
            Err(error) => return Ok(Err(error)),
        };
        Ok(Ok(match answer {
            PlanAnswer::Unchanged { .. } => None,
            PlanAnswer::Changed { prior, planned, prediction, undo, undo_note, .. } => {
                Some(Planned { prior, planned, prediction, undo, undo_note })
            }
        }))
    }

    /// Looks.
    ///
    /// # Errors
    /// When the session broke.
    pub fn read(
        &mut self,
        name: &str,
        desired: &Value,
        capture: bool,
    ) -> Told<Result<ReadAnswer, ItemError>> {
        let item = ReadItem { type_name: self.type_name(name)?, desired: object(desired), capture };
        Self::item(self.client.read(item))
    }

    /// The operation that carries out what was planned; each has an id of its own.
    ///
    /// # Errors
    /// When a state has no fingerprint.
    pub fn operation(&mut self, name: &str, desired: &Value, planned: &Planned) -> Told<Apply> {
        self.operations += 1;
        Ok(Apply {
            op_id: format!("{:064x}", self.operations),
            type_name: self.type_name(name)?,
            action: "update".into(),
            desired: object(desired),
            expect: self.print(name, planned.prior.as_ref())?,
            result: Some(self.print(name, planned.planned.as_ref())?),
            deadline_ms: 60_000,
            fence: 1,
        })
    }

    /// What asks for the state before a change: the properties that name the thing, and that state.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn back(&self, name: &str, desired: &Value, planned: &Planned) -> Told<Value> {
        let name = self.type_name(name)?;
        let descriptor = self.manifest.descriptor(&name).ok_or("no such type")?;
        let mut state = planned.prior.clone();
        if let Some(state) = &mut state {
            for pointer in &descriptor.volatile {
                pointer.remove(state);
            }
        }
        let mut back = Map::new();
        for rule in descriptor.touches.iter().filter(|rule| rule.access == "write") {
            let first = rule.property.tokens().into_iter().next().unwrap_or_default();
            if let Some(value) = desired.get(&first) {
                back.insert(first, value.clone());
            }
        }
        let restore = serde_json::to_value(Restore { state }).map_err(|e| e.to_string())?;
        back.insert(RESTORE.into(), restore);
        Ok(Value::Object(back))
    }

    /// Takes back what [`Exercise::converge`] did, as an engine does: by the properties that name the thing, and the
    /// state from before.
    ///
    /// # Errors
    /// A sentence about what did not hold.
    pub fn undo(&mut self, name: &str, desired: &Value, planned: &Planned) -> Told<Planned> {
        let back = self.back(name, desired, planned)?;
        let returned = self.converge(name, &back)?;
        let before = self.print(name, planned.prior.as_ref())?;
        if self.print(name, returned.planned.as_ref())? == before {
            return Ok(returned);
        }
        Err(format!("{desired}: taking it back leads to {:?}, not to {:?}", returned.planned, planned.prior))
    }

    /// Applies.
    ///
    /// # Errors
    /// When the session broke.
    pub fn apply(&mut self, op: &Apply) -> Told<Result<Applied, ItemError>> {
        Self::item(self.client.apply(op))
    }

    /// Plans a change, makes it, and checks all that an engine relies on: that it was as expected before,
    /// is as planned afterwards, is found so, is left alone by a second plan, and by a second attempt.
    ///
    /// # Errors
    /// A sentence about what did not hold.
    pub fn converge(&mut self, name: &str, desired: &Value) -> Told<Planned> {
        let told = |e: ItemError| format!("{desired}: {e} ({:?})", e.code);
        let planned = self.plan(name, desired)?.map_err(told)?;
        let planned = planned.ok_or_else(|| format!("{desired}: there was nothing to do"))?;
        self.carry_out(name, desired, &planned)?;
        Ok(planned)
    }

    /// Carries out a plan, with the checks of [`Exercise::converge`].
    ///
    /// # Errors
    /// A sentence about what did not hold.
    pub fn carry_out(&mut self, name: &str, desired: &Value, planned: &Planned) -> Told<()> {
        let told = |e: ItemError| format!("{desired}: {e} ({:?})", e.code);
        let op = self.operation(name, desired, planned)?;
        let result = op.result.ok_or("no result is planned")?;
        let same = |what: &str, found: Digest, expected: Digest, state: Option<&Value>| {
            let shown = || format!("{desired}: {what} is not as planned: {state:?}, planned {planned:?}");
            if found == expected { Ok(()) } else { Err(shown()) }
        };
        let before = self.read(name, desired, true)?.map_err(told)?.state;
        same("the state before", self.print(name, before.as_ref())?, op.expect, before.as_ref())?;
        let applied = self.apply(&op)?.map_err(told)?;
        if applied.status != ApplyStatus::Applied {
            return Err(format!("{desired}: nothing was applied"));
        }
        let answered = applied.state;
        same("what was answered", self.print(name, answered.as_ref())?, result, answered.as_ref())?;
        let after = self.read(name, desired, false)?.map_err(told)?.state;
        same("what is found", self.print(name, after.as_ref())?, result, after.as_ref())?;
        if let Some(again) = self.plan(name, desired)?.map_err(told)? {
            return Err(format!("{desired}: a second plan is not empty: {again:?}"));
        }
        match self.apply(&op)?.map_err(told)?.status {
            ApplyStatus::Already => Ok(()),
            ApplyStatus::Applied => Err(format!("{desired}: it was applied twice")),
        }
    }

    /// [`Exercise::converge`], and back again by the inverse. The state must be what it was before.
    ///
    /// # Errors
    /// A sentence about what did not hold.
    pub fn there_and_back(&mut self, name: &str, desired: &Value) -> Told<Planned> {
        let planned = self.converge(name, desired)?;
        self.undo(name, desired, &planned)?;
        Ok(planned)
    }
}
