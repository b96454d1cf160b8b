//! The gate: a sealed and approved plan, and a script of damage to it.

use crate::{Target, mutate, rng::Rng};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use ed25519_dalek::{Signer as _, SigningKey};
use rectify_attest::{
    AdmissionInput, Approval, DecisionRecord, EnvelopeFile, KeyRecord, Principal, PrincipalKind,
    PrincipalName, PublicKey, Resolution, Seal, SignError, Signer, Thresholds, TrustData, TrustFile, Verdict,
    admit, attest, describe,
    envelope::{PAYLOAD_TYPE, pae},
    verify_resolution,
};
use rectify_base::{Digest, FileDigests, TargetName, canonical};
use rectify_model::{
    Decision,
    journal::{self, RunId, UseId},
};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::LazyLock,
};

pub(super) const TARGET: Target = Target {
    name: "admission",
    holds: "however a plan, its envelopes and the clock are changed, nothing but the sealed and approved plan is admitted",
    check,
    seeds,
    max_bytes: 120,
    replays: 1,
};

const NOW: u64 = 1_800_000_000;
const HOUR: u64 = 3600;
const PLAN: &[u8] = include_bytes!("../../../../conformance/cases/plans/valid/plan.json");

/// A key that exists only here.
struct Key(SigningKey);

impl Key {
    fn of(name: &str) -> Self {
        let seed = Digest::of_bytes(format!("a key for tests only: {name}").as_bytes());
        Self(SigningKey::from_bytes(seed.as_bytes()))
    }
}

impl Signer for Key {
    fn public_key(&self) -> PublicKey {
        PublicKey::from_bytes(self.0.verifying_key().as_bytes()).unwrap()
    }

    fn sign(&self, bytes: &[u8]) -> Result<[u8; 64], SignError> {
        Ok(self.0.sign(bytes).to_bytes())
    }
}

struct World {
    files: Vec<EnvelopeFile>,
    trust: TrustFile,
    decision: Decision,
}

static WORLD: LazyLock<World> = LazyLock::new(World::new);

fn name(text: &str) -> PrincipalName {
    PrincipalName::new(text).unwrap()
}

impl World {
    /// Sealed by Alice, approved by Bob and Carol. Erin's key is known and may do nothing.
    fn new() -> Self {
        let plan = FileDigests::of_bytes(PLAN);
        let bundle = Digest::of_bytes(b"the accepted policy bundle");
        let use_id = UseId::new("00112233445566778899aabbccddeeff").unwrap();
        let none = BTreeSet::new;
        let decision = Decision {
            bundle,
            allowed: true,
            deny: none(),
            warn: none(),
            require_approval: BTreeSet::new(),
            overridden: none(),
        };
        let record = DecisionRecord { evaluated_at: NOW - HOUR, decision: decision.clone() };
        let record = attest(plan, &record, &[&Key::of("alice")]).unwrap();
        let seal = Seal {
            scope: "demo".into(),
            generation: 1,
            use_id: use_id.clone(),
            not_before: NOW - HOUR,
            expires_at: NOW + 24 * HOUR,
            author: name("alice"),
            requester: name("alice"),
            sources: Digest::of_bytes(b"sources"),
            policy: bundle,
            decision: Digest::of_bytes(&record),
        };
        let seal = attest(plan, &seal, &[&Key::of("alice")]).unwrap();
        let approval = |who: &str| {
            let approval = Approval {
                use_id: use_id.clone(),
                approver: name(who),
                expires_at: NOW + 12 * HOUR,
                verdict: Verdict::Yes,
                reason: None,
                rendering: None,
            };
            attest(plan, &approval, &[&Key::of(who)]).unwrap()
        };
        let file = |name: &str, bytes| EnvelopeFile { name: name.into(), bytes };
        let person = |who: &str| {
            let keys = vec![KeyRecord::unlimited(Key::of(who).public_key())];
            (name(who), Principal { kind: PrincipalKind::Person, keys })
        };
        let trust = TrustFile::new(TrustData {
            principals: ["alice", "bob", "carol", "erin"].into_iter().map(person).collect(),
            sealers: BTreeSet::from([name("alice")]),
            approvers: BTreeSet::from([name("bob"), name("carol")]),
            thresholds: Thresholds { default: 2, environments: BTreeMap::new(), projects: BTreeMap::new() },
            policy_bundles: BTreeSet::from([bundle]),
            ..TrustData::default()
        });
        let files = vec![
            file("approval-bob.json", approval("bob")),
            file("approval-carol.json", approval("carol")),
            file("decision.json", record),
            file("seal.json", seal),
        ];
        Self { files, trust: trust.unwrap(), decision }
    }
}

