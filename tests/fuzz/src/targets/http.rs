//! What a server answers to a probe.

use crate::Target;
use rectify_protocol::message::{Configure, Directories, Mode, ReadItem};
use rectify_sdk::testing::{CallError, Client};
use serde_json::{Value, json};
use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener},
    sync::{LazyLock, Mutex, PoisonError},
    thread,
};

pub(super) const TARGET: Target = Target {
    name: "http",
    holds: "whatever a server sends, a probe is answered with yes or no; yes only for the status, header and body that were asked for, and nothing of the answer is repeated",
    check,
    seeds: |_| {
        let answers: [&[u8]; 12] = [
            b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-State: ready\r\n\r\nready",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-State: ready\r\n\r\n5\r\nready\r\n0\r\n\r\n",
            b"HTTP/1.0 200 OK\r\nX-State: not ready\r\nX-State: ready\r\n\r\nready\n",
            b"HTTP/1.1 204 No Content\r\nX-State: ready\r\n\r\n",
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
            b"HTTP/1.1 503 \x1b[31m\r\nContent-Length: 99999999999\r\n\r\nready",
            b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nready!",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\nready",
            b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\nX-State: ready\r\n\r\nready",
            b"SSH-2.0-x\r\n",
            b"",
        ];
        answers.map(<[u8]>::to_vec).to_vec()
    },
    max_bytes: 2048,
    replays: 15,
};

/// A server that answers each request with what stands here, and closes the connection.
static ANSWER: Mutex<Vec<u8>> = Mutex::new(Vec::new());

static SERVER: LazyLock<SocketAddr> = LazyLock::new(|| {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { continue };
            let mut request: Vec<u8> = Vec::new();
            let mut piece = [0; 4096];
            while !request.windows(4).any(|end| end == b"\r\n\r\n") {
                match stream.read(&mut piece) {
                    Ok(read) if read > 0 => request.extend(&piece[..read]),
                    _ => break,
                }
            }
            let answer = ANSWER.lock().unwrap_or_else(PoisonError::into_inner).clone();
            // The other side may have had enough.
            let _ = stream.write_all(&answer);
        }
    });
    address
});

static PROBE: LazyLock<Mutex<Client>> = LazyLock::new(|| {
    let mut client = Client::in_process(rectify_provider_probe::provider()).unwrap();
    client.greet(Mode::Plan, Directories::default(), &Configure::default()).unwrap();
    Mutex::new(client)
});

fn ask(client: &mut Client, more: &[(&str, Value)]) -> (bool, String) {
    let mut desired = json!({"url": format!("http://{}/", *SERVER), "timeout_ms": 2000});
    for (name, value) in more {
        desired[name] = value.clone();
    }
    let desired = desired.as_object().unwrap().clone();
    let item = ReadItem { type_name: "http.get".parse().unwrap(), desired, capture: false };
    match client.read(item) {
        Ok(answer) => {
            let state = answer.state.expect("a probe has a state");
            let detail = state["detail"].as_str().unwrap().to_owned();
            (state["ok"].as_bool().unwrap(), detail)
        }
        Err(CallError::Item(error)) => panic!("{error:?}"),
        Err(error) => panic!("{error}"),
    }
}

/// The status lines of an answer: those that say to go on, and the one after them.
fn statuses(answer: &[u8]) -> Vec<u16> {
    let lines = answer.split(|b| *b == b'\n');
    let number = |line: &[u8]| {
        let rest = line.strip_prefix(b"HTTP/1.")?;
        std::str::from_utf8(rest.get(2..5)?).ok()?.parse().ok()
    };
    lines.filter_map(number).collect()
}

fn check(data: &[u8]) {
    let mut client = PROBE.lock().unwrap_or_else(PoisonError::into_inner);
    *ANSWER.lock().unwrap_or_else(PoisonError::into_inner) = data.to_vec();
    let plain = ask(&mut client, &[]);
    let header = ask(&mut client, &[("headers", json!({"x-state": "^ready$"}))]);
    let body = ask(&mut client, &[("body", json!("ready"))]);
    let all = statuses(data);
    for (ok, detail) in [&plain, &header, &body] {
        assert!(detail.len() < 300 && !detail.contains(char::is_control), "{detail:?}");
        assert!(!ok || all.iter().any(|status| (200..300).contains(status)), "{all:?} is a success");
        assert!(!detail.contains("ready"), "what was answered is repeated: {detail}");
    }
    assert!(plain.0 || !(header.0 || body.0), "more was asked for, and it is less");
    let said = |word: &[u8]| data.windows(word.len()).any(|window| window == word);
    assert!(!header.0 || said(b"ready"), "a header that is not there");
    assert!(!body.0 || data.iter().filter(|b| **b == b'y').count() > 0, "a body that is not there");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_understood() {
        let mut client = PROBE.lock().unwrap_or_else(PoisonError::into_inner);
        *ANSWER.lock().unwrap() = (TARGET.seeds)(&crate::conformance()).remove(1);
        assert!(ask(&mut client, &[("body", json!("^ready$")), ("headers", json!({"X-State": "ready"}))]).0);
        assert!(!ask(&mut client, &[("body", json!("^steady$"))]).0);
    }
}
