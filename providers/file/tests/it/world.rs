//! A root directory of its own, a provider that serves it, and the steps of an engine.

use rectify_sdk::{
    base::{Digest, DigestKey, Pointer, TypeName, fingerprint::fingerprint},
    protocol::{
        ItemError,
        message::{
            Applied, Apply, ApplyStatus, Batch, BatchResult, Configure, DesiredItem, Directories, Mode,
            PlanAnswer, PlanItem, Predicted, RESTORE, ReadAnswer, ReadItem, method,
        },
    },
    testing::Client,
};
use serde_json::{Map, Value, json};
use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
};
use tempfile::TempDir;

/// The key of [`World::keyed`].
pub const KEY: [u8; 32] = [7; 32];

pub struct World {
    pub dir: TempDir,
    pub client: Client,
}

/// A change as planned.
#[derive(Clone, Debug, Default)]
pub struct Planned {
    pub prior: Option<Value>,
    pub planned: Option<Value>,
    pub prediction: String,
    pub undo: String,
    pub undo_note: Option<String>,
    pub resolved: Vec<String>,
}

pub fn type_name(name: &str) -> TypeName {
    TypeName::new(name).unwrap()
}

pub fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        other => panic!("not an object: {other}"),
    }
}

pub fn print_of(name: &str, state: Option<&Value>) -> Digest {
    fingerprint(
        &type_name(name),
        1,
        state,
        &[Pointer::from("/content/text"), Pointer::from("/entries/names")],
    )
    .unwrap()
}

impl World {
    pub fn new() -> Self {
        Self::in_mode(Mode::Apply)
    }

    pub fn in_mode(mode: Mode) -> Self {
        Self::made(mode, None)
    }

    /// A world whose engine gives a key for digests of what others may not read.
    pub fn keyed() -> Self {
        Self::made(Mode::Apply, Some(DigestKey::from_bytes(KEY)))
    }

    fn made(mode: Mode, digest_key: Option<DigestKey>) -> Self {
        let client = Client::in_process(rectify_provider_file::provider()).unwrap();
        Self::with(mode, digest_key, client, tempfile::tempdir().unwrap())
    }

    /// A world in a directory of its own, with a provider that was started already.
    pub fn with(mode: Mode, digest_key: Option<DigestKey>, mut client: Client, dir: TempDir) -> Self {
        for name in ["root", "root/etc", "outside", "work", "state", "blobs"] {
            fs::create_dir_all(dir.path().join(name)).unwrap();
        }
        // The ids of whoever runs the tests have names, whoever that is.
        let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
        fs::write(
            dir.path().join("root/etc/passwd"),
            format!("me:x:{uid}:{gid}::/:/bin/sh\nweb:x:7001:7002::/:/bin/sh\n"),
        )
        .unwrap();
        fs::write(dir.path().join("root/etc/group"), format!("us:x:{gid}:\nwww:x:7002:\n")).unwrap();
        let text = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
        let dirs = Directories { work: text("work"), state: text("state"), blobs: text("blobs") };
        let configure = Configure { root: Some(text("root")), digest_key, ..Configure::default() };
        client.greet(mode, dirs, &configure).unwrap();
        Self { dir, client }
    }

    /// A path on this machine for a path on the target.
    pub fn at(&self, path: &str) -> PathBuf {
        self.dir.path().join("root").join(path.trim_start_matches('/'))
    }

    pub fn outside(&self) -> PathBuf {
        self.dir.path().join("outside")
    }

    pub fn write(&self, path: &str, bytes: impl AsRef<[u8]>, mode: u32) {
        fs::write(self.at(path), bytes).unwrap();
        self.chmod(path, mode);
    }

    pub fn chmod(&self, path: &str, mode: u32) {
        fs::set_permissions(self.at(path), fs::Permissions::from_mode(mode)).unwrap();
    }

    pub fn bytes(&self, path: &str) -> Vec<u8> {
        fs::read(self.at(path)).unwrap()
    }

    pub fn mode_of(&self, path: &str) -> u32 {
        fs::symlink_metadata(self.at(path)).unwrap().mode() & 0o7777
    }

    pub fn plan_on(
        &mut self,
        name: &str,
        desired: &Value,
        prior: Option<Predicted>,
    ) -> Result<Option<Planned>, ItemError> {
        self.plan_below(name, desired, prior, Some(Vec::new()))
    }

    /// Plans with what an engine says of the directories above.
    pub fn plan_below(
        &mut self,
        name: &str,
        desired: &Value,
        prior: Option<Predicted>,
        directories: Option<Vec<Value>>,
    ) -> Result<Option<Planned>, ItemError> {
        let item =
            PlanItem { type_name: type_name(name), desired: object(desired.clone()), prior, directories };
        match self.client.plan(item).map_err(|e| e.item().expect("an item error"))? {
            PlanAnswer::Unchanged { .. } => Ok(None),
            PlanAnswer::Changed { prior, planned, prediction, undo, undo_note, resolved, .. } => {
                Ok(Some(Planned { prior, planned, prediction, undo, undo_note, resolved }))
            }
        }
    }

