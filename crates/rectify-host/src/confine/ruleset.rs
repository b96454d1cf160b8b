//! Landlock: read and execute everywhere, write beneath the work directory only.

use super::mounts::DEVICES;
use landlock::{
    ABI, Access, AccessFs, CompatLevel, Compatible, PathBeneath, PathFd, Ruleset, RulesetAttr,
    RulesetCreatedAttr, RulesetStatus, Scope,
};
use std::path::Path;

/// Earlier versions let a file be truncated by opening it for reading.
const OLDEST: i32 = 3;
/// Later ones regulate the use of sockets, which a session may use.
const NEWEST: i32 = 7;
/// From this version on, signals to processes outside can be refused.
const SIGNALS: i32 = 6;

/// The newest version that the kernel offers, among those whose rights are known here.
pub(super) fn version() -> Result<ABI, String> {
    let mut reason = String::new();
    for number in (OLDEST..=NEWEST).rev() {
        let abi = ABI::from(number);
        let ruleset = Ruleset::default()
            .set_compatibility(CompatLevel::HardRequirement)
            .handle_access(AccessFs::from_all(abi))
            .and_then(
                |ruleset| if keeps_signals(abi) { ruleset.scope(Scope::from_all(abi)) } else { Ok(ruleset) },
            )
            .and_then(Ruleset::create);
        match ruleset {
            Ok(_) => return Ok(abi),
            Err(e) => reason = e.to_string(),
        }
    }
    Err(format!("this kernel offers no version from {OLDEST} on: {reason}"))
}

/// Whether the version keeps signals inside.
pub(super) fn keeps_signals(abi: ABI) -> bool {
    abi as i32 >= SIGNALS
}

/// Restricts this process and all that come after it.
pub(super) fn restrict(abi: ABI, work: &Path) -> Result<(), String> {
    let error = |e: &dyn std::fmt::Display| e.to_string();
    let mut ruleset = Ruleset::default()
        .set_compatibility(CompatLevel::HardRequirement)
        .handle_access(AccessFs::from_all(abi))
        .map_err(|e| error(&e))?;
    if keeps_signals(abi) {
        ruleset = ruleset.scope(Scope::from_all(abi)).map_err(|e| error(&e))?;
    }
    let mut created = ruleset.create().map_err(|e| error(&e))?;
    created = created.add_rule(beneath("/", AccessFs::from_read(abi))?).map_err(|e| error(&e))?;
    created = created.add_rule(beneath(work, AccessFs::from_all(abi))?).map_err(|e| error(&e))?;
    for device in DEVICES.iter().filter(|d| Path::new(d).exists()) {
        let access = AccessFs::ReadFile | AccessFs::WriteFile;
        created = created.add_rule(beneath(device, access)?).map_err(|e| error(&e))?;
    }
    let status = created.restrict_self().map_err(|e| error(&e))?;
    match status.ruleset {
        RulesetStatus::FullyEnforced => Ok(()),
        RulesetStatus::PartiallyEnforced | RulesetStatus::NotEnforced => {
            Err("the kernel enforces only a part of it".into())
        }
    }
}

fn beneath(
    path: impl AsRef<Path>,
    access: impl Into<landlock::BitFlags<AccessFs>>,
) -> Result<PathBeneath<PathFd>, String> {
    let path = path.as_ref();
    let fd = PathFd::new(path).map_err(|e| format!("{}: {e}", path.display()))?;
    Ok(PathBeneath::new(fd, access))
}
