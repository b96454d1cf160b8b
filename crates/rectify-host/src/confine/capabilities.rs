//! Capabilities: root without its powers, save that of reading what others may not.

use rustix::thread::{
    CapabilitySet, CapabilitySets, capabilities, clear_ambient_capability_set, set_capabilities,
};

/// Drops every capability but `CAP_DAC_READ_SEARCH`, if we have that one. With no new privileges
/// set, no program that is executed later gets more.
pub(super) fn drop_all() -> Result<(), rustix::io::Errno> {
    let have = capabilities(None)?;
    let keep = have.permitted & CapabilitySet::DAC_READ_SEARCH;
    clear_ambient_capability_set()?;
    set_capabilities(
        None,
        CapabilitySets { effective: keep, permitted: keep, inheritable: CapabilitySet::empty() },
    )
}
