//! Leases and their fences.

use crate::support::{holder, open, place, run, scopes};
use rectify_audit::Actor;
use rectify_store::{Journal as _, LEASE_TTL_MS, StoreError};

#[tokio::test]
async fn a_fence_is_higher_than_all_before_whatever_becomes_of_them() {
    let place = place();
    let journal = open(&place).await;
    let mut fences = Vec::new();
    for round in 0..3 {
        let at_ms = round * 100_000;
        fences.push(journal.acquire(&scopes(&["aa", "bb"]), &holder(1, true), at_ms).await.unwrap());
        fences.push(journal.acquire(&scopes(&["cc"]), &holder(2, true), at_ms).await.unwrap());
        if round == 0 {
            journal.release(&scopes(&["aa", "bb"]), fences[0], at_ms + 1).await.unwrap();
        }
    }
    journal.close().await.unwrap();
    fences.push(open(&place).await.acquire(&scopes(&["dd"]), &holder(3, true), 0).await.unwrap());
    assert_eq!(fences, [1, 2, 3, 4, 5, 6, 7]);
}

#[tokio::test]
async fn a_lease_is_respected_until_it_runs_out_unless_its_file_lock_is_held() {
    let place = place();
    let journal = open(&place).await;
    let first = journal.acquire(&scopes(&["aa"]), &holder(1, false), 1_000).await.unwrap();
    journal.renew(&scopes(&["aa"]), first, 5_000).await.unwrap();
    let last = 5_000 + LEASE_TTL_MS - 1;
    let refused = journal.acquire(&scopes(&["aa"]), &holder(2, false), last).await;
    let run = run(1, &["a"]).run;
    assert_eq!(
        refused,
        Err(StoreError::Held { scope: "aa".into(), run, pid: 4711, fence: first, age_ms: last - 1_000 })
    );
    // A clock that was set back does not make it older.
    assert!(journal.acquire(&scopes(&["aa"]), &holder(2, false), 0).await.is_err());
    let second = journal.acquire(&scopes(&["aa"]), &holder(2, false), last + 1).await.unwrap();
    let third = journal.acquire(&scopes(&["aa"]), &holder(3, true), last + 2).await.unwrap();
    assert!(first < second && second < third);
    for stale in [first, second] {
        let lost = journal.renew(&scopes(&["aa"]), stale, last + 3).await;
        assert_eq!(lost, Err(StoreError::LeaseLost { scope: "aa".into(), fence: stale }));
        // What it no longer holds it cannot let go.
        journal.release(&scopes(&["aa"]), stale, last + 3).await.unwrap();
    }
    journal.renew(&scopes(&["aa"]), third, last + 4).await.unwrap();
}

#[tokio::test]
async fn a_lease_is_renewed_for_all_scopes_or_for_none() {
    let place = place();
    let journal = open(&place).await;
    let fence = journal.acquire(&scopes(&["aa", "bb"]), &holder(1, true), 0).await.unwrap();
    journal.break_lease("bb", fence, &Actor::person("ann"), 10).await.unwrap();
    let lost = journal.renew(&scopes(&["aa", "bb"]), fence, 20).await;
    assert_eq!(lost, Err(StoreError::LeaseLost { scope: "bb".into(), fence }));
    let leases = journal.leases().await.unwrap();
    let seen: Vec<_> = leases.iter().map(|l| (l.scope.as_str(), l.renewed_at_ms, l.released_at_ms)).collect();
    assert_eq!(seen, [("aa", 0, None), ("bb", 0, Some(10))]);
    assert!(leases[0].held(LEASE_TTL_MS - 1) && !leases[0].held(LEASE_TTL_MS));
    assert!(!leases[1].held(10));
}

#[tokio::test]
async fn two_processes_cannot_have_one_lease() {
    let place = place();
    let (one, two) = (open(&place).await, open(&place).await);
    let (aa, one_holder, two_holder) = (scopes(&["aa"]), holder(1, false), holder(2, false));
    let (a, b) = tokio::join!(one.acquire(&aa, &one_holder, 0), two.acquire(&aa, &two_holder, 0));
    assert!(a.is_ok() != b.is_ok(), "{a:?} {b:?}");
}
