//! Packages of dpkg, through `dpkg-query` and `apt-get`.

mod lock;
mod parse;
mod run;

pub(crate) use parse::{complaint, rows, simulation};

use crate::{
    asked::Asked,
    backend::{Backend, Change, Changes, Request, Snapshot, Status, Transaction},
    version,
};
use parse::Row;
use rectify_sdk::{
    Context,
    protocol::{ErrorCode, ItemError},
};
use run::Tool;
use std::{
    cmp::Ordering,
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

const DATABASE: &str = "/var/lib/dpkg";
const STATUS: &str = "/var/lib/dpkg/status";
/// Which packages came for others.
const MARKS: &str = "/var/lib/apt/extended_states";
const CACHE: &str = "/var/cache/apt/archives";
/// Longest wait for somebody who holds the package database.
const LOCK_MAX: Duration = Duration::from_secs(300);

pub(crate) struct Apt {
    /// What was asked for another item of the same request.
    pub(crate) asked: Option<Arc<Asked>>,
}

fn failed(message: impl Into<String>) -> ItemError {
    ItemError::new(ErrorCode::Failed, message)
}

/// What to do after dpkg was interrupted.
pub(crate) const CONFIGURE: &str =
    "run `dpkg --configure -a` on the target, see to what it complains about, then plan again";

impl Apt {
    /// Asks a tool that changes nothing.
    fn ask(&self, cx: &Context, argv: &[&str], good: &[i32]) -> Result<String, ItemError> {
        let run = || Tool::look(cx).run(argv, good);
        match &self.asked {
            Some(asked) => asked.once(cx.request(), argv, run),
            None => run(),
        }
    }

    /// Rows of dpkg-query, and the machine's own architecture.
    fn rows(&self, cx: &Context, keys: &[&str]) -> Result<(Vec<Row>, String), ItemError> {
        let format = format!("-f={}", parse::FORMAT);
        let mut argv = vec!["dpkg-query", "-W", &format, "dpkg"];
        argv.extend(keys);
        // It ends with 1 where it does not know one of them.
        let said = self.ask(cx, &argv, &[0, 1])?;
        let rows = parse::rows(&said)
            .ok_or_else(|| failed(format!("dpkg-query printed something unexpected: {said:?}")))?;
        let own = rows.iter().find(|row| row.name == "dpkg").map(|row| row.architecture.clone());
        let own = own.ok_or_else(|| failed("dpkg-query does not know dpkg itself"))?;
        Ok((rows, own))
    }

    fn marks() -> Result<BTreeSet<(String, String)>, ItemError> {
        match fs::read_to_string(MARKS) {
            Ok(text) => Ok(parse::automatic(&text)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(BTreeSet::new()),
            Err(e) => Err(failed(format!("{MARKS} cannot be read: {e}"))),
        }
    }

    /// The words that name what is installed and removed. What is in no repository, and still in the
    /// cache, is named by its file.
    fn words(&self, cx: &Context, request: &Request) -> Result<Vec<String>, ItemError> {
        let exact: BTreeMap<String, String> = request
            .install
            .iter()
            .filter_map(|(name, version)| Some((name.clone(), version.clone()?)))
            .collect();
        let offered = self.offered(cx, &exact)?;
        let mut words = Vec::new();
        for (name, version) in &request.install {
            words.push(match version {
                None => name.clone(),
                Some(version) if offered.contains(name) => format!("{name}={version}"),
                Some(version) => match cached(name, version) {
                    Some(path) => path.display().to_string(),
                    None => format!("{name}={version}"),
                },
            });
        }
        words.extend(request.remove.iter().map(|name| format!("{name}-")));
        Ok(words)
    }

    /// Which of these versions a repository has.
    fn offered(
        &self,
        cx: &Context,
        versions: &BTreeMap<String, String>,
    ) -> Result<BTreeSet<String>, ItemError> {
        if versions.is_empty() {
            return Ok(BTreeSet::new());
        }
        let mut argv = vec!["apt-cache"];
        argv.extend(run::QUIET_CACHE);
        argv.push("madison");
        argv.extend(versions.keys().map(String::as_str));
        let said = self.ask(cx, &argv, &[0])?;
        let offered = parse::madison(&said);
        let has = |(name, version): &(&String, &String)| {
            let bare = name.split(':').next().unwrap_or_default();
            offered.contains(&(bare.to_owned(), (*version).clone()))
        };
        Ok(versions.iter().filter(has).map(|(name, _)| name.clone()).collect())
    }
}

/// How long somebody who holds the package database is waited for.
fn patience(deadline: Instant) -> Duration {
    (deadline.saturating_duration_since(Instant::now()) / 2).min(LOCK_MAX)
}

/// The file of a version in the cache.
fn cached(name: &str, version: &str) -> Option<PathBuf> {
    let (name, architecture) = name.split_once(':').map_or((name, None), |(n, a)| (n, Some(a)));
    let begin = format!("{name}_{}_", version.replace(':', "%3a"));
    let fits = |file: &str| {
        let rest = file.strip_prefix(&begin).and_then(|rest| rest.strip_suffix(".deb"));
        rest.is_some_and(|found| architecture.is_none_or(|wanted| wanted == found))
    };
    let mut names: Vec<String> = fs::read_dir(CACHE)
        .ok()?
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| fits(name))
        .collect();
    names.sort();
    names.first().map(|name| Path::new(CACHE).join(name))
}

/// Options of apt that belong to a request.
fn options(request: &Request) -> Vec<&'static str> {
    let mut options = vec!["--no-install-suggests"];
    match request.recommends {
        Some(true) => options.push("--install-recommends"),
        Some(false) => options.push("--no-install-recommends"),
        None => {}
    }
    if request.held {
        options.push("--allow-change-held-packages");
    }
    if request.purge {
        options.push("--purge");
    }
    if request.unneeded {
        options.push("--autoremove");
    }
    options
}

