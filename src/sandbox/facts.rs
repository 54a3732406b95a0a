//! What this machine allows this user: asked once, then judged by [`choose`](super::choose).

use std::ffi::CStr;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::binfmt::{self, Format};
use super::ids::{self, Extent, Range};

/// What one try of the kernel's answer was: the step that failed and its `errno`.
pub type Probe = Result<(), (&'static str, i32)>;

/// What is known of this user on this machine.
#[derive(Debug, Clone)]
pub struct Facts {
    /// Effective user id.
    pub uid: u32,
    /// Effective group id.
    pub gid: u32,
    /// Login name, if it is known.
    pub user: Option<String>,
    /// Effective capabilities (capabilities(7)) as bits.
    pub capabilities: u64,
    /// Subordinate user ids.
    pub subuids: Vec<Range>,
    /// Subordinate group ids.
    pub subgids: Vec<Range>,
    /// First id that nobody has in /etc/subuid or /etc/subgid.
    pub free_ids: u32,
    /// The user ids that exist in this process's own user namespace.
    pub uid_map: Vec<Extent>,
    /// The group ids that exist there.
    pub gid_map: Vec<Extent>,
    /// Where newuidmap(1) is.
    pub newuidmap: Option<PathBuf>,
    /// Where newgidmap(1) is.
    pub newgidmap: Option<PathBuf>,
    /// Whether a user namespace, with the others inside it, can be made.
    pub userns: Probe,
    /// Whether the other namespaces can be made without a user namespace.
    pub mountns: Probe,
    /// `user.max_user_namespaces`.
    pub max_user_namespaces: Option<u64>,
    /// `kernel.unprivileged_userns_clone`, where the kernel has it.
    pub unprivileged_userns_clone: Option<u64>,
    /// `kernel.apparmor_restrict_unprivileged_userns`, where the kernel has it.
    pub apparmor_restriction: Option<u64>,
    /// Architecture of this machine, by Debian's name.
    pub architecture: String,
    /// Formats of other architectures; none if `binfmt_misc` is not mounted.
    pub formats: Option<Vec<Format>>,
}

impl Facts {
    /// Asks the machine.
    #[must_use]
    pub fn gather() -> Self {
        let uid = rustix::process::geteuid().as_raw();
        let gid = rustix::process::getegid().as_raw();
        let user = user_name(uid);
        let owners: Vec<String> = user.clone().into_iter().chain([uid.to_string()]).collect();
        let subuid = read("/etc/subuid");
        let subgid = read("/etc/subgid");
        let spaces = libc::CLONE_NEWNS
            | libc::CLONE_NEWPID
            | libc::CLONE_NEWNET
            | libc::CLONE_NEWIPC
            | libc::CLONE_NEWUTS;
        Self {
            uid,
            gid,
            user,
            capabilities: effective_capabilities(&read("/proc/self/status")),
            subuids: ids::subordinate(&subuid, &owners),
            subgids: ids::subordinate(&subgid, &owners),
            free_ids: ids::first_free(&subuid).max(ids::first_free(&subgid)),
            uid_map: ids::parse_map(&read("/proc/self/uid_map")),
            gid_map: ids::parse_map(&read("/proc/self/gid_map")),
            newuidmap: program("newuidmap"),
            newgidmap: program("newgidmap"),
            userns: probe(libc::CLONE_NEWUSER | spaces),
            mountns: probe(spaces),
            max_user_namespaces: number("/proc/sys/user/max_user_namespaces"),
            unprivileged_userns_clone: number("/proc/sys/kernel/unprivileged_userns_clone"),
            apparmor_restriction: number("/proc/sys/kernel/apparmor_restrict_unprivileged_userns"),
            architecture: binfmt::host_architecture().to_owned(),
            formats: binfmt::registered(Path::new("/proc/sys/fs/binfmt_misc")),
        }
    }
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

fn number(path: &str) -> Option<u64> {
    read(path).trim().parse().ok()
}

/// The login name. A static program cannot ask NSS, so for users who are not in
/// /etc/passwd the environment is believed; newuidmap asks for itself.
fn user_name(uid: u32) -> Option<String> {
    let passwd = read("/etc/passwd");
    let known = passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(uid)).then(|| name.to_owned())
    });
    known.or_else(|| {
        ["USER", "LOGNAME"]
            .into_iter()
            .find_map(|name| std::env::var(name).ok())
    })
}

