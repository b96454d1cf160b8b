//! The launcher as a program of its own, for tests: `rectify` has it as a hidden subcommand.

use std::process::ExitCode;

fn main() -> ExitCode {
    rectify_host::confine_main(std::env::args_os().skip(1))
}
