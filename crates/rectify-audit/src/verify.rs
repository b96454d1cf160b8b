//! Verifying an export, offline: form, order, chain, tree, signatures, continuation, run grammar.

use crate::{
    chain::{self, Chain, Head},
    checkpoint::{Checkpoint, CheckpointError},
    codes,
    detail::Detail,
    export::{self, Header},
    grammar::Grammar,
    record::{Act, Action, AuditRecord, Decision, LogId},
};
use rectify_attest::PublicKey;
use rectify_base::Code;
use serde::Serialize;

/// What was kept outside the machine, and is believed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Anchors<'a> {
    /// The checkpoint that the log must reach, as its bytes.
    pub checkpoint: Option<&'a [u8]>,
    /// An earlier one, of which the log must be a continuation.
    pub since: Option<&'a [u8]>,
    /// The key that must have signed both.
    pub key: Option<PublicKey>,
}

/// The first thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Stable code.
    pub code: &'static str,
    /// The first bad record; for a root, the first of those among which the bad one is. Absent if
    /// it is about the header or a checkpoint.
    pub seq: Option<u64>,
    /// What is wrong, for a person.
    pub message: String,
}

/// What came of verifying.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The log, if its header could be read.
    pub log_id: Option<LogId>,
    /// Records that were read and found good.
    pub records: u64,
    /// Records that the checkpoint vouches for. Without one nothing does: whoever could write the
    /// log could have written another.
    pub anchored: u64,
    /// Root of the tree over all records, in hexadecimal digits.
    pub root: String,
    /// Runs that were admitted.
    pub runs: u64,
    /// Runs among them that have not ended for good.
    pub open_runs: u64,
    /// The first thing that is wrong.
    pub finding: Option<Finding>,
}

impl Report {
    /// Whether nothing is wrong.
    #[must_use]
    pub const fn good(&self) -> bool {
        self.finding.is_none()
    }
}

/// Verifies a whole export.
#[must_use]
pub fn verify(bytes: &[u8], anchors: Anchors<'_>) -> Report {
    let mut verifier = Verifier::new(anchors);
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        if !verifier.line(line) {
            break;
        }
    }
    verifier.finish()
}

/// Verifies an export line by line, in memory for open runs only.
#[derive(Debug)]
pub struct Verifier {
    key: Option<PublicKey>,
    checkpoint: Option<Checkpoint>,
    since: Option<Checkpoint>,
    header: Option<Header>,
    chain: Option<Chain>,
    grammar: Grammar,
    anchored: u64,
    finding: Option<Finding>,
}

impl Verifier {
    /// Reads the anchors. What is wrong with them is told by [`Verifier::finish`].
    #[must_use]
    pub fn new(anchors: Anchors<'_>) -> Self {
        let mut verifier = Self {
            key: anchors.key,
            checkpoint: None,
            since: None,
            header: None,
            chain: None,
            grammar: Grammar::default(),
            anchored: 0,
            finding: None,
        };
        let read = |note: Option<&[u8]>| note.map(Checkpoint::read).transpose();
        match (read(anchors.checkpoint), read(anchors.since)) {
            (Ok(checkpoint), Ok(since)) => (verifier.checkpoint, verifier.since) = (checkpoint, since),
            (Err(error), _) | (_, Err(error)) => verifier.refuse_note(&error),
        }
        verifier
    }

    fn refuse(&mut self, code: Code, seq: Option<u64>, message: impl Into<String>) {
        self.finding.get_or_insert(Finding { code: code.as_str(), seq, message: message.into() });
    }

    fn refuse_note(&mut self, error: &CheckpointError) {
        self.refuse(error.code(), None, error.to_string());
    }

    /// Takes in the next line, with its end. Answers whether to go on.
    pub fn line(&mut self, line: &[u8]) -> bool {
        if self.finding.is_some() {
            return false;
        }
        let seq = self.chain.as_ref().map(|chain| chain.frontier().size() + 1);
        let Some(line) = line.strip_suffix(b"\n") else {
            let code = if seq.is_some() { codes::LINE } else { codes::HEADER };
            self.refuse(code, seq, "the line has no end");
            return false;
        };
        let result = match seq {
            None => self.header(line).map_err(|(code, message)| (code, None, message)),
            Some(seq) => self.record(seq, line).map_err(|(code, message)| (code, Some(seq), message)),
        };
        if let Err((code, seq, message)) = result {
            self.refuse(code, seq, message);
        }
        self.finding.is_none()
    }

    fn header(&mut self, line: &[u8]) -> Result<(), (Code, String)> {
        let header = Header::read(line).map_err(|message| (codes::HEADER, message))?;
        let chain = Chain::new(header.log_id.clone());
        for note in self.since.iter().chain(&self.checkpoint) {
            let Some(key) = self.key else {
                return Err((codes::SIGNATURE, "a checkpoint needs the key that signed it".into()));
            };
            note.verify(&header.log_id, &key).map_err(|error| (error.code(), error.to_string()))?;
        }
        if let (Some(key), Some(named)) = (&self.key, &header.key)
            && key != named
        {
            return Err((codes::HEADER, format!("it names the key {}", named.fingerprint())));
        }
        if let (Some(since), Some(checkpoint)) = (&self.since, &self.checkpoint)
            && since.size > checkpoint.size
        {
            return Err((
                codes::CONSISTENCY,
                "the checkpoint is older than the one it should continue".into(),
            ));
        }
        self.header = Some(header);
        self.chain = Some(chain);
        self.compare()
    }

