//! Opening every file of the directory. Nothing that does not verify is passed over.

use super::{ENVELOPES_MAX, EnvelopeFile};
use crate::{
    codes,
    envelope::Envelope,
    predicate::{Approval, DecisionRecord, Override, Receipt, Resolution, Seal},
    refusal::{PLACE_ENVELOPES, Refusal},
    statement::{self, Kind},
    trust::TrustFile,
    verify::{Signed, SignedBy, typed, verify_signatures},
};
use rectify_base::{Digest, FileDigests};
use std::collections::BTreeMap;

/// A verified statement of any kind.
#[derive(Clone, Debug)]
pub(crate) enum Statement {
    Decision(Signed<DecisionRecord>),
    Seal(Signed<Seal>),
    Approval(Signed<Approval>),
    Receipt(Signed<Receipt>),
    Override(Signed<Override>),
    Resolution(Signed<Resolution>),
}

/// A file that verified.
#[derive(Clone, Debug)]
pub(crate) struct Opened {
    pub(crate) file: String,
    pub(crate) statement: Statement,
}

impl Statement {
    pub(crate) const fn kind(&self) -> Kind {
        match self {
            Self::Decision(_) => Kind::Decision,
            Self::Seal(_) => Kind::Seal,
            Self::Approval(_) => Kind::Approval,
            Self::Receipt(_) => Kind::Receipt,
            Self::Override(_) => Kind::Override,
            Self::Resolution(_) => Kind::Resolution,
        }
    }

    pub(crate) fn signers(&self) -> &[SignedBy] {
        match self {
            Self::Decision(signed) => &signed.signers,
            Self::Seal(signed) => &signed.signers,
            Self::Approval(signed) => &signed.signers,
            Self::Receipt(signed) => &signed.signers,
            Self::Override(signed) => &signed.signers,
            Self::Resolution(signed) => &signed.signers,
        }
    }

    const fn payload(&self) -> Digest {
        match self {
            Self::Decision(signed) => signed.payload,
            Self::Seal(signed) => signed.payload,
            Self::Approval(signed) => signed.payload,
            Self::Receipt(signed) => signed.payload,
            Self::Override(signed) => signed.payload,
            Self::Resolution(signed) => signed.payload,
        }
    }
}

/// What the directory holds, in the order of file names.
pub(crate) fn open_all(
    envelopes: &[EnvelopeFile],
    trust: &TrustFile,
    now: u64,
    plan: FileDigests,
    refusals: &mut Vec<Refusal>,
) -> Vec<Opened> {
    if envelopes.len() > ENVELOPES_MAX {
        let message = format!("{} files, more than {ENVELOPES_MAX}", envelopes.len());
        refusals.push(Refusal::new(codes::ENVELOPE_TOO_MANY, PLACE_ENVELOPES, message));
        return Vec::new();
    }
    let mut files: Vec<_> = envelopes.iter().collect();
    files.sort_by(|a, b| a.name.cmp(&b.name));
    let mut opened = Vec::new();
    let mut names: BTreeMap<&str, ()> = BTreeMap::new();
    let mut payloads: BTreeMap<Digest, &str> = BTreeMap::new();
    for file in files {
        if names.insert(&file.name, ()).is_some() {
            let message = "the same file name is given twice".to_owned();
            refusals.push(Refusal::new(codes::ENVELOPE_DUPLICATE, file.name.as_str(), message));
            continue;
        }
        match open(&file.name, &file.bytes, plan, trust, now) {
            Ok(statement) => match payloads.insert(statement.payload(), &file.name) {
                Some(first) => {
                    let message = format!("says the same as `{first}`; one statement, one file");
                    refusals.push(Refusal::new(codes::ENVELOPE_DUPLICATE, file.name.as_str(), message));
                }
                None => opened.push(Opened { file: file.name.clone(), statement }),
            },
            Err(refusal) => refusals.push(refusal),
        }
    }
    opened
}

fn open(
    file: &str,
    bytes: &[u8],
    plan: FileDigests,
    trust: &TrustFile,
    now: u64,
) -> Result<Statement, Refusal> {
    let (envelope, signers) = verify_signatures(file, bytes, trust)?;
    let kind = statement::claimed_kind(envelope.payload())
        .map_err(|e| Refusal::new(e.code(), file, e.to_string()))?;
    // Receipts and resolutions are history: they permit nothing here, and their keys may have ended since.
    if !matches!(kind, Kind::Receipt | Kind::Resolution) {
        keys_count(file, &envelope, trust, now)?;
    }
    Ok(match kind {
        Kind::Release => {
            let message = "a release is about a provider, and says nothing about a plan";
            return Err(Refusal::new(codes::ENVELOPE_PREDICATE_TYPE, file, message));
        }
        Kind::Decision => Statement::Decision(typed(file, bytes, &envelope, signers, plan)?),
        Kind::Seal => Statement::Seal(typed(file, bytes, &envelope, signers, plan)?),
        Kind::Approval => Statement::Approval(typed(file, bytes, &envelope, signers, plan)?),
        Kind::Receipt => Statement::Receipt(typed(file, bytes, &envelope, signers, plan)?),
        Kind::Override => Statement::Override(typed(file, bytes, &envelope, signers, plan)?),
        Kind::Resolution => Statement::Resolution(typed(file, bytes, &envelope, signers, plan)?),
    })
}

/// Whether the keys of all signatures count at this time.
pub(crate) fn keys_count(
    file: &str,
    envelope: &Envelope,
    trust: &TrustFile,
    now: u64,
) -> Result<(), Refusal> {
    for signature in envelope.signatures() {
        if let Some((_, principal, record)) = trust.key_with_id(&signature.keyid)
            && let Some((code, why)) = record.refused_at(now)
        {
            let message = format!("signed by `{principal}` with {}: {why}", signature.keyid);
            return Err(Refusal::new(code, file, message));
        }
    }
    Ok(())
}
