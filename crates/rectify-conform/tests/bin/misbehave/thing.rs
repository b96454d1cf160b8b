//! Two types, a file and a run, and what may be wrong with them.

use rectify_sdk::{
    Context, Ended, Found, Provider, Run,
    base::{Digest, Pointer, TypeName, fingerprint},
    protocol::{
        ErrorCode, ItemError, Manifest, Mutated, VERSION,
        manifest::{FORMAT, ProtocolRange, TouchRule, TypeDescriptor},
        message::{
            Applied, Apply, ApplyStatus, DesiredItem, PlanAnswer, PlanItem, RESTORE, ReadAnswer, ReadItem,
            Restore,
        },
    },
    stand_in,
};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::{
    collections::BTreeMap,
    env, fs,
    fs::OpenOptions,
    io::Write,
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::Mutex,
    thread,
    time::{Duration, Instant, SystemTime},
};

const THING: &str = "mis.thing";
const RUN: &str = "mis.run";

pub struct Misbehaving {
    behaviour: String,
    /// How many items of the last request were looked at.
    items: Mutex<(u64, u32)>,
    leaked: Mutex<Vec<Vec<u8>>>,
}

/// Properties of a thing.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Thing {
    path: String,
    #[serde(default)]
    text: String,
    #[serde(default)]
    private: bool,
    #[serde(default)]
    directory: bool,
    #[serde(default)]
    slow: bool,
    #[serde(default)]
    fail: bool,
}

/// Properties of a run.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Once {
    append: String,
    #[serde(default)]
    slow: bool,
    #[serde(default)]
    fail: bool,
    #[serde(default)]
    stdin: String,
}

fn failed(e: impl std::fmt::Display) -> ItemError {
    ItemError::new(ErrorCode::Failed, e.to_string())
}

fn read<T: serde::de::DeserializeOwned>(properties: &Map<String, Value>) -> Result<T, ItemError> {
    serde_json::from_value(Value::Object(properties.clone()))
        .map_err(|e| ItemError::new(ErrorCode::Schema, e.to_string()).at(""))
}

pub fn manifest(behaviour: &str) -> Manifest {
    let open = behaviour == "open-schema";
    let schema = |properties: Value, required: &[&str]| json!({"type": "object", "required": required, "properties": properties, "additionalProperties": open});
    let thing = schema(
        json!({
            "path": {"type": "string"}, "text": {"type": "string", "x-rectify-secret": true},
            "private": {"type": "boolean"}, "directory": {"type": "boolean"},
            "slow": {"type": "boolean"}, "fail": {"type": "boolean"},
        }),
        &["path"],
    );
    let run = schema(
        json!({
            "append": {"type": "string"}, "slow": {"type": "boolean"}, "fail": {"type": "boolean"},
            "stdin": {"type": "string", "x-rectify-secret": true},
        }),
        &["append"],
    );
    let of =
        |name: &str, kind: &str, retry: &str, undo: &str, prediction: &str, schema: Value, path: &str| {
            TypeDescriptor {
                name: TypeName::new(name).unwrap(),
                version: 1,
                kind: kind.into(),
                summary: "Made for tests.".into(),
                schema,
                volatile: vec![Pointer::from("/note")],
                touches: vec![TouchRule {
                    property: Pointer::from(path),
                    kind: "path".into(),
                    access: "write".into(),
                }],
                prediction: prediction.into(),
                retry: retry.into(),
                undo: undo.into(),
                compare_and_swap: false,
                read_timeout_ms: 10_000,
                apply_timeout_ms: 100_000,
            }
        };
    Manifest {
        format: FORMAT.into(),
        name: "misbehave".into(),
        version: "0.1.0".into(),
        protocol: ProtocolRange { min: VERSION, max: VERSION },
        types: vec![
            of(RUN, "action", "once", "none", "opaque", run, "/append"),
            of(THING, "resource", "converge", "exact", "exact", thing, "/path"),
        ],
    }
}

