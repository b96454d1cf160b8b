//! The target's own passwd, shadow, group and gshadow files. Lines of another shape name nobody, and of
//! two entries of one name the first counts, as for the system.

use rectify_sdk::{
    Folder,
    protocol::{ErrorCode, ItemError},
};
use std::{collections::BTreeSet, path::Path};

/// Longest file that is read.
const FILE_MAX_BYTES: u64 = 16 * 1024 * 1024;

/// A line of the passwd file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct User {
    pub(crate) name: String,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) comment: String,
    pub(crate) home: String,
    pub(crate) shell: String,
    /// What stands in place of the password: `x` where the shadow file has it.
    field: String,
}

/// A line of the group file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Group {
    pub(crate) name: String,
    pub(crate) gid: u32,
    pub(crate) members: BTreeSet<String>,
}

/// Users and groups of a target.
#[derive(Clone, Debug, Default)]
pub(crate) struct Accounts {
    pub(crate) users: Vec<User>,
    pub(crate) groups: Vec<Group>,
    shadow: String,
    gshadow: String,
}

impl Accounts {
    /// Reads the files; one that does not exist names nobody.
    pub(crate) fn load(root: Option<&Path>) -> Result<Self, ItemError> {
        let Some(etc) = Folder::open(root, Path::new("/etc"))? else { return Ok(Self::default()) };
        let text = |name: &str| -> Result<String, ItemError> {
            let file = etc.read(name, FILE_MAX_BYTES)?;
            Ok(file.map(|file| String::from_utf8_lossy(&file.bytes).into_owned()).unwrap_or_default())
        };
        // Only root may read these two; who may not sees no passwords.
        let private = |name: &str| match text(name) {
            Err(e) if e.code == ErrorCode::Permission => Ok(String::new()),
            other => other,
        };
        Ok(Self::parse(&text("passwd")?, &text("group")?, private("shadow")?, private("gshadow")?))
    }

    fn parse(passwd: &str, group: &str, shadow: String, gshadow: String) -> Self {
        let user = |line: &str| {
            let fields: Vec<&str> = line.split(':').collect();
            let [name, field, uid, gid, comment, home, shell] = fields.as_slice() else { return None };
            let (uid, gid) = (uid.parse().ok()?, gid.parse().ok()?);
            let own = |text: &str| text.to_owned();
            Some(User {
                name: own(name),
                uid,
                gid,
                comment: own(comment),
                home: own(home),
                shell: own(shell),
                field: own(field),
            })
        };
        let group_of = |line: &str| {
            let mut fields = line.split(':');
            let (name, _, gid) = (fields.next()?, fields.next()?, fields.next()?.parse().ok()?);
            let members = fields.next()?.split(',').filter(|member| !member.is_empty());
            Some(Group { name: name.to_owned(), gid, members: members.map(str::to_owned).collect() })
        };
        let users = passwd.lines().filter_map(user).filter(|user| !user.name.is_empty());
        let groups = group.lines().filter_map(group_of).filter(|group| !group.name.is_empty());
        Self { users: users.collect(), groups: groups.collect(), shadow, gshadow }
    }

    pub(crate) fn user(&self, name: &str) -> Option<&User> {
        self.users.iter().find(|user| user.name == name)
    }

    pub(crate) fn group(&self, name: &str) -> Option<&Group> {
        self.groups.iter().find(|group| group.name == name)
    }

    /// How states write the group of a number: by a name that leads back to it, else as the number.
    pub(crate) fn group_name(&self, gid: u32) -> String {
        let leads_back = |group: &&Group| self.group(&group.name).is_some_and(|first| first.gid == gid);
        let found = self.groups.iter().filter(|group| group.gid == gid).find(leads_back);
        found.map_or_else(|| gid.to_string(), |group| group.name.clone())
    }

    /// Groups that list a user as a member.
    pub(crate) fn groups_of(&self, name: &str) -> BTreeSet<String> {
        let listed = self.groups.iter().filter(|group| group.members.contains(name));
        listed.map(|group| group.name.clone()).collect()
    }

    /// What stands for the password of a user.
    pub(crate) fn password_field(&self, user: &User) -> String {
        let mut lines = self.shadow.lines().filter_map(|line| line.split_once(':'));
        let shadow = lines.find(|(name, _)| *name == user.name);
        let field = shadow.and_then(|(_, rest)| rest.split(':').next());
        match field {
            Some(field) if user.field == "x" => field.to_owned(),
            // No line: nobody gets in.
            None if user.field == "x" => "!".to_owned(),
            _ => user.field.clone(),
        }
    }

