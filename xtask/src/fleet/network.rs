//! A bridge for each fleet, with private addresses: this machine is `.1`, nodes follow. Nothing leads
//! further, and nothing is forwarded.

use crate::run::{Outcome, output, run};
use std::{
    fs,
    net::Ipv4Addr,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

/// How long the interfaces of dead nodes may take to go.
const PATIENCE: Duration = Duration::from_secs(10);

/// Network of a fleet: `10.213.N.0/24`.
#[derive(Clone, Debug)]
pub struct Network {
    id: String,
    subnet: u8,
    /// What the bridge is marked with.
    mark: String,
}

fn ip(words: &[&str]) -> Command {
    let mut command = Command::new("ip");
    command.args(words);
    command
}

impl Network {
    /// The one of a fleet in this directory, whether it exists or not.
    pub fn of(id: &str, subnet: u8, directory: &Path) -> Self {
        Self { id: id.into(), subnet, mark: format!("rectify-fleet {}", directory.display()) }
    }

    /// Name of the bridge.
    pub fn bridge(&self) -> String {
        format!("rf{}", self.id)
    }

    /// Address of a node; 0 is this machine.
    pub fn address(&self, node: u8) -> Ipv4Addr {
        Ipv4Addr::new(10, 213, self.subnet, node + 1)
    }

    /// Whether neither the bridge's name nor its addresses are taken by anybody.
    pub fn is_free(&self) -> Result<bool, String> {
        let address = self.address(0).to_string();
        let routes = output(ip(&["-4", "-o", "route", "show", "to", "match", &address]))?;
        let routes = String::from_utf8_lossy(&routes).into_owned();
        let taken = routes.lines().any(|route| !route.starts_with("default"));
        Ok(!taken && !class(&self.bridge()).exists())
    }

    /// Makes the bridge, and marks it.
    pub fn make(&self) -> Outcome {
        let bridge = self.bridge();
        run(ip(&["link", "add", "name", &bridge, "type", "bridge", "forward_delay", "0"]))?;
        run(ip(&["link", "set", "dev", &bridge, "alias", &self.mark]))?;
        run(ip(&["address", "add", &format!("{}/24", self.address(0)), "dev", &bridge]))?;
        run(ip(&["link", "set", "dev", &bridge, "up"]))
    }

    /// Gives a node its address, in the network namespace of a process. `false`: its interface is not
    /// there yet.
    pub fn join(&self, leader: i32, node: u8) -> Result<bool, String> {
        let leader = leader.to_string();
        let inside = |words: &[&str]| {
            let mut command = Command::new("nsenter");
            command.args(["--target", &leader, "--net", "--", "ip"]).args(words);
            command
        };
        let mut look = inside(&["link", "show", "dev", "host0"]);
        let seen = look.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
        if !seen.map_err(|e| format!("cannot start nsenter: {e}"))?.success() {
            return Ok(false);
        }
        run(inside(&["address", "add", &format!("{}/24", self.address(node)), "dev", "host0"]))?;
        run(inside(&["link", "set", "dev", "host0", "up"]))?;
        Ok(true)
    }

    /// Whether the bridge is there and ours.
    pub fn is_ours(&self) -> bool {
        fs::read_to_string(class(&self.bridge()).join("ifalias")).is_ok_and(|alias| alias.trim() == self.mark)
    }

    /// Removes the bridge, once the nodes are gone. One that does not carry our mark is left alone.
    pub fn end(&self) -> Outcome {
        let bridge = self.bridge();
        if !class(&bridge).exists() {
            return Ok(());
        }
        if !self.is_ours() {
            return Err(format!("the interface {bridge} was not made by this fleet, and stays"));
        }
        let ports = || fs::read_dir(class(&bridge).join("brif")).into_iter().flatten().count();
        let end = Instant::now() + PATIENCE;
        while ports() > 0 && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(20));
        }
        run(ip(&["link", "delete", "dev", &bridge, "type", "bridge"]))
    }
}

fn class(interface: &str) -> std::path::PathBuf {
    Path::new("/sys/class/net").join(interface)
}

/// Fleets whose directory lay here, by the bridges that are left of them.
pub fn marked(running: &Path) -> Vec<String> {
    let prefix = format!("rectify-fleet {}/", running.display());
    let mut found = Vec::new();
    for entry in fs::read_dir("/sys/class/net").into_iter().flatten().flatten() {
        let alias = fs::read_to_string(entry.path().join("ifalias")).unwrap_or_default();
        found.extend(alias.trim().strip_prefix(&prefix).map(str::to_owned));
    }
    found.sort();
    found
}
