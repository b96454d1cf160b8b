//! Releases of providers: only their publisher's word about just these files counts, in a release and in a
//! lock file.

use crate::world::{HOUR, NOW, World, name, release, signer, trust_data};
use rectify_attest::{
    KeyRecord, Lock, LockEntry, Principal, PrincipalKind, Refusal, Release, ReleaseFile, ReleasePublisher,
    Revocation, Signer, TrustData, TrustFile, attest, codes, countersign, verify_release,
};
use rectify_base::{Code, FileDigests, canonical};
use std::collections::BTreeSet;

/// The codes that are tested here.
pub const CODES: [Code; 6] = [
    codes::RELEASE_CONTENT,
    codes::RELEASE_SIGNER,
    codes::PUBLISHER_ROLE,
    codes::PUBLISHER_NAME,
    codes::LOCK_CONTENT,
    codes::LOCK_SIGNATURE,
];

fn signed(release: &Release, by: &str) -> Vec<u8> {
    attest(release.manifest, release, &[&signer(by)]).unwrap()
}

fn refusal(release: &Release, by: &str) -> Code {
    verify_release("r", &signed(release, by), release.manifest).unwrap_err().code
}

#[test]
fn only_the_publisher_alone_counts() {
    let release = release("acme");
    let (read, signature) = verify_release("r", &signed(&release, "acme"), release.manifest).unwrap();
    assert_eq!(read, release);
    assert!(read.is_signed_by_publisher(&signature));
    assert_eq!(refusal(&release, "mallory"), codes::RELEASE_SIGNER);
    let both = countersign::<Release>(release.manifest, &signed(&release, "acme"), &signer("bob")).unwrap();
    assert_eq!(verify_release("r", &both, release.manifest).unwrap_err().code, codes::RELEASE_SIGNER);
    let other = FileDigests::of_bytes(b"another manifest");
    assert_eq!(
        verify_release("r", &signed(&release, "acme"), other).unwrap_err().code,
        codes::ENVELOPE_SUBJECT
    );
    let nobody = Release { publisher: None, ..release.clone() };
    assert_eq!(refusal(&nobody, "acme"), codes::RELEASE_CONTENT);
    // About one manifest, and naming another.
    let envelope = attest(other, &release, &[&signer("acme")]).unwrap();
    assert_eq!(verify_release("r", &envelope, other).unwrap_err().code, codes::RELEASE_CONTENT);
}

#[test]
fn what_cannot_be_is_refused() {
    let good = release("acme");
    assert_eq!(good.problem(), None);
    let file = good.files["any"].clone();
    let damage: [fn(&mut Release, ReleaseFile); 12] = [
        |r, _| r.format = "rectify.release/v2".into(),
        |r, _| r.name = "Acme".into(),
        |r, _| r.name = "a/b/c".into(),
        |r, _| r.name = "../acme".into(),
        |r, _| r.version = "1 0".into(),
        |r, _| r.files.clear(),
        |r, _| r.interpreter = None,
        |r, _| r.interpreter = Some("env python3".into()),
        |r, _| r.interpreter = Some("/bin/sh\u{1b}[2J".into()),
        |r, f| drop(r.files.insert("linux-x86_64".into(), ReleaseFile { file: "other".into(), ..f })),
        |r, f| drop(r.files.insert("any".into(), ReleaseFile { file: "../x".into(), ..f })),
        |r, f| drop(r.files.insert("any".into(), ReleaseFile { file: "manifest.json".into(), ..f })),
    ];
    for (at, damage) in damage.iter().enumerate() {
        let mut release = good.clone();
        damage(&mut release, file.clone());
        assert!(release.problem().is_some(), "{at}");
        assert_eq!(refusal(&release, "acme"), codes::RELEASE_CONTENT, "{at}");
    }
    let mut two = Release { interpreter: None, ..good };
    two.files = [("linux-x86_64".into(), file.clone()), ("linux-aarch64".into(), file)].into();
    assert!(two.problem().is_some(), "two platforms share a file");
    two.files.get_mut("linux-aarch64").unwrap().file = "acme-arm".into();
    assert_eq!(two.problem(), None);
}

#[test]
fn beside_a_plan_it_is_refused() {
    let mut world = World::sealed();
    let mut release = release("alice");
    release.manifest = FileDigests::of_bytes(&world.plan);
    world.files.insert("release.json".into(), signed(&release, "alice"));
    let refusals = world.admit().unwrap_err();
    let found = refusals.iter().find(|refusal| refusal.place == "release.json").unwrap();
    assert_eq!(found.code, codes::ENVELOPE_PREDICATE_TYPE);
}

fn locked() -> Lock {
    let release = release("acme");
    let (release, signature) = verify_release("r", &signed(&release, "acme"), release.manifest).unwrap();
    let mut lock = Lock::default();
    lock.providers.insert("acme".into(), LockEntry::new(release, Some(signature), "file:../acme".into()));
    lock
}

#[test]
fn a_lock_file_proves_itself() {
    let lock = locked();
    let bytes = lock.to_bytes().unwrap();
    assert_eq!(Lock::read(&bytes).unwrap(), lock);
    // Every text in it matters, but for where it came from.
    let text = String::from_utf8(bytes).unwrap();
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    let mut leaves = Vec::new();
    gather(&value, "", &mut leaves);
    assert!(leaves.len() >= 14, "{leaves:?}");
    for place in leaves {
        let mut value = value.clone();
        let leaf = value.pointer_mut(&place).unwrap();
        match leaf {
            serde_json::Value::String(text) => {
                let last = text.pop().unwrap();
                text.push(if last == '0' { '1' } else { '0' });
            }
            serde_json::Value::Number(number) => *leaf = (number.as_u64().unwrap() + 1).into(),
            other => panic!("{place}: {other}"),
        }
        let read = Lock::read(&canonical::file_bytes(&value).unwrap());
        if place.ends_with("/source") {
            assert!(read.is_ok());
        } else {
            let code = read.expect_err(&place).code;
            assert!([codes::LOCK_CONTENT, codes::LOCK_SIGNATURE].contains(&code), "{place}: {code}");
        }
    }
}

