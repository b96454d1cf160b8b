//! What a case does to the sealed plan, as data.

use crate::world::{World, finding, plan_bytes, signer};
use rectify_attest::{Envelope, Revocation, Signer};
use rectify_base::{Digest, FileDigests, canonical};
use rectify_model::decision::{ApprovalDemand, Finding};
use serde::Deserialize;
use serde_json::{Map, Value};

/// One step of damage. Where an envelope is signed again, it is by `signers`, else by those who
/// signed it before.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Mutation {
    /// Replaces members of the predicate (`null` removes one) and signs again.
    Predicate { file: String, set: Map<String, Value>, signers: Option<Vec<String>> },
    /// The same for members of the statement around it.
    Statement { file: String, set: Map<String, Value> },
    /// Replaces text inside the payload and signs again.
    Payload { file: String, find: String, replace: String },
    /// Keeps the payload, with other signatures.
    Signers { file: String, signers: Vec<String> },
    /// Says the same of another plan.
    OtherPlan { file: String },
    /// Lets the seal name the decision as it is now.
    Reseal {},
    /// Replaces text in the envelope file.
    Text { file: String, find: String, replace: String },
    /// Adds a file of its own, or replaces one.
    Add { file: String, text: String },
    /// Copies a file.
    Copy { from: String, to: String },
    /// Removes a file.
    Remove { file: String },
    /// Keeps only the first bytes of a file.
    Truncate { file: String, bytes: usize },
    /// Appends spaces until the file is as long.
    Pad { file: String, bytes: usize },
    /// Adds as many stray files.
    Flood { files: usize },
    /// Replaces text in the plan file.
    Plan { find: String, replace: String },
    /// Changes what the trust file says of all keys of somebody.
    Keys { principal: String, valid_from: Option<u64>, valid_to: Option<u64>, revoked: Option<u64> },
    /// Takes somebody out of the trust file altogether.
    Forget { principal: String },
    /// Takes a role from somebody.
    Dismiss { principal: String },
    /// Raises the threshold of production.
    Threshold { count: u32 },
    /// Shortens the longest life.
    Ceilings { seal_s: u64, approval_s: u64 },
    /// Accepts no policy bundle.
    NoBundles {},
    /// Evaluates policy otherwise.
    Policy { allowed: bool, deny: Option<String>, demand: u32 },
    /// Evaluates another policy, which is accepted too.
    OtherBundle {},
    /// Records that other policy in the decision.
    RecordOtherBundle {},
    /// Takes the right to override from somebody.
    NoOverride { principal: String },
    /// Lets policy deny by these rules and let those pass.
    Overridden { deny: Vec<String>, pass: Vec<String> },
    /// Sets the clock.
    Now { at: u64 },
}

