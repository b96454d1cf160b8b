//! `locks` and `audit`.

use super::project::{json, out};
use crate::{
    arguments::{Audit, DataFormat, Locks},
    exit,
    failure::Failure,
    say::{say, tell},
    words::count,
};
use rectify_audit::{Anchors, Report};
use rectify_engine::{Engine, EngineError, audit as auditing, lease as leasing, undo::short};
use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
};

/// `locks`.
pub async fn locks(engine: &Engine, command: Option<Locks>) -> Result<u8, Failure> {
    match command {
        None => list(engine).await,
        Some(Locks::Break { scope, fence }) => {
            // The name is for the audit log; whoever may write in the state directory may do this.
            let by = format!("uid:{}", nix::unistd::getuid());
            let scope = leasing::break_lease(engine, &scope, fence, by).await?;
            say!("broke the lock of {} with fence {fence}", brief(&scope));
            say!("whoever had it begins nothing new; `rectify history` shows what it came to");
            Ok(exit::DONE)
        }
    }
}

fn brief(scope: &str) -> &str {
    scope.get(..16).unwrap_or(scope)
}

async fn list(engine: &Engine) -> Result<u8, Failure> {
    let held = leasing::held(engine).await?;
    if held.is_empty() {
        say!("nothing is locked");
    }
    for lock in &held {
        let state = match (lock.process, lock.in_time) {
            (true, _) => "at work",
            (false, true) => "at work elsewhere, or just ended",
            (false, false) => "left behind; the next run takes it over",
        };
        say!(
            "{}  {}  run {}  process {}  fence {}  for {} s, renewed {} s ago  {state}",
            brief(&lock.lease.scope),
            if lock.targets.is_empty() { "?".to_owned() } else { lock.targets.join(",") },
            short(&lock.lease.run),
            lock.lease.pid,
            lock.lease.fence,
            lock.age_s,
            lock.renewed_s
        );
    }
    Ok(exit::DONE)
}

/// `audit`.
pub async fn audit(engine: &Engine, command: Audit) -> Result<u8, Failure> {
    match command {
        Audit::Export { out: None } => {
            let mut bytes = Vec::new();
            let mut sink = |line: &[u8]| {
                bytes.extend_from_slice(line);
                Ok(())
            };
            auditing::export(engine, &mut sink).await?;
            out(&bytes)?;
            Ok(exit::DONE)
        }
        Audit::Export { out: Some(path) } => {
            let failed = |e: std::io::Error| Failure::plain(format!("cannot write {}: {e}", path.display()));
            let mut file = std::io::BufWriter::new(fs::File::create(&path).map_err(failed)?);
            auditing::export(engine, &mut |line| file.write_all(line)).await?;
            file.into_inner().map_err(|e| failed(e.into_error()))?.sync_all().map_err(failed)?;
            tell!("wrote {}", path.display());
            Ok(exit::DONE)
        }
        Audit::Checkpoint => {
            out(&auditing::checkpoint_now(engine).await?)?;
            Ok(exit::DONE)
        }
        Audit::Verify { export, checkpoint, key, since, format } => {
            let wanted = Wanted { checkpoint, key, since, format };
            verify(engine, export.as_deref(), &wanted).await
        }
    }
}

/// What a log is verified against.
struct Wanted {
    checkpoint: Option<PathBuf>,
    key: Option<PathBuf>,
    since: Option<PathBuf>,
    format: DataFormat,
}

async fn verify(engine: &Engine, export: Option<&Path>, wanted: &Wanted) -> Result<u8, Failure> {
    let read = |path: &Option<PathBuf>| {
        let bytes = path.as_ref().map(|path| {
            let failed = |e| Failure::plain(format!("cannot read {}: {e}", path.display()));
            fs::read(path).map(last_note).map_err(failed)
        });
        bytes.transpose()
    };
    let (checkpoint, since) = (read(&wanted.checkpoint)?, read(&wanted.since)?);
    let key = wanted.key.as_ref().map(|path| rectify_keys::read_public_key(path));
    let key = key.transpose().map_err(EngineError::from)?;
    let anchors = Anchors { checkpoint: checkpoint.as_deref(), since: since.as_deref(), key };
    let report = match export {
        None => auditing::verify_here(engine, anchors).await?,
        Some(path) => {
            let failed = |e| Failure::plain(format!("cannot read {}: {e}", path.display()));
            rectify_audit::verify(&fs::read(path).map_err(failed)?, anchors)
        }
    };
    match wanted.format {
        DataFormat::Json => out(&json(&report))?,
        DataFormat::Text => describe(&report),
    }
    Ok(if report.good() { exit::DONE } else { exit::ERROR })
}

/// The last checkpoint of a file to which each was appended.
fn last_note(bytes: Vec<u8>) -> Vec<u8> {
    let text = String::from_utf8_lossy(&bytes);
    // A note ends with its signatures; the blank line before those is its own.
    match text.trim_end_matches('\n').rfind("\n\nrectify") {
        Some(at) => {
            format!("{}\n", text.get(at + 2..).unwrap_or_default().trim_end_matches('\n')).into_bytes()
        }
        None => format!("{}\n", text.trim_end_matches('\n')).into_bytes(),
    }
}

fn describe(report: &Report) {
    match &report.finding {
        None => say!(
            "the log is whole: {}, {} of {} not ended",
            count(report.records, "record"),
            report.open_runs,
            count(report.runs, "run")
        ),
        Some(finding) => {
            let place = match finding.seq {
                Some(seq) => format!("record {seq}"),
                None => "the header or a checkpoint".to_owned(),
            };
            say!("the log is NOT whole, from {place} on: {} [{}]", finding.message, finding.code);
        }
    }
    if report.anchored == 0 {
        say!("no checkpoint vouches for it: whoever could write the log could have written another");
    } else {
        say!("a checkpoint vouches for {}", count(report.anchored, "record"));
    }
    say!("root {}", report.root);
}
