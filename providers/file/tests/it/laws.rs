//! Laws, for arbitrary states and properties: planning changes nothing; what is planned is what is
//! there afterwards; only the path of the step changed; a second plan is empty; the inverse brings
//! everything back.

use crate::world::{World, print_of};
use proptest::{prelude::*, test_runner::TestRunner};
use rectify_sdk::protocol::{ErrorCode, message::ApplyStatus};
use serde_json::{Value, json};
use std::{
    cell::{Cell, RefCell},
    fs,
    os::unix::fs::{PermissionsExt, symlink},
};

const CASES: u32 = 100;

/// What is at `/t/x` before.
#[derive(Clone, Debug)]
enum Before {
    Nothing,
    File(Vec<u8>, u32),
    Directory(u32, u8),
    Link(String),
}

fn set_up(world: &World, before: &Before) {
    let place = world.at("/t");
    if place.exists() {
        fs::remove_dir_all(&place).unwrap();
    }
    fs::create_dir(&place).unwrap();
    fs::write(place.join("bystander"), "b").unwrap();
    let path = world.at("/t/x");
    match before {
        Before::Nothing => return,
        Before::File(bytes, _) => fs::write(&path, bytes).unwrap(),
        Before::Directory(_, entries) => {
            fs::create_dir(&path).unwrap();
            for n in 0..*entries {
                fs::write(path.join(format!("e{n}")), "e").unwrap();
            }
        }
        Before::Link(target) => return symlink(target, &path).unwrap(),
    }
    if let Before::File(_, mode) | Before::Directory(mode, _) = before {
        fs::set_permissions(&path, fs::Permissions::from_mode(*mode)).unwrap();
    }
}

/// Checks the laws for one state and one item. Returns whether there was something to do.
fn laws(world: &mut World, name: &str, before: &Before, desired: &Value) -> bool {
    set_up(world, before);
    let first = world.snapshot();
    let answer = world.plan(name, desired);
    assert_eq!(world.snapshot(), first, "planning changes nothing");
    let planned = match answer {
        Ok(Some(planned)) => planned,
        Ok(None) => return false,
        Err(error) => {
            assert!(
                matches!(error.code, ErrorCode::Failed | ErrorCode::Conflict | ErrorCode::Unsupported),
                "{error}"
            );
            return false;
        }
    };
    let op = world.operation(name, desired, &planned);
    let found = world.read(name, desired, true).unwrap();
    assert_eq!(print_of(name, found.state.as_ref()), op.expect);
    let applied = world.apply(&op).unwrap();
    assert_eq!(applied.status, ApplyStatus::Applied);
    world.holds(name, desired, &op, &applied);
    let second = world.snapshot();
    let others = |snapshot: &std::collections::BTreeMap<String, Vec<u8>>| {
        snapshot
            .iter()
            .filter(|(path, _)| !path.starts_with("t/x"))
            .map(|(p, w)| (p.clone(), w.clone()))
            .collect::<Vec<_>>()
    };
    assert_eq!(others(&second), others(&first), "only what the step touches changed");
    if planned.undo == "exact" {
        let inverse = world.inverse(name, desired, &planned);
        assert_eq!(world.apply(&inverse).unwrap().status, ApplyStatus::Applied);
        assert_eq!(world.snapshot(), first, "an exact inverse brings everything back");
        assert_eq!(world.apply(&inverse).unwrap().status, ApplyStatus::Already);
    }
    true
}

/// Runs the laws until `CASES` of them had something to do.
fn check(name: &str, before: impl Strategy<Value = Before>, desired: impl Strategy<Value = Value>) {
    let world = RefCell::new(World::new());
    let changes = Cell::new(0);
    let mut runner = TestRunner::new(ProptestConfig {
        cases: CASES,
        failure_persistence: None,
        max_global_rejects: 4 * CASES,
        ..ProptestConfig::default()
    });
    runner
        .run(&(before, desired), |(before, desired)| {
            // A case with nothing to do is thrown away, so that each that counts changes something.
            prop_assume!(laws(&mut world.borrow_mut(), name, &before, &desired));
            changes.set(changes.get() + 1);
            Ok(())
        })
        .unwrap();
    assert!(changes.get() >= CASES);
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let word = prop::sample::select(vec![
        &b"a"[..],
        b"b",
        b"key = 1",
        b"#key = 2",
        b"\xff\x00",
        "ü".as_bytes(),
        b"\n",
        b"\r\n",
        b"\n",
        b"# BEGIN RECTIFY MANAGED BLOCK\nold\n# END RECTIFY MANAGED BLOCK\n",
    ]);
    prop::collection::vec(word, 0..8).prop_map(|words| words.concat())
}

/// Always readable by the owner, so that the laws hold for whoever runs them.
fn mode() -> impl Strategy<Value = u32> {
    (0_u32..0o1000).prop_map(|mode| mode | 0o700)
}

fn maybe_mode() -> impl Strategy<Value = Option<String>> {
    prop::option::of(mode().prop_map(|mode| format!("0{mode:03o}")))
}