impl Backend for Apt {
    fn key(&self, cx: &Context, name: &str) -> Result<String, ItemError> {
        let Some((bare, architecture)) = name.split_once(':') else { return Ok(name.to_owned()) };
        let (_, own) = self.rows(cx, &[])?;
        let own = architecture == own || matches!(architecture, "all" | "native");
        Ok(if own { bare } else { name }.to_owned())
    }

    fn statuses(&self, cx: &Context, keys: &[&str]) -> Result<BTreeMap<String, Status>, ItemError> {
        let (rows, own) = self.rows(cx, keys)?;
        let marks = Self::marks()?;
        let mut found: BTreeMap<String, Status> =
            keys.iter().map(|key| ((*key).to_owned(), Status::Absent)).collect();
        for row in rows {
            let native = row.architecture == own || row.architecture == "all";
            let key = if native { row.name.clone() } else { format!("{}:{}", row.name, row.architecture) };
            let architecture = if native { &own } else { &row.architecture };
            if let Some(status) = found.get_mut(&key) {
                let automatic = marks.contains(&(row.name.clone(), architecture.clone()));
                *status = row.status(automatic).ok_or_else(|| {
                    let message = format!("`{key}` is {}: something was interrupted, or failed", row.shown());
                    failed(message).hint(CONFIGURE)
                })?;
            }
        }
        Ok(found)
    }

    fn leaves_configuration(&self, cx: &Context, key: &str) -> Result<bool, ItemError> {
        let ask = |argv: &[&str]| self.ask(cx, argv, &[0]);
        let files = ask(&["dpkg-query", "-W", "-f=${Conffiles}", key])?;
        if files.lines().any(|line| !line.trim().is_empty()) {
            return Ok(true);
        }
        Ok(ask(&["dpkg-query", "--control-list", key])?.lines().any(|line| line == "postrm"))
    }

    fn compare(&self, a: &str, b: &str) -> Ordering {
        version::compare(a, b)
    }

    fn wait(&self, cx: &Context, deadline: Instant) -> Result<(), ItemError> {
        let until = Instant::now() + patience(deadline);
        while let Some(holder) = lock::holder() {
            if Instant::now() >= until || cx.cancelled() {
                return Err(lock::held(&holder));
            }
            thread::sleep(run::PAUSE);
        }
        Ok(())
    }

    fn ready(&self) -> Result<(), ItemError> {
        let names = match fs::read_dir(Path::new(DATABASE).join("updates")) {
            Ok(entries) => entries.flatten().map(|entry| entry.file_name()).collect(),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(e) => return Err(failed(format!("{DATABASE}/updates cannot be read: {e}"))),
        };
        let left = |name: &str| !name.is_empty() && name.bytes().all(|b| b.is_ascii_digit());
        if !names.iter().any(|name| name.to_str().is_some_and(left)) {
            return Ok(());
        }
        match lock::holder() {
            Some(holder) => Err(lock::held(&holder)),
            None => Err(failed("dpkg was interrupted, and has not finished its work").hint(CONFIGURE)),
        }
    }

