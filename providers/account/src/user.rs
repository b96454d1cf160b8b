//! `user.account`: a line of the passwd file, the groups that list the user, and what the shadow file has
//! for a password.

use crate::{
    files::{Accounts, is_name},
    group::Presence,
    thing::{Goal, Thing, Undo, conflict, restore_of, typed, written, wrong},
    tool::Change,
};
use rectify_sdk::{
    Context,
    base::Digest,
    crash::{At, reached},
    protocol::{ErrorCode, ItemError, message::Restore},
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// Longest comment, path or hash.
const TEXT_MAX_BYTES: usize = 1_024;
const SHELL: &str = "/bin/sh";
const SYSTEM_SHELL: &str = "/usr/sbin/nologin";
const SYSTEM_HOME: &str = "/nonexistent";

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct State {
    name: String,
    uid: u32,
    /// First group, by name.
    group: String,
    /// Groups that list the user, by name.
    #[serde(default)]
    groups: BTreeSet<String>,
    comment: String,
    home: String,
    shell: String,
    password: Password,
}

/// What is said of a password: never itself, and not its hash.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Password {
    /// Nobody gets in with a password.
    locked: bool,
    /// Digest of the hash, under the session's key if it has one; absent if there is no hash.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    hash: Option<Digest>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Properties {
    name: String,
    uid: Option<u32>,
    group: Option<String>,
    groups: Option<BTreeSet<String>>,
    #[serde(default)]
    keep_groups: bool,
    comment: Option<String>,
    home: Option<String>,
    shell: Option<String>,
    password: Option<String>,
    locked: Option<bool>,
    #[serde(default)]
    system: bool,
    create_home: Option<bool>,
    #[serde(default)]
    remove_home: bool,
    #[serde(default)]
    state: Presence,
}

/// A user, and what is asked for.
pub(crate) struct User {
    properties: Properties,
    restore: Option<Restore>,
    accounts: Accounts,
    key: Option<rectify_sdk::base::DigestKey>,
}

/// A hash as crypt(3) writes it; anything else could never be matched, or would be a password itself.
fn is_hash(text: &str) -> bool {
    let good = |b: u8| b.is_ascii_alphanumeric() || b"$./=,-_+*".contains(&b);
    let mut parts = text.split('$');
    let (first, method) = (parts.next(), parts.next().unwrap_or_default());
    first == Some("")
        && !method.is_empty()
        && parts.clone().count() >= 2
        && parts.next_back().is_some_and(|hash| hash.len() >= 13)
        && text.len() <= TEXT_MAX_BYTES
        && text.bytes().all(good)
}

/// The hash in a field of the shadow file, and whether the field lets nobody in.
fn parted(field: &str) -> (bool, Option<&str>) {
    let hash = field.trim_start_matches('!');
    let locked = hash.len() < field.len() || hash.starts_with('*');
    (locked, Some(hash).filter(|hash| !hash.is_empty() && !hash.starts_with('*')))
}

/// What stands for secrets in the properties at hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Secrets {
    /// There are none.
    None,
    /// Something harmless.
    StandIn,
    /// What they mean.
    Revealed,
}

impl User {
    /// Reads properties, without looking at anything.
    pub(crate) fn new(desired: &Map<String, Value>, secrets: Secrets) -> Result<Self, ItemError> {
        let mut desired = desired.clone();
        let restore = restore_of(&mut desired)?;
        if restore.is_some() {
            // A number that was wished for names nothing here.
            desired.retain(|name, _| name == "name");
        }
        let properties: Properties = typed(Value::Object(desired))?;
        let user = Self { properties, restore, accounts: Accounts::default(), key: None };
        user.check(secrets)?;
        Ok(user)
    }

