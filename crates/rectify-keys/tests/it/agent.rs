//! Keys in an ssh-agent: OpenSSH's own, and ones that misbehave.

use crate::tools::ssh_keygen;
use proptest::prelude::*;
use rectify_attest::{PublicKey, SignError, Signer};
use rectify_keys::{
    AgentSigner, KeyError,
    agent::{self, LIST_TIMEOUT, wire},
    codes, generate, load_signer, no_passphrase, read_public_key,
};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, listen, socket_with};
use std::{
    fs,
    io::{Read, Write},
    os::unix::{fs::PermissionsExt, net::UnixListener},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread::JoinHandle,
    time::{Duration, Instant},
};
use tempfile::{TempDir, tempdir};

/// OpenSSH's agent, with a directory for its socket and keys. It is ended with the value.
struct Agent {
    directory: TempDir,
    child: Child,
}

impl Agent {
    /// What it asks its user is answered by a program: `yes` or `no`, or the passphrase.
    fn start(user: &str) -> Self {
        let directory = tempdir().unwrap();
        let ask = directory.path().join("ask");
        fs::write(&ask, user).unwrap();
        fs::set_permissions(&ask, fs::Permissions::from_mode(0o700)).unwrap();
        let socket = directory.path().join("socket");
        let child = Command::new("ssh-agent")
            .arg("-D")
            .arg("-a")
            .arg(&socket)
            .env("SSH_ASKPASS", &ask)
            .env("SSH_ASKPASS_REQUIRE", "force")
            .env("DISPLAY", ":none")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let agent = Self { directory, child };
        let end = Instant::now() + Duration::from_secs(10);
        while agent::list(&socket, LIST_TIMEOUT).is_err() {
            assert!(Instant::now() < end, "ssh-agent does not start");
            std::thread::sleep(Duration::from_millis(10));
        }
        agent
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn socket(&self) -> PathBuf {
        self.path("socket")
    }

    fn add(&self, arguments: &[&str]) {
        let status = Command::new("ssh-add")
            .args(arguments)
            .current_dir(self.directory.path())
            .env("SSH_AUTH_SOCK", self.socket())
            .env("SSH_ASKPASS", self.path("ask"))
            .env("SSH_ASKPASS_REQUIRE", "force")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .unwrap();
        assert!(status.success(), "ssh-add {arguments:?}");
    }

    /// A new key in a file, and its public half.
    fn key(&self, name: &str) -> PublicKey {
        generate(&self.path(name), name, None).unwrap().public_key()
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const YES: &str = "#!/bin/sh\necho yes\n";
const NO: &str = "#!/bin/sh\necho no\nexit 1\n";

#[test]
fn it_signs_as_the_file_does() {
    let agent = Agent::start(YES);
    let public = agent.key("id");
    agent.add(&["-q", "id"]);
    assert_eq!(agent::list(&agent.socket(), LIST_TIMEOUT).unwrap(), [public]);
    let file = load_signer(&agent.path("id"), &mut no_passphrase).unwrap();
    let by_key =
        AgentSigner::with_key(&agent.socket(), read_public_key(&agent.path("id.pub")).unwrap()).unwrap();
    let by_name = AgentSigner::find(&agent.socket(), &public.fingerprint()).unwrap();
    for message in [&b""[..], b"DSSEv1 28 application/vnd.in-toto+json 2 {}", &[0xff; 100_000]] {
        for signer in [&by_key, &by_name] {
            assert_eq!(signer.public_key(), public);
            assert_eq!(signer.sign(message).unwrap(), file.sign(message).unwrap());
        }
    }
    let too_much = by_key.sign(&vec![0; wire::MESSAGE_MAX_BYTES]).unwrap_err();
    assert!(too_much.to_string().contains("more to sign"), "{too_much}");
}

#[test]
fn a_key_that_is_not_there_is_told_with_those_that_are() {
    let agent = Agent::start(YES);
    let (here, there) = (agent.key("here"), agent.key("there"));
    ssh_keygen(&["-q", "-t", "ecdsa", "-N", ""], &agent.path("other"));
    agent.add(&["-q", "other", "here"]);
    assert_eq!(agent::list(&agent.socket(), LIST_TIMEOUT).unwrap(), [here]);
    let error = AgentSigner::with_key(&agent.socket(), there).unwrap_err();
    assert_eq!(error.code(), codes::KEY_AGENT_KEY);
    let message = error.to_string();
    assert!(message.contains(&here.fingerprint()) && message.contains(&there.fingerprint()), "{message}");
    // A locked agent shows nothing.
    agent.add(&["-x"]);
    let error = AgentSigner::with_key(&agent.socket(), here).unwrap_err();
    assert!(error.to_string().ends_with("it holds no Ed25519 key"), "{error}");
    agent.add(&["-X"]);
    assert!(AgentSigner::with_key(&agent.socket(), here).is_ok());
}

#[test]
fn its_user_may_say_no() {
    for (user, agrees) in [(YES, true), (NO, false)] {
        let agent = Agent::start(user);
        let public = agent.key("id");
        agent.add(&["-q", "-c", "id"]);
        let signed = AgentSigner::with_key(&agent.socket(), public).unwrap().sign(b"message");
        match signed {
            Ok(signature) => assert!(agrees && public.verifies(b"message", &signature)),
            Err(error) => assert!(!agrees && error.to_string().contains("refuses to sign"), "{error}"),
        }
    }
}

#[test]
fn without_an_agent() {
    let directory = tempdir().unwrap();
    let public = generate(&directory.path().join("id"), "", None).unwrap().public_key();
    let agent = Agent::start(YES);
    let gone = agent.socket();
    drop(agent);
    fs::write(directory.path().join("file"), "").unwrap();
    let long = PathBuf::from(format!("/{}", "x".repeat(200)));
    for socket in [gone, directory.path().join("file"), directory.path().join("nothing"), long] {
        let error = AgentSigner::with_key(&socket, public).unwrap_err();
        assert_eq!(error.code(), codes::KEY_AGENT_MISSING, "{error}");
    }
}

/// Something at a socket that reads a request and writes what it is told, once for each answer.
fn answering(directory: &Path, answers: Vec<Vec<u8>>, pause: Option<Duration>) -> (PathBuf, JoinHandle<()>) {
    let socket = directory.join("socket");
    let _ = fs::remove_file(&socket);
    let listener = UnixListener::bind(&socket).unwrap();
    let thread = std::thread::spawn(move || {
        for answer in answers {
            let (mut stream, _) = listener.accept().unwrap();
            let mut length = [0; 4];
            stream.read_exact(&mut length).unwrap();
            let mut request = vec![0; u32::from_be_bytes(length) as usize];
            stream.read_exact(&mut request).unwrap();
            match pause {
                None => drop(stream.write_all(&answer)),
                // Byte by byte, until the other side has gone.
                Some(pause) => {
                    for byte in answer {
                        if stream.write_all(&[byte]).is_err() {
                            break;
                        }
                        std::thread::sleep(pause);
                    }
                }
            }
        }
    });
    (socket, thread)
}

fn text(bytes: &[u8]) -> Vec<u8> {
    [&u32::try_from(bytes.len()).unwrap().to_be_bytes(), bytes].concat()
}

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    text(&[&[kind], body].concat())
}

fn keys(public: &PublicKey) -> Vec<u8> {
    message(12, &[&[0, 0, 0, 1][..], &text(&public.blob()), &text(b"comment")].concat())
}

fn signature(algorithm: &[u8], bytes: &[u8]) -> Vec<u8> {
    message(14, &text(&[text(algorithm), text(bytes)].concat()))
}

#[test]
fn answers_that_are_of_no_use() {
    let directory = tempdir().unwrap();
    let public = generate(&directory.path().join("id"), "", None).unwrap().public_key();
    let list = keys(&public);
    let mut more = list.clone();
    more[3] += 1;
    more.push(0);
    let mut claimed = list.clone();
    claimed[5..9].copy_from_slice(&[0xff; 4]);
    let lists: Vec<(&str, Vec<u8>)> = vec![
        ("nothing", vec![]),
        ("half of a length", vec![0, 0]),
        ("no kind", vec![0, 0, 0, 0]),
        ("too long", [&u32::MAX.to_be_bytes()[..], &[12]].concat()),
        ("cut off", list[..20].to_vec()),
        ("of another kind", message(6, b"")),
        ("a refusal", message(5, b"")),
        ("more keys than there are", claimed),
        ("something behind", more),
        ("something else", b"SSH-2.0-OpenSSH_9.2\r\n".to_vec()),
    ];
    for (what, answer) in lists {
        let (socket, thread) = answering(directory.path(), vec![answer], None);
        let error = AgentSigner::with_key(&socket, public).unwrap_err();
        assert_eq!(error.code(), codes::KEY_AGENT_ANSWER, "{what}: {error}");
        thread.join().unwrap();
    }
    let other = generate(&directory.path().join("other"), "", None).unwrap().sign(b"message").unwrap();
    let signatures: Vec<(&str, Vec<u8>, &str)> = vec![
        ("by another key", signature(b"ssh-ed25519", &other), "does not verify"),
        ("of zeros", signature(b"ssh-ed25519", &[0; 64]), "does not verify"),
        ("too short", signature(b"ssh-ed25519", &[0; 63]), "not 64 bytes"),
        ("of another algorithm", signature(b"ssh-rsa", &[0; 64]), "not one of Ed25519"),
        ("a list of keys", list.clone(), "another kind"),
        ("a refusal", message(5, b""), "refuses to sign"),
        ("cut off", message(14, &[0, 0, 0, 9]), "cut off"),
    ];
    for (what, answer, told) in signatures {
        let (socket, thread) = answering(directory.path(), vec![list.clone(), answer], None);
        let error = AgentSigner::with_key(&socket, public).unwrap().sign(b"message").unwrap_err();
        assert!(error.to_string().contains(told), "{what}: {error}");
        assert_eq!(error == SignError::Inconsistent, told == "does not verify", "{what}");
        thread.join().unwrap();
    }
}

#[test]
fn one_deadline_for_the_whole_answer() {
    let directory = tempdir().unwrap();
    let public = generate(&directory.path().join("id"), "", None).unwrap().public_key();
    // Each byte comes long before the deadline, all of them long after it.
    let (socket, _thread) =
        answering(directory.path(), vec![keys(&public)], Some(Duration::from_millis(100)));
    let error = agent::list(&socket, Duration::from_millis(600)).unwrap_err();
    assert!(matches!(error, KeyError::AgentAnswer { .. }), "{error}");
    assert!(error.to_string().contains("nothing came within"), "{error}");
}

#[test]
fn an_agent_whose_queue_is_full_is_not_waited_for() {
    let directory = tempdir().unwrap();
    let socket = directory.path().join("socket");
    let listener = socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None).unwrap();
    bind(&listener, &SocketAddrUnix::new(&socket).unwrap()).unwrap();
    listen(&listener, 1).unwrap();
    // Nobody accepts, and what connected stays in the queue.
    let full = (0..20).find_map(|_| match agent::list(&socket, Duration::from_millis(1)) {
        Err(error @ KeyError::AgentMissing { .. }) => Some(error),
        _ => None,
    });
    let error = full.expect("the queue has an end");
    assert_eq!(error.code(), codes::KEY_AGENT_MISSING);
}

proptest! {
    /// Whatever the bytes, reading ends, and what is taken is one of the two messages.
    #[test]
    fn any_answer(kind in prop_oneof![Just(5u8), Just(12), Just(14), any::<u8>()], body in prop::collection::vec(any::<u8>(), 0..200)) {
        let answer = [&[kind][..], &body].concat();
        if let Ok(keys) = wire::read_keys(&answer) {
            prop_assert!(kind == 12 && keys.len() * 59 <= body.len());
        }
        if let Ok(signature) = wire::read_signature(&answer) {
            prop_assert_eq!(kind, if signature.is_some() { 14 } else { 5 });
        }
    }
}
