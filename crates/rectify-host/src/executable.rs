//! Programs of providers: opened once, hashed, and started from the very bytes that were hashed.

use crate::error::{Fault, HostError};
use rectify_base::FileDigests;
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};
use std::{
    fs::File,
    io::{self, Read, Write},
    os::fd::{AsRawFd, OwnedFd},
    path::{Path, PathBuf},
    sync::Arc,
};

/// Largest program that is accepted.
pub const PROGRAM_MAX_BYTES: u64 = 512 * 1024 * 1024;

/// A program that can be started. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Executable {
    path: PathBuf,
    digests: Option<FileDigests>,
    image: Image,
}

#[derive(Clone, Debug)]
enum Image {
    /// The program that is running now.
    Current,
    /// A copy in memory that nobody can change any more.
    Sealed(Arc<OwnedFd>),
    /// A script; its interpreter wants a path, so a copy is written for each session.
    Script { bytes: Arc<[u8]>, interpreter: String },
}

/// How the launcher gets at the program.
pub(crate) enum Source {
    /// Open this path before the confinement and execute what was opened.
    Open(String),
    /// Write these bytes to a file of the session and execute that.
    Write(Arc<[u8]>),
}

impl Executable {
    /// Opens and hashes a program, compares it with what was locked, and keeps a sealed copy.
    ///
    /// # Errors
    /// [`Fault::Program`], [`Fault::DigestMismatch`].
    pub fn open(path: &Path, expected: Option<FileDigests>) -> Result<Self, HostError> {
        let bytes = read_program(path).map_err(|e| refused(path, e.to_string()))?;
        Self::of_bytes(path, bytes, expected)
    }

    /// The same with bytes that were read already; `path` is where they came from.
    ///
    /// # Errors
    /// As for [`Executable::open`].
    pub fn of_bytes(path: &Path, bytes: Vec<u8>, expected: Option<FileDigests>) -> Result<Self, HostError> {
        let refuse = |reason: String| refused(path, reason);
        let found = FileDigests::of_bytes(&bytes);
        if let Some(expected) = expected
            && expected != found
        {
            let (expected, found) = (Box::new(expected), Box::new(found));
            let path_shown = path.display().to_string();
            return Err(error(path, Fault::DigestMismatch { path: path_shown, expected, found }));
        }
        let image = match interpreter_of(&bytes) {
            Some(interpreter) => Image::Script { bytes: bytes.into(), interpreter },
            None => {
                check_format(&bytes).map_err(refuse)?;
                let sealed = seal(&bytes).map_err(|e| refuse(format!("no sealed copy in memory: {e}")))?;
                Image::Sealed(Arc::new(sealed))
            }
        };
        Ok(Self { path: path.to_owned(), digests: Some(found), image })
    }

    /// The program that is running now. It is executed from its open file, so replacing the file
    /// on disk meanwhile has no effect.
    #[must_use]
    pub fn current() -> Self {
        Self { path: PathBuf::from("/proc/self/exe"), digests: None, image: Image::Current }
    }

    /// Where it was found.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its digests; none for a built-in, which is the engine itself.
    #[must_use]
    pub fn digests(&self) -> Option<FileDigests> {
        self.digests
    }

    /// The interpreter that its first line names, if it is a script. The digests do not cover it.
    #[must_use]
    pub fn interpreter(&self) -> Option<&str> {
        match &self.image {
            Image::Script { interpreter, .. } => Some(interpreter),
            Image::Current | Image::Sealed(_) => None,
        }
    }

    /// The launcher reaches our open files through `/proc`, so that no descriptor has to be made
    /// inheritable, which would leak it into every other child as well.
    pub(crate) fn source(&self) -> Source {
        let engine = std::process::id();
        match &self.image {
            Image::Current => Source::Open(format!("/proc/{engine}/exe")),
            Image::Sealed(fd) => Source::Open(format!("/proc/{engine}/fd/{}", fd.as_raw_fd())),
            Image::Script { bytes, .. } => Source::Write(Arc::clone(bytes)),
        }
    }
}