fn file() -> impl Strategy<Value = Before> {
    (bytes(), mode()).prop_map(|(bytes, mode)| Before::File(bytes, mode))
}

fn with(mut desired: Value, extra: Vec<(&str, Option<Value>)>) -> Value {
    for (key, value) in extra {
        if let Some(value) = value {
            desired[key] = value;
        }
    }
    desired
}

fn content() -> impl Strategy<Value = Value> {
    (bytes(), maybe_mode()).prop_map(|(bytes, mode)| {
        let mut desired = json!({"path": "/t/x"});
        match String::from_utf8(bytes) {
            Ok(text) => desired["content"] = text.into(),
            Err(error) => {
                use base64::{Engine as _, engine::general_purpose::STANDARD};
                desired["content_base64"] = STANDARD.encode(error.into_bytes()).into();
            }
        }
        with(desired, vec![("mode", mode.map(Value::from))])
    })
}

fn position() -> impl Strategy<Value = (Value, Option<Value>)> {
    prop::sample::select(vec![
        (json!("end"), None),
        (json!("beginning"), None),
        (json!("after"), Some(json!("[ab]"))),
        (json!("before"), Some(json!("[ab]"))),
    ])
}

fn line(state: &'static str, create: bool) -> impl Strategy<Value = Value> {
    let pattern = prop::option::of(prop::sample::select(vec!["^#?key", "^a", "[ab]$", "^$"]));
    let text = prop::sample::select(vec!["a", "key = 3", "zz", "ü"]);
    let occurrence = prop::sample::select(vec!["last", "first", "all"]);
    (pattern, text, occurrence, position(), maybe_mode()).prop_map(
        move |(pattern, text, occurrence, (position, anchor), mode)| {
            let (position, anchor) = if create { (json!("end"), None) } else { (position, anchor) };
            let desired = json!({
                "path": "/t/x", "line": text, "occurrence": occurrence, "state": state, "position": position,
                "create": create
            });
            with(
                desired,
                vec![
                    ("match", pattern.map(Value::from)),
                    ("anchor", anchor),
                    ("mode", mode.map(Value::from)),
                ],
            )
        },
    )
}

fn block(state: &'static str, create: bool) -> impl Strategy<Value = Value> {
    ("[ab\n]{0,6}", position(), maybe_mode()).prop_map(move |(text, (position, anchor), mode)| {
        let (position, anchor) = if create { (json!("end"), None) } else { (position, anchor) };
        let desired =
            json!({"path": "/t/x", "block": text, "state": state, "position": position, "create": create});
        with(desired, vec![("anchor", anchor), ("mode", mode.map(Value::from))])
    })
}

/// Texts of settings, most of them sound.
fn settings(words: Vec<&'static str>) -> impl Strategy<Value = Before> {
    (prop::sample::select(words), any::<bool>(), mode()).prop_map(|(text, crlf, mode)| {
        let text = if crlf { text.replace('\n', "\r\n") } else { text.to_owned() };
        Before::File(text.into_bytes(), mode)
    })
}

const INI: [&str; 6] = [
    "[a]\nk = 1\n#x=2\n",
    "# c\nk=0\n[b]\nx=1 \\\n 2\n[a]\nx: 1\n",
    "[a]\nk=1\nk=2\n",
    "[a]\nx=1",
    "",
    "[a]\nk\n  x=3\n",
];

fn ini(state: &'static str, create: bool) -> impl Strategy<Value = Value> {
    let section = prop::option::of(prop::sample::select(vec!["a", "b", "c"]));
    let key = prop::sample::select(vec!["k", "x", "z"]);
    let value = prop::sample::select(vec![json!("1"), json!("7"), json!(["7", "8"]), json!(true), json!("")]);
    (section, key, value, any::<bool>(), maybe_mode()).prop_map(move |(section, key, value, keep, mode)| {
        let place: Vec<&str> = section.into_iter().chain([key]).collect();
        let mut desired = json!({"path": "/t/x", "key": place, "state": state, "create": create});
        if state == "present" {
            desired["value"] = value;
            desired["keep_others"] = keep.into();
        }
        with(desired, vec![("mode", mode.map(Value::from))])
    })
}

const JSON: [&str; 6] = [
    "{\n  \"a\": {\"b\": 1, \"c\": [1, 2]},\n  \"d\": \"x\"\n}\n",
    "{\"a\":{\"b\":[]},\"d\":0.50}",
    "{}",
    "",
    "{\"a\": 1, // no\n}",
    "{\"d\": 1, \"d\": 2, \"a\": {}}",
];

const TOML: [&str; 6] = [
    "d = 'x' # c\n\n[a]\nb = 1\nc = [1, 2]\n",
    "a = { b = 1, c = [1, 2] }\n",
    "[a.b]\nx = 0.5\n[[d]]\n",
    "",
    "a = ",
    "a.b = 1\na.c = [\n  1,\n  2, # two\n]",
];

