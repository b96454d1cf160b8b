//! Small changes to an input that leave most of it whole: to one section, and to a JSON text by its
//! structure.

use crate::{rng::Rng, sections};
use rectify_base::canonical;
use serde_json::{Value, json};

/// Changes an input a little. Equal seeds change equal inputs alike.
#[must_use]
pub fn mutate(input: &[u8], rng: &mut Rng) -> Vec<u8> {
    let mut parts: Vec<(Vec<u8>, Vec<u8>)> =
        sections::split(input).iter().map(|(name, body)| (name.to_vec(), body.to_vec())).collect();
    let at = rng.below(parts.len());
    if parts.len() > 1 && rng.chance(4) {
        match rng.below(3) {
            0 => drop(parts.remove(at)),
            1 => parts.push(parts[at].clone()),
            _ => parts.swap(at, 0),
        }
        return sections::join(&parts);
    }
    for _ in 0..1 + rng.below(3) {
        let body = &parts[at].1;
        parts[at].1 = match canonical::parse_strict(body) {
            Ok(mut value) if (value.is_object() || value.is_array()) && rng.chance(90) => {
                structure(&mut value, rng);
                let pretty = body.ends_with(b"\n");
                let bytes = if pretty { canonical::file_bytes(&value) } else { canonical::compact(&value) };
                bytes.unwrap_or_else(|_| body.clone())
            }
            _ => bytes(body, rng),
        };
    }
    sections::join(&parts)
}

const WORDS: [&str; 40] = [
    "null",
    "true",
    "0",
    "-1",
    "9007199254740992",
    "1e3",
    "\"",
    "\\u0000",
    "\\ud800",
    "{}",
    "[]",
    ": ",
    "- ",
    "\n  ",
    "#",
    "&a",
    "*a",
    "!!str",
    "|",
    ">-",
    "'",
    "\t",
    "\r\n",
    "\0",
    "\u{feff}",
    "\u{202e}",
    "é",
    "\u{1f600}",
    "${{ ",
    " }}",
    "params.",
    "target.",
    "for_each",
    "${{ 1 }}",
    "/",
    "..",
    "~",
    "~1",
    "%s",
    "[\"k\"]",
];

fn bytes(body: &[u8], rng: &mut Rng) -> Vec<u8> {
    let mut out = body.to_vec();
    let at = rng.below(out.len() + 1);
    let len = 1 + rng.below(8.min(out.len().saturating_sub(at)).max(1));
    let end = (at + len).min(out.len());
    match rng.below(8) {
        0 if at < out.len() => out[at] ^= 1 << rng.below(8),
        1 if at < out.len() => out[at] = rng.bits() as u8,
        2 => drop(out.drain(at..end)),
        3 => out.insert(at, *rng.pick(b"\0\n\r\t \"'{}[]:,-#\\/~%$.0aZ\x7f\x80\xff")),
        4 => {
            let from = rng.below(out.len() + 1);
            let piece = out[from..(from + 1 + rng.below(32)).min(out.len())].to_vec();
            drop(out.splice(at..at, piece));
        }
        5 | 6 => lines(&mut out, rng),
        _ => drop(out.splice(at..at, rng.pick(&WORDS).bytes())),
    }
    out
}

fn lines(out: &mut Vec<u8>, rng: &mut Rng) {
    let mut lines: Vec<Vec<u8>> = out.split_inclusive(|b| *b == b'\n').map(<[u8]>::to_vec).collect();
    if lines.is_empty() {
        return;
    }
    let (a, b) = (rng.below(lines.len()), rng.below(lines.len()));
    match rng.below(3) {
        0 => drop(lines.remove(a)),
        1 => lines.insert(b, lines[a].clone()),
        _ => lines.swap(a, b),
    }
    *out = lines.concat();
}

/// Changes a JSON value at one place.
pub fn structure(value: &mut Value, rng: &mut Rng) {
    let mut all = Vec::new();
    pointers(value, &mut String::new(), &mut all);
    let here = rng.pick(&all).clone();
    let other = value.pointer(rng.pick(&all).as_str()).cloned().unwrap_or_default();
    let (above, token) = here.rsplit_once('/').unwrap_or(("", ""));
    match rng.below(8) {
        0 | 1 => match value.pointer_mut(above) {
            Some(Value::Object(map)) => drop(map.remove(&token.replace("~1", "/").replace("~0", "~"))),
            Some(Value::Array(items)) => {
                let at = token.parse().unwrap_or(0);
                if at < items.len() {
                    items.remove(at);
                }
            }
            _ => {}
        },
        2 => {
            if let Some(Value::Array(items)) = value.pointer_mut(above)
                && !items.is_empty()
            {
                let (a, b) = (rng.below(items.len()), rng.below(items.len()));
                if rng.chance(50) { items.swap(a, b) } else { items.insert(b, items[a].clone()) }
            }
        }
        3 => {
            if let Some(Value::Object(map)) = value.pointer_mut(above) {
                let name = if rng.chance(50) { String::from(*rng.pick(&WORDS)) } else { word(&other) };
                map.insert(name, other);
            }
        }
        4 => *value.pointer_mut(&here).unwrap() = other,
        5 => {
            let any = [
                json!(null),
                json!(true),
                json!(0),
                json!(-1),
                json!(1_u64 << 53),
                json!(""),
                json!([]),
                json!({}),
            ];
            *value.pointer_mut(&here).unwrap() = rng.pick(&any).clone();
        }
        _ => match value.pointer_mut(&here).unwrap() {
            Value::String(text) => {
                let changed = bytes(text.as_bytes(), rng);
                *text = String::from_utf8_lossy(&changed).into_owned();
            }
            Value::Number(number) => {
                let by = rng.below(5) as i64 - 2;
                *number = number.as_i64().unwrap_or(0).saturating_add(by).into();
            }
            Value::Bool(flag) => *flag = !*flag,
            _ => {}
        },
    }
}

fn word(value: &Value) -> String {
    value.as_str().unwrap_or("x").chars().take(80).collect()
}

fn pointers(value: &Value, here: &mut String, all: &mut Vec<String>) {
    all.push(here.clone());
    let len = here.len();
    match value {
        Value::Array(items) => {
            for (at, item) in items.iter().enumerate() {
                here.push_str(&format!("/{at}"));
                pointers(item, here, all);
                here.truncate(len);
            }
        }
        Value::Object(map) => {
            for (key, item) in map {
                here.push('/');
                here.push_str(&key.replace('~', "~0").replace('/', "~1"));
                pointers(item, here, all);
                here.truncate(len);
            }
        }
        _ => {}
    }
}
