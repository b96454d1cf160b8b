//! `seal`, `approve`, `verify` and `keys`.

use super::project::{json, out, say_decision};
use crate::{
    arguments::{DataFormat, Key, Keys},
    exit,
    failure::Failure,
    say::{say, tell},
    words::count,
};
use rectify_attest::{Description, PrincipalName, Signer, TrustFile, moment};
use rectify_base::secret::Secret;
use rectify_engine::{
    Engine, EngineError,
    artifact::Artifact,
    gate,
    seal::{self as sealing, ApproveRequest, OverrideRequest, SealRequest},
    verify::{self as verifying, ReceiptFile, ReceiptState},
};
use rectify_keys::{AgentSigner, LocalSigner};
use std::{
    fs,
    io::IsTerminal,
    path::{Path, PathBuf},
};

/// How a plan is to be sealed.
pub struct Sealing {
    /// See [`SealRequest`]; likewise the others.
    pub author: Option<String>,
    pub requester: Option<String>,
    pub lifetime_s: Option<u64>,
    pub again: bool,
    pub expecting: Vec<String>,
}

/// `seal`.
pub async fn seal(
    engine: &Engine,
    project: &Path,
    plan: &Path,
    key: &Key,
    wanted: Sealing,
) -> Result<u8, Failure> {
    let trust = gate::required_trust(engine)?;
    let signer = load(key)?;
    let holder = holder(&trust, &*signer, key)?;
    let author = named(wanted.author, &holder)?;
    let requester = named(wanted.requester, &holder)?;
    let Sealing { lifetime_s, again, expecting, .. } = wanted;
    let expecting = expecting.into_iter().collect();
    let request =
        SealRequest { project, plan, signer: &*signer, author, requester, lifetime_s, again, expecting };
    let sealed = sealing::seal(engine, &request).await?;
    say_decision(&sealed.decision);
    say!("sealed by {holder} for one use, until {}", moment(sealed.seal.expires_at));
    if !sealed.decision.allowed {
        say!("policy denies it: it is not applied before somebody who may signs `rectify policy override`");
    }
    Ok(exit::DONE)
}

/// `approve`.
pub fn approve(
    engine: &Engine,
    plan: &Path,
    key: &Key,
    reason: Option<String>,
    lifetime_s: Option<u64>,
) -> Result<u8, Failure> {
    let trust = gate::required_trust(engine)?;
    let signer = load(key)?;
    let approver = holder(&trust, &*signer, key)?;
    let request = ApproveRequest { plan, signer: &*signer, approver: approver.clone(), reason, lifetime_s };
    let approval = sealing::approve(engine, &request)?;
    say!("approved by {approver} until {}", moment(approval.expires_at));
    Ok(exit::DONE)
}

/// `policy override`.
pub async fn set_aside(
    engine: &Engine,
    project: &Path,
    plan: &Path,
    key: &Key,
    rules: Vec<String>,
    reason: String,
    lifetime_s: Option<u64>,
) -> Result<u8, Failure> {
    let trust = gate::required_trust(engine)?;
    let signer = load(key)?;
    let by = holder(&trust, &*signer, key)?;
    let rules = rules.into_iter().collect();
    let request = OverrideRequest { project, plan, signer: &*signer, by, rules, reason, lifetime_s };
    let said = sealing::set_aside(engine, &request).await?;
    let rules = said.rules.iter().cloned().collect::<Vec<_>>().join(", ");
    say!("policy is OVERRIDDEN by {} ({rules}) until {}", said.by, moment(said.expires_at));
    Ok(exit::DONE)
}

