//! The command line of a provider, and its standard streams.

use crate::{End, Provider, selftest, serve_streams};
use rectify_protocol::COOKIE_VARIABLE;
use rustix::{
    fs::{Mode, OFlags},
    io::fcntl_dupfd_cloexec,
    stdio::{dup2_stdin, dup2_stdout},
};
use std::{
    env,
    fs::File,
    io::{self, Write},
    os::fd::AsFd,
    process::ExitCode,
};

/// Wrong use of the command line.
const EXIT_USAGE: u8 = 64;

/// What the `main` of a provider calls: `serve --stdio`, `manifest`, `version`, `--selftest`, or help.
pub fn serve(provider: impl Provider) -> ExitCode {
    let arguments: Vec<String> = env::args_os().skip(1).map(|a| a.to_string_lossy().into_owned()).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["serve", "--stdio"] => serve_stdio(provider),
        ["manifest"] => match provider.manifest().to_bytes() {
            Ok(bytes) => print(&bytes),
            Err(e) => complain(&format!("the manifest cannot be written: {e}"), 1),
        },
        ["version"] => {
            let manifest = provider.manifest();
            print(format!("{} {}\n", manifest.name, manifest.version).as_bytes())
        }
        ["--selftest"] => {
            let (report, well) = selftest::run(provider);
            let printed = print(report.as_bytes());
            if well { printed } else { ExitCode::FAILURE }
        }
        _ => complain(&help(&provider), EXIT_USAGE),
    }
}

/// Serves one session over standard input and output, which belong to the protocol alone from then
/// on: what the provider prints goes to standard error, and it reads an empty input.
pub fn serve_stdio(provider: impl Provider) -> ExitCode {
    // A man at a terminal is no engine. This is politeness, not a safeguard.
    if env::var_os(COOKIE_VARIABLE).is_none() {
        return complain(&help(&provider), EXIT_USAGE);
    }
    let (input, output) = match take_streams() {
        Ok(streams) => streams,
        Err(e) => return complain(&format!("the standard streams cannot be used: {e}"), 1),
    };
    match serve_streams(provider, input, output) {
        Ok(End::Shutdown) => ExitCode::SUCCESS,
        Ok(End::Eof | End::Broken | End::Version) => ExitCode::FAILURE,
        Err(e) => complain(&format!("the session cannot be served: {e}"), 1),
    }
}

/// Takes the protocol's streams away to private descriptors, which children do not inherit.
fn take_streams() -> io::Result<(File, File)> {
    let input = fcntl_dupfd_cloexec(io::stdin().as_fd(), 3)?;
    let output = fcntl_dupfd_cloexec(io::stdout().as_fd(), 3)?;
    let null = rustix::fs::open("/dev/null", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    dup2_stdin(&null)?;
    dup2_stdout(io::stderr().as_fd())?;
    Ok((File::from(input), File::from(output)))
}

fn help(provider: &impl Provider) -> String {
    let manifest = provider.manifest();
    let types: Vec<String> =
        manifest.types.iter().map(|t| format!("  {:<20} {}", t.name, t.summary)).collect();
    format!(
        "This is the Rectify provider `{}` {}. The engine starts it; there is nothing to do by hand.\n\n\
         Usage: PROVIDER manifest | version | --selftest | serve --stdio (with {COOKIE_VARIABLE}=1)\n\nTypes:\n{}",
        manifest.name,
        manifest.version,
        types.join("\n")
    )
}

fn print(bytes: &[u8]) -> ExitCode {
    match io::stdout().write_all(bytes) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn complain(message: &str, code: u8) -> ExitCode {
    // Nobody is left to tell if standard error is gone too.
    let _ = writeln!(io::stderr(), "{message}");
    ExitCode::from(code)
}
