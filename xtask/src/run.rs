//! Running other programs from the workspace root.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// What a task ends with: nothing, or a sentence that says what is wrong.
pub type Outcome = Result<(), String>;

/// The root of the workspace.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map_or_else(|| ".".into(), Path::to_path_buf)
}

/// A `cargo` command in the root.
pub fn cargo(arguments: &[&str]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(arguments).current_dir(root());
    // `.cargo/config.toml` sets it. That this process has it, too, would look like a change, and half of
    // everything would be built anew each time a person and a task build in turns.
    command.env_remove("LIBSQLITE3_FLAGS");
    command
}

/// Runs a command with the standard streams of this process.
pub fn run(mut command: Command) -> Outcome {
    let shown = format!("{command:?}");
    let status = command.stdin(Stdio::null()).status().map_err(|e| format!("cannot start {shown}: {e}"))?;
    if status.success() { Ok(()) } else { Err(format!("{shown} ended with {status}")) }
}

/// Runs a command and returns its standard output.
pub fn output(mut command: Command) -> Result<Vec<u8>, String> {
    let shown = format!("{command:?}");
    let out = command
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|e| format!("cannot start {shown}: {e}"))?;
    if out.status.success() { Ok(out.stdout) } else { Err(format!("{shown} ended with {}", out.status)) }
}

/// Whether a program can be found on the PATH.
pub fn has(program: &str) -> bool {
    std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|directory| directory.join(program).is_file()))
}

/// Reads a file below the root, naming it in the error.
pub fn read(path: &Path) -> Result<String, String> {
    std::fs::read_to_string(path).map_err(|e| format!("cannot read {}: {e}", path.display()))
}

/// Writes a file, making its directory.
pub fn write(path: &Path, text: &str) -> Outcome {
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent).map_err(|e| format!("cannot make {}: {e}", parent.display()))?;
    }
    std::fs::write(path, text).map_err(|e| format!("cannot write {}: {e}", path.display()))
}

/// The built `rectify` executable of a profile.
pub fn executable(profile: &str) -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
    target.join(profile).join("rectify")
}
