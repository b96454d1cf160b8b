//! What a trust file may say.

use crate::world::{World, name, names, signer, trust_data};
use rectify_attest::{Principal, PrincipalKind, TrustData, TrustFile, codes, trust::CEILING_MAX_S};
use rectify_base::Code;

/// Covered here.
pub const CODES: [Code; 11] = [
    codes::TRUST_KEY_DUPLICATE,
    codes::TRUST_KEY_PERIOD,
    codes::TRUST_MEMBER_UNKNOWN,
    codes::TRUST_MEMBER_MACHINE,
    codes::TRUST_NO_SEALER,
    codes::TRUST_THRESHOLD_ZERO,
    codes::TRUST_THRESHOLD_UNREACHABLE,
    codes::TRUST_CEILING,
    codes::TRUST_RETENTION,
    codes::TRUST_PLAN_COMMAND,
    codes::TRUST_SINK,
];

fn keys_of<'d>(data: &'d mut TrustData, who: &str) -> &'d mut Vec<rectify_attest::KeyRecord> {
    &mut data.principals.get_mut(&name(who)).unwrap().keys
}

#[test]
fn each_mistake_is_named_with_its_place() {
    type Damage = fn(&mut TrustData);
    let damages: [(Code, &str, Damage); 16] = [
        (codes::TRUST_KEY_DUPLICATE, "/principals/dave/keys/1", |d| {
            let bobs = keys_of(d, "bob")[0].clone();
            keys_of(d, "dave").push(bobs);
        }),
        (codes::TRUST_KEY_DUPLICATE, "/principals/bob/keys/2", |d| {
            let bobs = keys_of(d, "bob")[0].clone();
            keys_of(d, "bob").push(bobs);
        }),
        (codes::TRUST_KEY_PERIOD, "/principals/bob/keys/1", |d| {
            keys_of(d, "bob")[1].valid_from = Some(5);
            keys_of(d, "bob")[1].valid_to = Some(5);
        }),
        (codes::TRUST_MEMBER_UNKNOWN, "/roles/sealer/2", |d| {
            d.sealers.insert(name("zoe"));
        }),
        (codes::TRUST_MEMBER_MACHINE, "/roles/approver/3", |d| {
            d.approvers.insert(name("ci"));
        }),
        (codes::TRUST_NO_SEALER, "/roles/sealer", |d| d.sealers.clear()),
        (codes::TRUST_THRESHOLD_ZERO, "/approvals/default", |d| d.thresholds.default = 0),
        (codes::TRUST_THRESHOLD_ZERO, "/approvals/environments/dev", |d| {
            d.thresholds.environments.insert("dev".to_owned(), 0);
        }),
        (codes::TRUST_THRESHOLD_UNREACHABLE, "/approvals/projects/web", |d| {
            d.thresholds.projects.insert("web".parse().unwrap(), 5);
        }),
        (codes::TRUST_RETENTION, "/undo/keep_days", |d| d.retention.keep_days = 0),
        (codes::TRUST_RETENTION, "/undo/keep_days", |d| d.retention.keep_days = 3_651),
        (codes::TRUST_CEILING, "/ceilings/seal", |d| d.ceilings.seal_s = 0),
        (codes::TRUST_CEILING, "/ceilings/approval", |d| d.ceilings.approval_s = CEILING_MAX_S + 1),
        (codes::TRUST_PLAN_COMMAND, "/plan_commands/0", |d| {
            d.plan_commands.insert(Vec::new());
        }),
        (codes::TRUST_PLAN_COMMAND, "/plan_commands/0", |d| {
            d.plan_commands.insert(vec![String::new(), "-x".to_owned()]);
        }),
        (codes::TRUST_SINK, "/audit/sinks/1", |d| {
            d.audit_sinks.extend(["/mnt/audit".to_owned(), "audit".to_owned()]);
        }),
    ];
    assert!(TrustFile::new(trust_data()).is_ok());
    for (code, place, damage) in damages {
        let mut data = trust_data();
        damage(&mut data);
        let problems = TrustFile::new(data).unwrap_err();
        let found: Vec<_> = problems.iter().map(|p| (p.code, p.place.as_str())).collect();
        assert_eq!(found, [(code, place)]);
    }
    for code in CODES {
        assert!(damages.iter().any(|damage| damage.0 == code), "{code} has no test");
    }
}

#[test]
fn the_highest_threshold_counts() {
    let mut data = trust_data();
    data.thresholds.projects.insert("vault".parse().unwrap(), 3);
    data.thresholds.environments.insert("dev".to_owned(), 1);
    data.thresholds.default = 2;
    let trust = TrustFile::new(data).unwrap();
    let threshold = |project: &str, environments: &[&str]| {
        trust.threshold(&project.parse().unwrap(), environments.iter().copied())
    };
    assert_eq!(threshold("web", &["dev"]), 1);
    assert_eq!(threshold("web", &["dev", "prod"]), 2);
    assert_eq!(threshold("web", &["elsewhere"]), 2);
    assert_eq!(threshold("web", &[]), 2);
    assert_eq!(threshold("vault", &["dev"]), 3);
}

#[test]
fn solo_lets_one_person_seal_alone() {
    let mut world = World::sealed();
    world.files.retain(|name, _| !name.starts_with("approval"));
    assert!(world.admit().is_err());
    let keys = world.trust.principals[&name("alice")].keys.clone();
    world.trust = TrustData {
        solo: true,
        principals: [(name("alice"), Principal { kind: PrincipalKind::Person, keys })].into(),
        sealers: names(&["alice"]),
        policy_bundles: world.trust.policy_bundles.clone(),
        ..TrustData::default()
    };
    world.trust.thresholds.default = 0;
    let admitted = world.admit().unwrap();
    assert_eq!((admitted.required, admitted.approvals.len()), (0, 0));
    // Nobody could give what policy asks for, so it is let go, and said.
    world.decision = crate::world::allowing(1);
    assert_eq!(world.admit().unwrap().required, 0);
    // With an approver it could be given; and the author is still none.
    world.trust.approvers = names(&["alice"]);
    let own = crate::world::approval("alice");
    let bytes = rectify_attest::attest(world.digests(), &own, &[&signer("alice")]).unwrap();
    world.files.insert("approval.json".to_owned(), bytes);
    let found: Vec<_> = world.admit().unwrap_err().iter().map(|r| r.code).collect();
    assert_eq!(found, [codes::APPROVAL_BY_AUTHOR, codes::APPROVAL_MISSING]);
}

#[test]
fn policy_cannot_lower_the_threshold() {
    let mut world = World::sealed();
    world.files.remove("approval-bob.json");
    world.decision = crate::world::allowing(1);
    assert!(world.admit().is_err());
}
