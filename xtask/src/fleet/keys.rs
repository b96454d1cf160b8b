//! Keys of a fleet: one for whoever made it, one for each node, and how ssh is told of them.

use super::{network::Network, record::Record};
use crate::run::{Outcome, read, run, write};
use std::{fs, os::unix::fs::PermissionsExt, path::Path, process::Command};

/// Name of the file that ssh is configured with.
pub const CONFIG: &str = "ssh_config";

/// Makes them all in the directory of the fleet.
pub fn make(directory: &Path, record: &Record, network: &Network) -> Outcome {
    generate(&directory.join("key"))?;
    let mut known = String::new();
    let mut config = String::new();
    for (node, number) in record.nodes.iter().zip(1..) {
        let key = directory.join(node).join("host-key");
        generate(&key)?;
        let address = network.address(number);
        let public = read(&key.with_extension("pub"))?;
        let mut words = public.split(' ');
        let (kind, key) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        known.push_str(&format!("{node} {kind} {key}\n"));
        config.push_str(&format!(
            "Host {node}\n  HostName {address}\n  HostKeyAlias {node}\n  User root\n  \
             IdentityFile {0}/key\n  IdentitiesOnly yes\n  UserKnownHostsFile {0}/known_hosts\n  \
             GlobalKnownHostsFile /dev/null\n  StrictHostKeyChecking yes\n  BatchMode yes\n  LogLevel ERROR\n\n",
            directory.display()
        ));
    }
    write(&directory.join("known_hosts"), &known)?;
    write(&directory.join(CONFIG), &config)
}

fn generate(path: &Path) -> Outcome {
    let mut command = Command::new("ssh-keygen");
    command.args(["-q", "-t", "ed25519", "-N", "", "-C", "rectify-fleet", "-f"]).arg(path);
    run(command)
}

/// Copies a node's keys, and the key that may enter it, into its file system.
pub fn install(directory: &Path, node: &str, upper: &Path) -> Outcome {
    let host = directory.join(node).join("host-key");
    file(upper, "etc/ssh/ssh_host_ed25519_key", &read(&host)?, 0o600)?;
    file(upper, "etc/ssh/ssh_host_ed25519_key.pub", &read(&host.with_extension("pub"))?, 0o644)?;
    file(upper, "root/.ssh/authorized_keys", &read(&directory.join("key.pub"))?, 0o600)?;
    for private in ["root/.ssh", "root"] {
        set_mode(&upper.join(private), 0o700)?;
    }
    Ok(())
}

/// Writes a file of a node; directories above it are open to everybody.
pub fn file(upper: &Path, name: &str, text: &str, mode: u32) -> Outcome {
    let path = upper.join(name);
    write(&path, text)?;
    set_mode(&path, mode)?;
    let above = path.ancestors().skip(1).take_while(|directory| directory.starts_with(upper));
    above.into_iter().try_for_each(|directory| set_mode(directory, 0o755))
}

fn set_mode(path: &Path, mode: u32) -> Outcome {
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
        .map_err(|e| format!("{}: {e}", path.display()))
}
