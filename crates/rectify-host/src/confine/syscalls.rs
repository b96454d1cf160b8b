//! The filter on system calls: what neither read-only mounts nor Landlock cover. A list of what is
//! refused, because guards are arbitrary programs; what is refused fails with `EPERM`.

use nix::libc;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    TargetArch, apply_filter,
};
use std::collections::BTreeMap;

/// Numbers that are the same on every architecture and too new for the C library's headers.
mod new {
    pub(super) const OPEN_TREE: i64 = 428;
    pub(super) const MOVE_MOUNT: i64 = 429;
    pub(super) const FSOPEN: i64 = 430;
    pub(super) const FSCONFIG: i64 = 431;
    pub(super) const FSMOUNT: i64 = 432;
    pub(super) const FSPICK: i64 = 433;
    pub(super) const PIDFD_GETFD: i64 = 438;
    pub(super) const PROCESS_MADVISE: i64 = 440;
    pub(super) const MOUNT_SETATTR: i64 = 442;
    pub(super) const QUOTACTL_FD: i64 = 443;
    pub(super) const FCHMODAT2: i64 = 452;
    pub(super) const SETXATTRAT: i64 = 463;
    pub(super) const REMOVEXATTRAT: i64 = 466;
    pub(super) const OPEN_TREE_ATTR: i64 = 467;
    pub(super) const FILE_SETATTR: i64 = 469;
}

/// Refused whatever the arguments.
const REFUSED: &[i64] = &[
    // Metadata: Landlock regulates none of it.
    libc::SYS_fchmod,
    libc::SYS_fchmodat,
    new::FCHMODAT2,
    libc::SYS_fchown,
    libc::SYS_fchownat,
    libc::SYS_setxattr,
    libc::SYS_lsetxattr,
    libc::SYS_fsetxattr,
    libc::SYS_removexattr,
    libc::SYS_lremovexattr,
    libc::SYS_fremovexattr,
    new::SETXATTRAT,
    new::REMOVEXATTRAT,
    new::FILE_SETATTR,
    libc::SYS_utimensat,
    // Mounts, roots and namespaces.
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    new::OPEN_TREE,
    new::OPEN_TREE_ATTR,
    new::MOVE_MOUNT,
    new::FSOPEN,
    new::FSCONFIG,
    new::FSMOUNT,
    new::FSPICK,
    new::MOUNT_SETATTR,
    libc::SYS_unshare,
    libc::SYS_setns,
    libc::SYS_open_by_handle_at,
    libc::SYS_quotactl,
    new::QUOTACTL_FD,
    // Other processes.
    libc::SYS_ptrace,
    libc::SYS_process_vm_writev,
    libc::SYS_pidfd_send_signal,
    new::PIDFD_GETFD,
    new::PROCESS_MADVISE,
    // The machine.
    libc::SYS_reboot,
    libc::SYS_kexec_load,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_clock_adjtime,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_acct,
    libc::SYS_vhangup,
    libc::SYS_perf_event_open,
    libc::SYS_fanotify_init,
    libc::SYS_bpf,
    // Keys, and objects that outlive a process and are not files.
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_keyctl,
    libc::SYS_mq_unlink,
    libc::SYS_mq_timedsend,
    libc::SYS_msgsnd,
    libc::SYS_msgctl,
    libc::SYS_semop,
    libc::SYS_semtimedop,
    libc::SYS_semctl,
    libc::SYS_shmctl,
    // It performs calls that this filter does not see.
    libc::SYS_io_uring_setup,
];

/// Older spellings that only some architectures have.
#[cfg(target_arch = "x86_64")]
const REFUSED_HERE: &[i64] = &[
    libc::SYS_chmod,
    libc::SYS_chown,
    libc::SYS_lchown,
    libc::SYS_utime,
    libc::SYS_utimes,
    libc::SYS_futimesat,
    libc::SYS_iopl,
    libc::SYS_ioperm,
    libc::SYS_kexec_file_load,
];
#[cfg(target_arch = "aarch64")]
const REFUSED_HERE: &[i64] = &[294];
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
const REFUSED_HERE: &[i64] = &[];

/// Requests of `ioctl` that change a file through a descriptor that was opened for reading, or
/// type into a terminal.
const REFUSED_IOCTLS: &[u64] = &[
    0x4008_6602, // FS_IOC_SETFLAGS
    0x4004_6602, // FS_IOC32_SETFLAGS
    0x4008_7602, // FS_IOC_SETVERSION
    0x4004_7602, // FS_IOC32_SETVERSION
    0x401c_5820, // FS_IOC_FSSETXATTR
    0x4100_9432, // FS_IOC_SETFSLABEL
    0x4080_6685, // FS_IOC_ENABLE_VERITY
    0x800c_6613, // FS_IOC_SET_ENCRYPTION_POLICY
    0xc018_5879, // FITRIM
    0x5412,      // TIOCSTI
    0x541c,      // TIOCLINUX
];

/// Numbers of the x32 interface are those of x86-64 with this bit, save a few of its own.
#[cfg(target_arch = "x86_64")]
const X32: i64 = 0x4000_0000;
#[cfg(target_arch = "x86_64")]
const X32_OWN: &[i64] = &[514, 521, 525, 528, 540, 545];

/// What must hold for signals: whether something else already keeps them inside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Signals {
    /// A process namespace or Landlock does.
    KeptElsewhere,
    /// Nothing does: only those to the own process group are left.
    OwnGroupOnly,
}

