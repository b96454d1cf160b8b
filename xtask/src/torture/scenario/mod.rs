//! What is applied: for each built-in provider that changes things, a few steps of each kind, what they are
//! applied to, and how that is looked at.

use super::area::Area;
use crate::{fleet, run::Outcome};
use std::fmt;

/// A built-in provider that changes things.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Provider {
    File,
    Command,
    Account,
    Package,
    Service,
    Sysctl,
}

/// How a machine is looked at where it is not only files that count.
#[derive(Debug)]
pub struct Watch {
    /// Prints lines: a name, a tab, what is there.
    pub look: &'static str,
    /// Files and directories below which every byte counts.
    pub paths: &'static [&'static str],
    /// Whether settings of the kernel count.
    pub settings: bool,
}

impl Provider {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::File, Self::Command, Self::Account, Self::Package, Self::Service, Self::Sysctl];

    /// The steps, as they stand below `steps:`.
    pub const fn steps(self) -> &'static str {
        match self {
            Self::File => include_str!("file.yaml"),
            Self::Command => include_str!("command.yaml"),
            Self::Account => include_str!("account.yaml"),
            Self::Package => include_str!("package.yaml"),
            Self::Service => include_str!("service.yaml"),
            Self::Sysctl => include_str!("sysctl.yaml"),
        }
    }

    /// Names of the steps.
    pub fn names(self) -> Vec<&'static str> {
        let name = |line: &'static str| line.strip_prefix("  ")?.strip_suffix(':');
        self.steps().lines().filter_map(name).filter(|name| !name.starts_with([' ', '#'])).collect()
    }

    /// How a machine is looked at; `None` where the target is a root directory.
    pub const fn watch(self) -> Option<&'static Watch> {
        match self {
            // What systemd has in memory is looked at on hosts; see docs/hosts.md.
            Self::File | Self::Command | Self::Service => None,
            Self::Account => Some(&Watch {
                look: include_str!("account.look.sh"),
                paths: &["/home/torture-keys", "/home/torture-others", "/home/torture-new"],
                settings: false,
            }),
            Self::Package => {
                Some(&Watch { look: include_str!("package.look.sh"), paths: &[], settings: false })
            }
            Self::Sysctl => Some(&Watch { look: "", paths: &["/etc/sysctl.d"], settings: true }),
        }
    }

    /// Makes what is there before the steps of the matrix are applied.
    pub fn begin(self, area: &Area) -> Outcome {
        self.ready(area)?;
        area.shell(match self {
            Self::File => include_str!("file.sh"),
            Self::Command => "",
            Self::Account => include_str!("account.sh"),
            Self::Package => include_str!("package.sh"),
            Self::Service => include_str!("service.sh"),
            Self::Sysctl => include_str!("sysctl.sh"),
        })
    }

    /// Makes what any steps need: a file for a probe, packages without a network.
    pub fn ready(self, area: &Area) -> Outcome {
        if let (Self::Package, Some(machine)) = (self, area.machine()) {
            machine.put(&fleet::repository()?, "/var/lib/rectify-probe-repository")?;
            area.shell(include_str!("package.ready.sh"))?;
        }
        if area.machine().is_none() {
            area.shell("mkdir etc; echo '127.0.0.1 localhost' >etc/hosts")?;
        }
        if self == Self::Service {
            area.shell("mkdir -p etc/systemd/system/multi-user.target.wants usr/lib/systemd/system")?;
        }
        Ok(())
    }
}

impl fmt::Display for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::File => "file",
            Self::Command => "command",
            Self::Account => "account",
            Self::Package => "package",
            Self::Service => "service",
            Self::Sysctl => "sysctl",
        })
    }
}

/// A step that fails after all others, before it changed anything.
pub fn failing(provider: Provider) -> String {
    format!(
        "  fails:\n    file.content: {{path: /etc/fails, content: \"x\\n\", validate: [/bin/false, \"%s\"]}}\n    after: [{}]\n",
        provider.names().join(", ")
    )
}

/// A probe that does not hold.
pub const GATE: &str = "verify:\n  - file.matches: {path: /etc/hosts, pattern: nothing-like-this}\n";
