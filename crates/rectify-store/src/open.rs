//! Opening: permissions, whose file it is, which version, whether it is whole. Nothing is written
//! to a file before it is known to be ours.

use crate::{StoreError, audit::Log, import, space::RESERVE_BYTES};
use sqlx::{
    ConnectOptions as _, Connection as _, SqliteConnection,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous},
};
use std::{
    fs::{DirBuilder, File, OpenOptions},
    io::ErrorKind,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::Path,
    time::Duration,
};

/// Marks a file as ours, in SQLite's header: `RCTY`.
pub const APPLICATION_ID: i64 = 0x5243_5459;
/// The version that this release writes.
pub const VERSION: i64 = MIGRATIONS.len() as i64;
/// The oldest version that this release reads.
pub const VERSION_OLDEST: i64 = 1;

/// Each brings the version before it to its own, counted from 1.
const MIGRATIONS: &[&str] = &[
    include_str!("../migrations/0001_journal.sql"),
    include_str!("../migrations/0002_audit_and_leases.sql"),
];
/// The version that has an audit log.
const VERSION_AUDIT: i64 = 2;

/// Pages in the write-ahead log after which they are brought to their places, while commits wait. Pages that
/// were written often meanwhile are brought once. Sixteen MiB.
const CHECKPOINT_PAGES: u32 = 4 * 1024;

/// Settings of a journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// How long to wait for another process, in milliseconds.
    pub busy_timeout_ms: u64,
    /// Most pages (of 4 KiB) that the file may have.
    pub pages_max: u32,
    /// Size of the reserve for when the disk is full, in bytes; none if 0.
    pub reserve_bytes: u64,
    /// Longest file of which every page is looked at before it is used, in bytes. Of a longer one SQLite
    /// looks at each page that it needs, and the audit log proves what it says.
    pub checked_max_bytes: u64,
}

impl Default for Options {
    /// Ten seconds, 16 GiB, a reserve of 16 MiB, 4 MiB.
    fn default() -> Self {
        Self {
            busy_timeout_ms: 10_000,
            pages_max: 4 * 1024 * 1024,
            reserve_bytes: RESERVE_BYTES,
            checked_max_bytes: 4 * 1024 * 1024,
        }
    }
}

/// Opens the file, or makes it, and answers with the writing and the reading connection.
pub(crate) async fn open(
    path: &Path,
    options: Options,
    log: &Log,
) -> Result<(SqliteConnection, SqliteConnection), StoreError> {
    prepare_directory(path)?;
    prepare_file(path)?;
    inspect(path, options).await?;
    let sqlite = |error: sqlx::Error| StoreError::sqlite(path, &error);
    let connect = base(path, options)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .pragma("wal_autocheckpoint", CHECKPOINT_PAGES.to_string())
        .pragma("max_page_count", options.pages_max.to_string());
    let mut writer = connect.connect().await.map_err(sqlite)?;
    migrate(path, &mut writer, log).await?;
    let reader = base(path, options).pragma("query_only", "ON").connect().await.map_err(sqlite)?;
    Ok((writer, reader))
}

fn base(path: &Path, options: Options) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(false)
        .busy_timeout(Duration::from_millis(options.busy_timeout_ms))
        .disable_statement_logging()
}

fn prepare_directory(path: &Path) -> Result<(), StoreError> {
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let io = |error: std::io::Error| StoreError::io(directory, &error);
    DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(io)?;
    private(directory, "directory", 0o700)
}

fn prepare_file(path: &Path) -> Result<(), StoreError> {
    let io = |error: std::io::Error| StoreError::io(path, &error);
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Ok(file) => {
            // The name must survive a power loss as surely as the records in it.
            file.sync_all().map_err(io)?;
            let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
            File::open(directory.unwrap_or(Path::new("."))).and_then(|d| d.sync_all()).map_err(io)
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            if !path.symlink_metadata().map_err(io)?.is_file() {
                let problem = String::from("not a plain file");
                return Err(StoreError::Permissions { path: path.to_owned(), problem });
            }
            private(path, "file", 0o600)
        }
        Err(error) => Err(io(error)),
    }
}

fn private(path: &Path, what: &str, wanted: u32) -> Result<(), StoreError> {
    let metadata = path.metadata().map_err(|error| StoreError::io(path, &error))?;
    let mode = metadata.permissions().mode() & 0o7777;
    if mode & 0o077 == 0 {
        return Ok(());
    }
    let problem = format!("others may use this {what}: its mode is {mode:04o}, expected {wanted:04o}");
    Err(StoreError::Permissions { path: path.to_owned(), problem })
}

/// Looks without writing.
async fn inspect(path: &Path, options: Options) -> Result<(), StoreError> {
    let sqlite = |error: sqlx::Error| StoreError::sqlite(path, &error);
    let mut connection = base(path, options).connect().await.map_err(sqlite)?;
    let application: i64 =
        sqlx::query_scalar("PRAGMA application_id").fetch_one(&mut connection).await.map_err(sqlite)?;
    let version: i64 =
        sqlx::query_scalar("PRAGMA user_version").fetch_one(&mut connection).await.map_err(sqlite)?;
    let objects: i64 = sqlx::query_scalar("SELECT count(*) FROM sqlite_schema")
        .fetch_one(&mut connection)
        .await
        .map_err(sqlite)?;
    let fresh = application == 0 && version == 0 && objects == 0;
    let path_buf = || path.to_owned();
    if !fresh {
        if application != APPLICATION_ID {
            let detail = format!("its application id is {application:#010x}, not {APPLICATION_ID:#010x}");
            return Err(StoreError::Foreign { path: path_buf(), detail });
        }
        if version > VERSION {
            return Err(StoreError::TooNew { path: path_buf(), found: version, known: VERSION });
        }
        if version < VERSION_OLDEST {
            return Err(StoreError::TooOld { path: path_buf(), found: version, oldest: VERSION_OLDEST });
        }
        let length = path.metadata().map_err(|error| StoreError::io(path, &error))?.len();
        let findings: Vec<String> = if length <= options.checked_max_bytes {
            sqlx::query_scalar("PRAGMA quick_check(3)").fetch_all(&mut connection).await.map_err(sqlite)?
        } else {
            vec!["ok".into()]
        };
        if findings != ["ok"] {
            return Err(StoreError::Corrupt { path: path_buf(), detail: findings.join("; ") });
        }
    }
    connection.close().await.map_err(sqlite)
}

/// Brings the file to [`VERSION`], in one transaction, unless another process just did.
async fn migrate(path: &Path, connection: &mut SqliteConnection, log: &Log) -> Result<(), StoreError> {
    let sqlite = |error: sqlx::Error| StoreError::sqlite(path, &error);
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await.map_err(sqlite)?;
    let version: i64 =
        sqlx::query_scalar("PRAGMA user_version").fetch_one(&mut *transaction).await.map_err(sqlite)?;
    let due = usize::try_from(version).unwrap_or(usize::MAX);
    for migration in MIGRATIONS.iter().skip(due) {
        sqlx::raw_sql(*migration).execute(&mut *transaction).await.map_err(sqlite)?;
    }
    if version < VERSION_AUDIT {
        import::begin_audit(path, &mut transaction, log).await?;
    }
    if version < VERSION {
        let marks = format!("PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {VERSION}");
        sqlx::raw_sql(sqlx::AssertSqlSafe(marks)).execute(&mut *transaction).await.map_err(sqlite)?;
    }
    transaction.commit().await.map_err(sqlite)
}