/// `verify`.
pub async fn verify(
    engine: &Engine,
    project: &Path,
    plan: &Path,
    reproduce: bool,
    source: Option<&Path>,
    executors: &[PathBuf],
    format: DataFormat,
) -> Result<u8, Failure> {
    let artifact = Artifact::read(plan)?;
    if reproduce {
        let document = artifact.plan()?;
        verifying::reproduce(&artifact, &document)?;
        say!("reproduced: graph and observations give exactly this plan");
        if let Some(source) = source {
            verifying::reproduce_sources(engine, &artifact, &document, source).await?;
            say!("reproduced: the sources give exactly this graph");
        }
        return Ok(exit::DONE);
    }
    let verified = verifying::verify(engine, project, plan).await?;
    if let Err(error) = &verified.decision {
        tell!("policy: cannot decide, which counts as denied: {error} [{}]", error.code());
    }
    let executors = executors.iter().map(|path| rectify_keys::read_public_key(path));
    let executors: Vec<_> = executors.collect::<Result<_, _>>().map_err(EngineError::from)?;
    let receipts = verifying::receipts(engine, &artifact, &executors)?;
    match format {
        DataFormat::Json => out(&json(&Answer { description: &verified.description, receipts: &receipts }))?,
        DataFormat::Text => {
            out(describe(&verified.description).as_bytes())?;
            out(describe_receipts(&receipts).as_bytes())?;
            if let Some(run) = used_by(&verified.description, &receipts) {
                say!("its permission is used up by run {run}; to change more, make and seal a new plan");
            }
        }
    }
    Ok(if verified.description.may_be_applied { exit::DONE } else { exit::DENIED })
}

/// What `verify` answers as data.
#[derive(serde::Serialize)]
struct Answer<'a> {
    #[serde(flatten)]
    description: &'a Description,
    receipts: &'a [ReceiptFile],
}

/// The run that used the permission of the seal, if a receipt that counts says so.
fn used_by(description: &Description, receipts: &[ReceiptFile]) -> Option<String> {
    let seal = description.seal.as_ref()?;
    receipts.iter().find_map(|file| match &file.receipt {
        ReceiptState::Verified(receipt) if receipt.use_id == seal.use_id => {
            Some(receipt.run.as_str().chars().take(16).collect())
        }
        _ => None,
    })
}

fn describe_receipts(receipts: &[ReceiptFile]) -> String {
    let mut text = String::new();
    for ReceiptFile { file, receipt } in receipts {
        match receipt {
            ReceiptState::Verified(receipt) => {
                let short: String = receipt.run.as_str().chars().take(16).collect();
                let changed = receipt.targets.values().map(|t| t.changed).sum();
                text.push_str(&format!(
                    "receipt of run {short}: {}, {} applied, at {}\n",
                    receipt.result.as_str(),
                    count(changed, "change"),
                    moment(receipt.ended_at)
                ));
                for used in &receipt.overrides {
                    let rules = used.rules.iter().cloned().collect::<Vec<_>>().join(", ");
                    let why = rectify_review::visible(&used.reason);
                    text.push_str(&format!("  policy was OVERRIDDEN by {} ({rules}): {why}\n", used.by));
                }
            }
            ReceiptState::Refused(refusal) => {
                text.push_str(&format!(
                    "receipt {file} proves nothing: {} [{}]\n",
                    refusal.message, refusal.code
                ));
            }
        }
    }
    text
}

fn describe(description: &Description) -> String {
    let mut text = format!("plan {}\n     {}\n", description.digests.blake3, description.digests.sha256);
    if let Some(plan) = &description.plan {
        let list = |names: Vec<String>| names.join(", ");
        text.push_str(&format!(
            "project {}, {} on {} ({})\n",
            plan.project,
            count(plan.counts.changes(), "change"),
            list(plan.targets.iter().map(ToString::to_string).collect()),
            list(plan.environments.iter().cloned().collect()),
        ));
    }
    for envelope in &description.envelopes {
        let signers: Vec<String> =
            envelope.signers.iter().map(|s| format!("{} ({})", s.principal, s.keyid)).collect();
        text.push_str(&format!("{}: signed by {}\n", envelope.file, signers.join(", ")));
    }
    if let Some(seal) = &description.seal {
        text.push_str(&format!(
            "written by {}, asked for by {}, valid from {} to {}\n",
            seal.author,
            seal.requester,
            moment(seal.not_before),
            moment(seal.expires_at)
        ));
    }
    if let Some(required) = description.approvals_required {
        text.push_str(&format!("approvals: {} of {required}\n", description.approvals.len()));
    }
    if description.approvals_waived > 0 {
        text.push_str(&format!(
            "SOLO: policy asks for {}; this trust file lets that go\n",
            count(u64::from(description.approvals_waived), "approval")
        ));
    }
    for counted in &description.overrides {
        text.push_str(&format!(
            "OVERRIDES POLICY: {}, by {}, until {}: {}\n",
            counted.rules.iter().cloned().collect::<Vec<_>>().join(", "),
            counted.by,
            moment(counted.expires_at),
            rectify_review::visible(&counted.reason)
        ));
    }
    for refusal in &description.uncounted {
        text.push_str(&format!("does not count: {refusal}\n"));
    }
    match description.until {
        Some(until) => text.push_str(&format!("may be applied until {}\n", moment(until))),
        None => {
            text.push_str("must NOT be applied:\n");
            for refusal in &description.refusals {
                text.push_str(&format!("  {refusal}\n"));
            }
        }
    }
    text
}

