//! The lease of a run: the file locks of its targets, and the number under which everything is sent and
//! stored. It is renewed as long as the run is at work; what cannot be renewed begins nothing new.

use crate::{Engine, EngineError, apply::JOURNAL, lock, rundir::RunDirectory};
use rectify_audit::Actor;
use rectify_model::{Plan, journal::RunId};
use rectify_store::{
    Holder, Journal, LEASE_MARGIN_MS, LEASE_RENEW_MS, LEASE_TTL_MS, Lease, SqliteJournal, StoreError,
};
use std::{sync::Arc, time::Duration};
use tokio::{sync::watch, task::JoinHandle, time::Instant};

/// A lease that is held and renewed. Dropping it gives the file locks up and leaves the row to whoever
/// comes next; [`Held::release`] says that it is over.
#[derive(Debug)]
pub struct Held {
    _locks: lock::Locks,
    store: Arc<SqliteJournal>,
    scopes: Vec<String>,
    fence: u64,
    ending: watch::Receiver<bool>,
    renewing: JoinHandle<()>,
}

impl Held {
    /// Takes the lease of all targets of a plan.
    ///
    /// # Errors
    /// [`EngineError::Locked`] or [`StoreError::Held`] with the holder, if somebody has one of them.
    pub async fn take(
        engine: &Engine,
        store: &Arc<SqliteJournal>,
        plan: &Plan,
        run: &RunId,
    ) -> Result<Self, EngineError> {
        let locks = match lock::take(&engine.places.state, plan, run) {
            Err(EngineError::Locked { target, holder, .. }) => {
                let age_s = age_s(engine, store, plan, &target).await;
                return Err(EngineError::Locked { target, holder, age_s });
            }
            locks => locks?,
        };
        let scopes = lock::scopes(plan);
        let holder = Holder { run: run.clone(), pid: std::process::id(), locked: true };
        let fence = store.acquire(&scopes, &holder, (engine.now_ms)()).await?;
        let (end, ending) = watch::channel(false);
        let renewing = tokio::spawn(renew(Arc::clone(store), scopes.clone(), fence, engine.now_ms, end));
        Ok(Self { _locks: locks, store: Arc::clone(store), scopes, fence, ending, renewing })
    }

    /// Its number: higher than that of any lease before.
    #[must_use]
    pub const fn fence(&self) -> u64 {
        self.fence
    }

    /// Becomes true when it cannot be renewed.
    #[must_use]
    pub fn ending(&self) -> watch::Receiver<bool> {
        self.ending.clone()
    }

    /// Lets go of it where nothing was begun. That this cannot be stored is no matter: the next run takes it
    /// over.
    pub async fn give_back(self, engine: &Engine) {
        if let Err(error) = self.release((engine.now_ms)()).await {
            tracing::warn!(%error, "the lease was not given back");
        }
    }

    /// Lets go of it.
    ///
    /// # Errors
    /// When that cannot be stored; the locks are given up all the same.
    pub async fn release(self, at_ms: u64) -> Result<(), EngineError> {
        self.renewing.abort();
        Ok(self.store.release(&self.scopes, self.fence, at_ms).await?)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.renewing.abort();
    }
}

/// How long somebody has had the lease of a target, if the journal tells.
async fn age_s(
    engine: &Engine,
    store: &SqliteJournal,
    plan: &Plan,
    target: &rectify_base::TargetName,
) -> Option<u64> {
    let scope = lock::scope(&plan.targets.get(target)?.identity);
    let leases = store.leases().await.ok()?;
    let lease = leases.into_iter().find(|lease| lease.scope == scope && lease.released_at_ms.is_none())?;
    Some((engine.now_ms)().saturating_sub(lease.acquired_at_ms) / 1000)
}

