//! The gate: may this plan be applied now? Total and pure. What a front end shows and what an
//! executor obeys come from the same assessment.

mod assess;
mod open;
mod overrides;
mod quorum;
mod seal;

pub(crate) use assess::{Assessment, assess};
pub(crate) use open::{Opened, Statement, keys_count};
pub use overrides::{CountedOverride, overridden, override_refusals};
pub use quorum::CountedApproval;

use crate::{predicate::Seal, refusal::Refusal, trust::TrustFile};
use rectify_base::{Digest, FileDigests};
use rectify_model::{Decision, Plan, journal::UseId};

/// Most envelopes beside one plan.
pub const ENVELOPES_MAX: usize = 256;

/// One file of the directory beside the plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnvelopeFile {
    /// Its name, for messages.
    pub name: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// Everything that admission depends on.
#[derive(Clone, Copy, Debug)]
pub struct AdmissionInput<'a> {
    /// The bytes of the plan file.
    pub plan: &'a [u8],
    /// Every file of the directory beside it: nothing is left out and nothing is forgiven.
    pub envelopes: &'a [EnvelopeFile],
    /// Whose keys count.
    pub trust: &'a TrustFile,
    /// What policy says now, evaluated by the executor itself, which told it what is [`overridden`].
    pub decision: &'a Decision,
    /// The executor's clock, in unix seconds.
    pub now: u64,
}

/// A plan that may be applied until `expires_at`. Only [`admit`] makes one.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Admitted {
    /// The plan.
    pub plan: Plan,
    /// Digests of its file.
    pub digests: FileDigests,
    /// The permission.
    pub seal: Seal,
    /// Digest of the seal's envelope file.
    pub seal_envelope: Digest,
    /// Digest of the policy bundle that decided.
    pub bundle: Digest,
    /// How many approvals were needed.
    pub required: u32,
    /// Those that counted, by approver.
    pub approvals: Vec<CountedApproval>,
    /// Genuine approvals and overrides that did not count, and why.
    pub uncounted: Vec<Refusal>,
    /// The overrides that the decision rests on, by file.
    pub overrides: Vec<CountedOverride>,
    /// First second in which no new intent may start: the earliest of what the admission rests on.
    pub expires_at: u64,
}

impl Admitted {
    /// The permission's id.
    #[must_use]
    pub const fn use_id(&self) -> &UseId {
        &self.seal.use_id
    }
}

/// Admits a plan, or says everything that stands against it.
///
/// # Errors
/// All [`Refusal`]s, sorted by place; never empty.
pub fn admit(input: &AdmissionInput<'_>) -> Result<Admitted, Vec<Refusal>> {
    assess(input).into_result()
}