const YAML: [&str; 6] = [
    "# c\na:\n  b: 1 # one\n  c:\n  - 1\n  - 2\nd: 'x'\n",
    "a: {b: 1, c: [1, 2]}\nd: |\n  x\n  y\n",
    "---\na:\n    b: yes\n",
    "",
    "a: &x {b: 1}\nd: *x\n",
    "a: 1\n---\nd: 1\n",
];

/// An edit of a tree, at a place that the texts have or might have.
fn tree(state: &'static str, create: bool) -> impl Strategy<Value = Value> {
    let place = vec![json!(["a", "b"]), json!(["a", "c", 2]), json!(["d"]), json!(["n", "m"]), json!(["a"])];
    let wanted = vec![
        json!({"value": 7}),
        json!({"value": "yes"}),
        json!({"value": {"x": [true, "é"], "y": {}}}),
        json!({"value": []}),
        json!({"literal": "0.25"}),
    ];
    (prop::sample::select(place), prop::sample::select(wanted), maybe_mode()).prop_map(
        move |(place, wanted, mode)| {
            let mut desired = json!({"path": "/t/x", "key": place, "state": state, "create": create});
            if state == "present" {
                desired.as_object_mut().unwrap().extend(wanted.as_object().unwrap().clone());
            } else {
                desired["key"].as_array_mut().unwrap().retain(Value::is_string);
            }
            with(desired, vec![("mode", mode.map(Value::from))])
        },
    )
}

fn directory() -> impl Strategy<Value = Value> {
    maybe_mode().prop_map(|mode| with(json!({"path": "/t/x"}), vec![("mode", mode.map(Value::from))]))
}

fn link() -> impl Strategy<Value = Value> {
    "[a-z./]{1,12}".prop_map(|target| json!({"path": "/t/x", "target": target}))
}

fn absent(recursive: bool) -> Value {
    json!({"path": "/t/x", "recursive": recursive})
}

#[test]
fn content_is_created() {
    check("file.content", Just(Before::Nothing), content());
}

#[test]
fn content_is_updated() {
    check("file.content", file(), content());
}

#[test]
fn a_file_is_created_for_a_line() {
    check("file.line", Just(Before::Nothing), line("present", true));
}

#[test]
fn a_line_is_put_in() {
    check("file.line", file(), line("present", false));
}

#[test]
fn a_line_is_taken_out() {
    check("file.line", file(), line("absent", false));
}

#[test]
fn a_file_is_created_for_a_block() {
    check("file.block", Just(Before::Nothing), block("present", true));
}

#[test]
fn a_block_is_put_in() {
    check("file.block", file(), block("present", false));
}

#[test]
fn a_block_is_taken_out() {
    check("file.block", file(), block("absent", false));
}

#[test]
fn a_file_is_created_for_a_setting() {
    check("file.ini", Just(Before::Nothing), ini("present", true));
    check("file.json", Just(Before::Nothing), tree("present", true));
    check("file.toml", Just(Before::Nothing), tree("present", true));
    check("file.yaml", Just(Before::Nothing), tree("present", true));
}

#[test]
fn an_option_is_put_in() {
    check("file.ini", settings(INI.to_vec()), ini("present", false));
}

#[test]
fn an_option_is_taken_out() {
    check("file.ini", settings(INI.to_vec()), ini("absent", false));
}

#[test]
fn a_value_is_put_into_json() {
    check("file.json", settings(JSON.to_vec()), tree("present", false));
}

#[test]
fn a_value_is_taken_out_of_json() {
    check("file.json", settings(JSON.to_vec()), tree("absent", false));
}

#[test]
fn a_value_is_put_into_toml() {
    check("file.toml", settings(TOML.to_vec()), tree("present", false));
}

#[test]
fn a_value_is_taken_out_of_toml() {
    check("file.toml", settings(TOML.to_vec()), tree("absent", false));
}

#[test]
fn a_value_is_put_into_yaml() {
    check("file.yaml", settings(YAML.to_vec()), tree("present", false));
}

#[test]
fn a_value_is_taken_out_of_yaml() {
    check("file.yaml", settings(YAML.to_vec()), tree("absent", false));
}

#[test]
fn directories_are_created() {
    check("file.directory", Just(Before::Nothing), directory());
}

#[test]
fn directories_are_updated() {
    let before = (mode(), 0_u8..3).prop_map(|(mode, entries)| Before::Directory(mode, entries));
    check("file.directory", before, directory());
}

#[test]
fn links_are_created() {
    check("file.link", Just(Before::Nothing), link());
}

#[test]
fn links_are_turned() {
    check("file.link", "[a-z./]{1,12}".prop_map(Before::Link), link());
}

#[test]
fn files_are_removed() {
    check("file.absent", file(), Just(absent(false)));
}

#[test]
fn directories_are_removed() {
    let before = (mode(), 0_u8..4).prop_map(|(mode, entries)| Before::Directory(mode, entries));
    check("file.absent", before, Just(absent(true)));
}

#[test]
fn links_are_removed() {
    check("file.absent", "[a-z./]{1,12}".prop_map(Before::Link), Just(absent(true)));
}