impl Misbehaving {
    pub fn new(behaviour: &str) -> Self {
        Self { behaviour: behaviour.into(), items: Mutex::default(), leaked: Mutex::default() }
    }

    fn is(&self, behaviour: &str) -> bool {
        self.behaviour == behaviour
    }

    fn file(cx: &Context, path: &str) -> Result<PathBuf, ItemError> {
        let relative = path.strip_prefix('/').filter(|rest| !rest.is_empty() && !rest.contains(".."));
        let relative = relative
            .ok_or_else(|| ItemError::new(ErrorCode::Schema, "the path is not absolute").at("/path"))?;
        Ok(cx.root().unwrap_or(Path::new("/")).join(relative))
    }

    fn thing(&self, cx: &Context, properties: &Map<String, Value>) -> Result<Thing, ItemError> {
        let mut properties = properties.clone();
        if self.is("takes-unknown-properties") {
            properties.remove("conform_unknown_property");
        }
        let mut thing: Thing = read(&properties)?;
        Self::file(cx, &thing.path)
            .map_err(|e| if self.is("blames-nobody") { ItemError { path: None, ..e } } else { e })?;
        if self.is("normalize-grows") {
            thing.text = thing.text.trim_end_matches('!').to_owned();
        }
        Ok(thing)
    }

    /// A text as a state shows it.
    fn content(&self, cx: &Context, text: &str, private: bool) -> (&'static str, String) {
        match cx.digest_key().filter(|_| private) {
            _ if private && self.is("plain-digest") => ("keyed", Digest::of_bytes(text.as_bytes()).hex()),
            Some(key) => ("keyed", key.digest(text.as_bytes()).hex()),
            None => ("text", text.to_owned()),
        }
    }

    fn state_of(&self, cx: &Context, path: &str, text: &str, private: bool, directory: bool) -> Value {
        let mut state = json!({
            "path": path, "kind": if directory { "directory" } else { "file" },
            "mode": if private { "0600" } else { "0644" },
        });
        if !directory {
            let (member, shown) = self.content(cx, text, private);
            state[member] = shown.into();
        }
        if self.is("environment-decides") {
            state["zone"] = env::var("TZ").unwrap_or_default().into();
        }
        state
    }

