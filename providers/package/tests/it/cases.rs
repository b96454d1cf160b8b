//! The cases under `tests/cases`: what the tools printed on nodes, and what is read from it.
//! `RECTIFY_UPDATE=1` writes what was read; read it before you keep it.

use rectify_provider_package::pure::{complaint, query, simulation};
use serde_json::{Value, json};
use std::{env, fs, path::Path};

#[test]
fn what_the_tools_print_is_understood() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let mut seen = 0;
    for entry in fs::read_dir(directory).unwrap() {
        let case = entry.unwrap().path();
        let text = |name: &str| fs::read_to_string(case.join(name)).unwrap();
        let mut expected: Value = serde_json::from_str(&text("expect.json")).unwrap();
        let (stdout, stderr) = (text("stdout.txt"), text("stderr.txt"));
        let found = match expected["tool"].as_str().unwrap() {
            "apt-get -s" => simulation(&stdout).unwrap(),
            "dpkg-query" => query(&stdout).unwrap(),
            "failed" => complaint(&stdout, &stderr),
            other => panic!("{}: `{other}`", case.display()),
        };
        if env::var_os("RECTIFY_UPDATE").is_some() {
            expected["found"] = found.clone();
            let text = serde_json::to_string_pretty(&expected).unwrap() + "\n";
            fs::write(case.join("expect.json"), text).unwrap();
        }
        assert_eq!(expected["found"], found, "{}", case.display());
        seen += 1;
    }
    assert!(seen >= 20, "{seen}");
}

#[test]
fn what_is_not_understood_is_no_transaction() {
    for line in ["Inst x", "Inst x [1.0]", "Inst  (1.0 a [all])", "Remv x [1.0", "Inst x\u{7} (1.0 a [all])"]
    {
        assert_eq!(simulation(line), Err(line.to_owned()));
    }
    assert_eq!(query("dpkg\tamd64\tinstall\tok\tinstalled\n"), None);
    assert_eq!(complaint("", ""), json!({"other": ""}));
}
