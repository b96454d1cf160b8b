//! `trust`.

use super::{project::out, signing::new_key};
use crate::{
    arguments::Trust,
    exit,
    failure::Failure,
    say::{say, tell},
};
use rectify_attest::{
    PrincipalKind, PrincipalName, PublicKey, Signer, TrustData, TrustFile, TrustProblem, moment,
};
use rectify_engine::{Engine, EngineError, gate};
use std::{collections::BTreeSet, fs, path::Path};

/// `trust`.
pub fn trust(engine: &Engine, command: Trust) -> Result<u8, Failure> {
    match command {
        Trust::Init { solo: _, key, principal } => {
            let name = PrincipalName::new(principal).map_err(|e| Failure::usage(e.to_string()))?;
            match key {
                Some(key) => {
                    let public = rectify_keys::read_public_key(&key).map_err(EngineError::from)?;
                    write_solo(engine, name, public)?;
                }
                None => solo(engine, name)?,
            }
        }
        Trust::Show => {
            let trust = gate::required_trust(engine)?;
            let text = rectify_keys::render_trust(&trust).map_err(Failure::plain)?;
            out(text.as_bytes())?;
        }
        Trust::Keys => keys(&gate::required_trust(engine)?, now(engine)),
        Trust::Rotate { key, new, overlap } => {
            let trust = gate::required_trust(engine)?;
            let old = public(&trust, &key)?;
            let new = rectify_keys::read_public_key(&new).map_err(EngineError::from)?;
            let ceilings = trust.data().ceilings;
            let overlap = overlap.unwrap_or(ceilings.seal_s.max(ceilings.approval_s));
            let holder = change(engine, &trust, |data| data.rotate(&old, new, now(engine), overlap))?;
            say!("{holder}: {} counts from now on", new.fingerprint());
            say!(
                "{holder}: {} counts until {}",
                old.fingerprint(),
                moment(now(engine).saturating_add(overlap))
            );
        }
        Trust::Revoke { key, since, reason } => {
            let trust = gate::required_trust(engine)?;
            let key = public(&trust, &key)?;
            let now = now(engine);
            if since.is_some_and(|since| since > now) {
                return Err(Failure::usage(
                    "a key is revoked at once; for one that ends later, use `trust rotate` or `valid_to`",
                ));
            }
            let holder = change(engine, &trust, |data| data.revoke(&key, since.unwrap_or(now), reason))?;
            say!("{holder}: {} does not count any more", key.fingerprint());
        }
    }
    Ok(exit::DONE)
}

fn now(engine: &Engine) -> u64 {
    (engine.now_ms)() / 1000
}

/// The key that is meant: a file's, or one of the trust file's.
fn public(trust: &TrustFile, key: &Path) -> Result<PublicKey, Failure> {
    match key.to_str().filter(|text| text.starts_with("SHA256:")) {
        None => Ok(rectify_keys::read_public_key(key).map_err(EngineError::from)?),
        Some(fingerprint) => trust.key_with_id(fingerprint).map(|(key, ..)| key).ok_or_else(|| {
            Failure::usage(format!(
                "the trust file does not know the key {fingerprint}; `rectify trust keys` lists those it knows"
            ))
        }),
    }
}

/// Writes the trust file with a change, and says what it cannot do any more.
fn change(
    engine: &Engine,
    trust: &TrustFile,
    change: impl FnOnce(&mut TrustData) -> Result<PrincipalName, TrustProblem>,
) -> Result<PrincipalName, Failure> {
    let path = &engine.places.trust;
    let refused =
        |problems| EngineError::from(rectify_keys::KeyError::Trust { path: path.clone(), problems });
    let mut data = trust.data().clone();
    let holder = change(&mut data).map_err(|problem| refused(vec![problem]))?;
    let changed = TrustFile::new(data).map_err(refused)?;
    if let Some(old) = rectify_keys::replace_trust(path, &changed).map_err(EngineError::from)? {
        tell!("the text before, with what people wrote into it, is kept as {}", old.display());
    }
    for sentence in changed.lacking(now(engine)) {
        tell!("warning: {sentence}");
    }
    Ok(holder)
}

fn keys(trust: &TrustFile, now: u64) {
    let data = trust.data();
    for (name, principal) in &data.principals {
        let mut roles = Vec::new();
        let nobody = BTreeSet::new();
        for (role, members) in [
            ("seals", &data.sealers),
            ("approves", &data.approvers),
            ("OVERRIDES POLICY", &data.overriders),
            ("publishes providers", data.publishers.as_ref().unwrap_or(&nobody)),
        ] {
            if members.contains(name) {
                roles.push(role);
            }
        }
        let kind = match principal.kind {
            PrincipalKind::Person => "person",
            PrincipalKind::Machine => "machine",
        };
        say!("{name}  {kind}  {}", if roles.is_empty() { "no role".to_owned() } else { roles.join(", ") });
        for record in &principal.keys {
            let state = match (record.refused_at(now), record.valid_to) {
                (Some((_, why)), _) => why.trim_start_matches("the key ").to_owned(),
                (None, Some(to)) => format!("counts until {}", moment(to)),
                (None, None) => "counts".to_owned(),
            };
            say!("  {}  {state}", record.public.fingerprint());
        }
    }
    for sentence in trust.lacking(now) {
        tell!("warning: {sentence}");
    }
}

/// Makes a trust file for working alone, with the key beside it, which is made if need be.
pub fn solo(engine: &Engine, name: PrincipalName) -> Result<(), Failure> {
    let trust = &engine.places.trust;
    if trust.exists() {
        // Before a key is made that nothing would be done with.
        let exists =
            rectify_keys::KeyError::Exists { kind: rectify_keys::FileKind::Trust, path: trust.clone() };
        return Err(EngineError::from(exists).into());
    }
    let key = &trust.with_file_name("id_ed25519");
    if let Some(parent) = key.parent() {
        fs::create_dir_all(parent)
            .map_err(|e| Failure::plain(format!("cannot make {}: {e}", parent.display())))?;
    }
    let signer = if key.exists() {
        rectify_keys::load_signer(key, &mut rectify_keys::no_passphrase).map_err(EngineError::from)?
    } else {
        let signer = new_key(key, "rectify solo", None)?;
        say!("wrote {}", key.display());
        signer
    };
    write_solo(engine, name, signer.public_key())
}

fn write_solo(engine: &Engine, name: PrincipalName, key: rectify_attest::PublicKey) -> Result<(), Failure> {
    let bundles = BTreeSet::from([rectify_policy::standard().digest()]);
    let trust = rectify_keys::solo_trust(name, key, bundles).map_err(|problems| {
        let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
        Failure::plain(problems.join("; "))
    })?;
    let path = &engine.places.trust;
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)
            .map_err(|e| Failure::plain(format!("cannot make {}: {e}", parent.display())))?;
    }
    rectify_keys::write_new_trust(path, &trust).map_err(EngineError::from)?;
    say!("wrote {}", path.display());
    say!("SOLO: the holder of this one key can change this machine without anybody's approval");
    Ok(())
}
