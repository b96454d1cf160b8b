//! What a node may do: what is there before, its step, and how somebody gets in its way. Words like `<n>` in
//! these texts, the number of the node, are filled in.

use super::super::{machine::CHANGED, scenario::Provider};

/// How a node fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// Before it changed anything.
    Early,
    /// After it had its effect.
    Late,
}

/// A kind of node.
#[derive(Debug, PartialEq, Eq)]
pub struct Kind {
    /// Tells it from others.
    pub name: &'static str,
    /// Makes what is there before; a line of a shell script, run where `Area::shell` runs it.
    begin: &'static str,
    /// The step: its type and its properties.
    step: &'static str,
    /// Changes what the step expects; empty where a check of its own fails.
    disturb: &'static str,
    /// Whether it can be taken back.
    pub undoable: bool,
}

const fn kind(name: &'static str, begin: &'static str, step: &'static str, disturb: &'static str) -> Kind {
    Kind { name, begin, step, disturb, undoable: true }
}

/// Makes a directory in which other nodes may make files.
pub const DIRECTORY: Kind = kind(
    "directory",
    "",
    r#"file.directory: {path: <path>, mode: "0751"}"#,
    "echo 'somebody was here' >etc/n<n>",
);
/// Makes a file, perhaps in such a directory.
pub const CREATE: Kind =
    kind("create", "", r#"file.content: {path: <path>, content: "made <n>\n", mode: "0640"<check>}"#, "");

const FILE: [Kind; 7] = [
    kind(
        "update",
        "echo 'old <n>' >etc/n<n>",
        r#"file.content: {path: <path>, content: "new <n>\n"<check>}"#,
        "",
    ),
    CREATE,
    kind(
        "line",
        r"printf 'a=1\nb=2\nc=3\n' >etc/n<n>; chmod 0640 etc/n<n>",
        "file.line: {path: <path>, match: '^b=', line: \"b=<n>x\"<check>}",
        "",
    ),
    DIRECTORY,
    kind("link", "", "file.link: {path: <path>, target: somewhere}", "ln -s elsewhere etc/n<n>"),
    kind(
        "absent",
        "echo 'old <n>' >etc/n<n>; chmod 0600 etc/n<n>",
        "file.absent: {path: <path>}",
        "echo 'somebody was here' >etc/n<n>",
    ),
    kind(
        "mode",
        "echo same >etc/n<n>; chmod 0755 etc/n<n>",
        r#"file.content: {path: <path>, content: "same\n", mode: "0711"}"#,
        "chmod 0444 etc/n<n>",
    ),
];

/// A command that can be taken back, and one that cannot. `<run>` stands for what is run.
const UNDOABLE: Kind = kind(
    "undoable",
    "",
    r#"command.run: {argv: <run>, undo: [/bin/sh, -c, 'echo x >> "$RECTIFY_ROOT/../../counters/n<n>.undo"']}"#,
    "",
);
const ONCE: Kind =
    Kind { name: "once", begin: "", step: "command.run: {argv: <run>}", disturb: "", undoable: false };

const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl";

const ACCOUNT: [Kind; 6] = [
    kind(
        "user made",
        "",
        "user.account: {name: torture-n<n>, uid: 440<n>, comment: made, groups: [daemon], create_home: false}",
        "useradd -M -u 450<n> torture-n<n>",
    ),
    kind(
        "user changed",
        "useradd -M -u 440<n> -c before -s /bin/sh torture-n<n>",
        "user.account: {name: torture-n<n>, comment: after, shell: /usr/sbin/nologin, groups: [adm]}",
        "usermod -c somebody torture-n<n>",
    ),
    kind(
        "group made",
        "",
        "group.entry: {name: torture-n<n>, gid: 440<n>, members: [daemon]}",
        "groupadd -g 450<n> torture-n<n>",
    ),
    kind(
        "group changed",
        "groupadd -g 440<n> torture-n<n>; gpasswd -M games,daemon torture-n<n> >/dev/null",
        "group.entry: {name: torture-n<n>, gid: 460<n>, members: [bin, daemon]}",
        "gpasswd -M sys torture-n<n> >/dev/null",
    ),
    kind(
        "group gone",
        "groupadd -g 440<n> torture-n<n>",
        "group.entry: {name: torture-n<n>, state: absent}",
        "gpasswd -M sys torture-n<n> >/dev/null",
    ),
    kind(
        "keys",
        "useradd -M -u 440<n> -d /home/torture-n<n> torture-n<n>
install -d -m 0700 -o torture-n<n> -g torture-n<n> /home/torture-n<n>",
        "ssh.authorized_keys: {user: torture-n<n>, keys: [\"<key> n<n>\"]}",
        "install -d -m 0700 -o torture-n<n> -g torture-n<n> /home/torture-n<n>/.ssh
echo '# somebody' >/home/torture-n<n>/.ssh/authorized_keys",
    ),
];

const INSTALL: &str = "apt-get install -qq rectify-probe-n<n>=1.0 >/dev/null";
const PURGE: &str = "dpkg --purge rectify-probe-n<n> >/dev/null";

const PACKAGE: [Kind; 4] = [
    kind(
        "installed",
        "",
        r#"package.installed: {name: rectify-probe-n<n>, version: "1.0"}"#,
        "apt-get install -qq rectify-probe-n<n>=1.1 >/dev/null",
    ),
    kind("upgraded", INSTALL, r#"package.installed: {name: rectify-probe-n<n>, minimum: "1.1"}"#, PURGE),
    kind(
        "removed",
        INSTALL,
        "package.installed: {name: rectify-probe-n<n>, state: absent}",
        "apt-get install -qq rectify-probe-n<n>=1.1 >/dev/null",
    ),
    kind("held", INSTALL, "package.installed: {name: rectify-probe-n<n>, held: true}", PURGE),
];

const UNIT: &str = r"printf '[Service]\nExecStart=/bin/true\n[Install]\nWantedBy=multi-user.target\n' \
  >usr/lib/systemd/system/n<n>.service";
const LINKED: &str = r"printf '[Service]\nExecStart=/bin/true\n[Install]\nWantedBy=multi-user.target\n' \
  >usr/lib/systemd/system/n<n>.service
ln -s /usr/lib/systemd/system/n<n>.service etc/systemd/system/multi-user.target.wants/n<n>.service";
const SOMEBODYS: &str = "echo '# of somebody' >etc/systemd/system/n<n>.service";

const SERVICE: [Kind; 5] = [
    kind(
        "enabled",
        UNIT,
        "service.unit: {unit: n<n>.service, enabled: true}",
        "ln -s /dev/null etc/systemd/system/n<n>.service",
    ),
    kind(
        "disabled",
        LINKED,
        "service.unit: {unit: n<n>.service, enabled: false}",
        "ln -s /dev/null etc/systemd/system/n<n>.service",
    ),
    kind("masked", UNIT, "service.unit: {unit: n<n>.service, masked: true}", SOMEBODYS),
    kind(
        "unit file",
        "",
        r#"service.unit_file: {path: /etc/systemd/system/n<n>.service, content: "[Service]\nExecStart=/bin/true\n"}"#,
        SOMEBODYS,
    ),
    kind(
        "unit file gone",
        "echo '# before' >etc/systemd/system/n<n>.service",
        "service.unit_file: {path: /etc/systemd/system/n<n>.service, state: absent}",
        SOMEBODYS,
    ),
];

/// Settings by the number of a node: what they are, and what they are to be.
const VALUES: [(&str, &str); 8] = [
    ("0", "1"),
    ("64", "63"),
    ("7200", "600"),
    ("60", "30"),
    ("2", "1"),
    ("9", "5"),
    ("75", "15"),
    ("15", "8"),
];

const SYSCTL: [Kind; 3] = [
    kind(
        "set",
        "echo <before> >/proc/sys/net/ipv4/<setting>",
        "sysctl.value: {key: net.ipv4.<setting>, value: <after>}",
        "mkdir -p /etc/sysctl.d; echo '# somebody' >/etc/sysctl.d/60-rectify-net.ipv4.<setting>.conf",
    ),
    kind(
        "kept",
        "echo <before> >/proc/sys/net/ipv4/<setting>",
        "sysctl.value: {key: net.ipv4.<setting>, value: <after>, live: false}",
        "mkdir -p /etc/sysctl.d; echo '# somebody' >/etc/sysctl.d/60-rectify-net.ipv4.<setting>.conf",
    ),
    kind(
        "gone",
        "echo <before> >/proc/sys/net/ipv4/<setting>
mkdir -p /etc/sysctl.d; echo 'net.ipv4.<setting> = <before>' >/etc/sysctl.d/60-rectify-net.ipv4.<setting>.conf",
        "sysctl.value: {key: net.ipv4.<setting>, state: absent}",
        "echo '# somebody' >/etc/sysctl.d/60-rectify-net.ipv4.<setting>.conf",
    ),
];

/// Kinds of nodes of a provider.
pub const fn of(provider: Provider) -> &'static [Kind] {
    match provider {
        Provider::File => &FILE,
        // One in three cannot be taken back.
        Provider::Command => &[UNDOABLE, UNDOABLE, ONCE],
        Provider::Account => &ACCOUNT,
        Provider::Package => &PACKAGE,
        Provider::Service => &SERVICE,
        Provider::Sysctl => &SYSCTL,
    }
}

impl Kind {
    fn filled(text: &str, place: usize) -> String {
        let (before, after) = VALUES.get(place).copied().unwrap_or_default();
        text.replace("<n>", &place.to_string())
            .replace("<key>", KEY)
            .replace("<setting>", CHANGED.get(place).copied().unwrap_or("none"))
            .replace("<before>", before)
            .replace("<after>", after)
    }

    /// What is there before.
    pub fn begin(&self, place: usize) -> String {
        format!("{}\n", Self::filled(self.begin, place))
    }

    /// The type and the properties. A node that is to fail does, where its properties can make it.
    pub fn step(&self, place: usize, path: &str, failure: Option<Failure>) -> String {
        let check = if failure.is_some() { ", validate: [/bin/false, \"%s\"]" } else { "" };
        let effect = format!("echo x >> \"$RECTIFY_ROOT/../../counters/n{place}\"");
        let run = match failure {
            None => format!("[/bin/sh, -c, '{effect}']"),
            Some(Failure::Early) => "[/nonexistent/program]".into(),
            Some(Failure::Late) => format!("[/bin/sh, -c, '{effect}; exit 1']"),
        };
        Self::filled(self.step, place)
            .replace("<path>", path)
            .replace("<check>", check)
            .replace("<run>", &run)
    }

    /// Makes a node fail that its properties do not make fail: somebody changes what it expects.
    pub fn disturb(&self, place: usize) -> String {
        format!("{}\n", Self::filled(self.disturb, place))
    }
}