    fn look(&self, cx: &Context, thing: &Thing) -> Result<Option<Value>, ItemError> {
        let file = Self::file(cx, &thing.path)?;
        let Ok(metadata) = fs::symlink_metadata(&file) else { return Ok(None) };
        let text =
            if metadata.is_dir() { String::new() } else { fs::read_to_string(&file).map_err(failed)? };
        let private = !metadata.is_dir() && metadata.permissions().mode() & 0o077 == 0;
        let mut state = self.state_of(cx, &thing.path, &text, private, metadata.is_dir());
        let now = || SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |t| t.subsec_nanos());
        state["note"] = now().into();
        if self.is("state-has-a-clock") {
            state["at"] = now().into();
        }
        if self.is("read-sees-desired") {
            state["wanted"] = thing.text.clone().into();
        }
        Ok(Some(state))
    }

    /// What depends on its place in a batch.
    fn place(&self, cx: &Context, state: &mut Option<Value>) {
        if self.is("batch-leaks") {
            let mut items = self.items.lock().unwrap();
            if items.0 != cx.request() {
                *items = (cx.request(), 0);
            }
            items.1 += 1;
            if let Some(state) = state
                && items.1 > 1
            {
                state["nth"] = items.1.into();
            }
        }
    }

    fn write(&self, file: &Path, text: &str, private: bool) -> Result<(), ItemError> {
        let temporary = file.with_extension("new");
        let mode = if private { 0o600 } else { 0o644 };
        let write = || -> std::io::Result<()> {
            let mut open =
                OpenOptions::new().create(true).truncate(true).write(true).mode(mode).open(&temporary)?;
            open.set_permissions(fs::Permissions::from_mode(mode))?;
            open.write_all(text.as_bytes())?;
            open.sync_all()?;
            fs::rename(&temporary, file)
        };
        write().map_err(|e| failed(e).mutated(Mutated::Maybe))
    }

    fn nap(&self, cx: &Context) -> Result<(), ItemError> {
        let end = Instant::now() + Duration::from_secs(60);
        while Instant::now() < end {
            if cx.cancelled() && !self.is("ignores-cancel") {
                let mutated = if self.is("says-nothing-changed") { Mutated::No } else { Mutated::Maybe };
                return Err(ItemError::new(ErrorCode::Cancelled, "cancelled").mutated(mutated));
            }
            thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    fn apply_thing(&self, cx: &Context, op: &Apply) -> Result<Applied, ItemError> {
        if op.desired.contains_key(RESTORE) {
            return self.restore(cx, op);
        }
        let revealed = cx.reveal(&op.desired)?;
        let thing = self.thing(cx, &revealed.properties)?;
        let private = thing.private || revealed.is_secret;
        let file = Self::file(cx, &thing.path)?;
        let found = self.look(cx, &thing)?;
        let skip = (self.is("takes-over") && op.action == "create") || self.is("never-stale");
        let compared = match self.compare(cx, op, found.as_ref()) {
            Err(_) if skip => Found::Expected,
            compared => compared?,
        };
        if compared == Found::Result {
            if self.is("writes-again") {
                self.write(&file, &thing.text, private)?;
            }
            return Ok(Applied { status: ApplyStatus::Already, state: found, output: None });
        }
        if thing.slow {
            if self.is("says-nothing-changed") {
                self.write(&file, "half", false)?;
            }
            self.nap(cx)?;
        }
        if thing.fail {
            return self.fail(cx, &file, &thing);
        }
        if self.is("logs-secrets") && revealed.is_secret {
            cx.log("info", format!("writing {}", thing.text));
        }
        if self.is("secret-in-arguments") && revealed.is_secret {
            let argv = ["sh".to_owned(), "-c".into(), "sleep 0.3".into(), thing.text.clone()];
            self.command(cx, &argv, None)?;
        }
        let was_file = fs::symlink_metadata(&file).is_ok_and(|m| m.is_file());
        if thing.directory {
            if was_file {
                fs::remove_file(&file).map_err(failed)?;
                if self.is("replaces-half") {
                    return Err(failed("no space").mutated(Mutated::Maybe));
                }
            }
            fs::create_dir(&file).map_err(failed)?;
            fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).map_err(failed)?;
        } else {
            // An update that does more than it said.
            let private = private || (self.is("changes-more") && was_file);
            self.write(&file, &thing.text, private)?;
        }
        let mut state = self.look(cx, &thing)?;
        if self.is("answers-another-state") {
            state = Some(json!({"path": thing.path}));
        }
        Ok(Applied { status: ApplyStatus::Applied, state, output: None })
    }

    fn compare(&self, cx: &Context, op: &Apply, found: Option<&Value>) -> Result<Found, ItemError> {
        if self.is("forgets-the-version") {
            let volatile = [Pointer::from("/note")];
            for version in 1..=2 {
                let print =
                    fingerprint::fingerprint(&op.type_name, version, found, &volatile).map_err(failed)?;
                if print == op.expect {
                    return Ok(Found::Expected);
                }
            }
        }
        cx.compare(op, found)
    }

    fn fail(&self, cx: &Context, file: &Path, thing: &Thing) -> Result<Applied, ItemError> {
        match self.behaviour.as_str() {
            "prints" => println!("this cannot work"),
            "dies-of-failures" => std::process::abort(),
            "lies-about-failures" => self.write(file, &thing.text, false)?,
            "leaves-half-files" => {
                fs::write(file.with_extension("new"), "half").map_err(failed)?;
            }
            _ => cx.log("warn", "this cannot work"),
        }
        Err(failed("asked to fail"))
    }

    fn restore(&self, cx: &Context, op: &Apply) -> Result<Applied, ItemError> {
        let mut named = op.desired.clone();
        let restore: Restore =
            serde_json::from_value(named.remove(RESTORE).unwrap_or_default()).map_err(failed)?;
        let thing = self.thing(cx, &named)?;
        let file = Self::file(cx, &thing.path)?;
        let found = self.look(cx, &thing)?;
        if found.is_none() && self.is("deletes-once") {
            return Err(failed("there is nothing to delete"));
        }
        if self.compare(cx, op, found.as_ref())? == Found::Result {
            return Ok(Applied { status: ApplyStatus::Already, state: found, output: None });
        }
        match restore.state {
            None => fs::remove_file(&file).map_err(failed)?,
            Some(state) => {
                let mut text = state["text"].as_str().unwrap_or_default().to_owned();
                if self.is("restores-badly") {
                    text.push('x');
                }
                self.write(&file, &text, state["mode"] == "0600")?;
            }
        }
        Ok(Applied { status: ApplyStatus::Applied, state: self.look(cx, &thing)?, output: None })
    }

    fn command(
        &self,
        cx: &Context,
        argv: &[String],
        stdin: Option<&str>,
    ) -> Result<rectify_sdk::Finished, ItemError> {
        cx.run(&Run {
            argv,
            environment: BTreeMap::new(),
            directory: "/".into(),
            user: None,
            stdin,
            deadline: Instant::now() + Duration::from_secs(90),
            finishes: false,
        })
    }

    fn carry_out(&self, cx: &Context, once: &Once) -> Result<Applied, ItemError> {
        let file = Self::file(cx, &once.append)?;
        let append = || {
            OpenOptions::new().create(true).append(true).open(&file).and_then(|mut f| f.write_all(b"ran\n"))
        };
        if once.slow {
            if self.is("unmarked-children") {
                let mut child = std::process::Command::new("/bin/sleep").arg("60").spawn().map_err(failed)?;
                let slept = self.nap(cx);
                let _ = child.kill();
                let _ = child.wait();
                slept?;
            } else if self.is("ignores-cancel") {
                self.nap(cx)?;
            } else {
                let finished = self.command(cx, &["sleep".into(), "60".into()], None)?;
                if finished.ended == Ended::Cancelled {
                    return Err(ItemError::new(ErrorCode::Cancelled, "cancelled").mutated(Mutated::Maybe));
                }
            }
        }
        let script = "cat >/dev/null; sleep 0.1; echo done".to_owned();
        let finished = self.command(cx, &["sh".into(), "-c".into(), script], Some(&once.stdin))?;
        if once.fail {
            match self.behaviour.as_str() {
                "prints" => println!("this cannot work"),
                "dies-of-failures" => std::process::abort(),
                "lies-about-failures" => append().map_err(failed)?,
                _ => {}
            }
            return Err(failed("asked to fail"));
        }
        append().map_err(failed)?;
        Ok(Applied { status: ApplyStatus::Applied, state: Some(json!({})), output: Some(finished.output) })
    }
}

