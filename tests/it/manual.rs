//! The manual pages, read by the programs that people read them with.

use rectify_tests::Scratch;
use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

/// What a program says about a page: standard output. It must not complain.
fn read(program: &str, arguments: &[&str], page: &Path) -> String {
    let output = Command::new(program)
        .args(arguments)
        .arg(page)
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("LC_ALL", "C.UTF-8")
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|e| panic!("{program}: {e}"));
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && complaint.is_empty(), "{program} {}: {complaint}", page.display());
    String::from_utf8(output.stdout).unwrap()
}

/// A page as it is shown on a terminal, without its marks for bold.
fn shown(page: &Path) -> String {
    let text = read("groff", &["-man", "-Tutf8", "-ww", "-rLL=100n", "-P-c", "-P-b", "-P-u"], page);
    let mut plain = String::new();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        if chars.peek() == Some(&'\u{8}') {
            chars.next();
            continue;
        }
        plain.push(c);
    }
    plain
}

#[test]
fn every_page_is_sound_and_found_by_its_name() {
    let scratch = Scratch::new();
    scratch.ok(&["man", "pages/man1"]);
    let mut pages: Vec<_> =
        fs::read_dir(scratch.path("pages/man1")).unwrap().map(|entry| entry.unwrap().path()).collect();
    pages.sort();
    assert!(pages.len() >= 28, "{}", pages.len());
    for page in &pages {
        let name = page.file_stem().unwrap().to_str().unwrap();
        // What `apropos` and `whatis` show.
        let whatis = read("lexgrog", &[], page);
        assert!(whatis.contains(&format!(": \"{name} - ")), "{whatis}");
        let text = shown(page);
        for heading in ["NAME", "SYNOPSIS", "DESCRIPTION", "EXIT STATUS", "SEE ALSO"] {
            assert!(text.contains(&format!("\n{heading}\n")), "{name} has no {heading}:\n{text}");
        }
        // References lead somewhere.
        for word in text.split("\nSEE ALSO\n").nth(1).unwrap().split_whitespace() {
            if let Some((other, _)) = word.split_once("(1)") {
                assert!(page.with_file_name(format!("{other}.1")).is_file(), "{name} refers to {word}");
            }
        }
    }
    let whole = shown(&scratch.path("pages/man1/rectify.1"));
    for heading in ["FILES", "ENVIRONMENT", "EXAMPLES"] {
        assert!(whole.contains(&format!("\n{heading}\n")), "{whole}");
    }
    for code in ["64", "130"] {
        assert!(whole.contains(&format!("\n       {code} ")), "{whole}");
    }
    let again = fs::read(scratch.path("pages/man1/rectify-plan.1")).unwrap();
    scratch.ok(&["man", "pages/man1"]);
    assert_eq!(again, fs::read(scratch.path("pages/man1/rectify-plan.1")).unwrap());
}

#[test]
fn a_page_with_a_mistake_is_noticed() {
    let scratch = Scratch::new();
    scratch.write("bad.1", ".TH BAD 1\n.SH NAME\nbad \\- a page\n.XX nothing\n");
    let caught = std::panic::catch_unwind(|| shown(&scratch.path("bad.1")));
    assert!(caught.is_err());
}