    fn simulate(
        &self,
        cx: &Context,
        request: &Request,
        on: Option<&Snapshot>,
    ) -> Result<Transaction, ItemError> {
        let words = self.words(cx, request)?;
        let on = on.map(|on| {
            let set = |name: &str, path: &Path| format!("{name}={}", path.display());
            [set("Dir::State::status", &on.status), set("Dir::State::extended_states", &on.marks)]
        });
        let mut argv = vec!["apt-get", "-s", "-q", "-o", "APT::Get::Show-User-Simulation-Note=false"];
        argv.extend(run::QUIET_CACHE);
        argv.extend(on.iter().flatten().flat_map(|option| ["-o", option]));
        argv.extend(options(request));
        argv.push("install");
        argv.extend(words.iter().map(String::as_str));
        let said = self.ask(cx, &argv, &[0])?;
        parse::simulation(&said)
            .map_err(|line| failed(format!("apt-get printed something unexpected: {line:?}")))
    }

    fn available(
        &self,
        cx: &Context,
        versions: &BTreeMap<String, String>,
    ) -> Result<BTreeSet<String>, ItemError> {
        let mut found = self.offered(cx, versions)?;
        let kept = versions.iter().filter(|(name, version)| cached(name, version).is_some());
        found.extend(kept.map(|(name, _)| name.clone()));
        Ok(found)
    }

    fn carry_out(
        &self,
        cx: &Context,
        request: &Request,
        removes: bool,
        deadline: Instant,
    ) -> Result<(), ItemError> {
        let words = self.words(cx, request)?;
        let timeout = format!("DPkg::Lock::Timeout={}", patience(deadline).as_secs());
        let mut argv = vec!["apt-get", "-y", "-q", "--allow-downgrades", "-o", &timeout];
        argv.extend(["-o", "Dpkg::Use-Pty=0", "-o", "Dpkg::Options::=--force-confold"]);
        argv.extend(["-o", "Dpkg::Options::=--force-confdef"]);
        argv.extend(options(request));
        if !removes {
            argv.push("--no-remove");
        }
        argv.push("install");
        argv.extend(words.iter().map(String::as_str));
        Tool::change(cx, deadline).run(&argv, &[0]).map(drop)
    }

    fn hold(&self, cx: &Context, key: &str, held: bool, deadline: Instant) -> Result<(), ItemError> {
        let verb = if held { "hold" } else { "unhold" };
        Tool::change(cx, deadline).patiently(&["apt-mark", verb, key])
    }

    fn automatic(&self, cx: &Context, keys: &BTreeSet<String>, deadline: Instant) -> Result<(), ItemError> {
        let mut argv = vec!["apt-mark", "auto"];
        argv.extend(keys.iter().map(String::as_str));
        Tool::change(cx, deadline).patiently(&argv)
    }

    fn disruption(&self, changes: &Changes) -> Vec<String> {
        let services = |name: &str| {
            let text = fs::read_to_string(format!("{DATABASE}/info/{name}.list")).unwrap_or_default();
            text.lines().any(|path| path.contains("/systemd/system/") && path.ends_with(".service"))
        };
        let touched = |change: &Change| change.before.is_some();
        let restart = changes.iter().any(|(name, change)| touched(change) && services(name));
        let kernel = |name: &String| name.starts_with("linux-image-");
        let reboot = changes.iter().any(|(name, change)| kernel(name) && change.after.is_some());
        let words = [(reboot, "reboot"), (restart, "restart")];
        words.into_iter().filter(|(due, _)| *due).map(|(_, word)| word.to_owned()).collect()
    }

    fn snapshot(&self, directory: &Path) -> Result<Snapshot, ItemError> {
        let told = |e: io::Error| failed(format!("the package database cannot be copied: {e}"));
        let snapshot = Snapshot { status: directory.join("status"), marks: directory.join("marks") };
        fs::copy(STATUS, &snapshot.status).map_err(told)?;
        match fs::copy(MARKS, &snapshot.marks) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => fs::write(&snapshot.marks, "").map_err(told)?,
            other => drop(other.map_err(told)?),
        }
        Ok(snapshot)
    }
}
