//! What this executable is besides a command line: providers, the launcher, the policy child.

use rectify_engine::Provider;
use rectify_host::Executable;
use rectify_sdk::Provider as Serve;
use std::{ffi::OsString, process::ExitCode};

/// The built-in providers, sorted by name.
pub fn providers() -> Vec<Provider> {
    let one = |manifest: rectify_protocol::Manifest| Provider {
        arguments: ["provider", "serve", &manifest.name].map(OsString::from).to_vec(),
        program: Executable::current().into(),
        identity: format!("builtin:{}@{}", manifest.name, manifest.version),
        manifest,
        locked: None,
    };
    vec![
        one(rectify_provider_account::provider().manifest()),
        one(rectify_provider_command::provider().manifest()),
        one(rectify_provider_facts::provider().manifest()),
        one(rectify_provider_file::provider().manifest()),
        one(rectify_provider_package::provider().manifest()),
        one(rectify_provider_probe::provider().manifest()),
        one(rectify_provider_service::provider().manifest()),
        one(rectify_provider_sysctl::provider().manifest()),
    ]
}

/// Runs as one of our own children, if the arguments say so.
pub fn child(arguments: &[OsString]) -> Option<ExitCode> {
    let words: Vec<&str> = arguments.iter().skip(1).take(3).filter_map(|word| word.to_str()).collect();
    match words.as_slice() {
        ["provider", "serve", "account"] => {
            Some(rectify_sdk::serve_stdio(rectify_provider_account::provider()))
        }
        ["provider", "serve", "command"] => {
            Some(rectify_sdk::serve_stdio(rectify_provider_command::provider()))
        }
        ["provider", "serve", "facts"] => Some(rectify_sdk::serve_stdio(rectify_provider_facts::provider())),
        ["provider", "serve", "file"] => Some(rectify_sdk::serve_stdio(rectify_provider_file::provider())),
        ["provider", "serve", "package"] => {
            Some(rectify_sdk::serve_stdio(rectify_provider_package::provider()))
        }
        ["provider", "serve", "probe"] => Some(rectify_sdk::serve_stdio(rectify_provider_probe::provider())),
        ["provider", "serve", "service"] => {
            Some(rectify_sdk::serve_stdio(rectify_provider_service::provider()))
        }
        ["provider", "serve", "sysctl"] => {
            Some(rectify_sdk::serve_stdio(rectify_provider_sysctl::provider()))
        }
        ["confine", ..] => Some(rectify_host::confine_main(arguments.iter().skip(2).cloned())),
        ["policy-child"] => Some(rectify_host::policy::child_main()),
        _ => None,
    }
}
