//! The `rectify` command line.
//!
//! This crate reads the environment, prints, prompts and turns errors into exit codes; everything
//! else is in `rectify-engine`. The executable is also its own children: built-in providers, the
//! confining launcher, and the policy child.

#![deny(clippy::print_stdout, clippy::print_stderr)]

mod arguments;
mod builtin;
mod commands;
mod context;
mod diagnostics;
mod exit;
mod failure;
mod listen;
mod manual;
mod pages;
mod progress;
mod say;
mod words;

use clap::Parser;
use std::process::ExitCode;

/// Behind standard input, output and error.
const FIRST_OTHER_DESCRIPTOR: i32 = 3;

/// A dump of our memory could hold secrets. Whoever wants one raises the soft limit again.
fn no_core_dumps() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    if let Ok((_, hard)) = getrlimit(Resource::RLIMIT_CORE) {
        // Lowering a soft limit is always allowed.
        let _ = setrlimit(Resource::RLIMIT_CORE, 0, hard);
    }
}

fn main() -> ExitCode {
    no_core_dumps();
    // Children of ourselves come first: they must not pay for, or be confused by, anything else.
    let arguments: Vec<std::ffi::OsString> = std::env::args_os().collect();
    if let Some(code) = builtin::child(&arguments) {
        return code;
    }
    let arguments = match arguments::Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments,
        Err(error) => {
            let usage = error.use_stderr();
            drop(error.print());
            return if usage { exit::USAGE.into() } else { exit::DONE.into() };
        }
    };
    // What the caller left open for us, such as a pipe with a secret, is not for our children.
    close_fds::set_fds_cloexec(FIRST_OTHER_DESCRIPTOR, &[]);
    say::set_events(arguments.events);
    progress::start(arguments.events || arguments.log_json);
    context::start_tracing(arguments.verbose, arguments.log_json);
    let ended = commands::run(arguments);
    progress::clear();
    match ended {
        Ok(code) => code.into(),
        Err(failure) => failure.report().into(),
    }
}