/// Renews a lease until it is lost, or could not be renewed for so long that it may be lost soon.
async fn renew(
    store: Arc<SqliteJournal>,
    scopes: Vec<String>,
    fence: u64,
    now_ms: fn() -> u64,
    end: watch::Sender<bool>,
) {
    let mut renewed = Instant::now();
    loop {
        tokio::time::sleep(Duration::from_millis(LEASE_RENEW_MS)).await;
        let last = renewed + Duration::from_millis(LEASE_TTL_MS - LEASE_MARGIN_MS);
        let asked = Instant::now();
        match tokio::time::timeout_at(last, store.renew(&scopes, fence, now_ms())).await {
            Ok(Ok(())) => renewed = asked,
            Ok(Err(error @ StoreError::LeaseLost { .. })) => {
                tracing::warn!(%error, "nothing new is begun");
                break;
            }
            Ok(Err(error)) if Instant::now() < last => tracing::warn!(%error, "the lease was not renewed"),
            Ok(Err(_)) | Err(_) => break,
        }
    }
    end.send_replace(true);
    // The sender must live: its end would look like an answer.
    std::future::pending::<()>().await;
}

/// A lease that somebody has, or left behind.
#[derive(Clone, Debug)]
pub struct HeldLease {
    /// As the journal has it.
    pub lease: Lease,
    /// Names of the targets of its run that have this identity, as far as that is known.
    pub targets: Vec<String>,
    /// Whether a process on this machine has the file lock.
    pub process: bool,
    /// Whether it was renewed in time.
    pub in_time: bool,
    /// Since when, in seconds.
    pub age_s: u64,
    /// When it was last renewed, in seconds ago.
    pub renewed_s: u64,
}

/// The leases that were not let go, by scope.
///
/// # Errors
/// When the journal cannot be read.
pub async fn held(engine: &Engine) -> Result<Vec<HeldLease>, EngineError> {
    let state = &engine.places.state;
    if !state.join(JOURNAL).exists() {
        return Ok(Vec::new());
    }
    let now_ms = (engine.now_ms)();
    let store = SqliteJournal::open(&state.join(JOURNAL)).await?;
    let mut held = Vec::new();
    for lease in store.leases().await? {
        if lease.released_at_ms.is_some() {
            continue;
        }
        held.push(HeldLease {
            targets: targets(engine, &store, &lease).await,
            process: lock::is_taken(state, &lease.scope),
            in_time: lease.held(now_ms),
            age_s: now_ms.saturating_sub(lease.acquired_at_ms) / 1000,
            renewed_s: now_ms.saturating_sub(lease.renewed_at_ms) / 1000,
            lease,
        });
    }
    Ok(held)
}

/// What the run of a lease calls the target that it is on.
async fn targets(engine: &Engine, store: &SqliteJournal, lease: &Lease) -> Vec<String> {
    let Ok(loaded) = store.load_run(&lease.run).await else { return Vec::new() };
    let kept = RunDirectory::of(&engine.places.state, &lease.run).artifact(loaded.view.run().plan);
    let Ok(Ok(plan)) = kept.map(|kept| kept.plan()) else { return Vec::new() };
    let here = plan.targets.iter().filter(|(_, target)| lock::scope(&target.identity) == lease.scope);
    here.map(|(name, _)| name.to_string()).collect()
}

/// Ends a lease in somebody's name. The scope may be named by its beginning; the fence must be typed as
/// it is shown.
///
/// # Errors
/// When nothing like this is locked, or with another fence.
pub async fn break_lease(
    engine: &Engine,
    scope: &str,
    fence: u64,
    by: String,
) -> Result<String, EngineError> {
    let leases = held(engine).await?;
    let mut matching = leases.iter().map(|held| &held.lease.scope).filter(|held| held.starts_with(scope));
    let scope = match (matching.next(), matching.next()) {
        (Some(found), None) => found.clone(),
        _ => return Err(StoreError::LeaseUnknown { scope: scope.to_owned() }.into()),
    };
    let store = SqliteJournal::open(&engine.places.state.join(JOURNAL)).await?;
    store.break_lease(&scope, fence, &Actor::person(by), (engine.now_ms)()).await?;
    Ok(scope)
}
