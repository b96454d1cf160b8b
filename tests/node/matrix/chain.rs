//! One case through the chain: plan, seal, approve, apply, plan again, undo.

use crate::{
    case::{Case, Cell},
    here,
};
use rectify_tests::{Ran, Scratch};
use serde_json::{Value, json};
use std::{cell::Cell as Counter, fmt::Display, fs, process::Command};

/// Before each script.
const PRELUDE: &str = r#"
tree() {
    for place in "$@"; do
        if [ -e "$place" ] || [ -L "$place" ]; then
            find "$place" -printf "%p %y %m %u %g %l${TIMES:+ %i %T@ %C@}\n"
            find "$place" -type f -exec sha256sum {} +
        else
            echo "$place is not there"
        fi
    done | LC_ALL=C sort
}
"#;
/// Where a step of every case stands.
const IT: &str = "it/it";
const PROJECT: [&str; 2] = ["-C", "project"];

type Outcome<T = ()> = Result<T, String>;

/// A project of one case on this machine.
pub struct Chain<'c> {
    case: &'c Case,
    scratch: Scratch,
    plans: Counter<u32>,
}

/// A change that was made.
pub struct Done {
    run: String,
    /// What the machine said before.
    before: String,
    /// The steps of its plan.
    steps: Value,
}

/// A recorded plan.
struct Plan {
    name: String,
    bytes: Vec<u8>,
    value: Value,
}

impl Plan {
    fn steps(&self) -> &[Value] {
        self.value["steps"].as_array().map_or(&[], Vec::as_slice)
    }

    fn step(&self) -> Outcome<&Value> {
        self.steps().iter().find(|step| step["address"] == IT).ok_or_else(|| "it is not in the plan".into())
    }

    /// Fingerprint of what is as it should be.
    fn unchanged(&self) -> Option<&str> {
        let all = self.value["unchanged"].as_array()?;
        all.iter().find(|node| node["address"] == IT)?["fingerprint"].as_str()
    }
}

fn expect<T: PartialEq + Display>(what: &str, found: T, expected: T) -> Outcome {
    if found == expected { Ok(()) } else { Err(format!("{what}: `{found}`, expected `{expected}`")) }
}

/// Runs a script, and gives what it printed.
pub fn sh(script: &str, times: bool) -> Outcome<String> {
    let mut command = Command::new("/bin/sh");
    command
        .args(["-euc", &format!("{PRELUDE}{script}")])
        .current_dir("/")
        .env_clear()
        .envs([("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"), ("LC_ALL", "C.UTF-8"), ("HOME", "/root")])
        .env("DEBIAN_FRONTEND", "noninteractive")
        .env("TIMES", if times { "1" } else { "" });
    let output = command.output().map_err(|e| e.to_string())?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    Err(format!("the script `{}` ended with {}: {said}", script.trim(), output.status))
}

impl<'c> Chain<'c> {
    pub fn new(case: &'c Case) -> Self {
        let scratch = here();
        scratch.trust(1);
        Self { case, scratch, plans: Counter::new(0) }
    }

    /// Writes the one remediation of the project.
    fn write(&self, steps: &Value, verify: Option<&Value>) {
        let mut text = json!({
            "apiVersion": "rectify/v1",
            "kind": "Remediation",
            "metadata": {"name": "it"},
            "because": {"text": "a cell of the matrix"},
            "targets": {"select": "target.labels.role == \"bastion\""},
            "steps": steps,
        });
        if let Some(verify) = verify {
            text["verify"] = verify.clone();
        }
        self.scratch.write("project/remediations/it.yaml", &text.to_string());
    }

    fn write_cell(&self, cell: &Cell) -> Outcome {
        let steps = match (&cell.steps, &cell.properties) {
            (Some(steps), None) => Value::Object(steps.clone()),
            (None, Some(properties)) => json!({"it": {&self.case.type_name: properties}}),
            _ => return Err("the case has to say either `properties` or `steps`".into()),
        };
        self.write(&steps, None);
        Ok(())
    }

    fn look(&self, times: bool) -> Outcome<String> {
        sh(&self.case.look, times)
    }

    fn begin(&self, cell: &Cell) -> Outcome {
        sh(&self.case.begin, false)?;
        sh(&cell.given, false).map(drop)
    }

    fn rectify(&self, words: &[&str], code: i32) -> Outcome<Ran> {
        let ran = self.scratch.run(words);
        if ran.code == code {
            return Ok(ran);
        }
        let said = format!("{} {}", ran.stdout, ran.stderr);
        Err(format!("`rectify {}` ended with {}, expected {code}: {said}", words.join(" "), ran.code))
    }

    fn project(&self, words: &[&str], code: i32) -> Outcome<Ran> {
        self.rectify(&[&PROJECT, words].concat(), code)
    }

    /// Makes a plan, by a command that takes `--out`.
    fn recorded(&self, words: &[&str], code: i32) -> Outcome<Plan> {
        let number = self.plans.get();
        self.plans.set(number + 1);
        let name = format!("{number}.plan.json");
        self.project(&[words, &["--out", &name]].concat(), code)?;
        let bytes = fs::read(self.scratch.path(&name)).map_err(|e| format!("{name}: {e}"))?;
        let value = serde_json::from_slice(&bytes).map_err(|e| format!("{name}: {e}"))?;
        Ok(Plan { name, bytes, value })
    }

    fn plan(&self, code: i32) -> Outcome<Plan> {
        self.recorded(&["plan", "--detailed-exitcode"], code)
    }

    /// A plan in which there is nothing to do.
    fn nothing(&self) -> Outcome<Plan> {
        let plan = self.plan(0)?;
        expect("steps of a plan that should be empty", plan.steps().len(), 0)?;
        Ok(plan)
    }

