//! What a target's own files and its kernel tell.

use crate::{Target, sections};
use rectify_base::canonical;
use rectify_host::bytes;
use rectify_protocol::OPERATION_VARIABLE;
use rectify_provider_facts::pure;

pub(super) const TARGET: Target = Target {
    name: "facts",
    holds: "facts say what stands in the files and nothing else, in a form that a plan can hold; unread lines change nothing",
    check,
    seeds: |_| {
        let input = |name: &str, body: &str| sections::join(&[(name, body)]);
        vec![
            input(
                "os",
                "PRETTY_NAME=\"Debian \\\"12\\\"\"\nID=debian\n# ID=other\nVERSION_ID='12'\nID_LIKE=\"a b\"\nVERSION_CODENAME=bookworm\n",
            ),
            input("os", "ID=\"opensuse-leap\"\nID_LIKE=\"suse opensuse\"\nVARIANT_ID=\n"),
            input(
                "packages",
                "Package: a\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1:2-3\nDescription: x\n Package: no\n\nPackage: a\nStatus: hold ok installed\nArchitecture: i386\nVersion: 4\n\nPackage: b\nStatus: deinstall ok config-files\nVersion: 1\n",
            ),
            input(
                "mounts",
                "22 1 8:1 / / ro,nodev,relatime shared:1 - ext4 /dev/sda1 rw,errors=remount-ro\n30 22 0:30 / /mnt/with\\040space rw,noexec - tmpfs tmpfs ro,size=1k\n31 22 0:31 / /work rw - xfs /dev/sdb ro\n",
            ),
            input(
                "addresses",
                "20010db8000000000000000000000005 02 40 00 80     eth0\nfe800000000000000000000000000001 02 40 20 80     eth0\n",
            ),
            input("kernel", "6.1.0-18-amd64"),
            input("unit", "getty@tty1.service"),
            input("stat", "5 (a) Z (b) S 7 8 9 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 777 8 9\n"),
            sections::join(&[("environ", format!("A=1\0{OPERATION_VARIABLE}=00\0\0B"))]),
        ]
    },
    max_bytes: 2048,
    replays: 400,
};

fn check(data: &[u8]) {
    let sections = sections::split(data);
    let (name, body) = sections[0];
    let text = String::from_utf8_lossy(body).into_owned();
    match name {
        b"os" => os(&text),
        b"packages" => packages(&text),
        b"mounts" => mounts(&text),
        b"addresses" => {
            let found = pure::addresses(&text);
            assert!(found.len() <= text.lines().count());
            for (interface, (address, length)) in found {
                assert!(!address.is_loopback() && !address.is_unicast_link_local());
                assert!(text.contains(&interface));
                assert!(length <= 128, "{address} has a prefix of {length} bits");
            }
        }
        b"kernel" => {
            let told = pure::kernel(&text, "x86_64");
            canonical::check(&told).unwrap();
            assert_eq!(told["release"], text);
            let numbers = ["major", "minor", "patch"].map(|name| told["version"].get(name));
            let known = numbers.iter().flatten().map(|number| number.as_u64().unwrap());
            let again: Vec<String> = known.map(|number| number.to_string()).collect();
            let digits: Vec<&str> = text.split(|c: char| !c.is_ascii_digit()).collect();
            let there = again.iter().zip(digits).all(|(number, digits)| {
                let digits = digits.trim_start_matches('0');
                digits == number || (digits.is_empty() && number == "0")
            });
            assert!(there, "{text} is not {again:?}");
        }
        b"unit" => {
            let (is_unit, template) = pure::unit(&text);
            if let Some(template) = template {
                assert_eq!(pure::unit(&template).0, is_unit, "{template}");
                assert_eq!(pure::unit(&template).1, Some(template.clone()), "a template is its own template");
            }
        }
        b"stat" => stat(&text),
        b"environ" => environ(body),
        _ => {}
    }
}

fn os(text: &str) {
    let told = pure::os(text);
    canonical::check(&told).expect("facts are canonical");
    assert_eq!(pure::os(&format!("{text}\n# ID=other\nno assignment")), told, "unread lines count");
    // The last assignment counts, however it is quoted.
    let plain = pure::os(&format!("{text}\nID=debian"));
    let quoted = pure::os(&format!("{text}\nID=\"debian\""));
    assert_eq!((&plain["id"], &plain["family"]), (&"debian".into(), &"debian".into()));
    assert_eq!(plain, quoted);
}

fn packages(text: &str) {
    let told = pure::packages(text);
    for (name, version) in &told {
        // A name, or a name and an architecture; either may hold whatever stands there.
        let mut parts = name.split(':').chain([*version]);
        assert!(parts.all(|part| text.contains(part)), "{name} {version} stands nowhere");
    }
    let more = format!("{}\n\nPackage: zz-new\nStatus: install ok installed\nVersion: 7\n", text.trim_end());
    let again = pure::packages(&more);
    assert_eq!(again.get("zz-new"), Some(&"7"), "a package behind others is not seen");
    assert!(
        told.iter().all(|(name, version)| name.starts_with("zz-new") || again.get(name) == Some(version))
    );
    let gone =
        format!("{}\n\nPackage: zz-new\nStatus: deinstall ok config-files\nVersion: 7\n", text.trim_end());
    assert_eq!(pure::packages(&gone), told, "what is not installed is told");
}

fn mounts(text: &str) {
    let Ok(told) = pure::mounts(text, "/work") else { return };
    assert!(told.len() <= text.lines().count() && !told.contains_key("/work"));
    canonical::check(&told.clone().into()).expect("facts are canonical");
    // What a session does to each mount that it must not change is not told.
    let confined: Vec<String> = text
        .lines()
        .map(|line| {
            let (left, right) = line.split_once(" - ").unwrap();
            let flags = |(at, field): (usize, &str)| {
                if at == 5 { format!("{field},nodev,ro") } else { field.to_owned() }
            };
            let left: Vec<String> = left.split(' ').enumerate().map(flags).collect();
            format!("{} - {right}", left.join(" "))
        })
        .collect();
    assert_eq!(pure::mounts(&confined.join("\n"), "/work").as_ref(), Ok(&told));
    let over = format!("{}\n99 1 0:9 / /zz rw,sync - ext4 /dev/zz ro\n", text.trim_end_matches('\n'));
    let again = pure::mounts(over.trim_start_matches('\n'), "/work").expect("one more line");
    assert_eq!(again["/zz"]["read_only"], true);
}

/// Any name can stand between the parentheses.
fn stat(text: &str) {
    let _ = bytes::process(text);
    let name: String = text.chars().filter(|c| *c != '\0').collect();
    let line = format!("5 ({name}) S 7 -8 9 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 777 8 9\n");
    assert_eq!(bytes::process(&line), Some((7, -8, 777)));
    let ended = format!("5 ({name}) Z 7 -8 9 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 777 8 9\n");
    assert_eq!(bytes::process(&ended), None);
}

fn environ(body: &[u8]) {
    let found = bytes::operations(body);
    let mark = format!("{OPERATION_VARIABLE}=");
    let there = |op_id: &String| {
        let variable = format!("{mark}{op_id}");
        body.split(|byte| *byte == 0).any(|other| other == variable.as_bytes())
    };
    assert!(found.iter().all(there), "a mark that is not there");
    let more = [body, b"\0", mark.as_bytes(), b"zz\0"].concat();
    assert_eq!(bytes::operations(&more).len(), found.len() + 1);
}
