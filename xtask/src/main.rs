//! Tasks of the workspace: `cargo xtask <task>`.

mod adr;
mod bench;
mod codegen;
mod demo;
mod fleet;
mod fuzz;
mod layers;
mod mounts;
mod random;
mod run;
mod suite;
mod torture;
mod tree;

use std::process::ExitCode;

const USAGE: &str = "\
cargo xtask demo               run the whole chain on copies of this machine's configuration files
cargo xtask demo --crash       the same for a run that is killed, resumed and taken back
cargo xtask test [--install] [STAGE...]  everything that must be green, or the stages that are named;
                               --install adds missing system packages
cargo xtask ci                 what .ci/run calls: test --install
cargo xtask layers             check the table of allowed dependencies
cargo xtask codegen [--check]  write generated files, or say which are stale
cargo xtask adr new TITLE      begin a decision record with the next number
cargo xtask bench              measure planning, and print ratios of one run
cargo xtask bench converge [FILES [WRITERS]]  measure applying against temp, fsync, rename
cargo xtask bench reads        measure reads through the boundary
cargo xtask fuzz TARGET|--all [SECONDS]  try bytes on targets of tests/fuzz; see docs/testing.md
cargo xtask fleet up|down|exec|list|selftest  hosts to test on; see docs/testing.md
cargo xtask torture [--full] [--only PART]  kill runs everywhere; see docs/reliability.md
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = match words.as_slice() {
        ["demo", rest @ ..] => demo::demo(rest),
        ["test", rest @ ..] => suite::test(rest),
        ["ci"] => suite::test(&["--install"]),
        ["layers"] => layers::check(),
        ["codegen"] => codegen::write(),
        ["codegen", "--check"] => codegen::check(),
        ["adr", "new", title @ ..] if !title.is_empty() => adr::new(&title.join(" ")),
        ["bench", rest @ ..] => bench::bench(rest),
        ["fleet", rest @ ..] => fleet::fleet(rest),
        ["fuzz", rest @ ..] => fuzz::fuzz(rest),
        ["torture", rest @ ..] => torture::torture(rest),
        _ => {
            eprint!("{USAGE}");
            return ExitCode::from(64);
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("xtask: {message}");
            ExitCode::FAILURE
        }
    }
}
