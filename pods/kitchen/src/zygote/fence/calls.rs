//! The system calls that steps are refused, by their numbers.
//!
//! They are those that podman's default profile (containers-common's `seccomp.json`) refuses to a process without
//! capabilities, and besides: keys, because a build that finds one is not repeatable; namespaces and mounts, because steps have no use for them and
//! the kernel's faults are there; io_uring, which does its work past any filter. `ptrace`, `process_vm_readv` and `personality` are there: debuggers
//! and leak checkers use them among a step's own processes, and there are no others.

/// Refused with "not permitted".
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
pub(super) const FORBIDDEN: &[libc::c_long] = &[
    // The kernel's keys.
    libc::SYS_add_key,
    libc::SYS_keyctl,
    libc::SYS_request_key,
    // Namespaces, mounts, the root.
    libc::SYS_chroot,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fsopen,
    libc::SYS_fspick,
    libc::SYS_mount,
    libc::SYS_mount_setattr,
    libc::SYS_move_mount,
    libc::SYS_open_tree,
    OPEN_TREE_ATTR,
    libc::SYS_pivot_root,
    libc::SYS_setns,
    libc::SYS_umount2,
    libc::SYS_unshare,
    // The machine: its clock, name, disks, modules, log, accounts.
    libc::SYS_acct,
    libc::SYS_clock_settime,
    libc::SYS_delete_module,
    libc::SYS_finit_module,
    libc::SYS_init_module,
    libc::SYS_kexec_file_load,
    libc::SYS_kexec_load,
    libc::SYS_nfsservctl,
    libc::SYS_quotactl,
    libc::SYS_quotactl_fd,
    libc::SYS_reboot,
    libc::SYS_setdomainname,
    libc::SYS_sethostname,
    libc::SYS_settimeofday,
    libc::SYS_swapoff,
    libc::SYS_swapon,
    libc::SYS_syslog,
    libc::SYS_vhangup,
    // What looks past the file system or into the kernel.
    libc::SYS_bpf,
    libc::SYS_fanotify_init,
    libc::SYS_lookup_dcookie,
    libc::SYS_open_by_handle_at,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    // Pages of other processes and of other nodes.
    libc::SYS_migrate_pages,
    libc::SYS_move_pages,
    libc::SYS_vmsplice,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_ioperm,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_iopl,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_sysfs,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_uselib,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_ustat,
];

/// Refused as if the kernel had never heard of them, so that programs take another way: `clone3` has its flags where no filter can look.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
pub(super) const UNKNOWN: &[libc::c_long] =
    &[libc::SYS_clone3, libc::SYS_io_uring_setup, libc::SYS_io_uring_enter, libc::SYS_io_uring_register];

/// `open_tree_attr(2)`, younger than libc's list.
const OPEN_TREE_ATTR: libc::c_long = 467;
/// The highest number that was looked at: `file_setattr(2)`. What is younger is unknown to steps until somebody looks at it.
pub(super) const LAST: u32 = 469;

/// The same for programs of 32 bits on x86-64, whose numbers are others (`asm/unistd_32.h`).
#[cfg(target_arch = "x86_64")]
pub(super) mod of_32_bits {
    /// In the order of the names above, then `stime`, `umount`, `vm86old`, `vm86`, `clock_settime64`.
    pub(in super::super) const FORBIDDEN: &[libc::c_long] = &[
        286, 288, 287, 61, 431, 432, 430, 433, 21, 442, 429, 428, 467, 217, 346, 52, 310, 51, 264, 129, 350,
        128, 283, 169, 131, 443, 88, 121, 74, 79, 115, 87, 103, 111, 357, 338, 253, 342, 336, 374, 294, 317,
        316, 101, 110, 135, 86, 62, 25, 22, 113, 166, 404,
    ];
    /// As above, and `socketcall`, which no filter can look into; programs have used `socket` itself for ten years.
    pub(in super::super) const UNKNOWN: &[libc::c_long] = &[435, 425, 426, 427, 102];
    pub(in super::super) const CLONE: u32 = 120;
    pub(in super::super) const SOCKET: u32 = 359;
}
