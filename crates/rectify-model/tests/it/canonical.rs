//! The writer of canonical JSON against the way through a tree of the value.

use proptest::{collection::vec, option, prelude::*};
use rectify_base::canonical::{self, CanonicalError};
use serde::Serialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Members out of order, options, variants of each kind, maps behind newtypes, empty things.
#[derive(Clone, Debug, Serialize)]
struct Zoo {
    zebra: u64,
    ant: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    bee: Option<i32>,
    none: Option<bool>,
    list: Vec<Animal>,
    map: BTreeMap<Name, (u8, char)>,
    #[serde(flatten)]
    more: BTreeMap<String, Value>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
struct Name(String);

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
enum Animal {
    Plain,
    Newtype(Vec<String>),
    Tuple(u8, String),
    Fields { zoo: String, age: Option<i64> },
    Empty {},
}

#[derive(Clone, Debug, Serialize)]
#[serde(tag = "kind")]
enum Tagged {
    One { b: u8, a: u8 },
    Two,
}

fn plain<T: Serialize>(value: &T) -> Result<(Vec<u8>, Vec<u8>), CanonicalError> {
    let value = serde_json::to_value(value).unwrap();
    canonical::check(&value)?;
    let mut file = serde_json::to_vec_pretty(&value).unwrap();
    file.push(b'\n');
    Ok((serde_json::to_vec(&value).unwrap(), file))
}

fn agree<T: Serialize>(value: &T) {
    match plain(value) {
        Ok((compact, file)) => {
            assert_eq!(canonical::compact(value).unwrap(), compact);
            assert_eq!(canonical::file_bytes(value).unwrap(), file);
        }
        Err(error) => {
            assert_eq!(canonical::compact(value).unwrap_err(), error);
            assert_eq!(canonical::file_bytes(value).unwrap_err(), error);
        }
    }
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![Just(String::new()), "[a-c]{1,3}", "[\"\\\\\n\u{1}é𝄞/ ]{0,4}"]
}

fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        prop_oneof![
            Just(9_007_199_254_740_991_i64),
            Just(9_007_199_254_740_992),
            Just(-9_007_199_254_740_992)
        ]
        .prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        Just(Value::from(1.5)),
        text().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            vec((text(), inner), 0..4).prop_map(|m| Value::Object(Map::from_iter(m))),
        ]
    })
}

fn animal() -> impl Strategy<Value = Animal> {
    prop_oneof![
        Just(Animal::Plain),
        vec(text(), 0..3).prop_map(Animal::Newtype),
        (any::<u8>(), text()).prop_map(|(n, t)| Animal::Tuple(n, t)),
        (text(), option::of(any::<i64>())).prop_map(|(zoo, age)| Animal::Fields { zoo, age }),
        Just(Animal::Empty {}),
    ]
}

prop_compose! {
    fn zoo()(
        zebra in any::<u64>(),
        ant in text(),
        bee in option::of(any::<i32>()),
        none in option::of(any::<bool>()),
        list in vec(animal(), 0..4),
        map in vec((text(), (any::<u8>(), any::<char>())), 0..4),
        more in vec(("[m-z]{1,3}", json()), 0..3),
    ) -> Zoo {
        let map = map.into_iter().map(|(k, v)| (Name(k), v)).collect();
        Zoo { zebra: zebra >> 12, ant, bee, none, list, map, more: more.into_iter().collect() }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn values(value in json()) {
        agree(&value);
    }

    #[test]
    fn types(zoo in zoo()) {
        agree(&zoo);
    }
}

#[test]
fn corners() {
    agree(&Tagged::One { b: 1, a: 2 });
    agree(&Tagged::Two);
    agree(&());
    agree(&Some("x"));
    agree(&[0_u8; 0]);
    for depth in [63, 64, 65, 66] {
        for end in [Value::Null, Value::from("x"), Value::from(1), Value::Array(Vec::new())] {
            agree(&(0..depth).fold(end, |inner, _| Value::Array(vec![inner])));
        }
    }
    // A flattened member that repeats a field: the later one counts, as in a tree.
    #[derive(Serialize)]
    struct Twice {
        a: u8,
        #[serde(flatten)]
        rest: BTreeMap<String, u8>,
    }
    agree(&Twice { a: 1, rest: BTreeMap::from([("a".to_owned(), 2), ("b".to_owned(), 3)]) });
}