/// Installs the filter for this thread and all that comes after it.
pub(super) fn install(signals: Signals) -> Result<(), String> {
    let error = |e: &dyn std::fmt::Display| e.to_string();
    let arch = TargetArch::try_from(std::env::consts::ARCH).map_err(|e| error(&e))?;
    let programs = [
        (refusals(signals).map_err(|e| error(&e))?, libc::EPERM),
        // Its flags are in memory, where a filter cannot look; the C library then uses `clone`.
        (everywhere([(libc::SYS_clone3, Vec::new())]), libc::ENOSYS),
    ];
    for (rules, errno) in programs {
        let action = SeccompAction::Errno(errno.unsigned_abs());
        let filter = SeccompFilter::new(rules, SeccompAction::Allow, action, arch).map_err(|e| error(&e))?;
        let program = BpfProgram::try_from(filter).map_err(|e| error(&e))?;
        apply_filter(&program).map_err(|e| error(&e))?;
    }
    Ok(())
}

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

fn everywhere(rules: impl IntoIterator<Item = (i64, Vec<SeccompRule>)>) -> Rules {
    let mut all = Rules::new();
    for (number, rule) in rules {
        #[cfg(target_arch = "x86_64")]
        all.insert(number | X32, rule.clone());
        all.insert(number, rule);
    }
    all
}

fn refusals(signals: Signals) -> Result<Rules, seccompiler::BackendError> {
    let mut rules: Vec<(i64, Vec<SeccompRule>)> =
        REFUSED.iter().chain(REFUSED_HERE).map(|number| (*number, Vec::new())).collect();
    #[cfg(target_arch = "x86_64")]
    rules.extend(X32_OWN.iter().map(|number| (number | X32, Vec::new())));

    let ioctls = REFUSED_IOCTLS.iter().map(|request| when(&[equal(1, *request)]));
    rules.push((libc::SYS_ioctl, ioctls.collect::<Result<_, _>>()?));

    let namespaces = [
        libc::CLONE_NEWNS,
        libc::CLONE_NEWCGROUP,
        libc::CLONE_NEWUTS,
        libc::CLONE_NEWIPC,
        libc::CLONE_NEWUSER,
        libc::CLONE_NEWPID,
        libc::CLONE_NEWNET,
    ];
    let clones = namespaces.iter().map(|flag| {
        let flag = u64::from(flag.unsigned_abs());
        when(&[(0, SeccompCmpOp::MaskedEq(flag), flag)])
    });
    rules.push((libc::SYS_clone, clones.collect::<Result<_, _>>()?));

    // Limits and priorities of others: the first argument, or the second, is a process.
    rules.push((libc::SYS_prlimit64, vec![when(&[other(0), (2, SeccompCmpOp::Ne, 0)])?]));
    for number in [libc::SYS_sched_setaffinity, libc::SYS_sched_setparam] {
        rules.push((number, vec![when(&[other(0)])?]));
    }
    for number in [libc::SYS_sched_setscheduler, libc::SYS_sched_setattr] {
        rules.push((number, vec![when(&[other(0)])?]));
    }
    for number in [libc::SYS_setpriority, libc::SYS_ioprio_set] {
        rules.push((number, vec![when(&[other(1)])?]));
    }
    if signals == Signals::OwnGroupOnly {
        // Zero means the own process group; signal 0 only asks whether the process is there.
        rules.push((libc::SYS_kill, vec![when(&[other(0), (1, SeccompCmpOp::Ne, 0)])?]));
        rules.push((libc::SYS_tkill, Vec::new()));
        rules.push((libc::SYS_tgkill, vec![when(&[(2, SeccompCmpOp::Ne, 0)])?]));
        rules.push((libc::SYS_rt_sigqueueinfo, Vec::new()));
        rules.push((libc::SYS_rt_tgsigqueueinfo, Vec::new()));
    }
    Ok(everywhere(rules))
}

type Condition = (u8, SeccompCmpOp, u64);

fn equal(argument: u8, value: u64) -> Condition {
    (argument, SeccompCmpOp::Eq, value)
}

fn other(argument: u8) -> Condition {
    (argument, SeccompCmpOp::Ne, 0)
}

/// All arguments that are compared here are 32 bits wide; the kernel ignores the upper half.
fn when(conditions: &[Condition]) -> Result<SeccompRule, seccompiler::BackendError> {
    let conditions = conditions.iter().map(|(argument, operator, value)| {
        SeccompCondition::new(*argument, SeccompCmpArgLen::Dword, operator.clone(), *value)
    });
    SeccompRule::new(conditions.collect::<Result<_, _>>()?)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_filter_fits_into_the_kernel() {
        for signals in [Signals::KeptElsewhere, Signals::OwnGroupOnly] {
            let rules = refusals(signals).unwrap();
            let arch = TargetArch::try_from(std::env::consts::ARCH).unwrap();
            let filter =
                SeccompFilter::new(rules, SeccompAction::Allow, SeccompAction::Errno(1), arch).unwrap();
            assert!(BpfProgram::try_from(filter).unwrap().len() <= 4096);
        }
    }

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn the_x32_interface_is_refused_alike() {
        let rules = refusals(Signals::OwnGroupOnly).unwrap();
        for number in rules.keys().filter(|n| **n & X32 == 0) {
            assert!(rules.contains_key(&(number | X32)), "{number}");
        }
    }
}
