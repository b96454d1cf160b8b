//! Resolutions: who may say what became of an operation of which nobody knew.

use crate::{
    admit::keys_count,
    codes,
    predicate::Resolution,
    principal::{PrincipalKind, PrincipalName},
    refusal::Refusal,
    trust::TrustFile,
    verify::{Signed, typed, verify_signatures},
};
use rectify_base::FileDigests;

/// Whether somebody may resolve: a person who may seal or approve.
#[must_use]
pub fn counts(trust: &TrustFile, name: &PrincipalName) -> bool {
    let data = trust.data();
    trust.kind(name) == Some(PrincipalKind::Person)
        && (data.sealers.contains(name) || data.approvers.contains(name))
}

/// Verifies an envelope file as a resolution about a run of one plan, by one person who may resolve and
/// whose key counts at this time. `place` is the name of the file, for messages. That it is about the
/// right run, step and operation is for the caller to see.
///
/// # Errors
/// The first [`Refusal`]; one that `place` names.
pub fn verify_resolution(
    place: &str,
    bytes: &[u8],
    plan: FileDigests,
    trust: &TrustFile,
    now: u64,
) -> Result<Signed<Resolution>, Refusal> {
    let (envelope, signers) = verify_signatures(place, bytes, trust)?;
    let signed: Signed<Resolution> = typed(place, bytes, &envelope, signers, plan)?;
    keys_count(place, &envelope, trust, now)?;
    let said = &signed.predicate;
    let refused = |code, message: String| Err(Refusal::new(code, place, message));
    if let Some(problem) = said.problem() {
        return refused(codes::RESOLUTION_CONTENT, problem.to_owned());
    }
    match signed.signers.as_slice() {
        [only] if only.principal == said.by => {}
        [only] => {
            let message = format!("names `{}`, but is signed by `{}`", said.by, only.principal);
            return refused(codes::RESOLUTION_SIGNER, message);
        }
        _ => {
            let message = "signed by several; one person answers for it".to_owned();
            return refused(codes::RESOLUTION_SIGNER, message);
        }
    }
    if !counts(trust, &said.by) {
        let message = format!("`{}` is not a person who may seal or approve", said.by);
        return refused(codes::RESOLUTION_ROLE, message);
    }
    Ok(signed)
}