fn error(path: &Path, fault: Fault) -> HostError {
    let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
    HostError::new(&name, "launch", fault)
}

fn refused(path: &Path, reason: String) -> HostError {
    error(path, Fault::Program { path: path.display().to_string(), reason })
}

/// The platform of this machine, such as `linux-x86_64`.
#[must_use]
pub fn platform() -> String {
    format!("{}-{}", std::env::consts::OS, std::env::consts::ARCH)
}

/// The platform that an executable is for; `None` if it is none of Linux that is known.
#[must_use]
pub fn platform_of(bytes: &[u8]) -> Option<&'static str> {
    let [low, high] = bytes.get(18..20)?.try_into().ok()?;
    let machine = bytes.starts_with(b"\x7fELF").then_some(u16::from_le_bytes([low, high]));
    match machine? {
        62 => Some("linux-x86_64"),
        183 => Some("linux-aarch64"),
        243 => Some("linux-riscv64"),
        _ => None,
    }
}

fn read_program(path: &Path) -> io::Result<Vec<u8>> {
    let file = File::open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    let mut bytes = Vec::with_capacity(usize::try_from(metadata.len().min(PROGRAM_MAX_BYTES)).unwrap_or(0));
    file.take(PROGRAM_MAX_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > PROGRAM_MAX_BYTES {
        return Err(io::Error::other(format!("it is larger than {PROGRAM_MAX_BYTES} bytes")));
    }
    if bytes.is_empty() {
        return Err(io::Error::other("it is empty"));
    }
    Ok(bytes)
}

/// The interpreter that the first line of a script names, without `#!`; `None` if it is no script.
#[must_use]
pub fn interpreter_of(bytes: &[u8]) -> Option<String> {
    let line = bytes.strip_prefix(b"#!")?.split(|b| *b == b'\n').next()?;
    Some(String::from_utf8_lossy(line).trim().chars().take(256).collect())
}

/// Refuses what the system could not execute, so that nothing tries a shell on it instead.
fn check_format(bytes: &[u8]) -> Result<(), String> {
    if !bytes.starts_with(b"\x7fELF") {
        return Err("it is neither an executable of this system nor a script".into());
    }
    let ours: u16 = match std::env::consts::ARCH {
        "x86_64" => 62,
        "aarch64" => 183,
        "riscv64" => 243,
        _ => return Ok(()),
    };
    match bytes.get(18..20) {
        Some([low, high]) if u16::from_le_bytes([*low, *high]) == ours => Ok(()),
        _ => Err(format!("it is not for this machine ({})", std::env::consts::ARCH)),
    }
}

fn seal(bytes: &[u8]) -> io::Result<OwnedFd> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    // Kernels before 6.3 do not know the flag, and make every memfd executable.
    let fd = memfd_create("rectify-provider", flags | MemfdFlags::EXEC)
        .or_else(|_| memfd_create("rectify-provider", flags))?;
    let mut file = File::from(fd);
    file.write_all(bytes)?;
    let seals = SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL;
    fcntl_add_seals(&file, seals)?;
    Ok(file.into())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use std::fs;

    #[test]
    fn a_sealed_copy_cannot_be_written() {
        let fd = seal(b"\x7fELF").unwrap();
        let mut file = File::from(fd);
        assert!(file.write_all(b"x").is_err());
        assert!(file.set_len(0).is_err());
    }

    #[test]
    fn other_formats_are_refused() {
        assert!(check_format(&fs::read("/proc/self/exe").unwrap()).is_ok());
        for bytes in [&b"no program"[..], b"\x7fELF", b"\x7fELF\x01\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\x08\0"] {
            assert!(check_format(bytes).is_err());
        }
    }

    #[test]
    fn the_interpreter_of_a_script_is_named() {
        assert_eq!(interpreter_of(b"#! /usr/bin/env python3\nx").as_deref(), Some("/usr/bin/env python3"));
        assert_eq!(interpreter_of(b"\x7fELF"), None);
    }
}