    pub fn plan(&mut self, name: &str, desired: &Value) -> Result<Option<Planned>, ItemError> {
        self.plan_on(name, desired, None)
    }

    pub fn changed(&mut self, name: &str, desired: &Value) -> Planned {
        let planned = self.plan(name, desired).unwrap().expect("a change");
        assert_eq!(planned.prediction, "exact");
        planned
    }

    pub fn read(&mut self, name: &str, desired: &Value, capture: bool) -> Result<ReadAnswer, ItemError> {
        let item = ReadItem { type_name: type_name(name), desired: object(desired.clone()), capture };
        self.client.read(item).map_err(|e| e.item().expect("an item error"))
    }

    pub fn operation(&self, name: &str, desired: &Value, planned: &Planned) -> Apply {
        Apply {
            op_id: "00".repeat(32),
            type_name: type_name(name),
            action: "update".into(),
            desired: object(desired.clone()),
            expect: print_of(name, planned.prior.as_ref()),
            result: Some(print_of(name, planned.planned.as_ref())),
            deadline_ms: 60_000,
            fence: 1,
        }
    }

    /// The inverse, as an engine asks for it.
    pub fn inverse(&self, name: &str, desired: &Value, planned: &Planned) -> Apply {
        let mut op = self.operation(name, desired, planned);
        (op.expect, op.result) = (op.result.unwrap(), Some(op.expect));
        let mut state = planned.prior.clone();
        if let Some(state) = &mut state {
            Pointer::from("/content/text").remove(state);
            Pointer::from("/entries/names").remove(state);
        }
        op.desired.insert(RESTORE.into(), json!({"state": state}));
        op
    }

    pub fn apply(&mut self, op: &Apply) -> Result<Applied, ItemError> {
        self.client.apply(op).map_err(|e| e.item().expect("an item error"))
    }

    /// Plans, captures, applies, and checks what an engine checks. Returns the plan.
    pub fn converge(&mut self, name: &str, desired: &Value) -> Planned {
        let planned = self.changed(name, desired);
        let op = self.operation(name, desired, &planned);
        let before = self.read(name, desired, true).unwrap();
        assert_eq!(print_of(name, before.state.as_ref()), op.expect);
        let applied = self.apply(&op).unwrap();
        assert_eq!(applied.status, ApplyStatus::Applied);
        self.holds(name, desired, &op, &applied);
        planned
    }

    /// Parity: what was answered, what is read, and what a second plan says.
    pub fn holds(&mut self, name: &str, desired: &Value, op: &Apply, applied: &Applied) {
        let result = op.result.unwrap();
        assert_eq!(print_of(name, applied.state.as_ref()), result);
        let now = self.read(name, desired, false).unwrap();
        assert_eq!(print_of(name, now.state.as_ref()), result);
        assert_eq!(applied.state, now.state);
        assert!(self.plan(name, desired).unwrap().is_none(), "a second plan is empty");
        assert_eq!(self.apply(op).unwrap().status, ApplyStatus::Already);
        self.nothing_left_behind();
    }

    pub fn nothing_left_behind(&self) {
        for path in snapshot(&self.at("/")).keys() {
            let ours = path.contains(".rectify-") && !path.ends_with(".rectify-root");
            assert!(!ours, "left behind: {path}");
        }
    }

    pub fn snapshot(&self) -> BTreeMap<String, Vec<u8>> {
        snapshot(&self.at("/"))
    }

    pub fn batch<I: serde::Serialize, R: serde::de::DeserializeOwned>(
        &mut self,
        method: &str,
        items: Vec<I>,
    ) -> Vec<Result<R, ItemError>> {
        let result: BatchResult<R> = self.client.call(method, &Batch { items }).unwrap();
        result.items.into_iter().map(rectify_sdk::protocol::message::ItemResult::into_result).collect()
    }

    pub fn validate(&mut self, name: &str, desired: &Value) -> Result<(), ItemError> {
        let item = DesiredItem { type_name: type_name(name), desired: object(desired.clone()) };
        self.batch::<_, ()>(method::VALIDATE, vec![item]).pop().unwrap()
    }
}

/// Every path below a directory, with kind, mode, owner, group, and content or target.
pub fn snapshot(root: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut all = BTreeMap::new();
    let mut todo = vec![root.to_owned()];
    while let Some(dir) = todo.pop() {
        for entry in fs::read_dir(&dir).unwrap() {
            let path = entry.unwrap().path();
            let meta = fs::symlink_metadata(&path).unwrap();
            let mut what = format!("{:o} {} {} ", meta.mode(), meta.uid(), meta.gid()).into_bytes();
            if meta.is_dir() {
                todo.push(path.clone());
            } else if meta.is_symlink() {
                what.extend(fs::read_link(&path).unwrap().to_str().unwrap().as_bytes());
            } else if meta.is_file() {
                what.extend(fs::read(&path).unwrap());
            }
            all.insert(path.strip_prefix(root).unwrap().to_str().unwrap().to_owned(), what);
        }
    }
    all
}

pub fn is_superuser() -> bool {
    rustix::process::geteuid().is_root()
}
