//! What is said beside a plan, for its readers: who signed what, whatever the time is.

use crate::{Engine, EngineError, artifact::Artifact, gate};
use rectify_attest::{
    Approval, DecisionRecord, Envelope, Kind, Predicate, Seal, SignedBy, TrustFile, statement,
};
use rectify_base::FileDigests;

/// A file beside a plan.
#[derive(Clone, Debug)]
pub struct Statement {
    /// Its name.
    pub file: String,
    /// What kind of statement it claims to be, if that can be read.
    pub kind: Option<Kind>,
    /// What it says about this plan, if that can be read. Whether to believe it depends on `signers`.
    pub said: Option<Said>,
    /// Who signed it; or why that is not known here.
    pub signers: Result<Vec<SignedBy>, String>,
}

/// What is said.
#[derive(Clone, Debug)]
pub enum Said {
    /// What policy said.
    Decision(DecisionRecord),
    /// Permission.
    Seal(Seal),
    /// Consent.
    Approval(Approval),
}

/// The statements beside a plan, by file name. Signatures are verified with this machine's trust file,
/// if there is one. Whether the keys count now, and whether all of it is enough, is not looked at;
/// that is what `verify` does.
///
/// # Errors
/// When a file cannot be read, or the trust file is not sound.
pub fn statements(engine: &Engine, artifact: &Artifact) -> Result<Vec<Statement>, EngineError> {
    let trust = gate::trust(engine)?;
    let files = artifact.attestations()?;
    Ok(files.into_iter().map(|(file, bytes)| read(file, &bytes, artifact.digests, trust.as_ref())).collect())
}

fn read(file: String, bytes: &[u8], plan: FileDigests, trust: Option<&TrustFile>) -> Statement {
    let unread = |why: String| Statement { file: file.clone(), kind: None, said: None, signers: Err(why) };
    let envelope = match Envelope::read(bytes) {
        Ok(envelope) => envelope,
        Err(error) => return unread(error.to_string()),
    };
    let kind = match statement::claimed_kind(envelope.payload()) {
        Ok(kind) => kind,
        Err(error) => return unread(error.to_string()),
    };
    let (said, signers) = match kind {
        Kind::Decision => typed(&file, bytes, &envelope, plan, trust, Said::Decision),
        Kind::Seal => typed(&file, bytes, &envelope, plan, trust, Said::Seal),
        Kind::Approval => typed(&file, bytes, &envelope, plan, trust, Said::Approval),
        Kind::Receipt => (None, Err("a receipt vouches for nothing; it belongs among the receipts".into())),
    };
    Statement { kind: Some(kind), said, signers, file }
}

type Read = (Option<Said>, Result<Vec<SignedBy>, String>);

fn typed<T: Predicate>(
    file: &str,
    bytes: &[u8],
    envelope: &Envelope,
    plan: FileDigests,
    trust: Option<&TrustFile>,
    wrap: fn(T) -> Said,
) -> Read {
    let said = match statement::decode::<T>(plan, envelope.payload()) {
        Ok(said) => said,
        // Also about another plan: then it says nothing here.
        Err(error) => return (None, Err(error.to_string())),
    };
    let signers = match trust {
        None => Err("there is no trust file here".to_owned()),
        Some(trust) => rectify_attest::verify::<T>(file, bytes, plan, trust)
            .map(|signed| signed.signers)
            .map_err(|refusal| format!("{} [{}]", refusal.message, refusal.code)),
    };
    (Some(wrap(said)), signers)
}
