//! The grammar of the command line.

use clap::{Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

/// Plan, review, sign and apply changes to running systems
#[derive(Debug, Parser)]
#[command(name = "rectify", version, disable_help_subcommand = true, max_term_width = 100)]
pub struct Arguments {
    /// Directory of the project
    #[arg(short = 'C', long = "project", value_name = "DIR", default_value = ".", global = true)]
    pub project: PathBuf,
    /// Trust file [default: rectify/trust.yaml in the configuration directory]
    #[arg(long, value_name = "FILE", env = "RECTIFY_TRUST", hide_env_values = true, global = true)]
    pub trust: Option<PathBuf>,
    /// Directory of journal and before-images [default: rectify in the state directory]
    #[arg(long, value_name = "DIR", env = "RECTIFY_STATE", hide_env_values = true, global = true)]
    pub state: Option<PathBuf>,
    /// The project's key, for digests of what others may not read [default: .rectify/project.key in
    /// the project]
    #[arg(long, value_name = "FILE", env = "RECTIFY_PROJECT_KEY", hide_env_values = true, global = true)]
    pub project_key: Option<PathBuf>,
    /// Tell more on standard error; twice for everything
    #[arg(short, long, action = clap::ArgAction::Count, global = true)]
    pub verbose: u8,
    /// Write log records as JSON lines
    #[arg(long, global = true)]
    pub log_json: bool,
    /// Write events as JSON lines on standard error
    #[arg(long, global = true)]
    pub events: bool,
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make a project that works as it stands
    Init {
        /// Where; made if need be
        #[arg(default_value = ".")]
        directory: PathBuf,
        /// Name of the project [default: the directory's]
        #[arg(long)]
        name: Option<String>,
        /// Also make a key and a trust file for working alone, unless there is one
        #[arg(long)]
        solo: bool,
        /// What to begin from
        #[arg(long, value_name = "NAME", default_value = "minimal", value_parser = templates())]
        template: String,
        /// List what there is to begin from
        #[arg(long)]
        list_templates: bool,
    },
    /// Check the sources without contacting anything
    Validate {
        /// How problems are written
        #[arg(long, value_enum, default_value_t = ProblemFormat::Text)]
        format: ProblemFormat,
    },
    /// Print the graph that the sources compile to, or that of a recorded plan
    Graph {
        /// A plan, instead of the project
        plan: Option<PathBuf>,
        /// `json` is the project's graph itself
        #[arg(long, value_enum, default_value_t = GraphFormat::Text)]
        format: GraphFormat,
    },
    /// Say exactly what would be done
    Plan {
        /// Only these remediations
        remediations: Vec<String>,
        /// Write the plan to this file, which ends in `.plan.json`
        #[arg(short, long, value_name = "FILE")]
        out: Option<PathBuf>,
        /// How the plan is printed
        #[arg(long, value_enum, default_value_t = PlanFormat::Text)]
        format: PlanFormat,
        /// Also write the page for a browser to this file
        #[arg(long, value_name = "FILE")]
        page: Option<PathBuf>,
        /// Show every change in full
        #[arg(long)]
        details: bool,
        /// Exit with 2 if changes are pending
        #[arg(long)]
        detailed_exitcode: bool,
    },
    /// Show how targets differ from what the sources say, or what changed between two plans
    Diff {
        /// Two recorded plans, the earlier one first; or remediations, to look at these only
        #[arg(value_name = "PLAN|REMEDIATION")]
        subjects: Vec<String>,
        /// Compare the one plan that is named with the one beside it that was approved last
        #[arg(long)]
        since_approved: bool,
        /// With --since-approved: approved by this person
        #[arg(long, value_name = "PRINCIPAL", requires = "since_approved")]
        by: Option<String>,
        /// How the difference is printed
        #[arg(long, value_enum, default_value_t = DiffFormat::Text)]
        format: DiffFormat,
        /// Of plans: show every difference in full
        #[arg(long)]
        details: bool,
        /// Exit with 2 if there is a difference
        #[arg(long)]
        detailed_exitcode: bool,
    },
    /// Print a recorded plan
    Show {
        /// The plan
        plan: PathBuf,
        /// How the plan is printed
        #[arg(long, value_enum, default_value_t = PlanFormat::Text)]
        format: PlanFormat,
        /// Show every change in full
        #[arg(long)]
        details: bool,
    },
    /// Say why a step is in a plan as it is, or is not in it
    Why {
        /// The plan
        plan: PathBuf,
        /// The step or gate, such as `sshd-login-grace/config`
        address: String,
        /// Only on this target
        #[arg(long)]
        target: Option<String>,
    },
    /// Let policy decide on a plan, and sign it
    Seal {
        /// The plan
        plan: PathBuf,
        #[command(flatten)]
        key: Key,
        /// Who wrote the change [default: the key's holder]
        #[arg(long, value_name = "PRINCIPAL")]
        author: Option<String>,
        /// Who asked for it [default: the key's holder]
        #[arg(long, value_name = "PRINCIPAL")]
        requester: Option<String>,
        /// For how long, such as `72h` [default: the trust file's ceiling]
        #[arg(long, value_name = "DURATION", value_parser = duration_s)]
        expires_in: Option<u64>,
        /// Replace a seal that can still be used; the old one and its approvals are kept aside
        #[arg(long)]
        again: bool,
        /// A rule that denies the plan and that somebody will override; once for each
        #[arg(long, value_name = "RULE")]
        expecting_override: Vec<String>,
    },
    /// Consent to a sealed plan
    Approve {
        /// The plan
        plan: PathBuf,
        #[command(flatten)]
        key: Key,
        /// Why, for readers
        #[arg(long)]
        reason: Option<String>,
        /// For how long, such as `24h` [default: as long as the seal]
        #[arg(long, value_name = "DURATION", value_parser = duration_s)]
        expires_in: Option<u64>,
    },
    /// Say what a plan is, who vouches for it, and whether it may be applied
    Verify {
        /// The plan
        plan: PathBuf,
        /// Derive the plan again from its recorded graph and observations
        #[arg(long)]
        reproduce: bool,
        /// With --reproduce: compile this project too, and compare the graph
        #[arg(long, value_name = "DIR", requires = "reproduce")]
        source: Option<PathBuf>,
        /// Public keys of the executors whose receipts count [default: this machine's]
        #[arg(long, value_name = "FILE")]
        executor: Vec<PathBuf>,
        /// How the answer is written
        #[arg(long, value_enum, default_value_t = DataFormat::Text)]
        format: DataFormat,
    },
    /// Do what a sealed plan says
    Apply {
        /// The sealed plan
        #[arg(required_unless_present = "auto", conflicts_with = "auto")]
        plan: Option<PathBuf>,
        /// Plan, show, ask, seal with --key, and apply, in one go
        #[arg(long)]
        auto: bool,
        /// With --auto: do not ask
        #[arg(long, requires = "auto")]
        yes: bool,
        /// With --auto: the key that seals, as of `rectify seal`
        #[arg(long, value_name = "KEY", env = "RECTIFY_KEY", hide_env_values = true)]
        key: Option<PathBuf>,
        /// With --auto: file with the key's passphrase [default: ask on the terminal]
        #[arg(long, value_name = "FILE", requires = "auto")]
        passphrase_file: Option<PathBuf>,
    },
    /// Go on with a run that was broken off
    Resume {
        /// The run, or the beginning of its id [default: the one that is not finished]
        run: Option<String>,
    },
    /// Say what became of a step of which nobody knows, signed
    Resolve {
        /// The run, or the beginning of its id
        run: String,
        /// The step, such as `web-1:sshd/reload`, or without its target where that is clear
        step: String,
        /// What you found: it happened; it did not, do not try again; it did not, try again
        #[arg(long = "as", value_name = "ANSWER", value_enum)]
        answer: ResolveAs,
        /// What you looked at; it stays in the journal
        #[arg(long, value_name = "TEXT")]
        reason: String,
        /// About taking the step back, instead of the step itself
        #[arg(long)]
        undo: bool,
        /// Private key that signs, as of `rectify seal`
        #[arg(long, value_name = "KEY", env = "RECTIFY_KEY", hide_env_values = true)]
        key: PathBuf,
        /// File with the key's passphrase [default: ask on the terminal]
        #[arg(long, value_name = "FILE")]
        passphrase_file: Option<PathBuf>,
    },
    /// Make a plan that takes back what a run did
    Undo {
        /// The run, or the beginning of its id
        run: String,
        /// Write the plan to this file, which ends in `.plan.json`
        #[arg(short, long, value_name = "FILE")]
        out: Option<PathBuf>,
        /// How the plan is printed
        #[arg(long, value_enum, default_value_t = PlanFormat::Text)]
        format: PlanFormat,
        /// Show every change in full
        #[arg(long)]
        details: bool,
    },
    /// Tell what was applied on this machine
    History {
        /// A run, for its records
        run: Option<String>,
        /// How many runs
        #[arg(long, default_value_t = 20)]
        limit: u32,
    },
    /// Explain an error code
    Explain {
        /// The code, or nothing for a list of all
        code: Option<String>,
    },
    /// Print a script that completes commands and options in a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Write the manual pages
    Man {
        /// Where; made if need be, such as `~/.local/share/man/man1`
        #[arg(value_name = "DIR")]
        directory: PathBuf,
    },
    /// Write JSON Schemas of this project's documents, for editors: its types, its modules and their parameters
    Editor {
        /// Directory of the settings of VS Code, relative to the project
        #[arg(value_name = "DIR", default_value = ".vscode")]
        directory: PathBuf,
    },
    /// Make and look at keys
    #[command(subcommand)]
    Keys(Keys),
    /// Whom this machine trusts
    #[command(subcommand)]
    Trust(Trust),
    /// The policy that decides
    #[command(subcommand)]
    Policy(Policy),
    /// List who works on which target
    #[command(args_conflicts_with_subcommands = true)]
    Locks {
        #[command(subcommand)]
        command: Option<Locks>,
    },
    /// The audit log of this machine
    #[command(subcommand)]
    Audit(Audit),
    /// Targets
    #[command(subcommand)]
    Inventory(Inventory),
    /// Providers
    #[command(subcommand)]
    Provider(ProviderCommand),
}

/// A private key.
#[derive(Debug, clap::Args)]
pub struct Key {
    /// Private key: OpenSSH or PKCS#8, Ed25519; or a public key (`FILE.pub`) or fingerprint (`SHA256:NAME`) whose
    /// private half the ssh-agent holds
    #[arg(long, value_name = "KEY", env = "RECTIFY_KEY", hide_env_values = true)]
    pub key: PathBuf,
    /// Who signs [default: the holder of the key in the trust file]
    #[arg(long = "as", value_name = "PRINCIPAL")]
    pub principal: Option<String>,
    /// File with the key's passphrase [default: ask on the terminal]
    #[arg(long, value_name = "FILE")]
    pub passphrase_file: Option<PathBuf>,
}

/// `keys`.
#[derive(Debug, Subcommand)]
pub enum Keys {
    /// Make an Ed25519 key pair in OpenSSH's format
    New {
        /// Where the private key goes; the public one gets `.pub`
        file: PathBuf,
        /// Comment in the key
        #[arg(long, default_value = "rectify")]
        comment: String,
        /// File with a passphrase to protect it with
        #[arg(long, value_name = "FILE")]
        passphrase_file: Option<PathBuf>,
    },
}

/// `trust`.
#[derive(Debug, Subcommand)]
pub enum Trust {
    /// Make a trust file
    Init {
        /// For working alone: the holder of this key seals and applies without approvals
        #[arg(long, required = true)]
        solo: bool,
        /// Public key of the holder [default: that of `id_ed25519` beside the trust file, which is made if
        /// there is none]
        #[arg(long, value_name = "FILE")]
        key: Option<PathBuf>,
        /// Name of the holder
        #[arg(long = "as", value_name = "PRINCIPAL", default_value = "me")]
        principal: String,
    },
    /// Check the trust file and say what it grants
    Show,
    /// List the keys, who holds them, and whether they count now
    Keys,
    /// Let a new key take the place of an old one; for a time both count
    Rotate {
        /// The old key: a public key's file, or its fingerprint
        #[arg(long, value_name = "KEY")]
        key: PathBuf,
        /// The new public key
        #[arg(long, value_name = "FILE")]
        new: PathBuf,
        /// For how long the old one still counts, such as `7d` [default: as long as a seal or approval may
        /// live, so that nothing that is signed becomes void]
        #[arg(long, value_name = "DURATION", value_parser = duration_s)]
        overlap: Option<u64>,
    },
    /// Take a key out of use at once, and for whatever was signed with it
    Revoke {
        /// The key: a public key's file, or its fingerprint
        #[arg(long, value_name = "KEY")]
        key: PathBuf,
        /// From when on others may have had it, such as `2026-11-21T09:00:00Z` [default: now]
        #[arg(long, value_name = "TIME", value_parser = time_s)]
        since: Option<u64>,
        /// Why, for readers
        #[arg(long)]
        reason: Option<String>,
    },
}

/// `policy`.
#[derive(Debug, Subcommand)]
pub enum Policy {
    /// Print the digest of the project's bundle, as the trust file accepts it
    Digest,
    /// Run the tests of a bundle; fails too where a rule has no test that fires it
    Test {
        /// Directory of one bundle [default: all bundles of the project, put together]
        directory: Option<PathBuf>,
        /// Say which lines of the rules no test reaches
        #[arg(long)]
        coverage: bool,
        /// How the answer is written
        #[arg(long, value_enum, default_value_t = DataFormat::Text)]
        format: DataFormat,
    },
    /// Let a sealed plan pass although these rules deny it; for those who may, by the trust file
    Override {
        /// The plan
        plan: PathBuf,
        /// The id of a rule that denies the plan; once for each
        #[arg(long = "rule", value_name = "RULE", required = true)]
        rules: Vec<String>,
        /// Why, for readers; it stands in the receipt too
        #[arg(long)]
        reason: String,
        #[command(flatten)]
        key: Key,
        /// For how long, such as `2h` [default: as long as the seal, and as the trust file allows]
        #[arg(long, value_name = "DURATION", value_parser = duration_s)]
        expires_in: Option<u64>,
    },
    /// Say which rules fire on a plan, and why the others do not
    Explain {
        /// The plan
        plan: PathBuf,
        /// How the answer is written
        #[arg(long, value_enum, default_value_t = DataFormat::Text)]
        format: DataFormat,
    },
}

/// `locks`.
#[derive(Debug, Subcommand)]
pub enum Locks {
    /// Take a lock away from whoever has it
    Break {
        /// What is locked, as `rectify locks` shows it
        scope: String,
        /// The lock's number, as `rectify locks` shows it
        #[arg(long, value_name = "NUMBER")]
        fence: u64,
    },
}

/// `audit`.
#[derive(Debug, Subcommand)]
pub enum Audit {
    /// Write the log as JSON lines, to be verified elsewhere
    Export {
        /// Where [default: standard output]
        #[arg(short, long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Say whether a log is whole, and what vouches for it
    Verify {
        /// An export [default: the log of this machine]
        export: Option<PathBuf>,
        /// A checkpoint that was kept elsewhere; of several in a file the last
        #[arg(long, value_name = "FILE")]
        checkpoint: Option<PathBuf>,
        /// Public key of the executor that signed it
        #[arg(long, value_name = "FILE")]
        key: Option<PathBuf>,
        /// An earlier checkpoint, of which the log must be the continuation
        #[arg(long, value_name = "FILE", requires = "checkpoint")]
        since: Option<PathBuf>,
        /// How the answer is written
        #[arg(long, value_enum, default_value_t = DataFormat::Text)]
        format: DataFormat,
    },
    /// Sign what the log says now, and copy that to the sinks of the trust file
    Checkpoint,
}

/// `inventory`.
#[derive(Debug, Subcommand)]
pub enum Inventory {
    /// List the targets
    List,
    /// Give a root directory its marker, so that it can be told from others
    Adopt {
        /// The target
        target: String,
    },
}

/// `provider`.
#[derive(Debug, Subcommand)]
pub enum ProviderCommand {
    /// List providers, whose they are, and their types
    List,
    /// Tell all about a provider: its publisher, its executables, its types
    Info {
        /// The provider
        name: String,
    },
    /// Print a provider's manifest
    Manifest {
        /// The provider
        name: String,
    },
    /// Lock releases of providers of others, or newer ones of those that are locked: the only way to change
    /// `rectify.lock`
    Lock {
        /// Directories of releases
        #[arg(value_name = "SOURCE", required_unless_present = "remove")]
        sources: Vec<PathBuf>,
        /// Take a provider out of the lock file; once for each
        #[arg(long, value_name = "NAME")]
        remove: Vec<String>,
        /// Also lock what nobody signed; the plan and policy show it
        #[arg(long)]
        unsigned: bool,
        /// Fingerprint of the key that must have signed (`SHA256:NAME`); needed where it is another than before
        #[arg(long, value_name = "FINGERPRINT")]
        signer: Option<String>,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
    /// Bring to this machine's store what the lock file names, from where it was locked
    Fetch,
    /// Verify lock file and store, and let the locked providers test themselves; or test one with the conformance
    /// kit
    Check {
        /// The provider [default: all that are locked]
        name: Option<String>,
        /// Try the provider's locked program with the conformance kit, which needs these fixtures
        #[arg(long, value_name = "FILE", requires = "name")]
        fixtures: Option<PathBuf>,
        /// Private key that signs the verdict, which is then kept in the project; as for `seal`
        #[arg(long, value_name = "KEY", requires = "fixtures")]
        key: Option<PathBuf>,
        /// File with the key's passphrase [default: ask on the terminal]
        #[arg(long, value_name = "FILE", requires = "key")]
        passphrase_file: Option<PathBuf>,
        /// Show what passed, too
        #[arg(long, requires = "fixtures")]
        details: bool,
    },
    /// Begin a provider of your own: with a first type, tests, and the SDK beside it
    New {
        /// Its name, the first part of its types
        name: String,
        /// The language
        #[arg(long, value_parser = languages())]
        lang: String,
        /// Where; made if need be [default: its name]
        #[arg(value_name = "DIR")]
        directory: Option<PathBuf>,
    },
    /// Make a release of a provider, to be locked by those who use it
    Pack {
        /// Its executables, one a platform, or one script; or a directory with them
        #[arg(value_name = "PROGRAM", required = true)]
        programs: Vec<PathBuf>,
        /// Directory of the release; made if need be
        #[arg(short, long, value_name = "DIR", default_value = "dist")]
        out: PathBuf,
        /// The manifest [default: what the program for this machine prints]
        #[arg(long, value_name = "FILE")]
        manifest: Option<PathBuf>,
        /// The publisher's private key, as of `rectify seal`
        #[arg(
            long,
            value_name = "KEY",
            env = "RECTIFY_KEY",
            hide_env_values = true,
            required_unless_present = "unsigned"
        )]
        key: Option<PathBuf>,
        /// Name of the publisher [default: the holder of the key in the trust file]
        #[arg(long = "as", value_name = "PRINCIPAL")]
        principal: Option<String>,
        /// File with the key's passphrase [default: ask on the terminal]
        #[arg(long, value_name = "FILE")]
        passphrase_file: Option<PathBuf>,
        /// Sign nothing: whoever locks it has to say `--unsigned`, too
        #[arg(long, conflicts_with = "key")]
        unsigned: bool,
    },
    /// Serve a built-in provider on the standard streams
    Serve {
        /// The provider
        name: String,
    },
}

/// What a person found out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ResolveAs {
    /// It happened
    Succeeded,
    /// It did not happen, or not as it should; it is not tried again
    Failed,
    /// It did not happen; it is tried again, as a new operation
    Retry,
}

