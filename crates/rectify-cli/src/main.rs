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

fn main() -> ExitCode {
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
