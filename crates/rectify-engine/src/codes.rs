//! Error codes of the use cases.

rectify_base::codes! {
    /// The directory is not a project.
    PROJECT_NOT_FOUND = "project-not-found";
    /// `init` found a project.
    PROJECT_EXISTS = "project-exists";
    /// `init` cannot make a name of the directory's.
    PROJECT_NAME_UNUSABLE = "project-name-unusable";
    /// A file cannot be read.
    FILE_UNREADABLE = "file-unreadable";
    /// A file cannot be written.
    FILE_UNWRITABLE = "file-unwritable";
    /// A file is larger than the limit.
    FILE_TOO_LARGE = "file-too-large";
    /// A document is not canonical JSON of its format.
    DOCUMENT_INVALID = "document-invalid";
    /// Beside a plan there is none that was approved.
    PLAN_NOTHING_APPROVED = "plan-nothing-approved";
    /// The name of a plan file has another ending.
    PLAN_FILE_NAME = "plan-file-name";
    /// A plan with attestations would be overwritten.
    PLAN_ATTESTED = "plan-attested";
    /// Evidence beside a plan is not what the plan names.
    EVIDENCE_MISMATCH = "evidence-mismatch";
    /// A plan cannot be derived again from its evidence.
    NOT_REPRODUCED = "not-reproduced";
    /// A root directory has no marker.
    ROOT_NOT_ADOPTED = "root-not-adopted";
    /// The target has no root directory.
    TARGET_NOT_A_ROOT = "target-not-a-root";
    /// The inventory does not have the target.
    TARGET_UNKNOWN = "target-unknown";
    /// Policy denied the plan.
    POLICY_DENIED = "policy-denied";
    /// An override of a rule that does not deny the plan.
    OVERRIDE_IDLE = "override-idle";
    /// A plan without changes needs no seal.
    PLAN_EMPTY = "plan-empty";
    /// A provider refuses a property.
    PROPERTY_REFUSED = "property-refused";
    /// A step could not be decided.
    PLAN_UNDECIDED = "plan-undecided";
    /// A plan is sealed already.
    PLAN_SEALED = "plan-sealed";
    /// A plan has no seal.
    PLAN_NOT_SEALED = "plan-not-sealed";
    /// A key has approved a plan already.
    PLAN_APPROVED = "plan-approved";
    /// A fact cannot be read.
    FACT_UNREADABLE = "fact-unreadable";
    /// A checkpoint was not copied to a sink.
    AUDIT_SINK = "audit-sink";
    /// The plan that was kept for a run is another one.
    RUN_PLAN = "run-plan";
    /// A run has to end first.
    RUN_UNFINISHED = "run-unfinished";
    /// What became of a step is known, so nobody has to say it.
    RESOLVE_KNOWN = "resolve-known";
    /// A run has no such step whose outcome is open.
    RESOLVE_STEP = "resolve-step";
    /// Something is not as the run left it that is to be taken back.
    UNDO_CONFLICT = "engine-undo-conflict";
    /// Another engine changes the target.
    TARGET_LOCKED = "target-locked";
    /// There is no trust file.
    TRUST_FILE_MISSING = "trust-file-missing";
    /// A key did not sign.
    SIGNING_FAILED = "signing-failed";
    /// A receipt is there, and no executor's key to verify it with.
    RECEIPT_EXECUTOR = "receipt-executor";
    /// A secret has no value.
    SECRET_UNAVAILABLE = "secret-unavailable";
    /// A secret's value, or the file that it is in, cannot be used.
    SECRET_UNUSABLE = "secret-unusable";
    /// The trust file does not list the command that prints a secret.
    SECRET_COMMAND = "secret-command";
    /// A secret has another value than the plan was made with.
    SECRET_CHANGED = "secret-changed";
    /// The value of a secret stands where everybody can read it.
    SECRET_SHOWN = "secret-shown";
    /// A provider's answer shows the value of a secret.
    PROVIDER_SECRET_LEAK = "provider-secret-leak";
    /// The lock file was changed while a change to it was being decided on.
    LOCK_MOVED = "lock-moved";
    /// A provider is not in the lock file.
    PROVIDER_NOT_LOCKED = "provider-not-locked";
    /// A file of a release is not what the release says.
    RELEASE_FILES = "release-files";
    /// Nobody signed a release.
    RELEASE_UNSIGNED = "release-unsigned";
    /// Another key signed a release than was expected.
    PROVIDER_SIGNER = "provider-signer";
    /// A provider has the name of one that is part of Rectify.
    PROVIDER_NAME = "provider-name";
    /// What the lock file names is not in the store.
    PROVIDER_NOT_STORED = "provider-not-stored";
    /// A release has no executable for this machine.
    PROVIDER_PLATFORM = "provider-platform";
    /// A plan was made with another release of a provider than is locked now.
    PROVIDER_MOVED = "provider-moved";
    /// No provider at hand has a type, or its manifest is another one.
    TYPE_UNAVAILABLE = "type-unavailable";
}
