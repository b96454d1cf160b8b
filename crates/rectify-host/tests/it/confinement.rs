//! A plan session cannot change anything: every attempt that we know, under each confinement that
//! this kernel offers.

use crate::{
    manifest::THING,
    mutations::{ATTRIBUTE, FILES},
    support::{Dirs, item, spec},
};
use rectify_base::Digest;
use rectify_host::{Confinement, Methods, Protection, Session};
use rectify_protocol::message::{Mode, PlanAnswer};
use rustix::fs::{XattrFlags, setxattr};
use serde_json::{Map, Value, json};
use std::{
    fs,
    os::unix::{
        fs::{MetadataExt, symlink},
        process::CommandExt,
    },
    path::Path,
    process::{Child, Command},
};

/// A directory for each attempt, outside the work directory.
fn build(scratch: &Path) {
    fs::create_dir(scratch).unwrap();
    for name in FILES.iter().map(|(name, _)| *name).chain(["machine"]) {
        let dir = scratch.join(name);
        fs::create_dir(&dir).unwrap();
        fs::create_dir(dir.join("dir")).unwrap();
        fs::write(dir.join("file"), b"content").unwrap();
        setxattr(dir.join("file"), ATTRIBUTE, b"1", XattrFlags::empty()).unwrap();
        symlink("file", dir.join("link")).unwrap();
    }
}

/// One line for each thing: kind and mode, owners, links, time, content or target, attribute.
fn describe(path: &Path, out: &mut Vec<String>) {
    let metadata = fs::symlink_metadata(path).unwrap();
    let content = if metadata.is_file() {
        Digest::of_bytes(&fs::read(path).unwrap()).to_string()
    } else if metadata.is_symlink() {
        fs::read_link(path).unwrap().display().to_string()
    } else {
        String::new()
    };
    let mut value = [0_u8; 16];
    let attribute = match rustix::fs::lgetxattr(path, ATTRIBUTE, &mut value) {
        Ok(length) => format!("{:?}", &value[..length]),
        Err(_) => String::new(),
    };
    let flags = if metadata.is_file() {
        let flags = rustix::fs::ioctl_getflags(fs::File::open(path).unwrap());
        flags.map(|f| f.bits().to_string()).unwrap_or_default()
    } else {
        String::new()
    };
    out.push(format!(
        "{} {:o} {} {} {} {}.{} {content} {attribute} {flags}",
        path.display(),
        metadata.mode(),
        metadata.uid(),
        metadata.gid(),
        metadata.nlink(),
        metadata.mtime(),
        metadata.mtime_nsec(),
    ));
    if metadata.is_dir() {
        let mut children: Vec<_> = fs::read_dir(path).unwrap().map(|e| e.unwrap().path()).collect();
        children.sort();
        for child in children {
            describe(&child, out);
        }
    }
}

fn tree(path: &Path) -> String {
    let mut lines = Vec::new();
    describe(path, &mut lines);
    lines.join("\n")
}

/// A process outside, in a group of its own.
struct Victim(Child);

impl Victim {
    fn new() -> Self {
        Self(Command::new("sleep").arg("600").process_group(0).spawn().unwrap())
    }