impl Mutation {
    pub fn apply(&self, world: &mut World) {
        match self {
            Self::Predicate { file, set, signers } => {
                resign(world, file, signers.as_deref(), |statement| merge(&mut statement["predicate"], set));
            }
            Self::Statement { file, set } => resign(world, file, None, |statement| merge(statement, set)),
            Self::Payload { file, find, replace } => {
                let envelope = Envelope::read(&world.files[file]).unwrap();
                let text = String::from_utf8(envelope.payload().to_vec()).unwrap();
                let payload = replace_once(&text, find, replace).into_bytes();
                let signers = who_signed(world, &envelope);
                world.files.insert(file.clone(), sign(payload, &signers));
            }
            Self::Signers { file, signers } => resign(world, file, Some(signers), |_| {}),
            Self::OtherPlan { file } => {
                let other = FileDigests::of_bytes(&plan_bytes("go away"));
                resign(world, file, None, |statement| {
                    statement["subject"][0]["digest"] =
                        serde_json::json!({"blake3": other.blake3.hex(), "sha256": other.sha256.hex()});
                });
            }
            Self::Reseal {} => {
                let digest = Digest::of_bytes(&world.files["decision.json"]).to_string();
                resign(world, "seal.json", None, |statement| {
                    statement["predicate"]["decision"] = digest.into();
                });
            }
            Self::Text { file, find, replace } => {
                let text = String::from_utf8(world.files[file].clone()).unwrap();
                world.files.insert(file.clone(), replace_once(&text, find, replace).into_bytes());
            }
            Self::Add { file, text } => {
                world.files.insert(file.clone(), text.clone().into_bytes());
            }
            Self::Copy { from, to } => {
                world.files.insert(to.clone(), world.files[from].clone());
            }
            Self::Remove { file } => {
                world.files.remove(file).expect("the file to remove");
            }
            Self::Truncate { file, bytes } => world.files.get_mut(file).unwrap().truncate(*bytes),
            Self::Pad { file, bytes } => world.files.get_mut(file).unwrap().resize(*bytes, b' '),
            Self::Flood { files } => {
                for index in 0..*files {
                    world.files.insert(format!("stray-{index}"), Vec::new());
                }
            }
            Self::Plan { find, replace } => {
                let text = String::from_utf8(world.plan.clone()).unwrap();
                let files = World::about(replace_once(&text, find, replace).into_bytes());
                world.plan = files.plan;
                world.files = files.files;
            }
            Self::Keys { principal, valid_from, valid_to, revoked } => {
                for key in &mut world.trust.principals.get_mut(&principal.parse().unwrap()).unwrap().keys {
                    key.valid_from = *valid_from;
                    key.valid_to = *valid_to;
                    key.revoked =
                        revoked.map(|since| Revocation { since, reason: Some("lost laptop".to_owned()) });
                }
            }
            Self::Forget { principal } => {
                let name = principal.parse().unwrap();
                world.trust.overriders.remove(&name);
                world.trust.principals.remove(&name).expect("the principal to forget");
                world.trust.approvers.remove(&name);
                world.trust.sealers.remove(&name);
            }
            Self::Dismiss { principal } => {
                let name = principal.parse().unwrap();
                assert!(world.trust.approvers.remove(&name) | world.trust.sealers.remove(&name));
            }
            Self::Threshold { count } => {
                world.trust.thresholds.environments.insert("prod".to_owned(), *count);
            }
            Self::Ceilings { seal_s, approval_s } => {
                world.trust.ceilings.seal_s = *seal_s;
                world.trust.ceilings.approval_s = *approval_s;
            }
            Self::NoBundles {} => world.trust.policy_bundles.clear(),
            Self::Policy { allowed, deny, demand } => {
                world.decision.allowed = *allowed;
                let finding = |text: &String| Finding { rule: "rule".to_owned(), message: text.clone() };
                world.decision.deny = deny.iter().map(finding).collect();
                world.decision.require_approval = (*demand > 0)
                    .then(|| ApprovalDemand {
                        rule: "rule".to_owned(),
                        message: "more eyes".to_owned(),
                        count: *demand,
                    })
                    .into_iter()
                    .collect();
            }
            Self::OtherBundle {} => {
                world.trust.policy_bundles.insert(other_bundle());
                world.decision.bundle = other_bundle();
            }
            Self::RecordOtherBundle {} => resign(world, "decision.json", None, |statement| {
                statement["predicate"]["decision"]["bundle"] = other_bundle().to_string().into();
            }),
            Self::NoOverride { principal } => {
                assert!(world.trust.overriders.remove(&principal.parse().unwrap()));
            }
            Self::Overridden { deny, pass } => {
                world.decision.allowed = deny.is_empty();
                world.decision.deny = deny.iter().map(|rule| finding(rule)).collect();
                world.decision.overridden = pass.iter().map(|rule| finding(rule)).collect();
            }
            Self::Now { at } => world.now = *at,
        }
    }
}

fn other_bundle() -> Digest {
    Digest::of_bytes(b"another policy bundle")
}

fn replace_once(text: &str, find: &str, replace: &str) -> String {
    assert_eq!(text.matches(find).count(), 1, "`{find}` is there exactly once in:\n{text}");
    text.replacen(find, replace, 1)
}

fn merge(into: &mut Value, set: &Map<String, Value>) {
    let into = into.as_object_mut().unwrap();
    for (key, value) in set {
        match value {
            Value::Null => into.remove(key),
            value => into.insert(key.clone(), value.clone()),
        };
    }
}

fn resign(world: &mut World, file: &str, signers: Option<&[String]>, change: impl FnOnce(&mut Value)) {
    let envelope = Envelope::read(&world.files[file]).unwrap();
    let mut statement: Value = serde_json::from_slice(envelope.payload()).unwrap();
    change(&mut statement);
    let signers = signers.map_or_else(|| who_signed(world, &envelope), <[String]>::to_vec);
    let bytes = sign(canonical::compact(&statement).unwrap(), &signers);
    world.files.insert(file.to_owned(), bytes);
}

fn who_signed(world: &World, envelope: &Envelope) -> Vec<String> {
    let trust = world.trust_file();
    let holder = |id: &str| trust.key_with_id(id).unwrap().1.to_string();
    envelope.signatures().iter().map(|s| holder(&s.keyid)).collect()
}

pub fn sign(payload: Vec<u8>, signers: &[String]) -> Vec<u8> {
    let mut envelope = Envelope::unsigned(payload);
    for who in signers {
        let key = signer(who);
        let signature = key.sign(&envelope.signed_bytes()).unwrap();
        envelope.add_signature(&key.public_key(), signature).unwrap();
    }
    envelope.to_bytes().unwrap()
}