/// The key that `--key` names: a private key's file; or a public key's file or a fingerprint, whose private
/// half an agent holds, as ssh and git take it.
pub fn load(key: &Key) -> Result<Box<dyn Signer>, Failure> {
    if key.key.extension().is_some_and(|extension| extension == "pub") {
        let public = rectify_keys::read_public_key(&key.key).map_err(EngineError::from)?;
        let what = key.key.display().to_string();
        return Ok(Box::new(AgentSigner::with_key(&agent(&what)?, public).map_err(EngineError::from)?));
    }
    if let Some(fingerprint) = key.key.to_str().filter(|text| text.starts_with("SHA256:")) {
        return Ok(Box::new(
            AgentSigner::find(&agent(fingerprint)?, fingerprint).map_err(EngineError::from)?,
        ));
    }
    let mut file_error = None;
    let mut ask = |path: &Path| match &key.passphrase_file {
        Some(file) => match fs::read_to_string(file) {
            Ok(text) => Some(Secret::new(text.trim_end_matches(['\n', '\r']).to_owned())),
            Err(error) => {
                file_error = Some(format!("cannot read {}: {error}", file.display()));
                None
            }
        },
        None if std::io::stdin().is_terminal() => {
            rpassword::prompt_password(format!("passphrase of {}: ", path.display())).ok().map(Secret::new)
        }
        None => None,
    };
    let loaded = rectify_keys::load_signer(&key.key, &mut ask);
    if let Some(message) = file_error {
        return Err(Failure::plain(message));
    }
    Ok(Box::new(loaded.map_err(EngineError::from)?))
}

/// The socket of the agent.
fn agent(what: &str) -> Result<PathBuf, Failure> {
    let socket = std::env::var_os("SSH_AUTH_SOCK").filter(|path| !path.is_empty()).map(PathBuf::from);
    socket.ok_or_else(|| {
        let why = format!("the private half of {what} is looked for there, and SSH_AUTH_SOCK is not set");
        EngineError::from(rectify_keys::KeyError::AgentMissing { why }).into()
    })
}

/// Who signs with this key.
pub fn holder(trust: &TrustFile, signer: &dyn Signer, key: &Key) -> Result<PrincipalName, Failure> {
    if let Some(name) = &key.principal {
        return PrincipalName::new(name.as_str()).map_err(|e| Failure::usage(e.to_string()));
    }
    trust.holder(&signer.public_key()).cloned().ok_or_else(|| {
        Failure::usage(format!(
            "the trust file does not know the key {}; name its holder with --as",
            signer.public_key().fingerprint()
        ))
    })
}

fn named(name: Option<String>, otherwise: &PrincipalName) -> Result<PrincipalName, Failure> {
    name.map_or_else(
        || Ok(otherwise.clone()),
        |name| PrincipalName::new(name).map_err(|e| Failure::usage(e.to_string())),
    )
}

/// `keys`.
pub fn keys(command: Keys) -> Result<u8, Failure> {
    let Keys::New { file, comment, passphrase_file } = command;
    let passphrase = passphrase_file
        .map(|path| {
            fs::read_to_string(&path)
                .map(|text| Secret::new(text.trim_end_matches(['\n', '\r']).to_owned()))
                .map_err(|e| Failure::plain(format!("cannot read {}: {e}", path.display())))
        })
        .transpose()?;
    let signer = new_key(&file, &comment, passphrase.as_ref())?;
    say!("wrote {0} and {0}.pub", file.display());
    say!("{}", signer.public_key().fingerprint());
    Ok(exit::DONE)
}

pub fn new_key(file: &Path, comment: &str, passphrase: Option<&Secret>) -> Result<LocalSigner, Failure> {
    Ok(rectify_keys::generate(file, comment, passphrase).map_err(EngineError::from)?)
}
