//! `facts.addresses`: network interfaces, by name. Without the loopback interface, addresses of one
//! link, and those that IPv6 makes up for a while.

use crate::{Answer, Told, source::Files, too_many};
use nix::ifaddrs::getifaddrs;
use rectify_sdk::protocol::{ErrorCode, ItemError};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::{Ipv4Addr, Ipv6Addr},
};

const SIX: &str = "/proc/net/if_inet6";
const SIX_MAX_BYTES: usize = 4 * 1024 * 1024;
const INTERFACES_MAX: usize = 1000;
const ADDRESSES_MAX: usize = 10_000;
/// Flags of addresses that pass: temporary, deprecated, tentative, and those that failed.
const PASSING: u32 = 0x01 | 0x20 | 0x40 | 0x08;

#[derive(Debug, Default)]
struct Interface {
    four: BTreeSet<(Ipv4Addr, u32)>,
    six: BTreeSet<(Ipv6Addr, u32)>,
}

pub(crate) fn tell(files: &Files<'_>) -> Answer {
    if !files.is_machine() {
        return Ok(Told::Absent("a directory that stands for a system has no network".into()));
    }
    let failed =
        |e: nix::Error| ItemError::new(ErrorCode::Failed, format!("the interfaces cannot be read: {e}"));
    let mut found: BTreeMap<String, Interface> = BTreeMap::new();
    for entry in getifaddrs().map_err(failed)? {
        let interface = found.entry(entry.interface_name).or_default();
        let address = entry.address.as_ref().and_then(|a| a.as_sockaddr_in());
        let mask = entry.netmask.as_ref().and_then(|a| a.as_sockaddr_in());
        if let (Some(address), Some(mask)) = (address, mask) {
            interface.four.insert((address.ip(), u32::from(mask.ip()).count_ones()));
        }
    }
    // A kernel without IPv6 has no such file.
    if let Some(bytes) = files.read(SIX, SIX_MAX_BYTES)? {
        for (name, address) in six(&String::from_utf8_lossy(&bytes)) {
            found.entry(name).or_default().six.insert(address);
        }
    }
    found.retain(|name, interface| name != "lo" && !interface.four.iter().any(|(a, _)| a.is_loopback()));
    if found.len() > INTERFACES_MAX {
        return Err(too_many("network interfaces", INTERFACES_MAX));
    }
    if found.values().map(|i| i.four.len() + i.six.len()).sum::<usize>() > ADDRESSES_MAX {
        return Err(too_many("addresses", ADDRESSES_MAX));
    }
    let told = found.into_iter().map(|(name, interface)| (name, interface.told())).collect();
    Ok(Told::Value(Value::Object(told)))
}

impl Interface {
    fn told(&self) -> Value {
        let four: Vec<String> = self.four.iter().map(|(a, length)| format!("{a}/{length}")).collect();
        let six: Vec<String> = self.six.iter().map(|(a, length)| format!("{a}/{length}")).collect();
        json!({"ipv4": four, "ipv6": six})
    }
}

/// The lasting addresses of a table: address, number of the interface, length of the prefix, scope and
/// flags in hexadecimal digits, name of the interface.
pub(crate) fn six(table: &str) -> Vec<(String, (Ipv6Addr, u32))> {
    let entry = |line: &str| {
        let mut fields = line.split_whitespace();
        let address = u128::from_str_radix(fields.next()?, 16).ok()?;
        let length = u32::from_str_radix(fields.nth(1)?, 16).ok().filter(|length| *length <= 128)?;
        let flags = u32::from_str_radix(fields.nth(1)?, 16).ok()?;
        let address = Ipv6Addr::from(address);
        let passing = flags & PASSING != 0 || address.is_loopback() || address.is_unicast_link_local();
        (!passing).then_some((fields.next()?.to_owned(), (address, length)))
    };
    table.lines().filter_map(entry).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_pass_are_left_out() {
        let table = "00000000000000000000000000000001 01 80 10 80       lo\n\
                     20010db8000000000000000000000005 02 40 00 80     eth0\n\
                     20010db80000000000000000000000ff 02 40 00 01     eth0\n\
                     fe800000000000000000000000000001 02 40 20 80     eth0\n\
                     20010db8000000000000000000000007 02 81 00 00     eth0\n\
                     20010db8000000000000000000000006 02 80 00 00     eth0\n";
        let told: Vec<String> = six(table).iter().map(|(n, (a, l))| format!("{n} {a}/{l}")).collect();
        assert_eq!(told, ["eth0 2001:db8::5/64", "eth0 2001:db8::6/128"]);
    }
}
