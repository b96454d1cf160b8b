//! Leases: who works on a target. A lease has a number, its fence, that is higher than all before, so
//! that a holder who was thought dead can be told from the one who took over.
//!
//! On one machine a lock on a file, which dies with its process, comes first; a row says who holds it
//! and keeps out those who cannot see that lock. What a stale holder still sends is refused where it
//! would be written, by its fence.

use crate::{
    StoreError,
    audit::{Entries, Log},
    write::integer,
};
use rectify_audit::{Action, Actor, BootId, Lease as Detail, record::Act};
use rectify_base::canonical;
use rectify_model::journal::RunId;
use sqlx::SqliteConnection;
use std::path::Path;

/// How long a lease lasts without being renewed, in milliseconds.
pub const LEASE_TTL_MS: u64 = 30_000;
/// How often it is to be renewed, in milliseconds.
pub const LEASE_RENEW_MS: u64 = 10_000;
/// With less than this left, in milliseconds, nothing new may be begun.
pub const LEASE_MARGIN_MS: u64 = 10_000;

/// Who asks for a lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// The run that it is for.
    pub run: RunId,
    /// The process.
    pub pid: u32,
    /// Whether the process holds the file lock of each scope. Then whoever had the lease before is
    /// gone, and it is taken over at once; without it a lease that was renewed less than
    /// [`LEASE_TTL_MS`] ago is respected.
    pub locked: bool,
}

/// A lease as the journal holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// What is locked: the identity of a target.
    pub scope: String,
    /// Its number.
    pub fence: u64,
    /// The run.
    pub run: RunId,
    /// The process.
    pub pid: u32,
    /// The boot of the machine on which that process runs or ran.
    pub boot_id: String,
    /// In milliseconds since 1970.
    pub acquired_at_ms: u64,
    /// In milliseconds since 1970.
    pub renewed_at_ms: u64,
    /// When it was let go, or broken, in milliseconds since 1970.
    pub released_at_ms: Option<u64>,
}

impl Lease {
    /// Whether it is held at a time: neither let go nor run out.
    #[must_use]
    pub const fn held(&self, at_ms: u64) -> bool {
        self.released_at_ms.is_none() && at_ms.saturating_sub(self.renewed_at_ms) < LEASE_TTL_MS
    }
}

type Row = (String, i64, String, i64, String, i64, i64, Option<i64>);
const COLUMNS: &str = "scope, fence, run_id, pid, boot_id, acquired_at_ms, renewed_at_ms, released_at_ms";

fn decode(path: &Path, row: Row) -> Result<Lease, StoreError> {
    let (scope, fence, run, pid, boot_id, acquired, renewed, released) = row;
    let corrupt = |detail: String| StoreError::Corrupt { path: path.to_owned(), detail };
    let unsigned = |value: i64| u64::try_from(value).unwrap_or(0);
    Ok(Lease {
        fence: unsigned(fence),
        run: RunId::new(run).map_err(|error| corrupt(format!("lease of {scope}: {error}")))?,
        scope,
        pid: u32::try_from(pid).unwrap_or(0),
        boot_id,
        acquired_at_ms: unsigned(acquired),
        renewed_at_ms: unsigned(renewed),
        released_at_ms: released.map(unsigned),
    })
}

/// All leases, by scope.
pub(crate) async fn list(path: &Path, connection: &mut SqliteConnection) -> Result<Vec<Lease>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM leases ORDER BY scope");
    let rows: Vec<Row> = sqlx::query_as(sqlx::AssertSqlSafe(sql))
        .fetch_all(connection)
        .await
        .map_err(|error| StoreError::sqlite(path, &error))?;
    rows.into_iter().map(|row| decode(path, row)).collect()
}

async fn one(
    path: &Path,
    connection: &mut SqliteConnection,
    scope: &str,
) -> Result<Option<Lease>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM leases WHERE scope = $1");
    let row: Option<Row> = sqlx::query_as(sqlx::AssertSqlSafe(sql))
        .bind(scope)
        .fetch_optional(connection)
        .await
        .map_err(|error| StoreError::sqlite(path, &error))?;
    row.map(|row| decode(path, row)).transpose()
}

