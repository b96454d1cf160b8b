//! `http.get`, with real servers on this machine.

use crate::{Session, plain, session};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rectify_sdk::{
    protocol::{
        ErrorCode,
        message::{Configure, Directories, Mode},
    },
    testing::Client,
};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::{Value, json};
use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    path::Path,
    process::Command,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

/// Reads one request, and answers it by its path.
fn serve_one(stream: &mut (impl Read + Write), port: u16) {
    let mut reader = BufReader::new(&mut *stream);
    let (mut path, mut host) = (String::new(), String::new());
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or(0) == 0 {
            return;
        }
        if let Some(rest) = line.strip_prefix("GET ") {
            path = rest.split(' ').next().unwrap().to_owned();
        }
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("host")
        {
            host = value.trim().to_owned();
        }
        if line.trim().is_empty() {
            break;
        }
    }
    let answer = |status: &str, more: &str, body: &str| {
        format!(
            "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n{more}\r\n{body}",
            body.len()
        )
    };
    let answer = match path.as_str() {
        "/" => answer("200 OK", "X-Two: one\r\nX-Two: ready\r\n", "first line\nstatus: ready\n"),
        "/host" => answer("200 OK", "", &format!("host={host}\n")),
        "/moved" => answer("302 Found", "Location: /\r\n", ""),
        "/around" => answer("302 Found", "Location: /around\r\n", ""),
        "/down" => answer("302 Found", &format!("Location: http://127.0.0.1:{port}/\r\n"), ""),
        "/down/elsewhere" => answer("503 Service Unavailable", "", "not now\n"),
        "/long" => answer("200 OK", "", &("x".repeat(1_100_000) + "\nend\n")),
        "/cut" => "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nready".to_owned(),
        "/noise" => "nothing that HTTP knows\r\n\r\n".to_owned(),
        "/silence" => {
            thread::sleep(Duration::from_secs(3));
            return;
        }
        _ => answer("404 Not Found", "", ""),
    };
    // Whoever asked may have had enough.
    let _ = stream.write_all(answer.as_bytes());
    let _ = stream.flush();
}

/// A server until the end of the tests; its port.
fn server(each: impl Fn(TcpStream, u16) + Send + Sync + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let each = Arc::new(each);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let each = Arc::clone(&each);
            thread::spawn(move || each(stream, port));
        }
    });
    port
}

fn open() -> u16 {
    server(|mut stream, port| serve_one(&mut stream, port))
}

/// A server with a certificate for `app.test`, and the certificate of who vouches for it.
fn secure() -> (u16, String) {
    let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["app.test".to_owned()]).unwrap();
    let certificate = params.signed_by(&key, &issuer).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key.serialize_der().try_into().unwrap())
        .unwrap();
    let config = Arc::new(config);
    let port = server(move |stream, port| {
        let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
        serve_one(&mut StreamOwned::new(connection, stream), port);
    });
    (port, issuer.pem())
}

fn get(session: &mut Session, desired: &Value) -> (bool, String) {
    session.ask("http.get", desired).unwrap()
}

#[test]
fn an_answer_is_as_expected_or_not() {
    let base = format!("http://127.0.0.1:{}", open());
    let mut session = plain(Mode::Plan);
    for (path, more, ok, detail) in [
        ("/", json!({}), true, "answered with status 200"),
        ("", json!({}), true, "answered with status 200"),
        ("/no", json!({}), false, "answered with status 404"),
        ("/no", json!({"status": [404]}), true, "answered with status 404"),
        ("/down/elsewhere", json!({"status": [200, "500-504"]}), true, "answered with status 503"),
        ("/", json!({"body": "^status: ready$"}), true, "answered with status 200"),
        ("/", json!({"body": "^ready"}), false, "answered with status 200, but its body does not match"),
        ("/", json!({"headers": {"x-TWO": "^ready$"}}), true, "answered with status 200"),
        (
            "/",
            json!({"headers": {"x-two": "^no"}}),
            false,
            "answered with status 200, but its header `x-two` does not match",
        ),
        (
            "/",
            json!({"headers": {"x-none": "."}}),
            false,
            "answered with status 200, but its header `x-none` does not match",
        ),
        ("/long", json!({"body": "^x+"}), true, "answered with status 200"),
        (
            "/long",
            json!({"body": "^end$"}),
            false,
            "answered with status 200, but its body does not match in its first 1048576 bytes",
        ),
        ("/moved", json!({}), false, "answered with status 302"),
        ("/moved", json!({"status": [302]}), true, "answered with status 302"),
        ("/moved", json!({"redirects": 1}), true, "answered with status 200"),
        ("/around", json!({"redirects": 3}), false, "gave no answer: it leads on to too many others"),
    ] {
        let mut desired = more;
        desired["url"] = format!("{base}{path}").into();
        assert_eq!(get(&mut session, &desired), (ok, format!("{base}{path} {detail}")), "{desired}");
    }
    for path in ["/cut", "/noise"] {
        let (ok, detail) = get(&mut session, &json!({"url": format!("{base}{path}"), "body": "ready"}));
        assert!(!ok, "{detail}");
    }
}

