//! `seeds TARGET DIRECTORY` writes what a target begins with as files, for libFuzzer.
#![allow(clippy::unwrap_used)]

use rectify_base::Digest;
use std::{fs, path::PathBuf, process::ExitCode};

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let target = arguments.next().and_then(|name| rectify_fuzz::target(&name));
    let (Some(target), Some(directory)) = (target, arguments.next().map(PathBuf::from)) else {
        eprintln!("seeds TARGET DIRECTORY; a target is one of:");
        for target in rectify_fuzz::TARGETS {
            eprintln!("  {:12}  {}", target.name, target.holds);
        }
        return ExitCode::from(64);
    };
    fs::create_dir_all(&directory).unwrap();
    // libFuzzer takes the longest for its limit.
    let seeds = (target.seeds)(&rectify_fuzz::conformance());
    for seed in seeds.into_iter().filter(|seed| seed.len() <= target.max_bytes) {
        fs::write(directory.join(Digest::of_bytes(&seed).hex()), seed).unwrap();
    }
    ExitCode::SUCCESS
}
