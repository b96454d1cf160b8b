//! What is said beside a plan, for its readers: who signed what, whatever the time is.

use crate::{
    Engine, EngineError,
    artifact::{Artifact, ENDING},
    error::FileVerb,
    gate,
};
use rectify_attest::{
    Approval, DecisionRecord, Envelope, Kind, Override, Predicate, PrincipalName, Seal, SignedBy, TrustFile,
    Verdict, statement,
};
use rectify_base::FileDigests;
use std::{fs, path::Path};

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
    /// Rules of policy that somebody set aside.
    Override(Override),
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
        Kind::Override => typed(&file, bytes, &envelope, plan, trust, Said::Override),
        Kind::Resolution => {
            (None, Err("an answer for a step permits nothing; it belongs to the run that it is about".into()))
        }
        Kind::Release => (None, Err("a release is about a provider, and vouches for no plan".into())),
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

/// The plan that was approved last, among those in the directory of another one (itself as well) that are
/// of its project: the one whose seal is the newest of those beside which an approval lies that verifies.
/// With `by`, only what that person approved counts. Whether it may still be applied is not looked at.
///
/// # Errors
/// When there is none, there is no trust file, or a file cannot be read.
pub fn last_approved(
    engine: &Engine,
    beside: &Artifact,
    by: Option<&PrincipalName>,
) -> Result<Artifact, EngineError> {
    // Who approved is not known without it.
    gate::required_trust(engine)?;
    let project = beside.plan()?.project.clone();
    let directory = beside.path.parent().filter(|path| !path.as_os_str().is_empty());
    let directory = directory.unwrap_or(Path::new("."));
    let error = |e| EngineError::file(FileVerb::Read, directory, e);
    let mut found: Option<(u64, Artifact)> = None;
    let mut paths = Vec::new();
    for entry in fs::read_dir(directory).map_err(error)? {
        let path = entry.map_err(error)?.path();
        if path.to_string_lossy().ends_with(ENDING) && path.is_file() {
            paths.push(path);
        }
    }
    paths.sort();
    for path in paths {
        let artifact = Artifact::read(&path)?;
        let Some(sealed) = approved(engine, &artifact, by)? else { continue };
        // What is not a plan of this release is not what was approved here.
        let same = artifact.plan().is_ok_and(|plan| plan.project == project);
        if same && found.as_ref().is_none_or(|(newest, _)| sealed > *newest) {
            found = Some((sealed, artifact));
        }
    }
    found
        .map(|(_, artifact)| artifact)
        .ok_or_else(|| EngineError::NothingApproved { path: directory.to_owned() })
}

/// When a plan was sealed, if an approval of that seal lies beside it.
fn approved(
    engine: &Engine,
    artifact: &Artifact,
    by: Option<&PrincipalName>,
) -> Result<Option<u64>, EngineError> {
    let verified = statements(engine, artifact)?.into_iter().filter(|statement| statement.signers.is_ok());
    let (mut seal, mut approvals) = (None, Vec::new());
    for statement in verified {
        match statement.said {
            Some(Said::Seal(said)) => seal = Some(said),
            Some(Said::Approval(said)) => approvals.push(said),
            _ => {}
        }
    }
    Ok(seal
        .filter(|seal| {
            approvals.iter().any(|approval| {
                approval.use_id == seal.use_id
                    && approval.verdict == Verdict::Yes
                    && by.is_none_or(|by| *by == approval.approver)
            })
        })
        .map(|seal| seal.not_before))
}
