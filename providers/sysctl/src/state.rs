//! The state of a setting: what holds now, and what the file keeps.

use crate::setting::{Setting, in_words, wrong};
use rectify_sdk::{
    Context, Folder, Owned, SmallFile,
    protocol::{ErrorCode, ItemError},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::{fs, io, path::Path};

/// Longest file that is read.
pub(crate) const FILE_MAX_BYTES: u64 = 65_536;
/// Mode of a new file.
const NEW_MODE: &str = "0644";

/// What a state says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct State {
    pub(crate) key: String,
    /// What the kernel shows, in words; absent where the target is a directory, or has no such setting.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) live: Option<String>,
    /// The file; absent if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) file: Option<Kept>,
}

/// The file that keeps a value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Kept {
    path: String,
    pub(crate) text: String,
    mode: String,
}

impl State {
    /// Neither the one nor the other.
    pub(crate) fn nothing(setting: &Setting) -> Self {
        Self { key: setting.key.clone(), live: None, file: None }
    }

    /// In its form on the wire; nothing at all is no state.
    pub(crate) fn value(&self) -> Result<Option<Value>, ItemError> {
        if self.live.is_none() && self.file.is_none() {
            return Ok(None);
        }
        serde_json::to_value(self)
            .map(Some)
            .map_err(|e| ItemError::new(ErrorCode::Internal, format!("the state cannot be written: {e}")))
    }

    /// Reads what [`State::value`] gave earlier.
    pub(crate) fn of(value: Option<&Value>, setting: &Setting) -> Result<Self, ItemError> {
        let Some(value) = value else { return Ok(Self::nothing(setting)) };
        let state: Self = serde_json::from_value(value.clone())
            .map_err(|e| wrong(format!("the given state cannot be read: {e}"), ""))?;
        let same =
            state.file.as_ref().is_none_or(|file| file.path == setting.path() && file.mode().is_some());
        if state.key == setting.key && same {
            Ok(state)
        } else {
            Err(wrong("the given state is about another setting", ""))
        }
    }

    /// This state with a value in the file. The mode of a file that exists stays.
    pub(crate) fn keeping(mut self, setting: &Setting, value: &str) -> Self {
        let mode = self.file.as_ref().map_or(NEW_MODE, |file| &file.mode).to_owned();
        self.file = Some(Kept { path: setting.path(), text: setting.text(value), mode });
        self
    }
}

impl Kept {
    /// Its permission bits.
    pub(crate) fn mode(&self) -> Option<u32> {
        let digits = self.mode.strip_prefix('0').filter(|digits| matches!(digits.len(), 3 | 4))?;
        u32::from_str_radix(digits, 8).ok()
    }
}

/// A setting as it was looked at.
pub(crate) struct Look {
    pub(crate) state: State,
    /// The directory of files; `None` if there is none.
    pub(crate) folder: Option<Folder>,
    pub(crate) file: Option<SmallFile>,
}

/// Looks at a setting.
pub(crate) fn look(cx: &Context, setting: &Setting) -> Result<Look, ItemError> {
    let mut state = State::nothing(setting);
    if cx.root().is_none() {
        state.live = live(setting)?;
    }
    let folder = Folder::open(cx.root(), Path::new(crate::setting::DIRECTORY))?;
    let file =
        folder.as_ref().map(|folder| folder.read(&setting.file, FILE_MAX_BYTES)).transpose()?.flatten();
    if let Some(file) = &file {
        let text = String::from_utf8(file.bytes.clone()).map_err(|_| {
            ItemError::new(ErrorCode::Unsupported, format!("`{}` is not text", setting.path())).at("/file")
        })?;
        let mode = format!("0{:03o}", file.owned.mode);
        state.file = Some(Kept { path: setting.path(), text, mode });
    }
    Ok(Look { state, folder, file })
}

/// What the kernel shows. `None`: it has no such setting.
pub(crate) fn live(setting: &Setting) -> Result<Option<String>, ItemError> {
    let path = Path::new("/proc/sys").join(setting.below_proc());
    match fs::read(&path) {
        Ok(bytes) => Ok(Some(in_words(&String::from_utf8_lossy(&bytes)))),
        Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(None),
        Err(e) if e.kind() == io::ErrorKind::IsADirectory => {
            Err(wrong(format!("`{}` is a group of settings", setting.key), "/key"))
        }
        Err(e) => Err(told(&e, &format!("`{}` cannot be read", setting.key))),
    }
}

/// Sets what holds now.
pub(crate) fn set_live(setting: &Setting, value: &str) -> Result<(), ItemError> {
    let path = Path::new("/proc/sys").join(setting.below_proc());
    let write = || {
        let mut file = fs::OpenOptions::new().write(true).open(&path)?;
        io::Write::write_all(&mut file, format!("{value}\n").as_bytes())
    };
    write().map_err(|e| match e.kind() {
        io::ErrorKind::InvalidInput => {
            ItemError::new(ErrorCode::Failed, format!("the kernel refuses `{value}` for `{}`", setting.key))
                .at("/value")
        }
        _ => told(&e, &format!("`{}` cannot be set", setting.key)),
    })
}

fn told(error: &io::Error, doing: &str) -> ItemError {
    let code = match error.kind() {
        io::ErrorKind::PermissionDenied => ErrorCode::Permission,
        io::ErrorKind::ReadOnlyFilesystem => ErrorCode::Unsupported,
        _ => ErrorCode::Failed,
    };
    let error = ItemError::new(code, format!("{doing}: {error}")).at("/key");
    if code == ErrorCode::Unsupported {
        return error.hint("in a container most settings belong to the host");
    }
    error
}

/// Owner and mode of the file that is written.
pub(crate) fn owned(look: &Look, kept: &Kept, folder: &Folder) -> Result<Owned, ItemError> {
    let mode = kept.mode().ok_or_else(|| ItemError::new(ErrorCode::Internal, "the file has no mode"))?;
    let owned = match &look.file {
        Some(file) => file.owned,
        None => folder.owned()?,
    };
    Ok(Owned { mode, ..owned })
}