    /// Has a plan sealed and approved, applies it, and gives the number of the run.
    fn apply(&self, plan: &Plan, code: i32) -> Outcome<String> {
        self.project(&["seal", &plan.name, "--key", "keys-author"], 0)?;
        self.rectify(&["approve", &plan.name, "--key", "keys-reviewer"], 0)?;
        let ran = self.project(&["apply", &plan.name], code)?;
        let line = ran.stdout.lines().find_map(|line| line.strip_prefix("run "));
        let run = line.and_then(|line| line.split(':').next());
        run.map(str::to_owned).ok_or_else(|| format!("no run is named in `{}`", ran.stdout))
    }

    /// Makes the change of a cell. It is as predicted, seen with the machine's own tools as well, and a plan
    /// right after it is empty.
    pub fn forth(&self, name: &str, cell: &Cell) -> Outcome<Done> {
        self.begin(cell)?;
        let before = self.look(false)?;
        self.write_cell(cell)?;
        let plan = self.plan(2)?;
        let step = plan.step()?;
        let said = |member: &Value| member.as_str().unwrap_or("nothing").to_owned();
        let or = |stated: &Option<String>, usual: &str| stated.clone().unwrap_or_else(|| usual.to_owned());
        expect("type", said(&step["type"]), self.case.type_name.clone())?;
        expect("action", said(&step["action"]), or(&cell.action, name))?;
        expect("prediction", said(&step["prediction"]), or(&cell.prediction, "exact"))?;
        expect("grade of its undo", said(&step["undo"]["grade"]), or(&cell.grade, "exact"))?;
        let run = self.apply(&plan, 0)?;
        if let Err(reason) = sh(&cell.holds, false) {
            return Err(format!("{reason}; the machine says: {}", self.look(false)?));
        }
        let after = self.nothing()?;
        if let Some(result) = step["result"].as_str() {
            let found = after.unchanged().unwrap_or("nothing");
            expect("the state's fingerprint is not the one that was predicted", found, result)?;
        }
        if self.look(false)? == before {
            return Err(format!("the machine says the same before and after: {before}"));
        }
        Ok(Done { run, before, steps: plan.value["steps"].clone() })
    }

    /// Takes a change back. The machine says what it said before, the same change is planned again, and
    /// nothing is left to take back.
    pub fn back(&self, cell: &Cell, done: &Done) -> Outcome {
        let plan = self.recorded(&["undo", &done.run], 0)?;
        self.apply(&plan, 0)?;
        expect("the machine says", self.look(false)?, done.before.clone())?;
        sh(&cell.back, false)?;
        let again = self.project(&["undo", &done.run], 0)?.stdout;
        if !again.contains("nothing is left to take back") {
            return Err(format!("taken back again: {again}"));
        }
        expect("the same plan again", self.plan(2)?.value["steps"].to_string(), done.steps.to_string())
    }

    /// Nothing is planned where everything is as it should be, again and again, and looking changes nothing:
    /// no content, no inode, no time.
    pub fn unchanged(&self, cell: &Cell) -> Outcome {
        self.begin(cell)?;
        match (&cell.holding, &cell.refuted, &cell.fact) {
            (Some(holding), Some(refuted), None) => return self.asked(holding, refuted),
            (None, None, Some(fact)) => return self.known(fact, &cell.value),
            (None, None, None) => self.write_cell(cell)?,
            _ => return Err("the case mixes probes and facts".into()),
        }
        let before = self.look(true)?;
        let first = self.nothing()?;
        // An action has no state: it is not triggered.
        if cell.steps.is_none() && first.unchanged().is_none() {
            return Err("it is not among what is unchanged".into());
        }
        if self.nothing()?.bytes != first.bytes {
            return Err("two plans differ".into());
        }
        expect("the machine says", self.look(true)?, before)?;
        sh(&cell.holds, false).map(drop)
    }

    /// A probe says yes and no where it should, and leaves what it asks as it was.
    fn asked(&self, holding: &Value, refuted: &Value) -> Outcome {
        let before = self.look(true)?;
        for (verify, code) in [(holding, 0), (refuted, 5)] {
            sh("rm -f /var/tmp/rectify-hosts-probe", false)?;
            let properties = json!({"path": "/var/tmp/rectify-hosts-probe", "content": "asked\n"});
            self.write(&json!({"it": {"file.content": properties}}), Some(verify));
            let plan = self.plan(2)?;
            if plan.value["types"].get(&self.case.type_name).is_none() {
                return Err("it is not in the plan".into());
            }
            self.apply(&plan, code)?;
        }
        sh("rm -f /var/tmp/rectify-hosts-probe", false)?;
        expect("the machine says", self.look(true)?, before)
    }

    /// A fact is what the machine says, and stays so from plan to plan.
    fn known(&self, fact: &str, value: &str) -> Outcome {
        let before = self.look(true)?;
        let expression = fact.replace("@VALUE@", sh(value, false)?.trim());
        let step = |name: &str, when: &str| json!({"file.absent": {"path": format!("/rectify-hosts-{name}")}, "when": when});
        let steps =
            json!({"it": step("it", &expression), "other": step("other", &format!("!({expression})"))});
        self.write(&steps, None);
        let plan = self.nothing()?;
        if plan.value["types"].get(&self.case.type_name).is_none() {
            return Err("it is not in the plan".into());
        }
        let unchanged = plan.value["unchanged"].as_array().map_or(0, Vec::len);
        if plan.unchanged().is_none() || unchanged != 1 {
            return Err(format!("`{expression}` is not true"));
        }
        if self.nothing()?.bytes != plan.bytes {
            return Err("two plans differ".into());
        }
        expect("the machine says", self.look(true)?, before)
    }
}