    /// Whether a group has a password or administrators.
    pub(crate) fn has_extras(&self, group: &str) -> bool {
        let mut lines = self.gshadow.lines().map(|line| line.split(':').collect::<Vec<_>>());
        let line = lines.find(|fields| fields.first() == Some(&group));
        line.is_some_and(|fields| {
            let field = |at: usize| fields.get(at).copied().unwrap_or_default();
            !matches!(field(1), "" | "!" | "*" | "!!") || !field(2).is_empty()
        })
    }

    /// A number for a new user or group: one that follows from the name, so that it is the same on every
    /// target where nobody has it.
    pub(crate) fn free_number(&self, name: &str, system: bool) -> Option<u32> {
        let (first, last) = if system { (100, 999) } else { (1_000, 59_999) };
        let span = last - first + 1;
        let digest = rectify_sdk::base::Digest::of_bytes(name.as_bytes()).hex();
        let start = u32::from_str_radix(digest.get(..8)?, 16).ok()? % span;
        let taken: BTreeSet<u32> =
            self.users.iter().map(|u| u.uid).chain(self.groups.iter().map(|g| g.gid)).collect();
        (0..span).map(|step| first + (start + step) % span).find(|number| !taken.contains(number))
    }
}

/// Whether a text can be the name of a user or group for every tool.
pub(crate) fn is_name(text: &str) -> bool {
    let mut bytes = text.bytes();
    let first = bytes.next().is_some_and(|b| b.is_ascii_lowercase() || b == b'_');
    first
        && text.len() <= 32
        && bytes.all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_-".contains(&b))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn accounts() -> Accounts {
        Accounts::parse(
            "root:x:0:0:root:/root:/bin/bash\nbroken\nodd:x:abc:1::/:/bin/sh\nweb:x:33:33:Web,,,:/var/www:/bin/sh\n\
             old:$1$x:40:40::/:\nweb:x:34:34::/:\n+::::::\n",
            "root:x:0:\nadm:x:4:web,root\nwww:x:33:\nalias:x:33:web\nadm:x:5:\nbad:x\n",
            "root:*:1:::::\nweb:!$y$hash:19000:0:99999:7:::\n".into(),
            "adm:!::web,root\nwww:$y$x::\nalias::root:web\n".into(),
        )
    }

    #[test]
    fn the_first_entry_of_a_name_counts() {
        let accounts = accounts();
        let web = accounts.user("web").unwrap();
        assert_eq!((web.uid, web.gid, web.comment.as_str()), (33, 33, "Web,,,"));
        assert_eq!(accounts.user("odd"), None);
        assert_eq!(accounts.user("broken"), None);
        assert_eq!(accounts.group("adm").unwrap().gid, 4);
        assert_eq!(accounts.group_name(33), "www");
        // A number whose only name leads elsewhere has none.
        assert_eq!((accounts.group_name(5), accounts.group_name(99)), ("5".into(), "99".into()));
        assert_eq!(accounts.groups_of("web"), ["adm", "alias"].map(String::from).into());
    }

    #[test]
    fn passwords_are_where_they_are() {
        let accounts = accounts();
        let field = |name| accounts.password_field(accounts.user(name).unwrap());
        assert_eq!(
            (field("root"), field("web"), field("old")),
            ("*".into(), "!$y$hash".into(), "$1$x".into())
        );
        let extras = ["adm", "www", "alias", "none"].map(|name| accounts.has_extras(name));
        assert_eq!(extras, [false, true, true, false]);
        let bare = Accounts::parse("a:x:1:1::/:/bin/sh\n", "", String::new(), String::new());
        assert_eq!(bare.password_field(bare.user("a").unwrap()), "!");
    }

    #[test]
    fn a_number_follows_from_the_name_and_is_free() {
        let mut accounts = accounts();
        let number = accounts.free_number("deploy", false).unwrap();
        assert!((1_000..60_000).contains(&number));
        assert_eq!(accounts.free_number("deploy", false), Some(number));
        accounts.groups.push(Group { name: "x".into(), gid: number, members: BTreeSet::new() });
        assert_ne!(accounts.free_number("deploy", false), Some(number));
        assert!((100..1_000).contains(&accounts.free_number("deploy", true).unwrap()));
        for gid in 100..1_000 {
            accounts.groups.push(Group { name: format!("g{gid}"), gid, members: BTreeSet::new() });
        }
        assert_eq!(accounts.free_number("deploy", true), None);
    }

    #[test]
    fn names_are_those_that_every_tool_takes() {
        assert!(["a", "_apt", "www-data", "user_1"].into_iter().all(is_name));
        let long = "a".repeat(33);
        assert!(!["", "-x", "1a", "A", "a b", "a:b", "a\n", "ä", "a.b", &long].into_iter().any(is_name));
    }
}
