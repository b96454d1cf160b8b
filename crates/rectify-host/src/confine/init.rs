//! The first process of a process namespace: starts the provider, collects what dies, and ends
//! when the provider does, which ends everything else in the namespace.

use rustix::process::{WaitOptions, wait};
use std::{
    fs::File,
    io,
    process::{Child, Command},
};

/// Starts the command and stays until it ends. Returns its exit code, or 128 and the signal.
pub(super) fn run(command: &mut Command) -> io::Result<u8> {
    let child = command.spawn()?;
    release_streams()?;
    wait_for(&child)
}

/// The streams are the provider's. If we kept them, nobody would see it close them.
pub(super) fn release_streams() -> io::Result<()> {
    let null = File::options().read(true).write(true).open("/dev/null")?;
    rustix::stdio::dup2_stdin(&null)?;
    rustix::stdio::dup2_stdout(&null)?;
    Ok(())
}

/// Waits for one child, collecting others.
pub(super) fn wait_for(child: &Child) -> io::Result<u8> {
    loop {
        match wait(WaitOptions::empty()) {
            Ok(Some((pid, status))) if pid.as_raw_nonzero().get().unsigned_abs() == child.id() => {
                let code = status.exit_status().or_else(|| status.terminating_signal().map(|s| 128 + s));
                return Ok(code.and_then(|c| u8::try_from(c).ok()).unwrap_or(u8::MAX));
            }
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(e) => return Err(e.into()),
        }
    }
}