    fn check(&self, secrets: Secrets) -> Result<(), ItemError> {
        let p = &self.properties;
        if !is_name(&p.name) {
            return Err(wrong("this cannot be the name of a user", "/name"));
        }
        let group = |name: &str| is_name(name);
        if p.group.as_deref().is_some_and(|name| !group(name)) {
            return Err(wrong("this cannot be the name of a group", "/group"));
        }
        if p.groups.iter().flatten().any(|name| !group(name)) {
            return Err(wrong("one of these cannot be the name of a group", "/groups"));
        }
        // What the passwd file cannot hold.
        let line = |text: &str| {
            text.len() <= TEXT_MAX_BYTES && !text.contains(':') && !text.bytes().any(|b| b.is_ascii_control())
        };
        if p.comment.as_deref().is_some_and(|text| !line(text)) {
            return Err(wrong("a comment is one line without colons", "/comment"));
        }
        for (text, at) in [(&p.home, "/home"), (&p.shell, "/shell")] {
            let parts = |text: &str| !text.split('/').any(|part| matches!(part, "." | ".."));
            if text.as_deref().is_some_and(|text| !line(text) || !text.starts_with('/') || !parts(text)) {
                return Err(wrong("this is not an absolute path without `.` and `..`", at));
            }
        }
        if let Some(hash) = &p.password {
            if secrets == Secrets::None {
                let error = wrong("a hash of a password is a secret", "/password");
                return Err(error.hint("name it under `secrets`, and write `${{ secrets.NAME }}` here"));
            }
            if secrets == Secrets::Revealed && !is_hash(hash) {
                let error = wrong("this is not the hash of a password", "/password");
                return Err(error.hint("make one with `openssl passwd -6` or `mkpasswd`"));
            }
        }
        if p.state == Presence::Absent {
            let given = [("/password", p.password.is_some()), ("/locked", p.locked.is_some())];
            if let Some((at, _)) = given.into_iter().find(|(_, given)| *given) {
                return Err(wrong("a user who is to be absent has no such property", at));
            }
        }
        if let Some(Restore { state: Some(state) }) = &self.restore {
            self.known(state)?;
        }
        Ok(())
    }

    /// Looks.
    pub(crate) fn seen(mut self, cx: &Context) -> Result<Self, ItemError> {
        self.accounts = Accounts::load(cx.root())?;
        self.key = cx.digest_key().cloned();
        Ok(self)
    }

    fn known(&self, state: &Value) -> Result<State, ItemError> {
        let state: State = typed(state.clone())?;
        let groups = state.groups.iter().all(|name| is_name(name));
        if state.name == self.properties.name && groups {
            Ok(state)
        } else {
            Err(wrong("the given state is about another user", ""))
        }
    }

    fn digest(&self, hash: &str) -> Digest {
        self.key.as_ref().map_or_else(|| Digest::of_bytes(hash.as_bytes()), |key| key.digest(hash.as_bytes()))
    }

    fn found(&self) -> Option<State> {
        let user = self.accounts.user(&self.properties.name)?;
        let field = self.accounts.password_field(user);
        let (locked, hash) = parted(&field);
        Some(State {
            name: user.name.clone(),
            uid: user.uid,
            group: self.accounts.group_name(user.gid),
            groups: self.accounts.groups_of(&user.name),
            comment: user.comment.clone(),
            home: user.home.clone(),
            shell: user.shell.clone(),
            password: Password { locked, hash: hash.map(|hash| self.digest(hash)) },
        })
    }

    fn wanted(&self, prior: Option<State>) -> Result<State, ItemError> {
        let p = &self.properties;
        let new = match prior.clone() {
            Some(prior) => prior,
            None => State {
                name: p.name.clone(),
                uid: match p.uid {
                    Some(uid) => uid,
                    None => self.accounts.free_number(&p.name, p.system).ok_or_else(|| {
                        ItemError::new(ErrorCode::Failed, "no number is free for a new user").at("/uid")
                    })?,
                },
                group: p.name.clone(),
                groups: BTreeSet::new(),
                comment: String::new(),
                home: if p.system { SYSTEM_HOME.into() } else { format!("/home/{}", p.name) },
                shell: if p.system { SYSTEM_SHELL.into() } else { SHELL.into() },
                password: Password { locked: true, hash: None },
            },
        };
        let uid = p.uid.unwrap_or(new.uid);
        let taken = self.accounts.users.iter().find(|user| user.uid == uid && user.name != p.name);
        if let Some(other) = taken.filter(|_| prior.as_ref().is_none_or(|prior| prior.uid != uid)) {
            return Err(conflict(format!("the number {uid} belongs to the user `{}`", other.name), "/uid"));
        }
        let groups = match &p.groups {
            None => new.groups,
            Some(groups) if p.keep_groups => groups.union(&new.groups).cloned().collect(),
            Some(groups) => groups.clone(),
        };
        let own = |given: &Option<String>, kept: String| given.clone().unwrap_or(kept);
        Ok(State {
            name: new.name,
            uid,
            group: own(&p.group, new.group),
            groups,
            comment: own(&p.comment, new.comment),
            home: own(&p.home, new.home),
            shell: own(&p.shell, new.shell),
            password: self.wanted_password(new.password)?,
        })
    }

    fn wanted_password(&self, found: Password) -> Result<Password, ItemError> {
        let p = &self.properties;
        let hash = p.password.as_deref().map(|hash| self.digest(hash)).or(found.hash);
        let locked = match p.locked {
            Some(locked) => locked,
            // Who had no password was not locked out on purpose.
            None if p.password.is_some() && found.hash.is_none() => false,
            None => found.locked,
        };
        if !locked && hash.is_none() && (found.locked || p.locked.is_some()) {
            let error = wrong("without a password everybody could get in", "/locked");
            return Err(error.hint("give a `password`, too"));
        }
        Ok(Password { locked, hash })
    }

