//! `ssh.authorized_keys`: `.ssh/authorized_keys` in the home directory of a user, who owns what lies there
//! and may change it at any time. So nothing there is followed: directories are held open, files are opened
//! without following links, and what is new is put in place by a rename.

use crate::{
    files::{Accounts, is_name},
    group::Presence,
    line,
    thing::{Goal, Thing, Undo, conflict, restore_of, typed, written, wrong},
};
use rectify_sdk::{
    Context, Folder, Owned, SmallFile,
    base::{Digest, DigestKey},
    protocol::{
        ErrorCode, ItemError,
        message::{Mode, Restore},
    },
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::path::Path;

const DIRECTORY: &str = ".ssh";
const FILE: &str = "authorized_keys";
/// Longest file that is read.
const FILE_MAX_BYTES: u64 = 1024 * 1024;
const FILE_MODE: u32 = 0o600;
const DIRECTORY_MODE: u32 = 0o700;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct State {
    user: String,
    /// Kind and fingerprint of each key, in their order.
    keys: Vec<String>,
    /// Digest of the whole file, under the session's key if it has one.
    content: Digest,
    /// Owners and modes, where they are not as sshd wants them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    access: Option<Access>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Access {
    file: Owner,
    directory: Owner,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Owner {
    uid: u32,
    gid: u32,
    mode: String,
}

impl Owner {
    fn of(owned: Owned) -> Self {
        Self { uid: owned.uid, gid: owned.gid, mode: format!("0{:03o}", owned.mode) }
    }

    fn owned(&self) -> Option<Owned> {
        let digits = self.mode.strip_prefix('0').filter(|digits| matches!(digits.len(), 3 | 4))?;
        Some(Owned { uid: self.uid, gid: self.gid, mode: u32::from_str_radix(digits, 8).ok()? })
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Properties {
    user: String,
    #[serde(default)]
    keys: Vec<String>,
    #[serde(default)]
    keep_others: bool,
    #[serde(default)]
    state: Presence,
}

/// Where a user's keys are, and who should own them.
struct Home {
    folder: Folder,
    uid: u32,
    gid: u32,
    directory: Option<Folder>,
    file: Option<SmallFile>,
}

/// The keys of a user, and what is asked for.
pub(crate) struct Keys {
    properties: Properties,
    restore: Option<Restore>,
    key: Option<DigestKey>,
    /// `None`: there is no such user, or no home directory.
    home: Option<Home>,
    /// Whether the user exists.
    known: bool,
}

impl Keys {
    /// Reads properties, without looking at anything.
    pub(crate) fn new(desired: &Map<String, Value>) -> Result<Self, ItemError> {
        let mut desired = desired.clone();
        let restore = restore_of(&mut desired)?;
        let properties: Properties = typed(Value::Object(desired))?;
        if !is_name(&properties.user) {
            return Err(wrong("this cannot be the name of a user", "/user"));
        }
        for (number, key) in properties.keys.iter().enumerate() {
            line::Key::read(key).map_err(|why| wrong(why, &format!("/keys/{number}")))?;
        }
        if properties.keep_others && properties.state == Presence::Absent {
            return Err(wrong("keys that are to be absent go, and others always stay", "/keep_others"));
        }
        let keys = Self { properties, restore, key: None, home: None, known: false };
        if let Some(Restore { state: Some(state) }) = &keys.restore {
            keys.known(state)?;
        }
        Ok(keys)
    }

    /// Looks.
    pub(crate) fn seen(mut self, cx: &Context) -> Result<Self, ItemError> {
        self.key = cx.digest_key().cloned();
        let accounts = Accounts::load(cx.root())?;
        let Some(user) = accounts.user(&self.properties.user) else { return Ok(self) };
        self.known = true;
        let home = Path::new(&user.home);
        if !home.is_absolute() || home == Path::new("/nonexistent") {
            return Ok(self);
        }
        let Some(folder) = Folder::open(cx.root(), home)? else { return Ok(self) };
        if cx.mode() == Mode::Apply {
            folder.clear(DIRECTORY)?;
        }
        let owner = folder.owned()?.uid;
        let directory = folder.inside(DIRECTORY)?;
        if owner != user.uid && owner != 0 && Some(owner) != root_owner(cx)? {
            let message = format!("the home directory `{}` belongs to somebody else ({owner})", user.home);
            return Err(conflict(message, "/user"));
        }
        let file =
            directory.as_ref().map(|directory| directory.read(FILE, FILE_MAX_BYTES)).transpose()?.flatten();
        self.home = Some(Home { folder, uid: user.uid, gid: user.gid, directory, file });
        Ok(self)
    }

    fn known(&self, state: &Value) -> Result<State, ItemError> {
        let state: State = typed(state.clone())?;
        let sound = |access: &Access| access.file.owned().is_some() && access.directory.owned().is_some();
        if state.user == self.properties.user && state.access.as_ref().is_none_or(sound) {
            Ok(state)
        } else {
            Err(wrong("the given state is about another user", ""))
        }
    }

    fn digest(&self, bytes: &[u8]) -> Digest {
        self.key.as_ref().map_or_else(|| Digest::of_bytes(bytes), |key| key.digest(bytes))
    }

    fn state_of(&self, bytes: &[u8], access: Option<Access>) -> State {
        let text = String::from_utf8_lossy(bytes);
        let keys = text.lines().filter_map(|line| line::Key::read(line).ok()).map(|key| key.shown());
        State {
            user: self.properties.user.clone(),
            keys: keys.collect(),
            content: self.digest(bytes),
            access,
        }
    }

    fn found(&self) -> Result<Option<State>, ItemError> {
        let Some(home) = &self.home else { return Ok(None) };
        let (Some(directory), Some(file)) = (&home.directory, &home.file) else { return Ok(None) };
        let above = directory.owned()?;
        let right = file.owned == home.file_owned() && above == home.directory_owned();
        let access = Access { file: Owner::of(file.owned), directory: Owner::of(above) };
        Ok(Some(self.state_of(&file.bytes, Some(access).filter(|_| !right))))
    }

    /// The bytes that a state stands for, if they are at hand.
    fn bytes_of(&self, state: Option<&State>) -> Result<Vec<u8>, ItemError> {
        let Some(state) = state else { return Ok(Vec::new()) };
        let file = self.home.as_ref().and_then(|home| home.file.as_ref());
        match file.filter(|file| self.digest(&file.bytes) == state.content) {
            Some(file) => Ok(file.bytes.clone()),
            None => Err(ItemError::new(
                ErrorCode::Unsupported,
                "the file that the earlier step leaves behind is not at hand, so it cannot be added to in this plan",
            )
            .hint("write both as one step")),
        }
    }

    /// What the file should hold; `None`: no file.
    fn wanted(&self, prior: Option<&State>) -> Result<Option<Vec<u8>>, ItemError> {
        let p = &self.properties;
        let lines = |keys: &[String]| keys.iter().map(|key| format!("{}\n", key.trim())).collect::<String>();
        match (p.state, p.keep_others) {
            (Presence::Present, false) => Ok(Some(lines(&p.keys).into_bytes())),
            (Presence::Present, true) => Ok(Some(line::with(&self.bytes_of(prior)?, &p.keys))),
            (Presence::Absent, _) if prior.is_none() => Ok(None),
            (Presence::Absent, _) => Ok(Some(line::without(&self.bytes_of(prior)?, &p.keys))),
        }
    }
}

impl Home {
    fn file_owned(&self) -> Owned {
        Owned { uid: self.uid, gid: self.gid, mode: FILE_MODE }
    }

    fn directory_owned(&self) -> Owned {
        Owned { uid: self.uid, gid: self.gid, mode: DIRECTORY_MODE }
    }
}

/// Who owns the root directory of the target, if it is one.
fn root_owner(cx: &Context) -> Result<Option<u32>, ItemError> {
    let Some(root) = cx.root() else { return Ok(None) };
    let folder = Folder::open(Some(root), Path::new("/"))?;
    folder.map(|folder| folder.owned().map(|owned| owned.uid)).transpose()
}

impl Thing for Keys {
    fn state(&self) -> Result<Option<Value>, ItemError> {
        self.found()?.map(|state| written(&state)).transpose()
    }

    fn goal(&self, prior: Option<&Value>) -> Result<Goal, ItemError> {
        let prior = prior.map(|prior| self.known(prior)).transpose()?;
        let goal = match &self.restore {
            Some(restore) => restore.state.as_ref().map(|state| self.known(state)).transpose()?,
            None => self.wanted(prior.as_ref())?.map(|bytes| self.state_of(&bytes, None)),
        };
        if goal.is_some() && self.known && self.home.is_none() {
            return Err(ItemError::new(ErrorCode::Failed, "the user has no home directory").at("/user"));
        }
        // A user who is not there yet may come by an earlier step.
        let sure = goal.is_none() || self.known;
        Ok(Goal { state: goal.map(|goal| written(&goal)).transpose()?, sure })
    }

    fn undo(&self, prior: Option<&Value>, _goal: Option<&Value>) -> Undo {
        let directory = self.home.as_ref().and_then(|home| Some((home, home.directory.as_ref()?)));
        let (None, Some((home, directory))) = (prior, directory) else { return Undo::EXACT };
        if directory.owned().is_ok_and(|owned| owned != home.directory_owned()) {
            return Undo::lossy(format!("owner and mode of `{DIRECTORY}` are not brought back"));
        }
        if directory.names().is_ok_and(|names| names.is_empty()) {
            return Undo::lossy(format!("the empty directory `{DIRECTORY}` goes, too"));
        }
        Undo::EXACT
    }

    fn capture(&self, cx: &Context) -> Result<Option<Digest>, ItemError> {
        let file = self.home.as_ref().and_then(|home| home.file.as_ref());
        file.map(|file| cx.keep_before_image_from(&mut file.bytes.as_slice(), true)).transpose()
    }

    fn change(&self, cx: &Context, goal: Option<&Value>) -> Result<(), ItemError> {
        let home = self.home.as_ref().ok_or_else(|| {
            ItemError::new(ErrorCode::Failed, "the user does not exist, or has no home directory").at("/user")
        })?;
        let Some(goal) = goal.map(|goal| self.known(goal)).transpose()? else {
            if let (Some(directory), Some(file)) = (&home.directory, &home.file) {
                home.folder.remove_with_directory(DIRECTORY, directory, FILE, file)?;
            }
            return Ok(());
        };
        let bytes = self.bytes_for(cx, &goal)?;
        let (mut file, mut above) = (home.file_owned(), home.directory_owned());
        if let Some(access) = &goal.access {
            file = access.file.owned().unwrap_or(file);
            above = access.directory.owned().unwrap_or(above);
        }
        let made;
        let directory = match &home.directory {
            Some(directory) => {
                directory.set_owned(above)?;
                directory
            }
            None => {
                made = home.folder.make(cx, DIRECTORY, above)?;
                &made
            }
        };
        directory.replace(cx, FILE, home.file.as_ref(), &bytes, file)
    }
}

impl Keys {
    /// The bytes of a goal: those that are there, those that the properties say, or those that were kept.
    fn bytes_for(&self, cx: &Context, goal: &State) -> Result<Vec<u8>, ItemError> {
        let found = self.found()?;
        if self.restore.is_none() {
            return Ok(self.wanted(found.as_ref())?.unwrap_or_default());
        }
        match found.filter(|found| found.content == goal.content) {
            Some(found) => self.bytes_of(Some(&found)),
            None if self.key.is_some() => cx.read_secret_blob(&goal.content),
            None => cx.read_blob(&goal.content),
        }
    }
}
