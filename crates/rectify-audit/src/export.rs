//! A log as lines: a header, then one line a record, with what it says in detail where wanted.
//!
//! Each line is compact canonical JSON. The record is the last member of its line, so its bytes, which
//! are hashed, can be cut out: `{"body":…,"record":{…}}` or `{"record":{…}}`.

use crate::{
    detail::{Detail, Imported, Lease, Refused},
    record::{Action, AuditRecord, LogId},
};
use rectify_attest::PublicKey;
use rectify_base::canonical::{self, CanonicalError};
use rectify_model::journal::{Record, RunRecord};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::value::RawValue;

/// Name and version of the format.
pub const FORMAT: &str = "rectify.audit-export/v1";
/// Longest line, in bytes.
pub const LINE_MAX_BYTES: usize = 16 * 1024 * 1024;

/// The first line of an export.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Header {
    /// Name and version of the format: [`FORMAT`].
    #[cfg_attr(feature = "schema", schemars(extend("const" = FORMAT)))]
    pub format: String,
    /// The log.
    pub log_id: LogId,
    /// The key that signs its checkpoints, as whoever exported it says. Only a hint: who verifies
    /// gives a key of their own, and it must be this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "String", extend("pattern" = "^ssh-ed25519 [A-Za-z0-9+/]{68}$")))]
    pub key: Option<PublicKey>,
    /// Whether records come with what they say in detail; then none may lack it, but receipts.
    pub bodies: bool,
}

impl Header {
    /// The header of an export.
    #[must_use]
    pub fn new(log_id: LogId, key: Option<PublicKey>, bodies: bool) -> Self {
        Self { format: FORMAT.into(), log_id, key, bodies }
    }

    /// Its line, with the line end.
    ///
    /// # Errors
    /// None that can happen; canonical JSON says so by its type.
    pub fn to_line(&self) -> Result<Vec<u8>, CanonicalError> {
        let mut line = canonical::compact(self)?;
        line.push(b'\n');
        Ok(line)
    }

    /// Reads a line without its end.
    ///
    /// # Errors
    /// If it is not a header in canonical form.
    pub fn read(line: &[u8]) -> Result<Self, String> {
        let header: Self = exact(line).map_err(|problem| format!("not a header: {problem}"))?;
        if header.format == FORMAT {
            Ok(header)
        } else {
            Err(format!("format `{}` is not `{FORMAT}`", header.format.chars().take(80).collect::<String>()))
        }
    }
}

/// The line of a record, with the line end.
#[must_use]
pub fn line(record: &[u8], body: Option<&[u8]>) -> Vec<u8> {
    let mut line = Vec::with_capacity(record.len() + body.map_or(0, <[u8]>::len) + 24);
    line.push(b'{');
    if let Some(body) = body {
        line.extend_from_slice(b"\"body\":");
        line.extend_from_slice(body);
        line.push(b',');
    }
    line.extend_from_slice(b"\"record\":");
    line.extend_from_slice(record);
    line.extend_from_slice(b"}\n");
    line
}

/// A line, read.
#[derive(Debug)]
pub struct Line<'a> {
    /// The record.
    pub record: AuditRecord,
    /// Its bytes, which are what is hashed.
    pub bytes: &'a [u8],
    /// What it says in detail.
    pub body: Option<&'a [u8]>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire<'a> {
    #[serde(borrow, default)]
    body: Option<&'a RawValue>,
    #[serde(borrow)]
    record: &'a RawValue,
}

/// Reads a line without its end, strictly: what was not written by [`line`] of a canonical record is
/// refused. The body is not read.
///
/// # Errors
/// What is wrong, for a person.
pub fn read(bytes: &[u8]) -> Result<Line<'_>, String> {
    if bytes.len() > LINE_MAX_BYTES {
        return Err(format!("longer than {LINE_MAX_BYTES} bytes"));
    }
    let wire: Wire<'_> = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    let record_bytes = wire.record.get().as_bytes();
    let body = wire.body.map(|body| body.get().as_bytes());
    let again = line(record_bytes, body);
    if again.strip_suffix(b"\n") != Some(bytes) {
        return Err("not in canonical form".into());
    }
    let record: AuditRecord = exact(record_bytes)?;
    if record.v != crate::VERSION {
        return Err(format!("version {} is not {}", record.v, crate::VERSION));
    }
    Ok(Line { record, bytes: record_bytes, body })
}

/// Reads canonical bytes into a type, at once: what would be written otherwise is refused.
fn exact<T: DeserializeOwned + Serialize>(bytes: &[u8]) -> Result<T, String> {
    let value: T = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    match canonical::compact(&value) {
        Ok(again) if again == bytes => Ok(value),
        Ok(_) => Err("not in canonical form".into()),
        Err(error) => Err(error.to_string()),
    }
}

/// Reads what a record of this kind says in detail.
///
/// # Errors
/// If it is not what such a record has, or the kind has nothing that is exported.
pub fn detail(action: Action, body: &[u8]) -> Result<Detail, String> {
    match action {
        Action::LogStarted => exact::<Imported>(body).map(Detail::Imported),
        Action::AdmissionRefused => exact::<Refused>(body).map(Detail::Refused),
        Action::RunAdmitted => exact::<RunRecord>(body).map(|run| Detail::Run(Box::new(run))),
        Action::LeaseAcquired | Action::LeaseReleased | Action::LeaseBroken => {
            exact::<Lease>(body).map(Detail::Lease)
        }
        Action::RunEnded | Action::ReceiptKept => Err(format!("`{action}` comes without a body")),
        _ => exact::<Record>(body).map(|record| Detail::Record(Box::new(record))),
    }
}