fn gather(value: &serde_json::Value, at: &str, out: &mut Vec<String>) {
    match value {
        serde_json::Value::Object(members) => {
            for (name, member) in members {
                gather(member, &format!("{at}/{}", name.replace('/', "~1")), out);
            }
        }
        _ => out.push(at.to_owned()),
    }
}

#[test]
fn who_signed_cannot_be_left_out() {
    let code = |change: &dyn Fn(&mut LockEntry)| {
        let mut lock = locked();
        change(lock.providers.get_mut("acme").unwrap());
        Lock::read(&lock.to_bytes().unwrap()).map(drop).map_err(|problem| problem.code)
    };
    assert_eq!(code(&|_| ()), Ok(()));
    assert_eq!(code(&|e| e.signature = None), Err(codes::LOCK_SIGNATURE));
    assert_eq!(code(&|e| (e.signature, e.unsigned) = (None, true)), Err(codes::LOCK_SIGNATURE));
    assert_eq!(code(&|e| e.unsigned = true), Err(codes::LOCK_CONTENT));
    assert_eq!(code(&|e| e.release.publisher = None), Err(codes::LOCK_CONTENT));
    assert_eq!(code(&|e| (e.release.publisher, e.signature) = (None, None)), Err(codes::LOCK_CONTENT));
    // That it is then unsigned is said, and is for policy to judge.
    let bare = |e: &mut LockEntry| {
        (e.release.publisher, e.signature, e.unsigned) = (None, None, true);
    };
    assert_eq!(code(&bare), Ok(()));
    // Signed by somebody else in the publisher's name.
    let forged = |e: &mut LockEntry| {
        let publisher = e.release.publisher.as_mut().unwrap();
        publisher.key = signer("mallory").public_key();
    };
    assert_eq!(code(&forged), Err(codes::LOCK_SIGNATURE));
    assert_eq!(code(&|e| e.source = "https://example.org/acme".into()), Err(codes::LOCK_CONTENT));
    let bytes = locked().to_bytes().unwrap();
    let wrapped = String::from_utf8(bytes).unwrap().replace("\"acme\": {", "\"other\": {");
    assert_eq!(Lock::read(wrapped.as_bytes()).unwrap_err().code, codes::LOCK_CONTENT);
}

fn accepts(change: impl FnOnce(&mut TrustData), publisher: Option<&ReleasePublisher>) -> Result<(), Code> {
    let mut data = trust_data();
    change(&mut data);
    let trust = TrustFile::new(data).unwrap();
    trust.accepts_publisher("p", publisher, NOW).map_err(|refusal: Refusal| refusal.code)
}

#[test]
fn publishers_by_the_trust_file() {
    let acme = release("acme").publisher.unwrap();
    let known = |data: &mut TrustData, who: &str, record: KeyRecord| {
        data.principals.insert(name(who), Principal { kind: PrincipalKind::Machine, keys: vec![record] });
    };
    let key = KeyRecord::unlimited(signer("acme").public_key());
    let listed = |data: &mut TrustData, who: &[&str]| {
        data.publishers = Some(who.iter().map(|who| name(who)).collect::<BTreeSet<_>>());
    };
    // Nothing is said: anybody, also nobody.
    assert_eq!(accepts(|_| (), Some(&acme)), Ok(()));
    assert_eq!(accepts(|_| (), None), Ok(()));
    // Somebody is: those, and nobody else.
    assert_eq!(accepts(|d| listed(d, &[]), Some(&acme)), Err(codes::PUBLISHER_ROLE));
    assert_eq!(accepts(|d| listed(d, &[]), None), Err(codes::PUBLISHER_ROLE));
    assert_eq!(accepts(|d| listed(d, &["bob"]), Some(&acme)), Err(codes::PUBLISHER_ROLE));
    let both = |d: &mut TrustData| {
        known(d, "acme", key.clone());
        listed(d, &["acme"]);
    };
    assert_eq!(accepts(both, Some(&acme)), Ok(()));
    let known_only = |d: &mut TrustData| {
        known(d, "acme", key.clone());
        listed(d, &["bob"]);
    };
    assert_eq!(accepts(known_only, Some(&acme)), Err(codes::PUBLISHER_ROLE));
    // Posing, whether or not anybody is listed.
    assert_eq!(accepts(|d| known(d, "other", key.clone()), Some(&acme)), Err(codes::PUBLISHER_NAME));
    let bob = ReleasePublisher { name: name("bob"), ..acme.clone() };
    assert_eq!(accepts(|_| (), Some(&bob)), Err(codes::PUBLISHER_NAME));
    // A key that does not count.
    let revoked = Revocation { since: NOW, reason: None };
    for (record, code) in [
        (KeyRecord { valid_to: Some(NOW), ..key.clone() }, codes::TRUST_KEY_EXPIRED),
        (KeyRecord { valid_from: Some(NOW + HOUR), ..key.clone() }, codes::TRUST_KEY_NOT_YET_VALID),
        (KeyRecord { revoked: Some(revoked), ..key.clone() }, codes::TRUST_KEY_REVOKED),
    ] {
        assert_eq!(accepts(|d| known(d, "acme", record), Some(&acme)), Err(code));
    }
}