    /// Whether a new user gets a home directory.
    fn makes_home(&self) -> bool {
        let p = &self.properties;
        self.restore.is_none() && p.create_home.unwrap_or(!p.system)
    }

    /// What is to stand in the shadow file.
    fn field(&self, cx: &Context, password: &Password) -> Result<String, ItemError> {
        let user = self.accounts.user(&self.properties.name);
        let there = user.map(|user| self.accounts.password_field(user)).unwrap_or_default();
        let there = parted(&there).1.filter(|hash| Some(self.digest(hash)) == password.hash);
        let given =
            self.properties.password.as_deref().filter(|hash| Some(self.digest(hash)) == password.hash);
        let hash = match (&password.hash, given.or(there)) {
            (None, _) => String::new(),
            (Some(_), Some(hash)) => hash.to_owned(),
            (Some(digest), None) => {
                let bytes =
                    if self.key.is_some() { cx.read_secret_blob(digest) } else { cx.read_blob(digest) }?;
                String::from_utf8(bytes)
                    .map_err(|_| ItemError::new(ErrorCode::Failed, "the hash that was kept is damaged"))?
            }
        };
        if hash.contains([':', '\n']) {
            return Err(ItemError::new(ErrorCode::Failed, "the hash cannot stand in the shadow file"));
        }
        Ok(format!("{}{hash}", if password.locked { "!" } else { "" }))
    }

    fn set_password(&self, change: &mut Change, field: &str) {
        // Through standard input: arguments of a process are there for everybody to read.
        let line = format!("{}:{field}", self.properties.name);
        change.then(&["chpasswd", "--encrypted"], Some(&line));
    }

    fn create(&self, cx: &Context, goal: &State, change: &mut Change) -> Result<(), ItemError> {
        let name = goal.name.as_str();
        let field = self.field(cx, &goal.password)?;
        let (uid, groups) = (goal.uid.to_string(), joined(&goal.groups));
        if goal.group == name && self.accounts.group(name).is_none() {
            let taken = self.accounts.groups.iter().any(|group| group.gid == goal.uid);
            let gid =
                if taken { self.accounts.free_number(name, self.properties.system) } else { Some(goal.uid) };
            let gid =
                gid.ok_or_else(|| ItemError::new(ErrorCode::Failed, "no number is free for its group"))?;
            change.then(&["groupadd", "--gid", &gid.to_string(), "--", name], None);
            change.or_back(&["groupdel", "--", name]);
        }
        let mut argv = vec!["useradd", "--uid", &uid, "--gid", &goal.group, "--no-user-group"];
        argv.extend(["--comment", &goal.comment, "--home-dir", &goal.home, "--shell", &goal.shell]);
        argv.push(if self.makes_home() { "--create-home" } else { "--no-create-home" });
        if !groups.is_empty() {
            argv.extend(["--groups", &groups]);
        }
        if self.properties.system {
            argv.push("--system");
        }
        argv.extend(["--", name]);
        change.then(&argv, None);
        let home: &[&str] = if self.makes_home() { &["--remove"] } else { &[] };
        change.or_back(&[&["userdel"], home, &["--", name]].concat());
        if field != "!" {
            self.set_password(change, &field);
        }
        Ok(())
    }

    fn update(
        &self,
        cx: &Context,
        found: &State,
        goal: &State,
        change: &mut Change,
    ) -> Result<(), ItemError> {
        let field = self.field(cx, &goal.password)?;
        let (forth, back) = (Numbers::of(goal), Numbers::of(found));
        let forth = forth.modify(found, goal);
        if !forth.is_empty() {
            change.then(&forth, None);
            change.or_back(&back.modify(goal, found));
        }
        if found.password != goal.password {
            self.set_password(change, &field);
        }
        Ok(())
    }
}

/// What of a state is given to tools in another form.
struct Numbers {
    uid: String,
    groups: String,
}

impl Numbers {
    fn of(state: &State) -> Self {
        Self { uid: state.uid.to_string(), groups: joined(&state.groups) }
    }

