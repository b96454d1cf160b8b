//! The wire between engine and provider.

use crate::{Target, rng::Rng};
use rectify_protocol::{
    Frame, FrameError,
    frame::read_line,
    message::{
        Applied, Apply, Batch, BatchResult, BlobChunk, BlobGet, BlobPut, BlobReceived, Cancel, Configure,
        DesiredItem, Initialize, Initialized, ItemResult, Log, OpStatus, OpStatusQuery, PlanAnswer, PlanItem,
        Progress, ReadAnswer, ReadItem, Restore, method,
    },
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{json, value::RawValue};
use std::{
    io::{BufReader, Read},
    path::Path,
};

pub(super) const TARGET: Target = Target {
    name: "frames",
    holds: "a stream gives the same lines wherever it is cut into reads; a frame that is read is written so that it reads the same",
    check,
    seeds,
    max_bytes: 4096,
    replays: 100,
};

/// Hands out a stream in pieces of chance length.
struct Pieces<'a> {
    rest: &'a [u8],
    rng: Rng,
}

impl Read for Pieces<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.rng.chance(10) {
            return Err(std::io::ErrorKind::Interrupted.into());
        }
        let len = (1 + self.rng.below(40)).min(buffer.len()).min(self.rest.len());
        buffer[..len].copy_from_slice(&self.rest[..len]);
        self.rest = &self.rest[len..];
        Ok(len)
    }
}

/// A line, or nothing where it was too long.
type Line = Option<Vec<u8>>;

fn lines(stream: &[u8], limit: usize, seed: u64) -> Vec<Line> {
    let rng = Rng::new(seed);
    let mut reader = BufReader::with_capacity(1 + rng.clone().below(64), Pieces { rest: stream, rng });
    let (mut line, mut all) = (Vec::new(), Vec::new());
    loop {
        match read_line(&mut reader, &mut line, limit) {
            Ok(true) => all.push(Some(line.clone())),
            Ok(false) => return all,
            Err(FrameError::TooLarge { limit: said }) => {
                assert_eq!(said, limit);
                all.push(None);
            }
            Err(error) => panic!("{error}"),
        }
        assert!(line.len() <= limit);
    }
}

fn check(data: &[u8]) {
    let seed = u64::from(data.first().copied().unwrap_or(0));
    let stream = data.get(1..).unwrap_or_default();
    for limit in [16, 4096] {
        let expected: Vec<Line> = stream
            .split(|b| *b == b'\n')
            .filter(|line| !line.is_empty())
            .map(|line| (line.len() <= limit).then(|| line.to_vec()))
            .collect();
        assert_eq!(lines(stream, limit, seed), expected);
        assert_eq!(lines(stream, limit, seed + 1), expected);
    }
    for line in stream.split(|b| *b == b'\n') {
        let Ok(frame) = serde_json::from_slice::<Frame>(line) else { continue };
        let written = frame.to_line().unwrap();
        assert!(
            written.ends_with(b"\n") && !written[..written.len() - 1].contains(&b'\n'),
            "a frame of two lines"
        );
        let again: Frame = serde_json::from_slice(&written).unwrap();
        assert_eq!(again.to_line().unwrap(), written);
        for body in [frame.params.as_deref(), frame.result.as_deref()].into_iter().flatten() {
            bodies(body);
        }
        if let Ok(text) = std::str::from_utf8(line)
            && rectify_host::bytes::allowed(text).is_ok()
        {
            // What the engine lets in is at most four levels deeper than a value may be.
            let value: serde_json::Value = serde_json::from_str(text).expect("what is allowed is JSON");
            assert!(!has_float(&value));
        }
    }
}

fn has_float(value: &serde_json::Value) -> bool {
    match value {
        serde_json::Value::Number(number) => number.is_f64(),
        serde_json::Value::Array(items) => items.iter().any(has_float),
        serde_json::Value::Object(map) => map.values().any(has_float),
        _ => false,
    }
}

fn bodies(body: &RawValue) {
    same::<Initialize>(body);
    same::<Initialized>(body);
    same::<Configure>(body);
    same::<Batch<DesiredItem>>(body);
    same::<Batch<ReadItem>>(body);
    same::<BatchResult<ReadAnswer>>(body);
    same::<Batch<PlanItem>>(body);
    same::<BatchResult<PlanAnswer>>(body);
    same::<Apply>(body);
    same::<ItemResult<Applied>>(body);
    same::<OpStatus>(body);
    same::<BlobPut>(body);
    same::<ItemResult<BlobReceived>>(body);
    same::<BlobGet>(body);
    same::<ItemResult<BlobChunk>>(body);
    same::<Progress>(body);
    same::<Log>(body);
    same::<Cancel>(body);
    same::<OpStatusQuery>(body);
    same::<Restore>(body);
}

fn same<T: DeserializeOwned + Serialize>(body: &RawValue) {
    if let Ok(message) = Frame::decode::<T>(Some(body)) {
        let once = serde_json::to_string(&message).unwrap();
        let again: T = serde_json::from_str(&once).expect("what was read is written so that it can be read");
        assert_eq!(serde_json::to_string(&again).unwrap(), once);
    }
}

fn seeds(_: &Path) -> Vec<Vec<u8>> {
    let digest = rectify_base::Digest::of_bytes(b"x");
    let item = json!({"type": "file.content", "desired": {"path": "/etc/motd", "content": "x"}});
    let bodies = [
        (
            method::INITIALIZE,
            json!({"protocol": {"min": "1.0", "max": "1.0"}, "session": "00", "mode": "plan", "frame_max_bytes": 8_388_608, "dirs": {"work": "/w", "state": "", "blobs": ""}}),
        ),
        (method::CONFIGURE, json!({"root": "/r", "plan_commands": [["/bin/true"]]})),
        (method::READ, json!({"items": [item]})),
        (
            method::PLAN,
            json!({"items": [item, {"type": "file.content", "desired": {}, "prior": {"state": null}}]}),
        ),
        (
            method::APPLY,
            json!({"op_id": "00", "type": "file.content", "desired": {"path": "/x"}, "expect": digest, "action": "create", "deadline_ms": 1, "fence": 1, "attempt": 1}),
        ),
    ];
    let mut all: Vec<Vec<u8>> = vec![b"\x07\n\n\r\n{}\nabc".to_vec(), vec![0]];
    let mut stream = vec![1];
    for (id, (name, body)) in bodies.iter().enumerate() {
        stream.extend(Frame::request(id as u64, name, body).unwrap().to_line().unwrap());
    }
    for answer in [
        json!({"protocol": "1.0", "session": "00", "name": "file", "version": "1", "manifest": digest}),
        json!({"items": [{"ok": {"state": {"path": "/x"}, "before_image": digest}}]}),
        json!({"items": [{"ok": {"unchanged": {"state": {}}}}, {"ok": {"changed": {"prediction": "exact", "undo": "none"}}}]}),
        json!({"error": {"code": "FAILED", "message": "m", "mutated": "maybe"}}),
        json!({"done": {"ok": {"status": "applied", "output": {"stdout": "", "stderr": "", "truncated": false}}}}),
        json!({"ok": {"size": 4, "chunk": "YmxvYg=="}}),
    ] {
        stream.extend(Frame::response(7, &answer).unwrap().to_line().unwrap());
    }
    all.push(stream);
    all
}
