//! A provider that keeps to the protocol, but for the one thing that its first argument names:
//! `misbehave BEHAVIOUR serve --stdio`. `none` keeps to it altogether.
//!
//! What is on the wire is twisted on its way to and from the SDK; what is done is twisted in the
//! provider. Each behaviour is named where it happens.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

#[path = "misbehave/thing.rs"]
mod thing;
#[path = "misbehave/wire.rs"]
mod wire;

use rectify_sdk::{End, protocol::COOKIE_VARIABLE, serve_streams};
use std::{
    env, fs,
    io::{self, Write},
    process::{Command, ExitCode, Stdio},
    thread,
    time::Duration,
};

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let (behaviour, words) = words.split_first().expect("a behaviour");
    let provider = thing::Misbehaving::new(behaviour);
    match words {
        ["manifest"] => {
            let mut manifest = thing::manifest(behaviour);
            if *behaviour == "manifest-moves" {
                manifest.types[0].summary = format!("Process {}.", std::process::id());
            }
            io::stdout().write_all(&manifest.to_bytes().unwrap()).unwrap();
            ExitCode::SUCCESS
        }
        ["version"] => {
            println!("misbehave 0.1.0");
            ExitCode::SUCCESS
        }
        ["serve", "--stdio"]
            if env::var_os(COOKIE_VARIABLE).is_some() || *behaviour == "no-cookie-needed" =>
        {
            serve(provider, behaviour)
        }
        _ => {
            eprintln!("This is a provider for tests.");
            ExitCode::from(64)
        }
    }
}

fn serve(provider: thing::Misbehaving, behaviour: &str) -> ExitCode {
    if behaviour == "needs-path" && env::var_os("PATH").is_none() {
        return ExitCode::FAILURE;
    }
    if behaviour == "leaves-a-child" {
        let child = Command::new("/bin/sleep")
            .arg("20")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        drop(child);
    }
    let input = fs::File::from(rectify_fd(0));
    let output = fs::File::from(rectify_fd(1));
    let (reader, writer) = wire::twist(behaviour, input, output);
    match serve_streams(provider, reader, writer) {
        Ok(End::Shutdown) if behaviour == "ends-with-3" => ExitCode::from(3),
        Ok(End::Shutdown) => ExitCode::SUCCESS,
        Ok(End::Version) if behaviour == "stays-without-a-version" => {
            thread::sleep(Duration::from_secs(3));
            ExitCode::FAILURE
        }
        _ => ExitCode::FAILURE,
    }
}

/// A descriptor of its own for a standard stream.
fn rectify_fd(number: i32) -> std::os::fd::OwnedFd {
    use std::os::fd::AsFd;
    let owned = if number == 0 {
        io::stdin().as_fd().try_clone_to_owned()
    } else {
        io::stdout().as_fd().try_clone_to_owned()
    };
    owned.expect("a standard stream")
}