/// Text for people, or data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum DataFormat {
    /// For people
    Text,
    /// For programs
    Json,
}

/// How problems in the sources are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ProblemFormat {
    /// For people
    Text,
    /// For programs: `rectify.diagnostics/v1`
    Json,
    /// For code hosts and editors: SARIF 2.1.0
    Sarif,
}

/// How a graph is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum GraphFormat {
    /// For people
    Text,
    /// For programs
    Json,
    /// For Graphviz
    Dot,
    /// Drawn
    Svg,
}

/// How a difference is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum DiffFormat {
    /// For people
    Text,
    /// For programs
    Json,
    /// For a pull request
    Markdown,
}

/// How a plan is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum PlanFormat {
    /// One line a change
    Text,
    /// The document itself
    Json,
    /// For a pull request
    Markdown,
    /// One page for a browser, with the graph drawn
    Html,
}

/// The templates of `init`, for help and completion.
fn templates() -> clap::builder::PossibleValuesParser {
    let value = |template: &rectify_engine::init::Template| {
        clap::builder::PossibleValue::new(template.name).help(template.summary)
    };
    rectify_engine::init::TEMPLATES.iter().map(value).collect::<Vec<_>>().into()
}

/// The languages of `provider new`.
fn languages() -> clap::builder::PossibleValuesParser {
    rectify_scaffold::Language::ALL.iter().map(|language| language.as_str()).collect::<Vec<_>>().into()
}

/// Reads `90s`, `15m`, `72h` or `3d`.
fn duration_s(text: &str) -> Result<u64, String> {
    let expected = || format!("expected a number and s, m, h or d, such as `72h`, got `{text}`");
    let unit = text.chars().last().ok_or_else(expected)?;
    let scale = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => 86_400,
        _ => return Err(expected()),
    };
    let number: u64 = text.strip_suffix(unit).and_then(|digits| digits.parse().ok()).ok_or_else(expected)?;
    number.checked_mul(scale).filter(|seconds| *seconds > 0).ok_or_else(expected)
}

/// Reads `2026-11-21T09:00:00Z`.
fn time_s(text: &str) -> Result<u64, String> {
    rectify_keys::parse_time(text)
        .ok_or_else(|| format!("expected a time in UTC such as `2026-11-21T09:00:00Z`, got `{text}`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_grammar_is_consistent() {
        <Arguments as clap::CommandFactory>::command().debug_assert();
    }

    #[test]
    fn durations() {
        assert_eq!(duration_s("72h"), Ok(259_200));
        assert!(duration_s("0s").is_err());
        assert!(duration_s("99999999999999999999d").is_err());
        assert!(duration_s("").is_err());
    }
}