#[test]
fn nobody_there_and_silence_are_a_no() {
    let port = open();
    let mut session = plain(Mode::Read);
    let begin = Instant::now();
    let url = format!("http://127.0.0.1:{port}/silence");
    let (ok, detail) = get(&mut session, &json!({"url": url, "timeout_ms": 300}));
    assert!(!ok && detail.starts_with(&url), "{detail}");
    assert!(begin.elapsed() < Duration::from_secs(3), "{:?}", begin.elapsed());
    let unused = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let (ok, detail) = get(&mut session, &json!({"url": format!("http://127.0.0.1:{unused}/")}));
    assert!(!ok && detail.contains("refused"), "{detail}");
    let (ok, detail) = get(&mut session, &json!({"url": "http://no.such.host.invalid/"}));
    assert!(!ok && detail.contains("no.such.host.invalid"), "{detail}");
}

#[test]
fn another_address_is_asked_for_the_same_name() {
    let port = open();
    let mut session = plain(Mode::Read);
    for address in [format!("127.0.0.1:{port}"), format!("localhost:{port}")] {
        let desired = json!({"url": "http://app.test/host", "address": address, "body": "^host=app.test$"});
        let (ok, detail) = get(&mut session, &desired);
        assert!(ok, "{detail}");
    }
    let url = format!("http://app.test:{port}/host");
    let desired = json!({"url": url, "address": "127.0.0.1", "body": format!("^host=app.test:{port}$")});
    assert!(get(&mut session, &desired).0);
}

fn asked(session: &mut Session, url: &str, port: u16, ca: &Path) -> (bool, String) {
    let desired = json!({"url": url, "address": format!("127.0.0.1:{port}"), "ca_file": ca});
    get(session, &desired)
}

#[test]
fn certificates_are_verified() {
    let ((port, pem), (_, other)) = (secure(), secure());
    let dir = tempfile::tempdir().unwrap();
    let (ca, wrong, none) =
        (dir.path().join("ca.pem"), dir.path().join("wrong.pem"), dir.path().join("none.pem"));
    fs::write(&ca, &pem).unwrap();
    fs::write(&wrong, &other).unwrap();
    fs::write(&none, "no certificate\n").unwrap();
    let mut session = plain(Mode::Plan);
    let (ok, detail) = asked(&mut session, "https://app.test/", port, &ca);
    assert!(ok, "{detail}");
    let (ok, detail) = asked(&mut session, "https://app.test/", port, &wrong);
    assert!(!ok && detail.contains("certificate"), "{detail}");
    let (ok, detail) = asked(&mut session, "https://other.test/", port, &ca);
    assert!(!ok && detail.contains("certificate"), "{detail}");
    // Where TLS is asked for, nothing else is good enough.
    let desired = json!({"url": "https://app.test/down", "address": format!("127.0.0.1:{port}"), "ca_file": ca, "redirects": 2});
    let (ok, detail) = get(&mut session, &desired);
    assert!(!ok && detail.ends_with("it leads on to an address without TLS"), "{detail}");
    let desired =
        json!({"url": "https://app.test/", "address": format!("127.0.0.1:{}", open()), "ca_file": ca});
    assert!(!get(&mut session, &desired).0, "a server that knows no TLS");
    for file in [&none, &dir.path().join("missing.pem")] {
        let error =
            session.ask("http.get", &json!({"url": "https://app.test/", "ca_file": file})).unwrap_err();
        assert_eq!((error.code, error.path.as_deref()), (ErrorCode::Dependency, Some("/ca_file")), "{error}");
    }
}

#[test]
fn the_certificates_of_the_system_are_those_of_the_target() {
    let (port, pem) = secure();
    let root = tempfile::tempdir().unwrap();
    let configure = Configure { root: Some(root.path().display().to_string()), ..Configure::default() };
    let mut session = session(Mode::Plan, &configure);
    let desired = json!({"url": "https://app.test/", "address": format!("127.0.0.1:{port}")});
    let error = session.ask("http.get", &desired).unwrap_err();
    assert_eq!(error.code, ErrorCode::Dependency, "{error}");
    fs::create_dir_all(root.path().join("etc/ssl/certs")).unwrap();
    fs::write(root.path().join("etc/ssl/certs/ca-certificates.crt"), &pem).unwrap();
    let (ok, detail) = get(&mut session, &desired);
    assert!(ok, "{detail}");
}

/// A proxy that the environment names is not asked.
#[test]
fn no_proxy_of_the_environment_is_used() {
    let dir = tempfile::tempdir().unwrap();
    let program = dir.path().join("provider");
    let provider = env!("CARGO_BIN_EXE_rectify-provider-probe");
    let variables =
        "http_proxy=http://127.0.0.1:1 HTTP_PROXY=http://127.0.0.1:1 ALL_PROXY=http://127.0.0.1:1";
    let script = format!("#!/bin/sh\nexec env {variables} {provider} \"$@\"\n");
    // A child writes it, so that no other thread's fork holds it open for writing when it is started.
    let mut writer = Command::new("sh");
    writer.args(["-c", "printf %s \"$1\" > \"$0\" && chmod 700 \"$0\""]).arg(&program).arg(&script);
    assert!(writer.status().unwrap().success());
    let mut client = Client::spawn(&program).unwrap();
    client.greet(Mode::Read, Directories::default(), &Configure::default()).unwrap();
    let (ok, detail) = get(&mut Session(client), &json!({"url": format!("http://127.0.0.1:{}/", open())}));
    assert!(ok, "{detail}");
}
