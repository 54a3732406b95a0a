//! The filter of system calls under which package scripts run, the same in every mode.
//!
//! It keeps scripts from the network, from other processes and from the
//! machine's state. Where namespaces do so already it is a second wall; in
//! `chroot` mode it is the only one. Since it is there in every mode, a script
//! meets the same refusals everywhere, and the resulting tree does not tell
//! which mode made it.
//!
//! It also answers fsync(2) and its kin at once, without doing them: a tree that
//! a crash would leave half-made is thrown away whole, and dpkg syncs each file.

use std::collections::BTreeMap;
use std::io;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch, apply_filter,
};

use crate::error::{Error, Kind, Result};

/// On x86-64 each call has a second number with this bit, for the x32 ABI.
#[cfg(target_arch = "x86_64")]
const X32: i64 = 0x4000_0000;

/// Refused with EPERM, whatever the arguments.
const REFUSED: &[i64] = &[
    // Mounts, old interface and new.
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_open_tree,
    libc::SYS_move_mount,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_quotactl,
    libc::SYS_quotactl_fd,
    // Namespaces of others (new ones: see `NAMESPACES`).
    libc::SYS_setns,
    // Other processes.
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_kcmp,
    libc::SYS_pidfd_getfd,
    libc::SYS_process_madvise,
    // The kernel itself.
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_kexec_load,
    libc::SYS_kexec_file_load,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_reboot,
    libc::SYS_acct,
    libc::SYS_syslog,
    libc::SYS_lookup_dcookie,
    libc::SYS_nfsservctl,
    libc::SYS_vhangup,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_keyctl,
    // The machine's clock and names.
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_adjtimex,
    libc::SYS_clock_adjtime,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    // Files past the root directory, and watching everyone's.
    libc::SYS_open_by_handle_at,
    libc::SYS_fanotify_init,
    // A way around this filter: it can open sockets.
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_iopl,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_ioperm,
    // x32 has own numbers for ptrace, kexec_load and process_vm_{readv,writev}.
    #[cfg(target_arch = "x86_64")]
    521,
    #[cfg(target_arch = "x86_64")]
    528,
    #[cfg(target_arch = "x86_64")]
    539,
    #[cfg(target_arch = "x86_64")]
    540,
];

/// Answered with success, and not done.
const SYNCS: &[i64] = &[
    libc::SYS_fsync,
    libc::SYS_fdatasync,
    libc::SYS_sync,
    libc::SYS_syncfs,
    libc::SYS_sync_file_range,
    libc::SYS_msync,
];

/// Flags of unshare(2) and clone(2) that make new namespaces.
const NAMESPACES: [i32; 8] = [
    libc::CLONE_NEWNS,
    libc::CLONE_NEWCGROUP,
    libc::CLONE_NEWUTS,
    libc::CLONE_NEWIPC,
    libc::CLONE_NEWUSER,
    libc::CLONE_NEWPID,
    libc::CLONE_NEWNET,
    // CLONE_NEWTIME; only unshare knows it, for clone it is part of the signal's number.
    0x80,
];

/// Compiled, so that applying it after a fork allocates nothing.
#[derive(Debug, Clone)]
pub struct Filter {
    programs: Vec<BpfProgram>,
}

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

impl Filter {
    /// Compiles the filter for this machine's architecture.
    pub fn new() -> Result<Self> {
        let build = || -> Result<Vec<BpfProgram>, seccompiler::BackendError> {
            Ok(vec![
                compile(refused()?, libc::EPERM)?,
                // What a kernel without that family would say: programs are made
                // to go on then (shadow's audit messages, glibc's resolver).
                compile(sockets()?, libc::EAFNOSUPPORT)?,
                // Its flags lie in memory, where no filter can look. As the C
                // library is told that there is no such call, it uses clone.
                compile(whatever(&[libc::SYS_clone3]), libc::ENOSYS)?,
                compile(whatever(SYNCS), 0)?,
            ])
        };
        let programs = build().map_err(|error| {
            Error::new(
                Kind::Sandbox,
                format!("making the system call filter: {error}"),
            )
        })?;
        Ok(Self { programs })
    }

    /// Puts the calling thread, and all that it will start, under the filter for
    /// good. Sets `no_new_privs`.
    pub fn apply(&self) -> io::Result<()> {
        for program in &self.programs {
            apply_filter(program).map_err(|_| io::Error::last_os_error())?;
        }
        Ok(())
    }
}

fn compile(rules: Rules, errno: i32) -> Result<BpfProgram, seccompiler::BackendError> {
    #[cfg(target_arch = "x86_64")]
    let rules = rules
        .into_iter()
        .flat_map(|(number, rules)| [(number, rules.clone()), (number | X32, rules)])
        .collect();
    SeccompFilter::new(
        rules,
        SeccompAction::Allow,
        SeccompAction::Errno(errno.unsigned_abs()),
        TargetArch::try_from(std::env::consts::ARCH)?,
    )?
    .try_into()
}

/// Rules that look at no argument.
fn whatever(calls: &[i64]) -> Rules {
    calls.iter().map(|call| (*call, Vec::new())).collect()
}

