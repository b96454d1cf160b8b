//! The codes of this crate; `docs/errors/<code>.md` explains each.

rectify_base::codes! {
    /// The bytes of an envelope are not its one canonical form.
    ENVELOPE_NOT_CANONICAL = "envelope-not-canonical";
    /// An envelope is larger than allowed.
    ENVELOPE_TOO_LARGE = "envelope-too-large";
    /// There are more envelopes than allowed.
    ENVELOPE_TOO_MANY = "envelope-too-many";
    /// The payload type is not in-toto.
    ENVELOPE_PAYLOAD_TYPE = "envelope-payload-type";
    /// A base64 text is not in its one standard, padded form.
    ENVELOPE_BASE64 = "envelope-base64";
    /// There are no signatures, too many, out of order, or two of one key.
    ENVELOPE_SIGNATURE_LIST = "envelope-signature-list";
    /// A signature does not verify.
    ENVELOPE_SIGNATURE = "envelope-signature";
    /// The payload is not a canonical in-toto statement with the fields of its type.
    ENVELOPE_STATEMENT = "envelope-statement";
    /// The statement is of another type than expected, or of one that is not known.
    ENVELOPE_PREDICATE_TYPE = "envelope-predicate-type";
    /// The statement is about another plan.
    ENVELOPE_SUBJECT = "envelope-subject";
    /// The same statement, or the same file name, is there twice.
    ENVELOPE_DUPLICATE = "envelope-duplicate";
    /// A decision that the seal does not name.
    ENVELOPE_STRAY = "envelope-stray";
    /// A key that the trust file does not list.
    TRUST_KEY_UNKNOWN = "trust-key-unknown";
    /// A revoked key.
    TRUST_KEY_REVOKED = "trust-key-revoked";
    /// A key before its time.
    TRUST_KEY_NOT_YET_VALID = "trust-key-not-yet-valid";
    /// A key after its time.
    TRUST_KEY_EXPIRED = "trust-key-expired";
    /// The policy bundle is not among the accepted ones.
    TRUST_BUNDLE = "trust-bundle";
    /// One public key is listed twice.
    TRUST_KEY_DUPLICATE = "trust-key-duplicate";
    /// A key's validity ends before it begins.
    TRUST_KEY_PERIOD = "trust-key-period";
    /// A role names a principal that is not defined.
    TRUST_MEMBER_UNKNOWN = "trust-member-unknown";
    /// A machine is listed as approver, or as one who overrides.
    TRUST_MEMBER_MACHINE = "trust-member-machine";
    /// Nobody may seal.
    TRUST_NO_SEALER = "trust-no-sealer";
    /// A threshold of zero without `solo`.
    TRUST_THRESHOLD_ZERO = "trust-threshold-zero";
    /// A threshold that the listed approvers can never meet.
    TRUST_THRESHOLD_UNREACHABLE = "trust-threshold-unreachable";
    /// A ceiling of zero, or one beyond the hard maximum.
    TRUST_CEILING = "trust-ceiling";
    /// Before-images are to be kept for no time, or for more than ten years.
    TRUST_RETENTION = "trust-retention";
    /// An empty command among the commands allowed while planning.
    TRUST_PLAN_COMMAND = "trust-plan-command";
    /// A sink of checkpoints is not an absolute path.
    TRUST_SINK = "trust-sink";
    /// The plan's bytes are not canonical, or not a plan.
    SEAL_PLAN = "seal-plan";
    /// The plan is of a format that this release does not know.
    SEAL_PLAN_FORMAT = "seal-plan-format";
    /// There is no seal.
    SEAL_MISSING = "seal-missing";
    /// There is more than one seal.
    SEAL_DUPLICATE = "seal-duplicate";
    /// No signer of the seal has the role of sealer.
    SEAL_ROLE = "seal-role";
    /// The seal's scope is not one of the plan's project.
    SEAL_SCOPE = "seal-scope";
    /// The seal names an author whom the trust file does not know.
    SEAL_AUTHOR_UNKNOWN = "seal-author-unknown";
    /// The seal is not valid yet.
    SEAL_NOT_YET_VALID = "seal-not-yet-valid";
    /// The seal has expired.
    SEAL_EXPIRED = "seal-expired";
    /// The seal's life is empty or longer than the trust file allows.
    SEAL_LIFE = "seal-life";
    /// The decision that the seal names is not there.
    SEAL_DECISION_MISSING = "seal-decision-missing";
    /// Seal, recorded decision and evaluated policy name different bundles.
    SEAL_BUNDLE = "seal-bundle";
    /// Policy, evaluated now, does not allow the plan.
    SEAL_POLICY_DENIED = "seal-policy-denied";
    /// Too few approvals count.
    APPROVAL_MISSING = "approval-missing";
    /// The approval is for another use than the seal's.
    APPROVAL_USE = "approval-use";
    /// The approval is not signed by exactly the approver that it names.
    APPROVAL_SIGNER = "approval-signer";
    /// The approval says something other than `yes`.
    APPROVAL_VERDICT = "approval-verdict";
    /// The approval has expired.
    APPROVAL_EXPIRED = "approval-expired";
    /// The approval lives longer than the trust file allows.
    APPROVAL_LIFE = "approval-life";
    /// The author approved the own plan.
    APPROVAL_BY_AUTHOR = "approval-by-author";
    /// Who sealed the plan approved it too.
    APPROVAL_BY_SEALER = "approval-by-sealer";
    /// A machine approved.
    APPROVAL_BY_MACHINE = "approval-by-machine";
    /// Somebody approved who is not an approver.
    APPROVAL_ROLE = "approval-role";
    /// One person approved twice.
    APPROVAL_REPEATED = "approval-repeated";
    /// The override names no rules, or gives no reason.
    OVERRIDE_CONTENT = "override-content";
    /// The override is for another use than the seal's.
    OVERRIDE_USE = "override-use";
    /// The override is not signed by exactly the person that it names.
    OVERRIDE_SIGNER = "override-signer";
    /// The override has expired.
    OVERRIDE_EXPIRED = "override-expired";
    /// The override lives longer than the trust file allows.
    OVERRIDE_LIFE = "override-life";
    /// The author overrode policy for the own plan.
    OVERRIDE_BY_AUTHOR = "override-by-author";
    /// Who sealed the plan overrode policy for it too.
    OVERRIDE_BY_SEALER = "override-by-sealer";
    /// Somebody overrode policy who may not.
    OVERRIDE_ROLE = "override-role";
    /// A rule that nobody may override.
    OVERRIDE_FIXED = "override-fixed";
    /// The decision lets something pass that nobody has overridden.
    OVERRIDE_MISSING = "override-missing";
    /// The resolution gives no reason.
    RESOLUTION_CONTENT = "resolution-content";
    /// The resolution is not signed by exactly the person that it names.
    RESOLUTION_SIGNER = "resolution-signer";
    /// Somebody resolved who may neither seal nor approve.
    RESOLUTION_ROLE = "resolution-role";
    /// A release contradicts itself.
    RELEASE_CONTENT = "release-content";
    /// A release is not signed by its publisher alone.
    RELEASE_SIGNER = "release-signer";
    /// The trust file does not name the publisher of a provider.
    PUBLISHER_ROLE = "publisher-role";
    /// The publisher of a provider goes by a name, or has a key, that the trust file knows otherwise.
    PUBLISHER_NAME = "publisher-name";
    /// A lock file is not canonical, or contradicts itself.
    LOCK_CONTENT = "lock-content";
    /// An entry of a lock file is not what its publisher signed.
    LOCK_SIGNATURE = "lock-signature";
    /// A public key is not `ssh-ed25519 <base64> [comment]`.
    KEY_PUBLIC_TEXT = "key-public-text";
    /// A key of another algorithm than Ed25519.
    KEY_ALGORITHM = "key-algorithm";
    /// The bytes of a public key are not the one encoding of a point on the curve.
    KEY_INVALID = "key-invalid";
    /// A public key of small or mixed order, under which others could sign.
    KEY_WEAK = "key-weak";
}