impl Provider for Misbehaving {
    fn manifest(&self) -> Manifest {
        manifest(&self.behaviour)
    }

    fn validate(&self, cx: &Context, item: &DesiredItem) -> Result<(), ItemError> {
        let desired = stand_in(&item.desired);
        if item.type_name.as_str() == RUN {
            read::<Once>(&desired).map(drop)
        } else {
            self.thing(cx, &desired).map(drop)
        }
    }

    fn normalize(&self, _: &Context, item: &DesiredItem) -> Result<Map<String, Value>, ItemError> {
        let mut desired = item.desired.clone();
        if self.is("normalize-grows")
            && let Some(Value::String(text)) = desired.get_mut("text")
        {
            text.push('!');
        }
        Ok(desired)
    }

    fn read(&self, cx: &Context, item: &ReadItem) -> Result<ReadAnswer, ItemError> {
        let desired = stand_in(&item.desired);
        if self.is("leaks") {
            self.leaked.lock().unwrap().push(vec![1; 8 * 1024]);
        }
        if self.is("leaks-descriptors") {
            std::mem::forget(fs::File::open("/dev/null"));
        }
        if item.type_name.as_str() == RUN {
            read::<Once>(&desired)?;
            let mut state = Some(json!({}));
            self.place(cx, &mut state);
            return Ok(ReadAnswer { state, before_image: None });
        }
        let thing = self.thing(cx, &desired)?;
        let mut state = self.look(cx, &thing)?;
        let mut before_image = None;
        if item.capture
            && state.is_some()
            && let Ok(bytes) = fs::read(Self::file(cx, &thing.path)?)
        {
            let image = cx.keep_before_image(&bytes)?;
            let blobs = Path::new(&cx.dirs().blobs);
            if self.is("open-blobs") {
                fs::set_permissions(blobs.join(image.hex()), fs::Permissions::from_mode(0o644))
                    .map_err(failed)?;
            }
            if self.is("leaves-temporary-files") {
                fs::write(blobs.join(".tmp-left"), "").map_err(failed)?;
            }
            if self.is("loses-before-images") {
                fs::remove_file(blobs.join(image.hex())).map_err(failed)?;
            }
            before_image = Some(image);
        }
        self.place(cx, &mut state);
        Ok(ReadAnswer { state, before_image })
    }

