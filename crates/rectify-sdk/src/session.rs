//! What a session was told at its beginning, and how it may end.

use crate::fence;
use rectify_base::{DigestKey, Secret, SecretName};
use rectify_protocol::{
    Manifest, VERSION,
    manifest::ProtocolRange,
    message::{Configure, Directories, Initialize, Mode, ProtocolVersion},
};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

/// Fixed by `initialize` and `configure`.
#[derive(Clone)]
pub(crate) struct Settings {
    pub(crate) manifest: Arc<Manifest>,
    pub(crate) mode: Mode,
    pub(crate) frame_max_bytes: usize,
    pub(crate) dirs: Directories,
    pub(crate) root: Option<PathBuf>,
    pub(crate) plan_commands: Vec<Vec<String>>,
    pub(crate) digest_key: Option<DigestKey>,
    pub(crate) secrets: Arc<BTreeMap<SecretName, Secret>>,
    pub(crate) alone: Arc<fence::Alone>,
}

/// Shortest frame that a session can do with: every failure of an operation must fit.
const FRAME_MIN_BYTES: usize = 4 * 1024;

/// How a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The engine asked for it, then closed the stream.
    Shutdown,
    /// The engine closed the stream without a word, or is gone.
    Eof,
    /// Nobody reads what the provider writes.
    Broken,
    /// There is no common protocol version.
    Version,
}

impl Settings {
    /// What `initialize` says.
    pub(crate) fn begin(manifest: Arc<Manifest>, greeting: &Initialize) -> Result<Self, String> {
        let dirs = greeting.dirs.clone();
        for (name, dir) in [("work", &dirs.work), ("state", &dirs.state), ("blobs", &dirs.blobs)] {
            if !dir.is_empty() && !Path::new(dir).is_absolute() {
                return Err(format!("the directory `{name}` is not absolute: {dir}"));
            }
        }
        if greeting.frame_max_bytes < FRAME_MIN_BYTES {
            return Err(format!("frames of {} bytes are too short", greeting.frame_max_bytes));
        }
        let frame_max_bytes = greeting.frame_max_bytes.min(rectify_base::limits::FRAME_MAX_BYTES);
        Ok(Self {
            manifest,
            mode: greeting.mode,
            frame_max_bytes,
            dirs,
            root: None,
            plan_commands: Vec::new(),
            digest_key: None,
            secrets: Arc::default(),
            alone: Arc::default(),
        })
    }

    /// What `configure` adds.
    pub(crate) fn configure(&self, configure: Configure) -> Result<Self, String> {
        let root = configure.root.map(PathBuf::from);
        if let Some(root) = &root
            && !(root.is_absolute() && root.is_dir())
        {
            return Err(format!("the root is not an absolute path of a directory: {}", root.display()));
        }
        let Configure { plan_commands, digest_key, secrets, .. } = configure;
        let secrets = secrets.into_iter().map(|(name, value)| (name, value.0)).collect();
        Ok(Self { root, plan_commands, digest_key, secrets: Arc::new(secrets), ..self.clone() })
    }
}

/// The highest version that both sides speak.
pub(crate) fn common_version(engine: ProtocolRange, provider: ProtocolRange) -> Option<ProtocolVersion> {
    let lowest = engine.min.max(provider.min);
    // What the manifest promises beyond this SDK cannot be kept by this SDK.
    let highest = engine.max.min(provider.max).min(VERSION);
    (lowest <= highest).then_some(highest)
}
