//! The audit log's checkpoints, and their copies where somebody else keeps them.

use crate::{Engine, EngineError, Event, apply::JOURNAL, codes, gate};
use rectify_attest::{PublicKey, Refusal, Signer};
use rectify_audit::{Action, Anchors, Decision, Refused, Report, checkpoint, record::Act};
use rectify_base::{Digest, canonical};
use rectify_store::{Journal, Options, SqliteJournal};
use std::{fs, io::Write, path::Path, sync::Arc, time::Duration};
use tokio::time::Instant;

/// Records after which a checkpoint is made.
pub const CHECKPOINT_RECORDS: u64 = 1_000;
/// Time after which one is made while there is something new.
pub const CHECKPOINT_EVERY: Duration = Duration::from_secs(60);
/// How often is looked whether one is due.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Makes a checkpoint over the log as it is now, keeps it, and copies it to each sink of the trust file.
/// Answers with its bytes. A sink that cannot be written is told of, and hides nothing.
///
/// # Errors
/// When the log cannot be read or the key does not sign.
pub async fn checkpoint(
    engine: &Engine,
    store: &SqliteJournal,
    signer: &(dyn Signer + Sync),
) -> Result<Vec<u8>, EngineError> {
    let head = store.head().await?;
    let note = checkpoint::sign(&head, signer)
        .map_err(|error| EngineError::Checkpoint { message: error.to_string() })?;
    store.put_checkpoint((engine.now_ms)(), note.clone()).await?;
    let sinks = gate::trust(engine)?.map(|trust| trust.data().audit_sinks.clone()).unwrap_or_default();
    for sink in sinks {
        if let Err(error) = append(Path::new(&sink), &note) {
            let message = format!("the checkpoint was NOT copied to {sink}: {error}");
            engine.events.on(&Event::Warning { code: codes::AUDIT_SINK, message });
        }
    }
    Ok(note)
}

/// Appends a checkpoint to a file, durably. A blank line stands between two.
fn append(path: &Path, note: &[u8]) -> std::io::Result<()> {
    let mut file = fs::OpenOptions::new().append(true).create(true).open(path)?;
    let mut bytes = note.to_vec();
    bytes.push(b'\n');
    file.write_all(&bytes)?;
    file.sync_all()
}

/// Makes checkpoints while a run is at work. It never ends.
pub async fn while_busy(engine: &Engine, store: Arc<SqliteJournal>, signer: &(dyn Signer + Sync)) {
    let mut done = store.head().await.map_or(0, |head| head.size);
    let mut last = Instant::now();
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let Ok(head) = store.head().await else { continue };
        let new = head.size.saturating_sub(done);
        if new >= CHECKPOINT_RECORDS || new > 0 && last.elapsed() >= CHECKPOINT_EVERY {
            if let Err(error) = checkpoint(engine, &store, signer).await {
                tracing::warn!(%error, "no checkpoint was made");
            }
            (done, last) = (head.size, Instant::now());
        }
    }
}

/// Notes that a plan was not let in, where this machine keeps a log already. The refusal stands, whether
/// that succeeds or not.
pub async fn note_refused(engine: &Engine, plan: Digest, refusals: &[Refusal]) {
    let journal = engine.places.state.join(JOURNAL);
    if !journal.exists() {
        return;
    }
    let mut codes: Vec<String> = refusals.iter().map(|refusal| refusal.code.to_string()).collect();
    codes.sort();
    codes.dedup();
    let act =
        Act { plan_digest: Some(plan), decision: Some(Decision::Deny), ..Act::new(Action::AdmissionRefused) };
    let detail = canonical::compact(&Refused { codes }).ok();
    let noted = match SqliteJournal::open(&journal).await {
        Ok(store) => store.note((engine.now_ms)(), act, detail).await,
        Err(error) => Err(error),
    };
    if let Err(error) = noted {
        tracing::warn!(%error, "the refusal is not in the audit log");
    }
}

/// The journal of this machine.
///
/// # Errors
/// When it cannot be opened.
pub async fn journal(engine: &Engine) -> Result<SqliteJournal, EngineError> {
    Ok(SqliteJournal::open(&engine.places.state.join(JOURNAL)).await?)
}

/// Makes a checkpoint now.
///
/// # Errors
/// See [`checkpoint`].
pub async fn checkpoint_now(engine: &Engine) -> Result<Vec<u8>, EngineError> {
    crate::apply::prepare_state(&engine.places.state)?;
    let signer = crate::apply::executor(engine)?;
    checkpoint(engine, &journal(engine).await?, &signer).await
}

/// The log of this machine as an export.
///
/// # Errors
/// When it cannot be read, or `sink` fails.
pub async fn export(
    engine: &Engine,
    sink: &mut (dyn FnMut(&[u8]) -> std::io::Result<()> + Send),
) -> Result<(), EngineError> {
    let key = executor_key(engine)?;
    // Whoever takes the log elsewhere wants to know that this file is whole.
    let options = Options { checked_max_bytes: u64::MAX, ..Options::default() };
    let store = SqliteJournal::open_with(&engine.places.state.join(JOURNAL), options).await?;
    store.export(key, true, sink).await?;
    Ok(())
}

/// The public half of this machine's executor key, if it has one yet.
///
/// # Errors
/// When it cannot be read.
pub fn executor_key(engine: &Engine) -> Result<Option<PublicKey>, EngineError> {
    let path = engine.places.state.join(crate::apply::EXECUTOR_KEY).with_extension("pub");
    Ok(if path.exists() { Some(rectify_keys::read_public_key(&path)?) } else { None })
}

/// Verifies the log of this machine against its latest checkpoint, or against what is given.
///
/// # Errors
/// When it cannot be read.
pub async fn verify_here(engine: &Engine, anchors: Anchors<'_>) -> Result<Report, EngineError> {
    let store = journal(engine).await?;
    let latest = store.checkpoints(1).await?.into_iter().next();
    let mut bytes = Vec::new();
    let mut sink = |line: &[u8]| {
        bytes.extend_from_slice(line);
        Ok(())
    };
    store.export(executor_key(engine)?, true, &mut sink).await?;
    let kept = latest.as_ref().map(|kept| kept.note.as_slice());
    let anchors = Anchors {
        checkpoint: anchors.checkpoint.or(kept),
        since: anchors.since,
        key: anchors.key.or(executor_key(engine)?),
    };
    Ok(rectify_audit::verify(&bytes, anchors))
}
