//! `names`: how names, addresses, ids and digests are spelt. Readers and schemas say the same.

use crate::vectors;
use rectify_base::{
    Address, Digest, ProjectName, RemediationName, Sha256Digest, StepName, TargetName, TypeName,
};
use rectify_model::journal::{RunId, UseId};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Spelling {
    kind: String,
    #[serde(rename = "of")]
    _of: String,
    valid: Vec<String>,
    invalid: Vec<String>,
}

fn parses(kind: &str, text: &str) -> bool {
    match kind {
        "name" => {
            let each = [
                ProjectName::new(text).is_ok(),
                RemediationName::new(text).is_ok(),
                StepName::new(text).is_ok(),
                TargetName::new(text).is_ok(),
            ];
            assert!(each.iter().all(|ok| *ok == each[0]), "{text}");
            each[0]
        }
        "type" => TypeName::new(text).is_ok(),
        "address" => Address::new(text).is_ok(),
        "use" => UseId::new(text).is_ok(),
        "run" => RunId::new(text).is_ok(),
        "blake3" => text.parse::<Digest>().is_ok(),
        "sha256" => text.parse::<Sha256Digest>().is_ok(),
        other => panic!("{other}"),
    }
}

#[test]
fn spellings() {
    for v in vectors::<Spelling>("names/names.json", 7) {
        for text in &v.valid {
            assert!(parses(&v.kind, text), "{} `{text}` is valid", v.kind);
        }
        for text in &v.invalid {
            assert!(!parses(&v.kind, text), "{} `{text}` is not valid", v.kind);
        }
    }
}