/// The envelopes of the undamaged plan.
pub(super) fn envelopes() -> Vec<Vec<u8>> {
    WORLD.files.iter().map(|file| file.bytes.clone()).collect()
}

/// Six bytes each: what, to which file, where (two), and two more.
fn check(data: &[u8]) {
    let world = &*WORLD;
    let (mut plan, mut files, mut now) = (PLAN.to_vec(), world.files.clone(), NOW);
    for step in data.chunks_exact(6).take(20) {
        let at = usize::from(u16::from_be_bytes([step[2], step[3]]));
        let seed = u64::from(u16::from_be_bytes([step[4], step[5]]));
        let which = usize::from(step[1]) % (files.len() + 1);
        match step[0] % 14 {
            0..=2 => {
                let bytes = files.get_mut(which).map_or(&mut plan, |file| &mut file.bytes);
                let at = at % (bytes.len() + 1);
                match step[0] % 14 {
                    0 if at < bytes.len() => bytes[at] = step[4],
                    1 => bytes.insert(at, step[4]),
                    _ => drop(bytes.drain(at..(at + usize::from(step[4])).min(bytes.len()))),
                }
            }
            3 => {
                let bytes = files.get_mut(which).map_or(&mut plan, |file| &mut file.bytes);
                *bytes = mutate::mutate(bytes, &mut Rng::new(seed));
            }
            4 if which < files.len() => {
                let name = format!("copy-{seed}.json");
                files.push(EnvelopeFile { name, bytes: files[which].bytes.clone() });
            }
            5 if which < files.len() => drop(files.remove(which)),
            6 if which < files.len() => {
                let other = at % files.len();
                let name = std::mem::take(&mut files[which].name);
                files[which].name = std::mem::replace(&mut files[other].name, name);
            }
            7 => now = NOW.saturating_add(seed * 60).saturating_sub(u64::from(step[2]) * HOUR),
            8 if which < files.len() => {
                let other = &files[at % files.len()].bytes.clone();
                rewrite(&mut files[which].bytes, |envelope| {
                    let other: Value = serde_json::from_slice(other).unwrap_or_default();
                    envelope["signatures"] = other["signatures"].clone();
                });
            }
            9 if which < files.len() => {
                rewrite(&mut files[which].bytes, |envelope| change(envelope, seed, None));
            }
            10 if which < files.len() => {
                rewrite(&mut files[which].bytes, |envelope| change(envelope, seed, Some("erin")));
            }
            11 if which < files.len() => {
                rewrite(&mut files[which].bytes, |envelope| change(envelope, seed, Some("mallory")));
            }
            // Approvers do not say what is sealed.
            12 if which < files.len() && !files[which].bytes.is_empty() => {
                let original = |name: &str| world.files.iter().find(|file| file.name == name).unwrap();
                let name = if at % 2 == 0 { "seal.json" } else { "decision.json" };
                files[which].bytes.clone_from(&original(name).bytes);
                rewrite(&mut files[which].bytes, |envelope| change(envelope, seed, Some("bob")));
            }
            13 if which < files.len() => {
                let other = files[at % files.len()].bytes.clone();
                files[which].bytes = other;
            }
            _ => {}
        }
    }
    let input = AdmissionInput {
        plan: &plan,
        envelopes: &files,
        trust: &world.trust,
        decision: &world.decision,
        now,
    };
    let admitted = admit(&input);
    assert_eq!(describe(&input).may_be_applied, admitted.is_ok());
    let originals = |file: &EnvelopeFile| world.files.iter().any(|other| other.bytes == file.bytes);
    match admitted {
        Ok(admitted) => {
            assert_eq!(plan, PLAN);
            assert!(files.iter().all(originals), "admitted with a file that nobody wrote");
            assert_eq!(admitted.seal_envelope, Digest::of_bytes(&world.files[3].bytes));
            assert!((NOW - HOUR..NOW + 12 * HOUR).contains(&now) && now < admitted.expires_at);
            assert!(admitted.expires_at <= NOW + 12 * HOUR);
            assert_eq!((admitted.required, admitted.approvals.len()), (2, 2));
        }
        Err(refusals) => {
            assert!(!refusals.is_empty());
            let mut bytes: Vec<_> = files.iter().map(|file| &file.bytes).collect();
            bytes.sort();
            let mut known: Vec<_> = world.files.iter().map(|file| &file.bytes).collect();
            known.sort();
            let in_time = (NOW - HOUR..NOW + 12 * HOUR).contains(&now);
            assert!(plan != PLAN || bytes != known || !in_time, "undamaged, and refused: {refusals:?}");
        }
    }
}