fn refused() -> Result<Rules, seccompiler::BackendError> {
    let mut rules = whatever(REFUSED);
    let flag = |flag: i32| when(0, SeccompCmpOp::MaskedEq(bits(flag)), bits(flag));
    let unshare = NAMESPACES.iter().map(|space| flag(*space));
    rules.insert(libc::SYS_unshare, unshare.collect::<Result<_, _>>()?);
    let clone = NAMESPACES[..7].iter().map(|space| flag(*space));
    rules.insert(libc::SYS_clone, clone.collect::<Result<_, _>>()?);

    // A user namespace refuses device nodes anyway, and an image needs none.
    let device = |argument: u8| -> Result<Vec<SeccompRule>, seccompiler::BackendError> {
        [libc::S_IFCHR, libc::S_IFBLK]
            .into_iter()
            .map(|kind| {
                let mask = SeccompCmpOp::MaskedEq(u64::from(libc::S_IFMT));
                when(argument, mask, u64::from(kind))
            })
            .collect()
    };
    rules.insert(libc::SYS_mknodat, device(2)?);
    #[cfg(target_arch = "x86_64")]
    rules.insert(libc::SYS_mknod, device(1)?);
    Ok(rules)
}

fn sockets() -> Result<Rules, seccompiler::BackendError> {
    let other = || when(0, SeccompCmpOp::Ne, bits(libc::AF_UNIX)).map(|rule| vec![rule]);
    Ok(Rules::from([
        (libc::SYS_socket, other()?),
        (libc::SYS_socketpair, other()?),
    ]))
}

fn when(
    argument: u8,
    operation: SeccompCmpOp,
    value: u64,
) -> Result<SeccompRule, seccompiler::BackendError> {
    let condition = SeccompCondition::new(argument, SeccompCmpArgLen::Dword, operation, value)?;
    SeccompRule::new(vec![condition])
}

fn bits(number: i32) -> u64 {
    u64::from(number.unsigned_abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `call` gives under the filter, in a child: 0 or the errno.
    fn under_filter(call: fn() -> i64) -> i32 {
        let filter = Filter::new().unwrap();
        // SAFETY: the child makes system calls only and ends without returning.
        match unsafe { libc::fork() } {
            0 => {
                let code = match filter.apply() {
                    Err(_) => 255,
                    Ok(()) if call() >= 0 => 0,
                    Ok(()) => io::Error::last_os_error().raw_os_error().unwrap_or(254),
                };
                unsafe { libc::_exit(code) }
            }
            child => {
                let mut status = 0;
                assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
                assert!(libc::WIFEXITED(status), "status {status:#x}");
                libc::WEXITSTATUS(status)
            }
        }
    }

    #[test]
    fn sockets_are_unix_only() {
        assert_eq!(
            under_filter(|| unsafe { libc::socket(libc::AF_INET, libc::SOCK_STREAM, 0) }.into()),
            libc::EAFNOSUPPORT
        );
        assert_eq!(
            under_filter(|| unsafe { libc::socket(libc::AF_INET6, libc::SOCK_DGRAM, 0) }.into()),
            libc::EAFNOSUPPORT
        );
        assert_eq!(
            under_filter(|| unsafe { libc::socket(libc::AF_NETLINK, libc::SOCK_RAW, 0) }.into()),
            libc::EAFNOSUPPORT
        );
        assert_eq!(
            under_filter(|| unsafe { libc::socket(libc::AF_UNIX, libc::SOCK_STREAM, 0) }.into()),
            0
        );
    }

    #[test]
    fn tracing_mounting_and_new_namespaces_are_refused() {
        let refused: [fn() -> i64; 6] = [
            || unsafe { libc::ptrace(libc::PTRACE_TRACEME, 0, 0, 0) },
            || unsafe {
                let path = c"/proc".as_ptr();
                libc::mount(path, path, path, 0, std::ptr::null()).into()
            },
            || unsafe { libc::umount2(c"/proc".as_ptr(), 0).into() },
            || unsafe { libc::unshare(libc::CLONE_NEWUSER).into() },
            || unsafe { libc::unshare(0x80).into() },
            || unsafe { libc::syscall(libc::SYS_io_uring_setup, 1, 0) },
        ];
        for call in refused {
            assert_eq!(under_filter(call), libc::EPERM);
        }
    }

    #[test]
    fn syncs_succeed_without_looking() {
        assert_eq!(under_filter(|| unsafe { libc::fsync(-1) }.into()), 0);
        assert_eq!(under_filter(|| unsafe { libc::fdatasync(-1) }.into()), 0);
    }

    #[test]
    fn programs_still_start() {
        let filter = Filter::new().unwrap();
        let mut command = std::process::Command::new("/bin/sh");
        command.args(["-c", "true | true; (exit 3)"]);
        // SAFETY: `apply` makes system calls only.
        unsafe {
            std::os::unix::process::CommandExt::pre_exec(&mut command, move || filter.apply())
        };
        assert_eq!(command.status().unwrap().code(), Some(3));
    }

    #[test]
    fn devices_are_refused_and_pipes_are_not() {
        let device: fn() -> i64 = || unsafe {
            let mode = libc::S_IFCHR | 0o666;
            libc::mknod(c"/tmp/sandbox-never".as_ptr(), mode, libc::makedev(1, 3)).into()
        };
        assert_eq!(under_filter(device), libc::EPERM);
        let pipe: fn() -> i64 = || unsafe {
            let path = c"/tmp/sandbox-test-fifo".as_ptr();
            let made = libc::mknod(path, libc::S_IFIFO | 0o600, 0);
            libc::unlink(path);
            made.into()
        };
        assert_eq!(under_filter(pipe), 0);
    }
}