    fn record(&mut self, seq: u64, line: &[u8]) -> Result<(), (Code, String)> {
        let (Some(header), Some(chain)) = (&self.header, &mut self.chain) else { return Ok(()) };
        let line = export::read(line).map_err(|message| (codes::LINE, message))?;
        let record = &line.record;
        if record.seq != seq {
            return Err((codes::SEQ, format!("record {} where record {seq} was due", record.seq)));
        }
        if record.log_id != header.log_id {
            return Err((codes::CHAIN, format!("it is of the log {}", record.log_id)));
        }
        if record.prev != *chain.prev() {
            let message = if seq == 1 {
                "the first record does not name the log as its beginning".into()
            } else {
                format!("it does not follow record {}: one of the two was changed", seq - 1)
            };
            return Err((codes::CHAIN, message));
        }
        let detail = detail(record, line.body, header.bodies).map_err(|message| (codes::DETAIL, message))?;
        self.grammar.push(record, detail).map_err(|message| (codes::GRAMMAR, message))?;
        chain.push(line.bytes);
        self.compare()
    }

    /// Compares the root where a checkpoint knows it.
    fn compare(&mut self) -> Result<(), (Code, String)> {
        let Some(head) = self.chain.as_ref().map(Chain::frontier) else { return Ok(()) };
        let reached = |note: &&Checkpoint| note.size == head.size();
        let since = self.since.as_ref().filter(reached);
        let checkpoint = self.checkpoint.as_ref().filter(reached);
        if since.is_none() && checkpoint.is_none() {
            return Ok(());
        }
        let root = head.root();
        let size = head.size();
        if since.is_some_and(|note| note.root != root) {
            return Err((
                codes::CONSISTENCY,
                format!("the first {size} records are not those of the earlier checkpoint"),
            ));
        }
        if checkpoint.is_some_and(|note| note.root != root) {
            return Err((codes::ROOT, format!("the first {size} records are not those of the checkpoint")));
        }
        self.anchored = size;
        Ok(())
    }

    /// What came of it.
    #[must_use]
    pub fn finish(mut self) -> Report {
        if self.header.is_none() {
            self.refuse(codes::HEADER, None, "there is no header");
        }
        let size = self.chain.as_ref().map_or(0, |chain| chain.frontier().size());
        if self.finding.is_none() {
            let missing = self.since.iter().chain(&self.checkpoint).find(|note| note.size > size);
            if let Some(expected) = missing.map(|note| note.size) {
                let message = format!("{size} records, and the checkpoint is over {expected}");
                self.refuse(codes::TRUNCATED, Some(size + 1), message);
            }
        }
        // A root tells only that something before it is bad; what the earlier one vouches for is not.
        let from = self.since.as_ref().map_or(1, |note| note.size.saturating_add(1));
        if let Some(finding) = &mut self.finding {
            if finding.code == codes::ROOT.as_str() {
                finding.seq = Some(from);
            } else if finding.code == codes::CONSISTENCY.as_str() {
                finding.seq = finding.seq.map(|_| 1);
            }
        }
        let (runs, open_runs) = self.grammar.runs();
        let head: Option<Head> = self.chain.as_ref().map(Chain::head);
        Report {
            log_id: head.as_ref().map(|head| head.log_id.clone()),
            records: size,
            anchored: if self.finding.is_none() { self.anchored } else { 0 },
            root: head.map_or(String::new(), |head| hex(&head.root)),
            runs,
            open_runs,
            finding: self.finding,
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Reads what a record says in detail, and compares the two.
fn detail(record: &AuditRecord, body: Option<&[u8]>, bodies: bool) -> Result<Option<Detail>, String> {
    let Some(body) = body else {
        let without = matches!(record.action, Action::ReceiptKept | Action::RunEnded);
        return if bodies && !without { Err("its body is missing".into()) } else { Ok(None) };
    };
    if !bodies {
        return Err("a body, and the header says there is none".into());
    }
    if record.detail_digest != Some(chain::detail_digest(body)) {
        return Err("the body is not the one that the record names".into());
    }
    let detail = export::detail(record.action, body)?;
    let contradiction = || Err("the record says something else than its body".into());
    match &detail {
        Detail::Run(run) => {
            let told = (Some(&run.run), Some(run.plan.blake3), Some(Decision::Allow));
            if (record.run_id.as_ref(), record.plan_digest, record.decision) != told {
                return contradiction();
            }
        }
        Detail::Lease(lease) => {
            if record.run_id.as_ref() != Some(&lease.run) {
                return contradiction();
            }
        }
        Detail::Record(journal) => {
            let act = Act::of_record(journal);
            let same = act.action == record.action
                && act.step_id == record.step_id
                && act.target == record.target
                && act.outcome == record.outcome
                && act.actor.is_none_or(|actor| actor == record.actor);
            if !same {
                return contradiction();
            }
        }
        Detail::Imported(_) | Detail::Refused(_) => {}
    }
    Ok(Some(detail))
}
