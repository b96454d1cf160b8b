//! Why a use case could not be carried out.

use crate::{codes, secrets::SecretProblem};
use rectify_attest::{LockProblem, Refusal};
use rectify_base::{Code, Diagnostic, Digest, NodeKey, SecretName, TargetName, canonical::CanonicalError};
use rectify_check::Note;
use rectify_model::{Decision, journal::RunId};
use std::{io, path::PathBuf};

/// What was tried with a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileVerb {
    /// Reading.
    Read,
    /// Writing, making or removing.
    Write,
}

/// A fact that is not what it was when a plan was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changed {
    /// Where.
    pub target: TargetName,
    /// The fact, as an expression names it.
    pub fact: String,
    /// What it was, in words.
    pub before: String,
    /// What it is, in words.
    pub after: String,
}

/// Something that is not as a run left it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UndoConflict {
    /// The step.
    pub node: NodeKey,
    /// Fingerprint of what it left.
    pub expected: Digest,
    /// Fingerprint of what is there, or why it could not be read.
    pub found: Result<Digest, String>,
}

impl std::fmt::Display for Changed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} on `{}` was {}, and is {}", self.fact, self.target, self.before, self.after)
    }
}

/// Why a use case could not be carried out. [`EngineError::code`] is stable.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    #[error("there is no project in {}", directory.display())]
    NoProject { directory: PathBuf },
    #[error("there is a project in {} already", directory.display())]
    ProjectExists { directory: PathBuf },
    #[error("the directory's name cannot be the project's: {message}")]
    ProjectName { message: String },
    #[error("cannot {} {}: {source}", if *verb == FileVerb::Read { "read" } else { "write" }, path.display())]
    File { verb: FileVerb, path: PathBuf, source: io::Error },
    #[error("{} is larger than {limit_bytes} bytes", path.display())]
    TooLarge { path: PathBuf, limit_bytes: usize },
    #[error("{}: {source}", path.display())]
    Document { path: PathBuf, source: CanonicalError },
    #[error("{}: the name of a plan file ends in `.plan.json`", path.display())]
    PlanName { path: PathBuf },
    /// The directory that a plan is to be written to is not there.
    #[error("there is no directory {}", path.display())]
    NoDirectory { path: PathBuf },
    #[error("{} has attestations, and the new plan is another one", path.display())]
    Attested { path: PathBuf },
    #[error("{what} beside the plan is not the one that the plan names")]
    Evidence { what: String },
    #[error("deriving again gives another {what}")]
    NotReproduced { what: String },
    #[error("target `{target}`: {} has no marker ({source})", root.display())]
    NoRootMarker { target: TargetName, root: PathBuf, source: io::Error },
    #[error("target `{target}` is a whole machine, not a root directory")]
    NotARoot { target: TargetName },
    #[error("the inventory has no target `{target}`")]
    UnknownTarget { target: TargetName },
    #[error("the kernel gave no random bits: {message}")]
    Entropy { message: String },
    /// The sources have errors. They come with the bytes of the files, for rendering.
    #[error("the sources have problems")]
    Sources { diagnostics: Vec<Diagnostic>, files: Vec<rectify_compile::SourceFile> },
    #[error("policy denies this plan")]
    Denied { decision: Box<Decision> },
    /// A plan with a gap.
    #[error("{target}:{address} cannot be decided, so the plan is not whole")]
    Undecided { target: TargetName, address: rectify_base::Address },
    #[error("the rule `{rule}` does not deny this plan, so there is nothing to override")]
    OverrideIdle { rule: String },
    #[error("the policy bundle lets nobody override the rule `{rule}`")]
    OverrideFixed { rule: String },
    #[error("the plan changes nothing")]
    EmptyPlan,
    #[error("no plan in {} was approved by whom is asked for", path.display())]
    NothingApproved { path: PathBuf },
    #[error("{} is sealed already", path.display())]
    Sealed { path: PathBuf },
    #[error("{} is not sealed", path.display())]
    NotSealed { path: PathBuf },
    #[error("`{name}` has approved this already, until {}", rectify_attest::moment(*expires_at))]
    Approved { name: String, expires_at: u64 },
    /// A name leads elsewhere than when the plan was made.
    #[error("target `{target}` is not the one that the plan was made for")]
    OtherTarget { target: TargetName },
    #[error("`facts.{group}` of target `{target}` cannot be read: {message}")]
    Fact { target: TargetName, group: String, message: String },
    /// What decided the plan is no longer so.
    #[error("what the plan assumes is no longer so")]
    FactsChanged { changed: Vec<Changed> },
    /// Another engine changes the target.
    #[error("target `{target}` is being changed by {holder}{}", age_s.map(|age| format!(", for {age} s")).unwrap_or_default())]
    Locked { target: TargetName, holder: String, age_s: Option<u64> },
    #[error("no checkpoint can be made: {message}")]
    Checkpoint { message: String },
    #[error("there is no trust file at {}", path.display())]
    NoTrust { path: PathBuf },
    /// A secret without a usable value.
    #[error("the secret `{name}` cannot be had: {problem}")]
    Secret { name: SecretName, problem: Box<SecretProblem> },
    /// A secret has another value than the plan was made with.
    #[error("the secret `{name}` of target `{target}` is not the one that the plan was made with")]
    SecretChanged { name: SecretName, target: TargetName },
    /// A value is about to be written where others can read it.
    #[error("the value of the secret `{name}` stands in {what}")]
    SecretShown { name: SecretName, what: String },
    #[error("type `{name}`: {message}")]
    TypeUnavailable { name: String, message: String },
    /// The lock file is not canonical, contradicts itself, or was edited.
    #[error("{}: {problem}", path.display())]
    Lock { path: PathBuf, problem: LockProblem },
    /// Somebody else changed the lock file meanwhile.
    #[error("{} was changed meanwhile", path.display())]
    LockMoved { path: PathBuf },
    #[error("`{name}` is not in the lock file")]
    NotLocked { name: String },
    /// A file of a release is not the one that the release names, or cannot be in one.
    #[error("{}: {message}", path.display())]
    Release { path: PathBuf, message: String },
    /// What says of which a release consists does not hold.
    #[error("{refusal}")]
    ReleaseRefused { refusal: Refusal },
    /// Another release lies where a locked one came from.
    #[error("{} has another release of `{name}` than the locked one", directory.display())]
    OtherRelease { name: String, directory: PathBuf },
    #[error("nobody signed the provider `{name}`")]
    Unsigned { name: String },
    /// Another key signed than was expected.
    #[error("the provider `{name}` is signed by {found}; expected {expected}")]
    Signer { name: String, expected: String, found: String },
    /// The trust file does not accept the publisher of a provider.
    #[error("{refusal}")]
    Publisher { refusal: Refusal },
    #[error("a provider that is part of Rectify is named `{name}`")]
    ProviderName { name: String },
    #[error("the providers `{first}` and `{second}` both have the type `{type_name}`")]
    TypeTwice { type_name: String, first: String, second: String },
    #[error("the store has no file {} of the provider `{name}`", path.display())]
    NotStored { name: String, path: PathBuf },
    /// A file in the store has other bytes than were locked.
    #[error("{} is not the locked one: expected {expected}, found {found}", path.display())]
    StoredOtherwise { path: PathBuf, expected: Digest, found: Digest },
    #[error("the provider `{name}` has no executable for {platform}")]
    NoPlatform { name: String, platform: String },
    /// Another release is locked now than when the plan was made.
    #[error("the plan was made with the provider `{name}` {expected}, and {found}")]
    ProviderMoved { name: String, expected: String, found: String },
    /// The plan breaks invariants.
    #[error("the checker does not agree with this plan")]
    Unsound { notes: Vec<Note> },
    /// Nobody who counts vouches for the plan, or not enough do.
    #[error("this plan must not be applied")]
    Refused { refusals: Vec<Refusal> },
    #[error("the plan kept for the run is not the one that it began with: {}", path.display())]
    KeptPlan { path: PathBuf },
    /// Something is not as a run left it.
    #[error("what run {} did cannot be taken back: {} as it left them", crate::undo::short(run), if conflicts.len() == 1 { "1 thing is not".to_owned() } else { format!("{} things are not", conflicts.len()) })]
    UndoConflicts { run: RunId, conflicts: Vec<UndoConflict> },
    #[error("{node}: {state}, so there is nothing to resolve")]
    ResolveKnown { node: NodeKey, state: String },
    #[error("the run has not come to a step `{step}`")]
    ResolveStep { step: String },
    #[error("`{step}` is open on several targets: {}", nodes.join(", "))]
    ResolveSeveral { step: String, nodes: Vec<String> },
    #[error("run {} has not ended", crate::undo::short(run))]
    RunUnfinished { run: RunId },
    #[error(transparent)]
    Plan(#[from] rectify_plan::PlanError),
    #[error(transparent)]
    Host(#[from] rectify_host::HostError),
    #[error(transparent)]
    PolicyHost(#[from] rectify_host::policy::PolicyHostError),
    #[error(transparent)]
    Store(#[from] rectify_store::StoreError),
    #[error(transparent)]
    Key(#[from] rectify_keys::KeyError),
    #[error(transparent)]
    Sign(#[from] rectify_attest::SignError),
    #[error(transparent)]
    Apply(#[from] rectify_apply::PlanError),
}

/// What to do about bytes in the store that are not what was locked.
const OTHERWISE: &str = "it was not started; find out who can write in the state directory. `rectify provider fetch` brings back the locked bytes from their source";

impl EngineError {
    /// A failed attempt at a file.
    pub fn file(verb: FileVerb, path: impl Into<PathBuf>, source: io::Error) -> Self {
        Self::File { verb, path: path.into(), source }
    }

    /// The stable code.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::NoProject { .. } => codes::PROJECT_NOT_FOUND,
            Self::ProjectExists { .. } => codes::PROJECT_EXISTS,
            Self::ProjectName { .. } => codes::PROJECT_NAME_UNUSABLE,
            Self::File { verb: FileVerb::Read, .. } => codes::FILE_UNREADABLE,
            Self::File { verb: FileVerb::Write, .. } => codes::FILE_UNWRITABLE,
            Self::TooLarge { .. } => codes::FILE_TOO_LARGE,
            Self::Document { .. } => codes::DOCUMENT_INVALID,
            Self::PlanName { .. } => codes::PLAN_FILE_NAME,
            Self::NoDirectory { .. } => codes::FILE_UNWRITABLE,
            Self::Attested { .. } => codes::PLAN_ATTESTED,
            Self::Evidence { .. } => codes::EVIDENCE_MISMATCH,
            Self::NotReproduced { .. } => codes::NOT_REPRODUCED,
            Self::NoRootMarker { .. } => codes::ROOT_NOT_ADOPTED,
            Self::NotARoot { .. } => codes::TARGET_NOT_A_ROOT,
            Self::UnknownTarget { .. } => codes::TARGET_UNKNOWN,
            Self::Entropy { .. } => codes::SIGNING_FAILED,
            Self::Sources { diagnostics, .. } => {
                diagnostics.first().map_or(codes::DOCUMENT_INVALID, |diagnostic| diagnostic.code)
            }
            Self::Denied { .. } => codes::POLICY_DENIED,
            Self::Undecided { .. } => codes::PLAN_UNDECIDED,
            Self::EmptyPlan => codes::PLAN_EMPTY,
            Self::NothingApproved { .. } => codes::PLAN_NOTHING_APPROVED,
            Self::Sealed { .. } => codes::PLAN_SEALED,
            Self::NotSealed { .. } => codes::PLAN_NOT_SEALED,
            Self::Approved { .. } => codes::PLAN_APPROVED,
            Self::Fact { .. } => codes::FACT_UNREADABLE,
            Self::FactsChanged { .. } => rectify_apply::codes::ASSUMPTION,
            Self::Locked { .. } => codes::TARGET_LOCKED,
            Self::Checkpoint { .. } => codes::SIGNING_FAILED,
            Self::OtherTarget { .. } => rectify_apply::codes::IDENTITY,
            Self::NoTrust { .. } => codes::TRUST_FILE_MISSING,
            Self::Secret { problem, .. } => match **problem {
                SecretProblem::Untrusted { .. } => codes::SECRET_COMMAND,
                SecretProblem::Readable { .. } | SecretProblem::Unusable { .. } => codes::SECRET_UNUSABLE,
                _ => codes::SECRET_UNAVAILABLE,
            },
            Self::OverrideIdle { .. } => codes::OVERRIDE_IDLE,
            Self::OverrideFixed { .. } => rectify_attest::codes::OVERRIDE_FIXED,
            Self::SecretChanged { .. } => codes::SECRET_CHANGED,
            Self::SecretShown { .. } => codes::SECRET_SHOWN,
            Self::TypeUnavailable { .. } => codes::TYPE_UNAVAILABLE,
            Self::Lock { problem, .. } => problem.code,
            Self::LockMoved { .. } => codes::LOCK_MOVED,
            Self::NotLocked { .. } => codes::PROVIDER_NOT_LOCKED,
            Self::Release { .. } | Self::OtherRelease { .. } => codes::RELEASE_FILES,
            Self::ReleaseRefused { refusal } | Self::Publisher { refusal } => refusal.code,
            Self::Unsigned { .. } => codes::RELEASE_UNSIGNED,
            Self::Signer { .. } => codes::PROVIDER_SIGNER,
            Self::ProviderName { .. } => codes::PROVIDER_NAME,
            Self::TypeTwice { .. } => rectify_compile::codes::TYPE_CLAIMED_TWICE,
            Self::NotStored { .. } => codes::PROVIDER_NOT_STORED,
            Self::StoredOtherwise { .. } => rectify_host::codes::PROVIDER_DIGEST_MISMATCH,
            Self::NoPlatform { .. } => codes::PROVIDER_PLATFORM,
            Self::ProviderMoved { .. } => codes::PROVIDER_MOVED,
            Self::Unsound { notes } => {
                notes.first().map_or(codes::DOCUMENT_INVALID, |note| note.invariant.code())
            }
            Self::Refused { refusals } => {
                refusals.first().map_or(codes::POLICY_DENIED, |refusal| refusal.code)
            }
            Self::KeptPlan { .. } => codes::RUN_PLAN,
            Self::UndoConflicts { .. } => codes::UNDO_CONFLICT,
            Self::ResolveKnown { .. } => codes::RESOLVE_KNOWN,
            Self::ResolveStep { .. } | Self::ResolveSeveral { .. } => codes::RESOLVE_STEP,
            Self::RunUnfinished { .. } => codes::RUN_UNFINISHED,
            Self::Plan(error) => error.code,
            Self::Host(error) => error.code(),
            Self::PolicyHost(error) => error.code(),
            Self::Store(error) => error.code(),
            Self::Key(error) => error.code(),
            Self::Sign(_) => codes::SIGNING_FAILED,
            Self::Apply(error) => error.code(),
        }
    }

    /// What to do next, where that can be said in general.
    #[must_use]
    pub fn help(&self) -> Option<String> {
        let text = match self {
            Self::NoProject { .. } => "run `rectify init`, or name the project with `-C DIR`",
            Self::ProjectExists { .. } => {
                "choose another directory; for a key and a trust file alone, `rectify trust init --solo`"
            }
            Self::ProjectName { .. } => "name the project with `--name`",
            Self::PlanName { path } => {
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                let stem = name.strip_suffix(".json").unwrap_or(&name).trim_end_matches(".plan");
                return Some(format!(
                    "did you mean `{}`?",
                    path.with_file_name(format!("{stem}.plan.json")).display()
                ));
            }
            Self::NoDirectory { .. } => "make it, or write the plan elsewhere",
            Self::Attested { .. } => {
                "write the new plan to another file, or remove the old plan and its directory"
            }
            Self::NoRootMarker { target, .. } => {
                return Some(format!(
                    "if this is the right directory, run `rectify inventory adopt {target}`"
                ));
            }
            Self::NotARoot { .. } => "a machine is identified by its machine id; there is nothing to adopt",
            Self::UnknownTarget { .. } => "`rectify inventory list` shows the targets",
            Self::Denied { .. } => "change the remediation, or the policy and its digest in the trust file",
            Self::Document { .. } => "make the plan again with `rectify plan --out`; plans are never edited",
            Self::Undecided { .. } => "plan again once it can be, or plan only other remediations",
            Self::EmptyPlan => "there is nothing to apply",
            Self::NothingApproved { .. } => {
                "name the earlier plan: `rectify diff OLD.plan.json NEW.plan.json`"
            }
            Self::OverrideIdle { .. } => "`rectify policy explain PLAN` shows the rules that deny it",
            Self::OverrideFixed { .. } => {
                "change the remediation; what the rule forbids is not for one person to allow"
            }
            Self::Sealed { .. } => {
                "its seal can still be used: apply it, or replace the seal and its approvals with `seal --again`"
            }
            Self::NotSealed { .. } => "seal it with `rectify seal`",
            Self::Approved { .. } => "nothing is left to do with this key",
            Self::Fact { .. } => "run as somebody who may read it, or ask for it less widely",
            Self::FactsChanged { .. } => "nothing was begun; plan again",
            Self::OtherTarget { .. } => "nothing was begun; check the inventory, or plan again",
            Self::Locked { .. } => "wait until that run has ended; `rectify locks` shows who holds what",
            Self::Secret { problem, .. } => match &**problem {
                SecretProblem::Untrusted { .. } => {
                    "whoever keeps the trust file lists it under `secret_commands`, word for word"
                }
                SecretProblem::Readable { path, .. } => {
                    return Some(format!("`chmod o= {}`", path.display()));
                }
                _ => "`secrets` in `rectify.yaml` says where it comes from",
            },
            Self::SecretChanged { .. } => {
                "nothing was begun; plan again, so that the new value is reviewed as a change"
            }
            Self::SecretShown { .. } => {
                "write `${{ secrets.NAME }}` where the value is written, or give the secret a value that is no ordinary word"
            }
            Self::NoTrust { .. } => {
                "`rectify trust init --solo` makes one for working alone; see docs/trust.md"
            }
            Self::Store(rectify_store::StoreError::UseTaken { .. }) => {
                "`rectify history` tells what that run did; make and seal a new plan to change more"
            }
            Self::Key(rectify_keys::KeyError::AgentMissing { .. }) => {
                "start one and give it the key (`ssh-add FILE`), or name the private key's file"
            }
            Self::Key(rectify_keys::KeyError::AgentKey { .. }) => {
                "`ssh-add -l` lists its keys, `ssh-add FILE` adds one"
            }
            Self::Unsound { .. } => "do not apply this plan; if nobody edited it, report this as a bug",
            Self::NotReproduced { .. } => {
                "plan again: the sources, the evidence or this version of Rectify are not what made the plan"
            }
            Self::KeptPlan { .. } => {
                "see who can write in the state directory; the run can only be looked at"
            }
            Self::UndoConflicts { .. } => {
                "nothing was begun; look at what was changed since, and put it right by hand or by a remediation"
            }
            Self::ResolveKnown { .. } => {
                "`rectify history RUN` shows what is open; go on with `rectify resume RUN`"
            }
            Self::ResolveStep { .. } | Self::ResolveSeveral { .. } => {
                "name it as `rectify history RUN` does: TARGET:REMEDIATION/STEP"
            }
            Self::Lock { problem, .. } if problem.code == rectify_attest::codes::LOCK_SIGNATURE => {
                "nothing was started; see who changed the file, and take it from version control as it was"
            }
            Self::Lock { .. } => {
                "`rectify provider lock` is the only way to change the file; take it from version control"
            }
            Self::LockMoved { .. } => "nothing was written to it; see who did, and lock again",
            Self::NotLocked { .. } => "`rectify provider list` shows those that are",
            Self::Release { .. } | Self::ReleaseRefused { .. } => {
                "nothing was started or changed; ask its publisher for the release as it was made"
            }
            Self::OtherRelease { .. } => {
                "bring back the locked release there, or lock this one: `rectify provider lock SOURCE` shows the difference"
            }
            Self::Unsigned { .. } => {
                "ask its publisher for a signed release (`rectify provider pack --key`), or say `--unsigned`, which plan and policy show"
            }
            Self::Signer { found, .. } if found == "nobody" => {
                "ask its publisher why; `--unsigned` without `--signer` takes it all the same"
            }
            Self::Signer { found, .. } => {
                return Some(format!(
                    "ask its publisher whether the key is theirs, by another way than the one that the release came; then say `--signer {found}`"
                ));
            }
            Self::Publisher { .. } => {
                "whoever keeps the trust file lists publishers under `roles.publisher`; `rectify provider list` shows who signed what"
            }
            Self::ProviderName { .. } => "its author has to give it another name",
            Self::TypeTwice { .. } => "which of them a step means must be clear: lock only one of them",
            Self::NotStored { .. } => "`rectify provider fetch` brings what the lock file names to the store",
            Self::StoredOtherwise { .. } => OTHERWISE,
            Self::Host(error) if error.code() == rectify_host::codes::PROVIDER_DIGEST_MISMATCH => OTHERWISE,
            Self::NoPlatform { .. } => "ask its publisher for a release with one; nothing was started",
            Self::ProviderMoved { .. } => {
                "nothing was begun; plan again, or bring back the `rectify.lock` that the plan was made with"
            }
            Self::RunUnfinished { .. } => "`rectify resume` ends it, one way or the other",
            _ => return None,
        };
        Some(text.to_owned())
    }
}
