//! `rectify-conform`: tests a provider, prints what it found, and signs it if asked to.

use clap::Parser;
use rectify_base::FileDigests;
use rectify_conform::{CHECKS, Fixtures, Host, Kit, Verdict};
use rectify_keys::{load_signer, no_passphrase, read_public_key};
use std::{
    error::Error,
    fs,
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
};

/// Tests whether a provider keeps to protocol 1.0.
#[derive(Parser)]
#[command(version, about)]
struct Arguments {
    /// Program of the provider, with first arguments if it needs some; an absolute path.
    #[arg(required_unless_present_any = ["list", "verify"], num_args = 1..)]
    provider: Vec<String>,
    /// File of fixtures.
    #[arg(long, required_unless_present_any = ["list", "verify"])]
    fixtures: Option<PathBuf>,
    /// The program is `rectify`, and this provider is built into it.
    #[arg(long, value_name = "NAME")]
    builtin: Option<String>,
    /// Prefix that runs a line of shell elsewhere, as in `ssh -T host`.
    #[arg(long, value_name = "PREFIX")]
    via: Option<String>,
    /// Only these checks, as in `P01,R03`.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// `table` or `json`.
    #[arg(long, default_value = "table", value_parser = ["table", "json"])]
    format: String,
    /// Show what passed too.
    #[arg(long)]
    details: bool,
    /// Reads of the soak test.
    #[arg(long, default_value_t = 10_000)]
    soak: usize,
    /// Checks at once.
    #[arg(long, default_value_t = 2)]
    jobs: usize,
    /// Writes the verdict here; with `--key` the signed statement.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Private key that signs the verdict.
    #[arg(long, value_name = "FILE", requires = "out")]
    key: Option<PathBuf>,
    /// Verifies a signed verdict about the program `--executable`, by the key `--public`.
    #[arg(long, value_name = "FILE", requires_all = ["public", "executable"])]
    verify: Option<PathBuf>,
    /// Public key of the signer.
    #[arg(long, value_name = "FILE")]
    public: Option<PathBuf>,
    /// Program that a verdict must be about.
    #[arg(long, value_name = "FILE")]
    executable: Option<PathBuf>,
    /// Lists the checks.
    #[arg(long)]
    list: bool,
}

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(e) => {
            // Nobody is left to tell if the streams are gone.
            let _ = e.print();
            return ExitCode::from(if e.use_stderr() { 64 } else { 0 });
        }
    };
    match run(&arguments) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(e) => {
            let _ = writeln!(io::stderr(), "error: {e}");
            ExitCode::from(64)
        }
    }
}

fn run(arguments: &Arguments) -> Result<bool, Box<dyn Error>> {
    let mut out = io::stdout().lock();
    if arguments.list {
        for check in CHECKS {
            writeln!(out, "{}  {}: {}", check.id, check.stimulus, check.expected)?;
        }
        return Ok(true);
    }
    if let (Some(envelope), Some(public), Some(executable)) =
        (&arguments.verify, &arguments.public, &arguments.executable)
    {
        let digests = FileDigests::of_bytes(&fs::read(executable)?);
        let verdict = Verdict::verify(&fs::read(envelope)?, &[read_public_key(public)?], digests)?;
        write!(out, "{}", verdict.table(arguments.details))?;
        return Ok(verdict.conforms());
    }
    let path = arguments.fixtures.as_ref().ok_or("which fixtures? (`--fixtures FILE`)")?;
    let bytes = fs::read(path).map_err(|e| format!("{}: {e}", path.display()))?;
    let mut kit = Kit::new(arguments.provider.clone(), Fixtures::read(&bytes)?, Fixtures::digest(&bytes));
    if arguments.provider.first().is_none_or(|program| !program.starts_with('/')) {
        return Err("the provider's program is an absolute path".into());
    }
    kit.builtin.clone_from(&arguments.builtin);
    kit.soak = arguments.soak;
    kit.jobs = arguments.jobs;
    kit.only = arguments.only.iter().cloned().collect();
    if let Some(prefix) = &arguments.via {
        kit.host = Host::via(prefix);
    }
    let verdict = kit.run()?;
    if let Some(path) = &arguments.out {
        let bytes = match &arguments.key {
            Some(key) => verdict.sign(&load_signer(key, &mut no_passphrase)?)?,
            None => verdict.to_bytes()?,
        };
        fs::write(path, bytes)?;
    }
    match arguments.format.as_str() {
        "json" => out.write_all(&verdict.to_bytes()?)?,
        _ => write!(out, "{}", verdict.table(arguments.details))?,
    }
    Ok(verdict.conforms())
}
