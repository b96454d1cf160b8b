//! Tools that others sign and verify with.

use rectify_base::secret::Secret;
use std::{
    path::Path,
    process::{Command, Stdio},
};

/// Runs `ssh-keygen`, a declared test dependency, and returns what it printed.
pub fn ssh_keygen(arguments: &[&str], file: &Path) -> String {
    let output = Command::new("ssh-keygen")
        .args(arguments)
        .arg("-f")
        .arg(file)
        .stdin(Stdio::null())
        .output()
        .expect("ssh-keygen is needed for these tests: install openssh-client");
    assert!(output.status.success(), "ssh-keygen {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Runs `openssl` and returns what it printed; `None` where it is not installed.
pub fn openssl(arguments: &[&str]) -> Option<Vec<u8>> {
    let output = Command::new("openssl").args(arguments).stdin(Stdio::null()).output().ok()?;
    assert!(output.status.success(), "openssl {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    Some(output.stdout)
}

pub fn secret(text: &str) -> Secret {
    Secret::new(text.to_owned())
}

/// A callback that gives this passphrase and fails the test if it is asked twice.
pub fn once(text: &'static str) -> impl FnMut(&Path) -> Option<Secret> {
    let mut asked = false;
    move |_| {
        assert!(!asked, "asked twice");
        asked = true;
        Some(secret(text))
    }
}

/// A callback for keys that are not encrypted.
pub fn never(path: &Path) -> Option<Secret> {
    panic!("asked for a passphrase of {}", path.display())
}