    fn describe(&mut self) -> String {
        assert!(self.0.try_wait().unwrap().is_none(), "it has ended");
        let read = |name: &str| fs::read_to_string(format!("/proc/{}/{name}", self.0.id())).unwrap();
        let stat = read("stat");
        // State, and then the fields up to the priorities, without the counters.
        let fields: Vec<&str> = stat.rsplit(") ").next().unwrap().split(' ').collect();
        let traced = read("status").lines().find(|l| l.starts_with("TracerPid")).unwrap().to_owned();
        format!("{} {} {} {traced} {}", fields[15], fields[16], read("oom_score_adj"), read("limits"))
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

async fn attempt(session: &Session, desired: Value) -> (Map<String, Value>, Map<String, Value>) {
    let answers = session.plan(vec![item(THING, desired)]).await.unwrap();
    let Some(Ok(PlanAnswer::Unchanged { state: Some(state), .. })) = answers.into_iter().next() else {
        panic!("no outcomes")
    };
    let part = |name: &str| state[name].as_object().unwrap().clone();
    (part("attempts"), part("allowed"))
}

fn undone(outcomes: &Map<String, Value>, wanted: &str) -> Vec<String> {
    let unexpected = outcomes.iter().filter(|(_, v)| (*v == "done") != (wanted == "done"));
    unexpected.map(|(name, v)| format!("{name}: {v}")).collect()
}

/// Without confinement nearly every attempt on files works: the attempts are real.
#[tokio::test]
async fn without_confinement_the_attempts_succeed() {
    let dirs = Dirs::new();
    let scratch = dirs.base().join("scratch");
    build(&scratch);
    let before = tree(&scratch);
    let mut spec = spec(&dirs, Mode::Plan, "mutates");
    spec.confine = false;
    let session = Session::start(spec).await.unwrap();
    assert_eq!(*session.confinement(), Confinement::none());
    let (attempts, allowed) = attempt(&session, json!({"scratch": scratch})).await;
    session.shutdown().await.unwrap();
    assert_eq!(attempts.len(), FILES.len());
    // Owners can be changed by root only, and not every file system has flags.
    let failed = undone(&attempts, "done");
    assert!(failed.len() <= 6, "{failed:#?}");
    if rustix::process::geteuid().is_root() {
        assert!(failed.iter().all(|f| f.starts_with("ioctl-setflags")), "{failed:#?}");
    }
    assert_eq!(undone(&allowed, "done"), [""; 0]);
    assert_ne!(tree(&scratch), before);
}

/// What this system offers, found out in another way than the code under test does. `Err`: why not.
struct Offered {
    mount_namespace: Result<(), String>,
    landlock: Result<(), String>,
}

impl Offered {
    fn here() -> Self {
        Self { mount_namespace: offers_mount_namespace(), landlock: offers_landlock() }
    }

    /// Why a setup cannot be had; `None` if each of its parts can.
    fn missing(&self, methods: Methods) -> Option<String> {
        let parts = [(methods.mount_namespace, &self.mount_namespace), (methods.landlock, &self.landlock)];
        parts.into_iter().filter(|(asked, _)| *asked).find_map(|(_, offered)| offered.clone().err())
    }
}

/// Root with all its capabilities may make one, unless the kernel has none or allows no more.
fn offers_mount_namespace() -> Result<(), String> {
    if !rustix::process::geteuid().is_root() {
        return Err("mount namespace: not run as root".into());
    }
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:")).unwrap().trim();
    let administrator = u64::from_str_radix(effective, 16).unwrap() & (1 << 21) != 0;
    if !administrator {
        return Err("mount namespace: root without CAP_SYS_ADMIN".into());
    }
    for (file, limit) in
        [("mnt", "max_mnt_namespaces"), ("pid", "max_pid_namespaces"), ("ipc", "max_ipc_namespaces")]
    {
        if !Path::new("/proc/self/ns").join(file).exists() {
            return Err(format!("mount namespace: the kernel has no {file} namespaces"));
        }
        let limit = fs::read_to_string(Path::new("/proc/sys/user").join(limit)).unwrap_or_default();
        if limit.trim() == "0" {
            return Err(format!("mount namespace: no {file} namespaces are allowed"));
        }
    }
    Ok(())
}

/// The kernel's list of security modules decides; where it cannot be seen, a ruleset of the oldest
/// version that is of use.
fn offers_landlock() -> Result<(), String> {
    use landlock::{ABI, Access, AccessFs, CompatLevel, Compatible, Ruleset, RulesetAttr};
    if let Ok(modules) = fs::read_to_string("/sys/kernel/security/lsm")
        && !modules.trim().split(',').any(|name| name == "landlock")
    {
        return Err(format!("Landlock: not among the security modules: {}", modules.trim()));
    }
    let ruleset = Ruleset::default()
        .set_compatibility(CompatLevel::HardRequirement)
        .handle_access(AccessFs::from_all(ABI::V3))
        .and_then(Ruleset::create);
    ruleset.map(drop).map_err(|e| format!("Landlock: {e}"))
}

#[tokio::test]
async fn no_attempt_succeeds_under_any_confinement() {
    let offered = Offered::here();
    let mut exercised = Vec::new();
    let mut not_run = Vec::new();
    for (name, methods) in [
        ("mount namespace and Landlock", Methods { mount_namespace: true, landlock: true }),
        ("mount namespace alone", Methods { mount_namespace: true, landlock: false }),
        ("Landlock alone", Methods { mount_namespace: false, landlock: true }),
    ] {
        // With a part of it missing this would be one of the other setups over again.
        if let Some(reason) = offered.missing(methods) {
            not_run.push(format!("{name}: {reason}"));
            continue;
        }
        let dirs = Dirs::new();
        let scratch = dirs.base().join("scratch");
        build(&scratch);
        let mut victim = Victim::new();
        let (before, victim_before) = (tree(&scratch), victim.describe());
        let hostname = fs::read("/proc/sys/kernel/hostname").unwrap();
        let mut spec = spec(&dirs, Mode::Plan, "mutates");
        spec.methods = methods;
        let session =
            Session::start(spec).await.unwrap_or_else(|e| panic!("{name} is offered here, but {e}"));
        let achieved = session.confinement().clone();
        assert!(achieved.is_complete(), "{achieved:?}");
        let parts = [
            (methods.mount_namespace, &achieved.mount_namespace),
            (methods.mount_namespace, &achieved.process_namespace),
            (methods.landlock, &achieved.landlock),
        ];
        for (asked, protection) in parts {
            let expected = if asked { Protection::Achieved } else { Protection::NotRequested };
            assert_eq!(*protection, expected, "{name}: {achieved:?}");
        }
        let desired = json!({"scratch": scratch, "victim": victim.0.id()});
        let (attempts, allowed) = attempt(&session, desired).await;
        session.shutdown().await.unwrap();
        assert!(attempts.len() >= FILES.len() + 20, "{name}: only {} attempts", attempts.len());
        assert_eq!(undone(&attempts, "refused"), [""; 0], "{name}");
        assert_eq!(undone(&allowed, "done"), [""; 0], "{name}");
        assert_eq!(tree(&scratch), before, "{name}");
        assert_eq!(victim.describe(), victim_before, "{name}");
        assert_eq!(fs::read("/proc/sys/kernel/hostname").unwrap(), hostname);
        let table = fs::read_to_string("/proc/self/mountinfo").unwrap();
        assert!(!table.contains(scratch.to_str().unwrap()) && !table.contains(dirs.work().to_str().unwrap()));
        exercised.push(format!("{name}: {} attempts refused; {achieved:?}", attempts.len()));
    }
    println!("run:\n{}", exercised.join("\n"));
    for setup in &not_run {
        println!("NOT RUN: {setup}");
    }
    assert_eq!(exercised.len() + not_run.len(), 3);
    assert!(!exercised.is_empty(), "no confinement could be tested: {not_run:?}");
}

/// Where paths cannot be protected and that is accepted, the filter on system calls stays: then it
/// alone keeps other processes and the machine safe.
#[tokio::test]
async fn an_unconfined_session_starts_only_where_that_is_allowed() {
    let dirs = Dirs::new();
    let scratch = dirs.base().join("scratch");
    build(&scratch);
    let mut victim = Victim::new();
    let before = victim.describe();
    let mut spec = spec(&dirs, Mode::Plan, "mutates");
    spec.methods = Methods { mount_namespace: false, landlock: false };
    spec.allow_unconfined = true;
    let session = Session::start(spec).await.unwrap();
    assert!(!session.confinement().is_complete());
    assert!(session.confinement().seccomp.is_achieved());
    let (attempts, allowed) = attempt(&session, json!({"scratch": scratch, "victim": victim.0.id()})).await;
    session.shutdown().await.unwrap();
    // Nothing else tells own processes from others, so a single one cannot be signalled at all.
    assert_eq!(undone(&allowed, "done").len(), 1, "{allowed:?}");
    let about_paths = |name: &str| {
        FILES.iter().any(|(n, _)| *n == name) || name.starts_with("open-") || name.ends_with("-into-work")
    };
    let (files, others): (Map<_, _>, Map<_, _>) =
        attempts.into_iter().partition(|(name, _)| about_paths(name));
    assert!(others.len() >= 17, "{others:?}");
    assert_eq!(undone(&others, "refused"), [""; 0]);
    // Content is open, metadata is not.
    assert_eq!(files["open-write"], "done");
    for name in FILES.iter().map(|(n, _)| *n) {
        let metadata = ["chmod", "chown", "xattr", "utim", "futim", "ioctl"];
        if metadata.iter().any(|part| name.contains(part)) {
            assert_ne!(files[name], "done", "{name}");
        }
    }
    assert_eq!(victim.describe(), before);
}

#[test]
fn what_was_achieved_can_be_recorded() {
    let mut confinement = Confinement::none();
    confinement.mount_namespace = Protection::Achieved;
    confinement.landlock = Protection::Unavailable("not built in".into());
    let text = serde_json::to_string(&confinement).unwrap();
    assert!(text.contains(r#""landlock":{"unavailable":"not built in"}"#), "{text}");
    assert_eq!(serde_json::from_str::<Confinement>(&text).unwrap(), confinement);
    assert!(confinement.missing().contains("landlock: not built in; seccomp: not asked for"));
}
