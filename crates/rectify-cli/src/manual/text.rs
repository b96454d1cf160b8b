//! What manual pages say beyond the grammar.

/// An example of a command.
pub struct Example {
    /// The command without `rectify`; empty for the page of the whole.
    pub command: &'static str,
    /// What it shows, without a final mark.
    pub what: &'static str,
    /// What is typed.
    pub lines: &'static [&'static str],
}

const fn example(command: &'static str, what: &'static str, lines: &'static [&'static str]) -> Example {
    Example { command, what, lines }
}

/// Codes and meanings.
pub const EXIT: &[(&str, &str)] = &[
    ("0", "Done, or nothing to do."),
    ("1", "An error; of a run: something failed, and nothing was changed."),
    ("2", "Changes are pending, with --detailed-exitcode."),
    (
        "3",
        "Denied: by policy, by the trust file, by missing approvals, by expiry, or because the permission is used up.",
    ),
    ("4", "Stale: a state was neither as expected nor as planned, and nothing was changed."),
    ("5", "Partly applied: something was changed, and not everything was done."),
    (
        "6",
        "Not taken back: something failed, and not everything that should have been taken back was; or something is not as the run left it.",
    ),
    ("7", "Needs a person: whether something happened is not known."),
    ("8", "Locked: another engine is at work on the target or the journal."),
    ("64", "The command line was not understood."),
    ("130", "Interrupted."),
];

/// Places and meanings.
pub const FILES: &[(&str, &str)] = &[
    ("rectify.yaml, remediations/*.yaml, modules/*.yaml, inventory/*.yaml", "The sources of a project."),
    (
        ".rectify/project.key",
        "The project's key, for digests of what others may not read. Not for the repository.",
    ),
    ("rectify.lock", "The providers of others that the project uses, by their digests. For the repository."),
    ("X.plan.json", "A plan."),
    ("X.plan.d/", "What vouches for the plan: evidence, decision, seal, approvals, receipts."),
    (
        "/etc/rectify/trust.yaml, ~/.config/rectify/trust.yaml",
        "Whom this machine trusts: root's, and that of others.",
    ),
    (
        "/var/lib/rectify/, ~/.local/state/rectify/",
        "Journal, kept plans, before-images, locked providers and the executor's key: root's, and those of others.",
    ),
];

/// Variables and meanings.
pub const ENVIRONMENT: &[(&str, &str)] = &[
    ("RECTIFY_TRUST", "The trust file, as --trust."),
    ("RECTIFY_STATE", "The directory of journal and before-images, as --state."),
    ("RECTIFY_PROJECT_KEY", "The project's key, as --project-key."),
    ("RECTIFY_KEY", "The key that signs, as --key."),
    ("SSH_AUTH_SOCK", "The ssh-agent's socket, for keys whose private half the agent holds."),
    ("RECTIFY_LOG", "Which log records are written to standard error, such as rectify_host=debug."),
    ("XDG_CONFIG_HOME, XDG_STATE_HOME, HOME", "Where trust file and state are looked for, except for root."),
    (
        "NO_COLOR, TERM, CI",
        "A terminal shows what is going on, in its last line, unless NO_COLOR or CI is set or TERM is dumb.",
    ),
];

