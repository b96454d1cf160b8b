//! A small plan, freshly sealed and approved by people whose keys exist only here.

use ed25519_dalek::{Signer as _, SigningKey};
use rectify_attest::{
    AdmissionInput, Admitted, Approval, DecisionRecord, Description, EnvelopeFile, KeyRecord, Override,
    Principal, PrincipalKind, PrincipalName, PublicKey, Receipt, Refusal, Release, ReleaseFile,
    ReleasePublisher, Resolution, Seal, SignError, Signer, TargetResult, Thresholds, TrustData, TrustFile,
    Verdict, admit, attest, describe, overridden, verify_resolution,
};
use rectify_base::{Digest, FileDigests, canonical};
use rectify_model::{
    Decision, Plan,
    decision::Finding,
    journal::{self, RunId, RunOutcome, UseId, operation_id},
};
use rectify_protocol::{manifest::ProtocolRange, message::ProtocolVersion};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};

pub const NOW: u64 = 1_800_000_000;
pub const HOUR: u64 = 3600;

/// Everybody: name, kind, number of keys.
pub const PEOPLE: [(&str, PrincipalKind, u8); 6] = [
    ("alice", PrincipalKind::Person, 1),
    ("bob", PrincipalKind::Person, 2),
    ("carol", PrincipalKind::Person, 1),
    ("dave", PrincipalKind::Person, 1),
    ("erin", PrincipalKind::Person, 1),
    ("ci", PrincipalKind::Machine, 1),
];
/// Alice and the pipeline seal; Alice, Bob, Carol and Dave approve; Erin has no role.
pub const SEALERS: [&str; 2] = ["alice", "ci"];
pub const APPROVERS: [&str; 4] = ["alice", "bob", "carol", "dave"];
/// Alice and Dave may override.
pub const OVERRIDERS: [&str; 2] = ["alice", "dave"];

pub struct TestSigner(SigningKey);

impl Signer for TestSigner {
    fn public_key(&self) -> PublicKey {
        PublicKey::from_bytes(self.0.verifying_key().as_bytes()).unwrap()
    }

    fn sign(&self, bytes: &[u8]) -> Result<[u8; 64], SignError> {
        Ok(self.0.sign(bytes).to_bytes())
    }
}

/// The key number `index` of somebody, known to the trust file or not.
pub fn signer_number(name: &str, index: u8) -> TestSigner {
    let seed = Digest::of_bytes(format!("a key for tests only: {name} {index}").as_bytes());
    TestSigner(SigningKey::from_bytes(seed.as_bytes()))
}

pub fn signer(name: &str) -> TestSigner {
    signer_number(name, 0)
}

pub fn name(text: &str) -> PrincipalName {
    PrincipalName::new(text).unwrap()
}

pub fn names(texts: &[&str]) -> BTreeSet<PrincipalName> {
    texts.iter().map(|text| name(text)).collect()
}

pub fn use_id() -> UseId {
    UseId::new("00112233445566778899aabbccddeeff").unwrap()
}

pub fn bundle() -> Digest {
    Digest::of_bytes(b"the accepted policy bundle")
}

pub fn allowing(demand: u32) -> Decision {
    let demands = (demand > 0).then(|| rectify_model::decision::ApprovalDemand {
        rule: "people".to_owned(),
        message: "people must look".to_owned(),
        count: demand,
    });
    Decision {
        bundle: bundle(),
        allowed: true,
        deny: BTreeSet::new(),
        warn: BTreeSet::new(),
        require_approval: demands.into_iter().collect(),
        overridden: BTreeSet::new(),
    }
}

pub fn trust_data() -> TrustData {
    let principal = |(text, kind, keys): &(&str, PrincipalKind, u8)| {
        let keys =
            (0..*keys).map(|index| KeyRecord::unlimited(signer_number(text, index).public_key())).collect();
        (name(text), Principal { kind: *kind, keys })
    };
    TrustData {
        principals: PEOPLE.iter().map(principal).collect(),
        sealers: names(&SEALERS),
        approvers: names(&APPROVERS),
        overriders: names(&OVERRIDERS),
        thresholds: Thresholds {
            default: 1,
            environments: BTreeMap::from([("prod".to_owned(), 2)]),
            projects: BTreeMap::new(),
        },
        policy_bundles: BTreeSet::from([bundle()]),
        ..TrustData::default()
    }
}

