//! The child's side.

use super::{CPU_MAX_S, MEMORY_MAX_BYTES, REQUEST_MAX_BYTES, STACK_MAX_BYTES, zones::CompiledZones};
use nix::{
    errno::Errno,
    sys::resource::{Resource, getrlimit, setrlimit},
};
use rectify_policy::{PolicyError, codes, wire};
use std::{
    io::{self, Read, Write},
    process::ExitCode,
};

/// Sets the limits that the kernel enforces, soft and hard, so that they cannot be raised again.
///
/// With three descriptors allowed and three in use nothing can be opened: no file, no socket, no
/// process through a pipe. That is all the network isolation that is needed, and it needs no
/// privilege and no namespace.
fn limit() -> Result<(), Errno> {
    rustix::thread::set_no_new_privs(true).map_err(|error| Errno::from_raw(error.raw_os_error()))?;
    for (resource, soft, hard) in [
        (Resource::RLIMIT_CORE, 0, 0),
        (Resource::RLIMIT_FSIZE, 0, 0),
        (Resource::RLIMIT_NOFILE, 3, 3),
        (Resource::RLIMIT_NPROC, 0, 0),
        (Resource::RLIMIT_STACK, STACK_MAX_BYTES, STACK_MAX_BYTES),
        (Resource::RLIMIT_AS, MEMORY_MAX_BYTES, MEMORY_MAX_BYTES),
        // The soft limit ends the process with a signal that tells why, the hard one just kills.
        (Resource::RLIMIT_CPU, CPU_MAX_S, CPU_MAX_S + 1),
    ] {
        // Whoever started us may have limited us more.
        let (_, ceiling) = getrlimit(resource)?;
        setrlimit(resource, soft.min(ceiling), hard.min(ceiling))?;
    }
    Ok(())
}

/// What `rectify policy-child` does: limits itself, reads one request from the standard input,
/// writes one line to the standard output.
///
/// Must be called before any thread is started: the limits of memory and of the stack are meant
/// for a process with one.
#[must_use]
pub fn child_main() -> ExitCode {
    match serve() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nobody is left to tell if this fails too; the exit code says enough.
            let _ = writeln!(io::stderr(), "policy child: {error}");
            ExitCode::FAILURE
        }
    }
}

fn serve() -> io::Result<()> {
    let answer = match limit() {
        Ok(()) => {
            let mut request = Vec::new();
            let max = u64::try_from(REQUEST_MAX_BYTES).unwrap_or(u64::MAX);
            io::stdin().lock().take(max).read_to_end(&mut request)?;
            wire::answer(&request, &CompiledZones::default())
        }
        // An unlimited child evaluates nothing.
        Err(errno) => {
            let message = format!("its limits could not be set: {errno}");
            wire::refusal(&PolicyError::new(codes::POLICY_CHILD, "", message))
        }
    };
    let mut stdout = io::stdout().lock();
    stdout.write_all(answer.as_bytes())?;
    stdout.write_all(b"\n")?;
    stdout.flush()
}