pub(super) const RESOLUTION: Target = Target {
    name: "resolution",
    holds: "however an answer for a step is changed and signed, nothing but what somebody said who may say it is taken",
    check: check_resolution,
    seeds,
    max_bytes: 60,
    replays: 4,
};

/// What Bob answered for a step.
static RESOLUTION_FILE: LazyLock<Vec<u8>> =
    LazyLock::new(|| attest(FileDigests::of_bytes(PLAN), &resolution(), &[&Key::of("bob")]).unwrap());

/// An answer for a step.
pub(super) fn resolution() -> Resolution {
    let use_id = UseId::new("00112233445566778899aabbccddeeff").unwrap();
    let target: TargetName = "web-1".parse().unwrap();
    Resolution {
        run: RunId::derive(&use_id, std::slice::from_ref(&target)),
        use_id,
        target,
        address: "motd/motd".parse().unwrap(),
        undo: false,
        operation: "0".repeat(64),
        verdict: journal::Verdict::Succeeded,
        by: name("bob"),
        reason: "looked".into(),
    }
}

/// Six bytes each, as above: what, to whom, where (two), and two more.
fn check_resolution(data: &[u8]) {
    let (mut plan, mut bytes) = (PLAN.to_vec(), RESOLUTION_FILE.clone());
    for step in data.chunks_exact(6).take(10) {
        let at = usize::from(u16::from_be_bytes([step[2], step[3]]));
        let seed = u64::from(u16::from_be_bytes([step[4], step[5]]));
        match step[0] % 8 {
            0 if !bytes.is_empty() => {
                let at = at % bytes.len();
                bytes[at] = step[4];
            }
            1 => bytes.insert(at % (bytes.len() + 1), step[4]),
            2 => {
                let at = at % (bytes.len() + 1);
                drop(bytes.drain(at..(at + usize::from(step[4])).min(bytes.len())));
            }
            3 => bytes = mutate::mutate(&bytes, &mut Rng::new(seed)),
            4 => rewrite(&mut bytes, |envelope| change(envelope, seed, None)),
            5 => rewrite(&mut bytes, |envelope| change(envelope, seed, Some("erin"))),
            6 => rewrite(&mut bytes, |envelope| change(envelope, seed, Some("mallory"))),
            // What Bob signed, of another kind or about another plan.
            _ if seed.is_multiple_of(2) => bytes.clone_from(&WORLD.files[usize::from(step[1]) % 4].bytes),
            _ => plan.push(step[4]),
        }
    }
    match verify_resolution("resolution.json", &bytes, FileDigests::of_bytes(&plan), &WORLD.trust, NOW) {
        Ok(signed) => {
            assert!(bytes == *RESOLUTION_FILE && plan == PLAN, "taken, and nobody said it");
            assert_eq!((signed.predicate, signed.signers.len()), (resolution(), 1));
        }
        Err(refusal) => {
            assert!(bytes != *RESOLUTION_FILE || plan != PLAN, "undamaged, and refused: {refusal:?}");
            assert!(rectify_attest::codes::ALL.contains(&refusal.code));
        }
    }
}

/// Changes an envelope that can be read, and writes it in its form.
fn rewrite(bytes: &mut Vec<u8>, with: impl FnOnce(&mut Value)) {
    if let Ok(mut value) = canonical::parse_strict(bytes) {
        with(&mut value);
        if let Ok(again) = canonical::file_bytes(&value) {
            *bytes = again;
        }
    }
}

/// Changes what an envelope says, and signs it as somebody or keeps the signatures.
fn change(envelope: &mut Value, seed: u64, signer: Option<&str>) {
    let payload = envelope["payload"].as_str().and_then(|text| STANDARD.decode(text).ok());
    let Some(mut payload) = payload else { return };
    if let Ok(mut value) = canonical::parse_strict(&payload)
        && !seed.is_multiple_of(4)
    {
        mutate::structure(&mut value, &mut Rng::new(seed));
        payload = canonical::compact(&value).unwrap_or(payload);
    }
    if !envelope.is_object() {
        return;
    }
    envelope["payload"] = STANDARD.encode(&payload).into();
    if let Some(signer) = signer {
        let key = Key::of(signer);
        let signature = key.sign(&pae(PAYLOAD_TYPE, &payload)).unwrap();
        envelope["signatures"] =
            json!([{"keyid": key.public_key().fingerprint(), "sig": STANDARD.encode(signature)}]);
    }
}

fn seeds(_: &Path) -> Vec<Vec<u8>> {
    let mut all = vec![Vec::new()];
    for what in 0..14_u8 {
        for which in 0..5_u8 {
            all.push(vec![what, which, 1, what * 7, which, 13 + what]);
        }
    }
    all
}