/// A plan with one step on `web-1`, in production.
pub fn plan_bytes(line: &str) -> Vec<u8> {
    let digests = FileDigests::of_bytes(b"graph");
    let state = |content: &[u8]| Digest::of_bytes(content).to_string();
    let plan: Plan = serde_json::from_value(json!({
        "format": "rectify.plan/v1",
        "project": "web",
        "graph": digests,
        "limits": {"parallel_steps": 4, "changes_max": 100},
        "remediations": {"motd": {"undo": "auto"}},
        "targets": {"web-1": {
            "environment": "prod",
            "identity": {"root": state(b"identity")},
            "observation": digests,
        }},
        "types": {"file.line": {
            "version": 1, "manifest": state(b"manifest"), "kind": "resource", "retry": "converge",
        }},
        "steps": [{
            "target": "web-1", "address": "motd/line", "type": "file.line", "action": "update",
            "desired": {"path": "/etc/motd", "line": line},
            "changes": [{"path": "/content/text", "before": "", "after": line}],
            "expect": state(b"before"), "result": state(b"after"),
            "prediction": "exact", "undo": {"grade": "none", "note": "for brevity"},
        }],
        "unchanged": [], "deferred": [], "gates": [], "waves": [["web-1"]],
        "counts": {"create": 0, "update": 1, "replace": 0, "delete": 0, "run": 0,
                   "unchanged": 0, "not_triggered": 0, "deferred": 0},
    }))
    .unwrap();
    canonical::file_bytes(&plan).unwrap()
}

pub fn decision_record() -> DecisionRecord {
    DecisionRecord { evaluated_at: NOW - HOUR, decision: allowing(0) }
}

pub fn seal(decision_envelope: &[u8]) -> Seal {
    Seal {
        scope: "web".to_owned(),
        generation: 7,
        use_id: use_id(),
        not_before: NOW - HOUR,
        expires_at: NOW + 24 * HOUR,
        author: name("alice"),
        requester: name("alice"),
        sources: Digest::of_bytes(b"sources"),
        policy: bundle(),
        decision: Digest::of_bytes(decision_envelope),
    }
}

pub fn approval(approver: &str) -> Approval {
    Approval {
        use_id: use_id(),
        approver: name(approver),
        expires_at: NOW + 12 * HOUR,
        verdict: Verdict::Yes,
        reason: None,
        rendering: None,
    }
}

pub fn receipt() -> Receipt {
    let target = "web-1".parse().unwrap();
    let result = TargetResult {
        result: RunOutcome::Succeeded,
        changed: 1,
        already: 0,
        failed: 0,
        skipped: 0,
        undone: 0,
    };
    Receipt {
        run: RunId::derive(&use_id(), [&target]),
        use_id: use_id(),
        targets: BTreeMap::from([(target, result)]),
        started_at: NOW,
        ended_at: NOW + 5,
        providers: BTreeMap::from([("file".to_owned(), "builtin:file@0.1.0".to_owned())]),
        result: RunOutcome::Succeeded,
        overrides: Vec::new(),
        checkpoint: None,
    }
}

pub fn set_aside(by: &str) -> Override {
    Override {
        use_id: use_id(),
        by: name(by),
        rules: BTreeSet::from(["freeze".to_owned()]),
        reason: "the fix cannot wait".to_owned(),
        expires_at: NOW + 2 * HOUR,
    }
}

pub fn resolution(by: &str) -> Resolution {
    let (target, address) = ("web-1".parse().unwrap(), "motd/line".parse().unwrap());
    Resolution {
        run: RunId::derive(&use_id(), [&target]),
        use_id: use_id(),
        operation: operation_id(&use_id(), &target, &address),
        target,
        address,
        undo: false,
        verdict: journal::Verdict::Succeeded,
        by: name(by),
        reason: "the message is there".to_owned(),
    }
}