fn effective_capabilities(status: &str) -> u64 {
    status
        .lines()
        .find_map(|line| line.strip_prefix("CapEff:"))
        .and_then(|bits| u64::from_str_radix(bits.trim(), 16).ok())
        .unwrap_or(0)
}

/// Looks for an executable in `PATH`, then where administrators' programs are.
fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/bin", "/usr/sbin", "/bin", "/sbin"].map(PathBuf::from))
        .filter(|folder| folder.is_absolute())
        .map(|folder| folder.join(name))
        .find(|file| {
            fs::metadata(file).is_ok_and(|metadata| {
                metadata.is_file() && metadata.permissions().mode() & 0o111 != 0
            })
        })
}

const STEPS: [&str; 3] = ["unshare", "mount", "sethostname"];

/// Makes the namespaces in a child process that then ends.
///
/// unshare(2) alone proves little: with Ubuntu's `AppArmor` rule, or docker's, it
/// succeeds and then every mount is refused.
fn probe(flags: i32) -> Probe {
    const ROOT: &CStr = c"/";
    // SAFETY: the child makes system calls only, which is allowed after a fork of
    // a process with threads, and ends without returning.
    let child = unsafe { libc::fork() };
    match child {
        -1 => Err(("fork", errno())),
        0 => {
            // SAFETY: plain system calls on constants.
            unsafe {
                let mut step = 0;
                let mut failed = libc::unshare(flags) != 0;
                if !failed {
                    step = 1;
                    failed = libc::mount(
                        std::ptr::null(),
                        ROOT.as_ptr(),
                        std::ptr::null(),
                        libc::MS_REC | libc::MS_PRIVATE,
                        std::ptr::null(),
                    ) != 0;
                }
                if !failed {
                    step = 2;
                    failed = libc::sethostname(c"localhost".as_ptr(), 9) != 0;
                }
                // Eight bits carry the step and the errno (all in question are below 64).
                let code = if failed {
                    (step << 6) | errno().min(63)
                } else {
                    0
                };
                libc::_exit(code);
            }
        }
        child => {
            let mut status = 0;
            // SAFETY: waits for the child made above.
            while unsafe { libc::waitpid(child, &raw mut status, 0) } == -1 {
                if errno() != libc::EINTR {
                    return Err(("waitpid", errno()));
                }
            }
            if !libc::WIFEXITED(status) {
                return Err(("unshare", libc::EPERM));
            }
            match libc::WEXITSTATUS(status) {
                0 => Ok(()),
                code => Err((
                    STEPS[usize::try_from(code >> 6).unwrap_or(0).min(2)],
                    code & 63,
                )),
            }
        }
    }
}

fn errno() -> i32 {
    std::io::Error::last_os_error().raw_os_error().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capabilities_are_read_from_the_status() {
        let status = "Name:\tx\nCapPrm:\t0000000000000000\nCapEff:\t00000000a80425fb\n";
        assert_eq!(effective_capabilities(status), 0xa804_25fb);
        assert_eq!(effective_capabilities(""), 0);
    }

    #[test]
    fn gathering_works_as_anyone() {
        let facts = Facts::gather();
        assert!(!facts.uid_map.is_empty());
        assert!(!facts.architecture.is_empty());
    }

    #[test]
    fn a_namespace_that_cannot_be_made_gives_its_errno() {
        // Threads cannot leave their process by unshare, so a flag that needs it is refused.
        assert_eq!(probe(-1), Err(("unshare", libc::EINVAL)));
    }
}
