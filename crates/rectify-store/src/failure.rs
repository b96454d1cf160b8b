//! What a result code of SQLite means for the journal, and the one place that ends the process.

use std::path::Path;

/// What a failure is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// Somebody else holds the file.
    Busy,
    /// The file is damaged.
    Corrupt,
    /// There is no space.
    Full,
    /// Not a database.
    Foreign,
    /// What was written may not be on the disk, and cannot be made sure of any more.
    Sync,
    /// Anything else.
    Io,
}

/// Sorts an extended result code.
pub(crate) const fn sort(code: u32) -> Failure {
    const IOERR: u32 = 10;
    match (code, code & 0xff) {
        // IOERR_FSYNC, IOERR_DIR_FSYNC: the file, or its name in the directory.
        (0x040a | 0x050a, IOERR) => Failure::Sync,
        // IOERR_SHMSIZE: the index of the write-ahead log could not grow.
        (0x130a, IOERR) | (_, 13) => Failure::Full,
        (_, 5 | 6) => Failure::Busy,
        (_, 11) => Failure::Corrupt,
        (_, 26) => Failure::Foreign,
        _ => Failure::Io,
    }
}

/// What an error is.
pub(crate) fn of(error: &sqlx::Error) -> Failure {
    let code = error.as_database_error().and_then(|error| error.code()?.parse().ok());
    code.map_or(Failure::Io, sort)
}

/// Ends the process at once after a failed sync.
///
/// The kernel reports such a failure once and then holds the pages for clean, so a second sync would
/// succeed without anything being on the disk, and whatever is read back may never have been there.
/// Only a new process, which reads what is on the disk, can say what is stored. So nothing is cleaned
/// up, no other task gets to run, and no answer is given to anybody who waits.
pub(crate) fn abort(path: &Path, error: &sqlx::Error) -> ! {
    tracing::error!(
        path = %path.display(),
        %error,
        "the journal could not be synced; what is stored is only known after a new start"
    );
    std::process::abort()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_result_code_has_its_meaning() {
        let cases = [
            // SQLITE_BUSY, BUSY_SNAPSHOT, LOCKED
            (5, Failure::Busy),
            (517, Failure::Busy),
            (6, Failure::Busy),
            // SQLITE_CORRUPT, CORRUPT_INDEX
            (11, Failure::Corrupt),
            (779, Failure::Corrupt),
            // SQLITE_FULL, IOERR_SHMSIZE
            (13, Failure::Full),
            (4874, Failure::Full),
            // SQLITE_NOTADB
            (26, Failure::Foreign),
            // SQLITE_IOERR_FSYNC, IOERR_DIR_FSYNC
            (1034, Failure::Sync),
            (1290, Failure::Sync),
            // SQLITE_IOERR, IOERR_READ, IOERR_WRITE, IOERR_TRUNCATE, CANTOPEN, READONLY, CONSTRAINT
            (10, Failure::Io),
            (266, Failure::Io),
            (778, Failure::Io),
            (1546, Failure::Io),
            (14, Failure::Io),
            (8, Failure::Io),
            (787, Failure::Io),
        ];
        for (code, expected) in cases {
            assert_eq!(sort(code), expected, "{code}");
        }
    }
}