    fn plan(&self, cx: &Context, item: &PlanItem) -> Result<PlanAnswer, ItemError> {
        // Secrets are there as they are in an operation, so that digests agree.
        let changed = |prior, planned, prediction: &str, undo: &str| PlanAnswer::Changed {
            prior,
            planned,
            prediction: prediction.into(),
            disruption: Vec::new(),
            undo: undo.into(),
            undo_note: None,
            resolved: Vec::new(),
        };
        let revealed = cx.reveal(&item.desired)?;
        if item.type_name.as_str() == RUN {
            read::<Once>(&revealed.properties)?;
            let mut prior = Some(json!({}));
            self.place(cx, &mut prior);
            let undo = if self.is("overpromises") { "exact" } else { "none" };
            return Ok(changed(prior, None, "opaque", undo));
        }
        let thing = self.thing(cx, &revealed.properties)?;
        if self.is("plan-writes") {
            fs::write(cx.root().unwrap_or(Path::new("/")).join(".seen"), "x").map_err(failed)?;
        }
        let mut prior = match &item.prior {
            Some(prior) => prior.state.clone(),
            None => self.look(cx, &thing)?,
        };
        let private = thing.private || revealed.is_secret;
        let mut planned = Some(self.state_of(cx, &thing.path, &thing.text, private, thing.directory));
        self.place(cx, &mut prior);
        if self.is("read-sees-desired") {
            planned.as_mut().unwrap()["wanted"] = thing.text.clone().into();
        }
        let print = |state: Option<&Value>| cx.fingerprint(&item.type_name, 1, state);
        if print(prior.as_ref())? == print(planned.as_ref())? && !self.is("never-settles") {
            return Ok(PlanAnswer::Unchanged { state: prior, resolved: Vec::new() });
        }
        Ok(changed(prior, planned, "exact", "exact"))
    }

    fn apply(&self, cx: &Context, op: &Apply) -> Result<Applied, ItemError> {
        if op.type_name.as_str() == THING {
            return self.apply_thing(cx, op);
        }
        let once: Once = read(&cx.reveal(&op.desired)?.properties)?;
        let act = || {
            if !self.is("never-stale") {
                self.compare(cx, op, Some(&json!({})))?;
            }
            self.carry_out(cx, &once)
        };
        if self.is("runs-twice") {
            return act();
        }
        cx.once(op, act)
    }
}