/// A release of a script that this principal publishes.
pub fn release(publisher: &str) -> Release {
    let version = ProtocolVersion { major: 1, minor: 0 };
    Release {
        format: rectify_attest::release::FORMAT.to_owned(),
        name: "acme".to_owned(),
        version: "1.0.0".to_owned(),
        protocol: ProtocolRange { min: version, max: version },
        manifest: FileDigests::of_bytes(b"manifest"),
        interpreter: Some("/usr/bin/env python3".to_owned()),
        files: BTreeMap::from([("any".to_owned(), ReleaseFile::of_bytes("acme.py", b"#!/bin/sh"))]),
        publisher: Some(ReleasePublisher { name: name(publisher), key: signer(publisher).public_key() }),
    }
}

pub fn finding(rule: &str) -> Finding {
    Finding { rule: rule.to_owned(), message: format!("{rule} says no") }
}

/// All that admission sees.
#[derive(Clone)]
pub struct World {
    pub plan: Vec<u8>,
    pub files: BTreeMap<String, Vec<u8>>,
    pub trust: TrustData,
    pub decision: Decision,
    pub now: u64,
}

impl World {
    /// Written and sealed by Alice, approved by Bob and Carol, as production asks for.
    pub fn sealed() -> Self {
        Self::about(plan_bytes("welcome"))
    }

    pub fn about(plan: Vec<u8>) -> Self {
        let digests = FileDigests::of_bytes(&plan);
        let alice = signer("alice");
        let decision = attest(digests, &decision_record(), &[&alice]).unwrap();
        let seal = attest(digests, &seal(&decision), &[&alice]).unwrap();
        let consent = |who: &str| attest(digests, &approval(who), &[&signer(who)]).unwrap();
        let files = BTreeMap::from([
            ("approval-bob.json".to_owned(), consent("bob")),
            ("approval-carol.json".to_owned(), consent("carol")),
            ("decision.json".to_owned(), decision),
            ("seal.json".to_owned(), seal),
        ]);
        Self { plan, files, trust: trust_data(), decision: allowing(0), now: NOW }
    }

    /// The same, where policy lets a freeze pass because Dave has overridden it.
    pub fn overridden() -> Self {
        let mut world = Self::sealed();
        world.decision.overridden = BTreeSet::from([finding("freeze")]);
        let bytes = attest(world.digests(), &set_aside("dave"), &[&signer("dave")]).unwrap();
        world.files.insert("override-dave.json".to_owned(), bytes);
        world
    }

    /// The same, of which Bob answered for a step, as the executor reads it.
    pub fn resolved() -> Self {
        let mut world = Self::sealed();
        let bytes = attest(world.digests(), &resolution("bob"), &[&signer("bob")]).unwrap();
        world.files.insert("resolution-bob.json".to_owned(), bytes);
        world
    }

    /// What the executor says to the answer.
    pub fn resolve(&self) -> Result<Resolution, Refusal> {
        let file = "resolution-bob.json";
        let trust = self.trust_file();
        verify_resolution(file, &self.files[file], self.digests(), &trust, self.now).map(|s| s.predicate)
    }

    /// The rules that policy would be told of.
    pub fn rules(&self) -> BTreeSet<String> {
        overridden(&self.plan, &self.envelopes(), &self.trust_file(), self.now)
    }

    pub fn digests(&self) -> FileDigests {
        FileDigests::of_bytes(&self.plan)
    }

    pub fn trust_file(&self) -> TrustFile {
        TrustFile::new(self.trust.clone()).unwrap()
    }

    fn envelopes(&self) -> Vec<EnvelopeFile> {
        let file =
            |(name, bytes): (&String, &Vec<u8>)| EnvelopeFile { name: name.clone(), bytes: bytes.clone() };
        self.files.iter().map(file).collect()
    }

    pub fn admit(&self) -> Result<Admitted, Vec<Refusal>> {
        self.admit_under(&self.trust_file())
    }

    /// For loops: checking a trust file costs more than admitting a plan.
    pub fn admit_under(&self, trust: &TrustFile) -> Result<Admitted, Vec<Refusal>> {
        admit(&AdmissionInput {
            plan: &self.plan,
            envelopes: &self.envelopes(),
            trust,
            decision: &self.decision,
            now: self.now,
        })
    }

    pub fn describe(&self) -> Description {
        describe(&AdmissionInput {
            plan: &self.plan,
            envelopes: &self.envelopes(),
            trust: &self.trust_file(),
            decision: &self.decision,
            now: self.now,
        })
    }
}