/// Takes the lease of all scopes, or of none. Answers with its fence.
pub(crate) async fn acquire(
    path: &Path,
    connection: &mut SqliteConnection,
    scopes: &[String],
    holder: &Holder,
    at_ms: u64,
    log: &Log,
    entries: &mut Entries,
) -> Result<u64, StoreError> {
    let sqlite = |error: sqlx::Error| StoreError::sqlite(path, &error);
    for scope in scopes {
        let held = one(path, connection, scope).await?.filter(|lease| lease.held(at_ms));
        if let Some(lease) = held.filter(|_| !holder.locked) {
            let age_ms = at_ms.saturating_sub(lease.acquired_at_ms);
            return Err(StoreError::Held {
                scope: lease.scope,
                run: lease.run,
                pid: lease.pid,
                fence: lease.fence,
                age_ms,
            });
        }
    }
    let fence: i64 =
        sqlx::query_scalar("UPDATE counters SET value = value + 1 WHERE name = 'fence' RETURNING value")
            .fetch_one(&mut *connection)
            .await
            .map_err(sqlite)?;
    let boot_id = log.boot_id();
    for scope in scopes {
        sqlx::query(
            "INSERT INTO leases (scope, fence, run_id, pid, boot_id, acquired_at_ms, renewed_at_ms) \
             VALUES ($1, $2, $3, $4, $5, $6, $6) \
             ON CONFLICT (scope) DO UPDATE SET fence = $2, run_id = $3, pid = $4, boot_id = $5, \
             acquired_at_ms = $6, renewed_at_ms = $6, released_at_ms = NULL",
        )
        .bind(scope)
        .bind(fence)
        .bind(holder.run.as_str())
        .bind(i64::from(holder.pid))
        .bind(boot_id.as_str())
        .bind(integer(at_ms))
        .execute(&mut *connection)
        .await
        .map_err(sqlite)?;
    }
    let fence = u64::try_from(fence).unwrap_or(0);
    let detail = Detail {
        scopes: scopes.to_vec(),
        fence,
        run: holder.run.clone(),
        pid: holder.pid,
        boot_id: boot_id.clone(),
    };
    push(entries, Action::LeaseAcquired, at_ms, detail, None)?;
    Ok(fence)
}

fn push(
    entries: &mut Entries,
    action: Action,
    at_ms: u64,
    detail: Detail,
    actor: Option<Actor>,
) -> Result<(), StoreError> {
    let act = Act { run_id: Some(detail.run.clone()), actor, ..Act::new(action) };
    let body = canonical::compact(&detail).map_err(|error| StoreError::Record {
        run: detail.run.clone(),
        place: String::from("lease"),
        detail: error.to_string(),
    })?;
    entries.with_body(at_ms, act, body);
    Ok(())
}

/// Prolongs what this fence holds. All scopes or none.
pub(crate) async fn renew(
    path: &Path,
    connection: &mut SqliteConnection,
    scopes: &[String],
    fence: u64,
    at_ms: u64,
) -> Result<(), StoreError> {
    for scope in scopes {
        let done = sqlx::query(
            "UPDATE leases SET renewed_at_ms = MAX(renewed_at_ms, $3) \
             WHERE scope = $1 AND fence = $2 AND released_at_ms IS NULL",
        )
        .bind(scope)
        .bind(integer(fence))
        .bind(integer(at_ms))
        .execute(&mut *connection)
        .await
        .map_err(|error| StoreError::sqlite(path, &error))?;
        if done.rows_affected() != 1 {
            return Err(StoreError::LeaseLost { scope: scope.clone(), fence });
        }
    }
    Ok(())
}

/// Lets go of what this fence still holds.
pub(crate) async fn release(
    path: &Path,
    connection: &mut SqliteConnection,
    scopes: &[String],
    fence: u64,
    at_ms: u64,
    entries: &mut Entries,
) -> Result<(), StoreError> {
    let mut released: Option<Detail> = None;
    for scope in scopes {
        let Some(lease) = one(path, connection, scope).await? else { continue };
        if lease.fence != fence || lease.released_at_ms.is_some() {
            continue;
        }
        let detail = let_go(path, connection, lease, at_ms).await?;
        match &mut released {
            Some(all) => all.scopes.extend(detail.scopes),
            None => released = Some(detail),
        }
    }
    match released {
        Some(detail) => push(entries, Action::LeaseReleased, at_ms, detail, None),
        None => Ok(()),
    }
}

/// Ends a lease in the name of a person, who must name its fence.
pub(crate) async fn break_lease(
    path: &Path,
    connection: &mut SqliteConnection,
    scope: &str,
    fence: u64,
    by: &Actor,
    at_ms: u64,
    entries: &mut Entries,
) -> Result<(), StoreError> {
    let lease = one(path, connection, scope).await?.filter(|lease| lease.released_at_ms.is_none());
    let Some(lease) = lease else { return Err(StoreError::LeaseUnknown { scope: scope.to_owned() }) };
    if lease.fence != fence {
        return Err(StoreError::OtherFence { scope: scope.to_owned(), given: fence });
    }
    let detail = let_go(path, connection, lease, at_ms).await?;
    push(entries, Action::LeaseBroken, at_ms, detail, Some(by.clone()))
}

async fn let_go(
    path: &Path,
    connection: &mut SqliteConnection,
    lease: Lease,
    at_ms: u64,
) -> Result<Detail, StoreError> {
    sqlx::query("UPDATE leases SET released_at_ms = $2 WHERE scope = $1")
        .bind(&lease.scope)
        .bind(integer(at_ms))
        .execute(connection)
        .await
        .map_err(|error| StoreError::sqlite(path, &error))?;
    let boot_id = BootId::new(lease.boot_id).unwrap_or_else(|| BootId::from_bytes([0; 16]));
    Ok(Detail { scopes: vec![lease.scope], fence: lease.fence, run: lease.run, pid: lease.pid, boot_id })
}