/// At least one a command.
pub const EXAMPLES: &[Example] = &[
    example(
        "",
        "From an empty directory to a change, working alone",
        &[
            "rectify init tour --solo",
            "rectify -C tour plan --details --out banner.plan.json",
            "rectify -C tour seal banner.plan.json --key ~/.config/rectify/id_ed25519",
            "rectify apply banner.plan.json",
        ],
    ),
    example(
        "init",
        "A project in a new directory, with a key and a trust file for working alone",
        &["rectify init tour --solo"],
    ),
    example(
        "init",
        "What there is to begin from, and one of these",
        &["rectify init --list-templates", "rectify init logs --template disk"],
    ),
    example(
        "validate",
        "In a pipeline, for the code host",
        &["rectify validate --format sarif > rectify.sarif"],
    ),
    example("graph", "What the sources mean, as text", &["rectify graph"]),
    example(
        "plan",
        "Only one remediation, in full, to a file",
        &["rectify plan sshd-login-grace --details --out sshd.plan.json"],
    ),
    example(
        "plan",
        "Find drift: exit status 2 if anything would change",
        &["rectify plan --detailed-exitcode"],
    ),
    example("diff", "How the targets differ now", &["rectify diff"]),
    example("show", "For a pull request", &["rectify show sshd.plan.json --format markdown > comment.md"]),
    example("why", "Why a step is in a plan", &["rectify why sshd.plan.json sshd-login-grace/config"]),
    example(
        "seal",
        "For one day",
        &["rectify seal sshd.plan.json --key ~/.config/rectify/id_ed25519 --expires-in 24h"],
    ),
    example(
        "approve",
        "With a key that the ssh-agent holds",
        &["rectify approve sshd.plan.json --key ~/.ssh/id_ed25519.pub"],
    ),
    example(
        "approve",
        "Consent, and say why",
        &["rectify approve sshd.plan.json --key ~/.ssh/id_ed25519 --reason reviewed"],
    ),
    example("verify", "Whether a plan may be applied here", &["rectify verify sshd.plan.json"]),
    example(
        "verify",
        "Whether it is what these sources and the recorded observations give",
        &["rectify verify sshd.plan.json --reproduce --source ."],
    ),
    example("apply", "What was sealed and approved", &["rectify apply sshd.plan.json"]),
    example(
        "apply",
        "The whole way in one command",
        &["rectify apply --auto --key ~/.config/rectify/id_ed25519"],
    ),
    example("resume", "After a crash, or a lost connection", &["rectify resume"]),
    example(
        "resolve",
        "Somebody has looked: the service was restarted",
        &[
            "rectify history 8a2537fc",
            "rectify resolve 8a2537fc web-1:sshd/restart --as succeeded --reason 'up since 14:02' --key ~/.ssh/id_ed25519",
            "rectify resume 8a2537fc",
        ],
    ),
    example(
        "undo",
        "Take back what a run did, as any other change",
        &[
            "rectify undo 8a2537fc --out back.plan.json",
            "rectify seal back.plan.json --key ~/.config/rectify/id_ed25519",
            "rectify apply back.plan.json",
        ],
    ),
    example("history", "The last runs, then one of them", &["rectify history", "rectify history 8a2537fc"]),
    example("explain", "What a code means, and what to do", &["rectify explain apply-stale"]),
    example(
        "completions",
        "For the shell in use",
        &["rectify completions bash > ~/.local/share/bash-completion/completions/rectify"],
    ),
    example("man", "Where man(1) finds them", &["rectify man ~/.local/share/man/man1"]),
    example("editor", "For VS Code, once in a project and again when a module changes", &["rectify editor"]),
    example("keys new", "A key pair for signing", &["rectify keys new ~/.config/rectify/id_ed25519"]),
    example(
        "trust init",
        "For working alone, with a new key, or with one that is there",
        &[
            "rectify trust init --solo",
            "sudo rectify trust init --solo --key ~/.config/rectify/id_ed25519.pub",
        ],
    ),
    example("trust show", "What the trust file grants", &["rectify trust show"]),
    example("trust keys", "Whose keys count now", &["rectify trust keys"]),
    example(
        "trust rotate",
        "A new key, and a week in which both count",
        &[
            "rectify keys new ~/.config/rectify/id_2027",
            "rectify trust rotate --key ~/.config/rectify/id_ed25519.pub --new ~/.config/rectify/id_2027.pub --overlap 7d",
        ],
    ),
    example(
        "trust revoke",
        "A laptop was stolen",
        &["rectify trust revoke --key SHA256:HXIUezpt3T+d7RaupN4FA2ZWigmzBgIcxXSfQA825Kk --reason stolen"],
    ),
    example(
        "policy test",
        "The project's bundles, and lines that no test reaches",
        &["rectify policy test --coverage"],
    ),
    example("policy explain", "Why policy decides as it does", &["rectify policy explain sshd.plan.json"]),
    example(
        "policy override",
        "Let a plan pass during a freeze, and say why",
        &["rectify policy override sshd.plan.json --rule freeze --reason urgent --key ~/.ssh/id_ed25519"],
    ),
    example("policy digest", "For policy_bundles in the trust file", &["rectify policy digest"]),
    example("locks", "Who is at work", &["rectify locks"]),
    example(
        "locks break",
        "A machine is gone for good that had the lock",
        &["rectify locks", "rectify locks break 8a2537fc --fence 12"],
    ),
    example("audit export", "For whoever audits", &["rectify audit export --out web-1.jsonl"]),
    example(
        "audit verify",
        "Elsewhere, against a checkpoint that was kept there",
        &["rectify audit verify web-1.jsonl --checkpoint web-1.checkpoints --key web-1.pub"],
    ),
    example("audit checkpoint", "To keep elsewhere", &["rectify audit checkpoint > web-1.checkpoint"]),
    example("inventory list", "The targets, and how they are reached", &["rectify inventory list"]),
    example(
        "inventory adopt",
        "Let a root directory be told from others",
        &["rectify inventory adopt sandbox"],
    ),
    example("provider list", "The types there are", &["rectify provider list"]),
    example("provider info", "Whose a provider is, and its digests", &["rectify provider info acme"]),
    example(
        "provider lock",
        "Use a provider of somebody else, then a newer release of it",
        &["rectify provider lock ../acme-1.0.0", "rectify provider lock ../acme-1.1.0"],
    ),
    example("provider fetch", "After a clone, on another machine", &["rectify provider fetch"]),
    example("provider check", "Before relying on what is locked", &["rectify provider check"]),
    example("provider new", "Write one in Python", &["rectify provider new acme --lang python"]),
    example(
        "provider pack",
        "Publish a provider that is one Python file",
        &["rectify provider pack acme.py --key ~/.ssh/id_ed25519 --as acme --out dist"],
    ),
    example("provider manifest", "Every property of the types of files", &["rectify provider manifest file"]),
    example(
        "provider serve",
        "As the engine does, on the standard streams",
        &["rectify provider serve file"],
    ),
];