    /// The tool that brings about everything but the password; nothing if there is nothing else.
    fn modify<'a>(&'a self, found: &State, goal: &'a State) -> Vec<&'a str> {
        let mut argv = vec!["usermod"];
        let mut pair = |differs: bool, option: &'static str, value: &'a str| {
            if differs {
                argv.extend([option, value]);
            }
        };
        pair(found.uid != goal.uid, "--uid", &self.uid);
        pair(found.group != goal.group, "--gid", &goal.group);
        pair(found.groups != goal.groups, "--groups", &self.groups);
        pair(found.comment != goal.comment, "--comment", &goal.comment);
        pair(found.home != goal.home, "--home", &goal.home);
        pair(found.shell != goal.shell, "--shell", &goal.shell);
        if argv.len() == 1 {
            return Vec::new();
        }
        argv.extend(["--", &goal.name]);
        argv
    }
}

fn joined(names: &BTreeSet<String>) -> String {
    names.iter().map(String::as_str).collect::<Vec<_>>().join(",")
}

impl Thing for User {
    fn state(&self) -> Result<Option<Value>, ItemError> {
        self.found().map(|state| written(&state)).transpose()
    }

    fn goal(&self, prior: Option<&Value>) -> Result<Goal, ItemError> {
        let prior = prior.map(|prior| self.known(prior)).transpose()?;
        let goal = match &self.restore {
            Some(restore) => restore.state.as_ref().map(|state| self.known(state)).transpose()?,
            None if self.properties.state == Presence::Absent => None,
            None => Some(self.wanted(prior.clone())?),
        };
        // A group that is not there yet may come by an earlier step; its own one it brings itself.
        let there = |group: &str, goal: &State| {
            self.accounts.group(group).is_some() || (prior.is_none() && group == goal.name)
        };
        let sure = goal.as_ref().is_none_or(|goal| {
            there(&goal.group, goal) && goal.groups.iter().all(|group| self.accounts.group(group).is_some())
        });
        Ok(Goal { state: goal.map(|goal| written(&goal)).transpose()?, sure })
    }

    fn undo(&self, prior: Option<&Value>, goal: Option<&Value>) -> Undo {
        match (prior, goal) {
            (None, Some(_)) if self.makes_home() => Undo::lossy("the home directory stays"),
            (Some(_), None) if self.properties.remove_home => Undo::lossy(
                "neither the home directory nor the age of the password and subordinate ids are brought back",
            ),
            (Some(_), None) => {
                Undo::lossy("the age of the password and subordinate ids are not brought back")
            }
            _ => Undo::EXACT,
        }
    }

    fn capture(&self, cx: &Context) -> Result<Option<Digest>, ItemError> {
        let Some(user) = self.accounts.user(&self.properties.name) else { return Ok(None) };
        let field = self.accounts.password_field(user);
        let Some(hash) = parted(&field).1 else { return Ok(None) };
        cx.keep_before_image_from(&mut hash.as_bytes(), true).map(Some)
    }

    fn change(&self, cx: &Context, goal: Option<&Value>) -> Result<(), ItemError> {
        let goal = goal.map(|goal| self.known(goal)).transpose()?;
        let name = self.properties.name.as_str();
        let mut change = Change::default();
        match (self.found(), &goal) {
            (None, None) => {}
            (Some(_), None) => {
                let home: &[&str] = if self.properties.remove_home { &["--remove"] } else { &[] };
                change.then(&[&["userdel"], home, &["--", name]].concat(), None);
            }
            (None, Some(goal)) => self.create(cx, goal, &mut change)?,
            (Some(found), Some(goal)) => self.update(cx, &found, goal, &mut change)?,
        }
        reached(At::Prepared);
        change.run(cx)?;
        reached(At::Done);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{is_hash, parted};

    #[test]
    fn a_field_says_whether_it_lets_somebody_in() {
        for (field, locked, hash) in [
            ("$y$j9T$salt$hash", false, Some("$y$j9T$salt$hash")),
            ("!$y$j9T$salt$hash", true, Some("$y$j9T$salt$hash")),
            ("!!$6$a$b", true, Some("$6$a$b")),
            ("!", true, None),
            ("!!", true, None),
            ("*", true, None),
            ("!*", true, None),
            ("", false, None),
        ] {
            assert_eq!(parted(field), (locked, hash), "{field}");
        }
    }

    #[test]
    fn only_a_hash_passes_for_one() {
        let long = format!("$6$salt${}", "x".repeat(2_000));
        for hash in [
            "$y$j9T$F5Jx5fExrKuPp53xLKQ..1$X3DX6M94c7oX3DX6M94c7o",
            "$6$rounds=5000$saltsalt$abcdefghijklmnop",
        ] {
            assert!(is_hash(hash), "{hash}");
        }
        for text in
            ["hunter2", "", "!", "$6$salt$", "$6$salt", "$6$salt$short", "$6$a$b:c$ddddddddddddddd", &long]
        {
            assert!(!is_hash(text), "{text}");
        }
    }
}
