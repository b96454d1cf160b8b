//! From addresses and properties back to the text.

use crate::types::{INVENTORY, PROJECT, compile_files, file};
use rectify_base::Pointer;
use rectify_compile::{Locator, SourceFile, codes};

const REMEDIATION: &str = "\
apiVersion: rectify/v1
kind: Remediation
metadata: {name: a}
parameters:
  one: {type: string, default: x}
targets: {select: 'true'}
steps:
  file.one:
    after: [one]
    file.content: {path: /etc/ünï, content: '${{ params.one }}'}
  one:
    command.run:
      argv:
        - a
        - \"b\"
      env: {A/B: c}
verify:
  - tcp.connect: {port: 22}
  - within: 30s
    tcp.connect: {host: here, port: 23}
";

fn files() -> Vec<SourceFile> {
    vec![
        file("rectify.yaml", PROJECT),
        file("inventory/hosts.yaml", INVENTORY),
        file("remediations/a.yaml", REMEDIATION),
    ]
}

#[test]
fn a_property_is_found_where_it_was_written() {
    let files = files();
    let output = compile_files(&files);
    assert!(output.graph.is_some(), "{:#?}", output.diagnostics);
    let locator = output.locator(&files);
    let found = |address: &str, pointer: Option<&str>| {
        let pointer = pointer.map(Pointer::from);
        let place = locator.place(&address.parse().unwrap(), pointer.as_ref()).unwrap();
        assert_eq!(place.file, "remediations/a.yaml");
        format!("{}:{} {}", place.line, place.column, &REMEDIATION[place.start..place.end])
    };
    assert_eq!(found("a/file.one", None), "8:3 file.one");
    assert_eq!(found("a/file.one", Some("")), "10:5 file.content");
    assert_eq!(found("a/file.one", Some("/path")), "10:26 /etc/ünï");
    assert_eq!(found("a/file.one", Some("/content")), "10:45 '${{ params.one }}'");
    assert_eq!(found("a/one", Some("/argv")), "13:7 argv");
    assert_eq!(found("a/one", Some("/argv/1")), "15:11 \"b\"");
    assert_eq!(found("a/one", Some("/env/A~1B")), "16:18 c");
    // A default is shown at the type, an element that is not there at the list.
    assert_eq!(found("a/one", Some("/timeout_s")), "12:5 command.run");
    assert_eq!(found("a/one", Some("/argv/7")), "13:7 argv");
    assert_eq!(found("a/verify:0", None), "18:5 tcp.connect");
    assert_eq!(found("a/verify:0", Some("/port")), "18:25 22");
    assert_eq!(found("a/verify:1", Some("/host")), "20:25 here");
}

#[test]
fn a_problem_of_a_provider_becomes_a_diagnostic() {
    let files = files();
    let output = compile_files(&files);
    let locator = output.locator(&files);
    let (address, target) = ("a/file.one".parse().unwrap(), "beta".parse().unwrap());
    let code = codes::TYPE_INVALID;
    let found =
        locator.diagnostic(&address, Some(&target), Some(&Pointer::from("/path")), code, "no such owner");
    assert_eq!((found.code, found.message.as_str()), (code, "no such owner"));
    let label = &found.labels[0];
    assert_eq!((label.file.as_str(), label.text.as_str()), ("remediations/a.yaml", "on `beta`"));
    assert_eq!(&REMEDIATION[label.start..label.end], "/etc/ünï");

    let gone = "a/gone".parse().unwrap();
    let found = locator.diagnostic(&gone, Some(&target), None, code, "no such owner");
    assert_eq!((found.message.as_str(), found.labels.len()), ("`a/gone` on `beta`: no such owner", 0));
}

#[test]
fn files_that_have_changed_since_do_not_mislead() {
    let (mut files, pointer) = (files(), Pointer::from("/path"));
    let output = compile_files(&files);
    let address = "a/file.one".parse().unwrap();
    for text in ["", "[", "steps: {}\n", "a: 1\nb: 2\n"] {
        files[2].bytes = text.into();
        let place = Locator::new(&files, &output.source_map).place(&address, Some(&pointer)).unwrap();
        assert_eq!((place.line, place.column), (8, 3), "{text}");
    }
    let place = Locator::new(&[], &output.source_map).place(&address, Some(&pointer)).unwrap();
    assert_eq!((place.line, place.column), (8, 3));
}
