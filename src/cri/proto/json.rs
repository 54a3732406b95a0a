//! How protobuf's JSON mapping writes what JSON has no type for: 64-bit numbers
//! as text, enumerations by name.
//!
//! Enumerations are plain `int32` here, the same on the wire; a number that has
//! no name (a newer runtime's) is written as a number, as protobuf asks.

#![expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the form that serde calls"
)]

use serde::{Serialize as _, Serializer};

pub fn int64<S: Serializer>(value: &i64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

pub fn int64s<S: Serializer>(values: &[i64], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(values.iter().map(i64::to_string))
}

pub fn uint64<S: Serializer>(value: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

/// `MountPropagation`.
pub fn propagation<S: Serializer>(value: &i32, serializer: S) -> Result<S::Ok, S::Error> {
    const NAMES: [&str; 3] = [
        "PROPAGATION_PRIVATE",
        "PROPAGATION_HOST_TO_CONTAINER",
        "PROPAGATION_BIDIRECTIONAL",
    ];
    named(&NAMES, *value, serializer)
}

/// `NamespaceMode`.
pub fn namespace_mode<S: Serializer>(value: &i32, serializer: S) -> Result<S::Ok, S::Error> {
    named(&["POD", "CONTAINER", "NODE", "TARGET"], *value, serializer)
}

/// `PodSandboxState`.
pub fn pod_state<S: Serializer>(value: &i32, serializer: S) -> Result<S::Ok, S::Error> {
    named(&super::pod::POD_STATES, *value, serializer)
}

/// `ContainerState`.
pub fn container_state<S: Serializer>(value: &i32, serializer: S) -> Result<S::Ok, S::Error> {
    named(&super::container::CONTAINER_STATES, *value, serializer)
}

/// `Signal`: the signals in their alphabetic order, then the real-time ones,
/// counted from the lowest to the middle and on to the highest.
pub fn signal<S: Serializer>(value: &i32, serializer: S) -> Result<S::Ok, S::Error> {
    const NAMES: [&str; 36] = [
        "RUNTIME_DEFAULT",
        "SIGABRT",
        "SIGALRM",
        "SIGBUS",
        "SIGCHLD",
        "SIGCLD",
        "SIGCONT",
        "SIGFPE",
        "SIGHUP",
        "SIGILL",
        "SIGINT",
        "SIGIO",
        "SIGIOT",
        "SIGKILL",
        "SIGPIPE",
        "SIGPOLL",
        "SIGPROF",
        "SIGPWR",
        "SIGQUIT",
        "SIGSEGV",
        "SIGSTKFLT",
        "SIGSTOP",
        "SIGSYS",
        "SIGTERM",
        "SIGTRAP",
        "SIGTSTP",
        "SIGTTIN",
        "SIGTTOU",
        "SIGURG",
        "SIGUSR1",
        "SIGUSR2",
        "SIGVTALRM",
        "SIGWINCH",
        "SIGXCPU",
        "SIGXFSZ",
        "SIGRTMIN",
    ];
    match *value {
        number @ 36..=50 => {
            serializer.collect_str(&format_args!("SIGNAL_SIGRTMINPLUS{}", number - 35))
        }
        number @ 51..=64 => {
            serializer.collect_str(&format_args!("SIGNAL_SIGRTMAXMINUS{}", 65 - number))
        }
        65 => serializer.serialize_str("SIGNAL_SIGRTMAX"),
        number => match usize::try_from(number).ok().and_then(|at| NAMES.get(at)) {
            Some(name) => serializer.collect_str(&format_args!("SIGNAL_{name}")),
            None => number.serialize(serializer),
        },
    }
}

fn named<S: Serializer>(names: &[&str], value: i32, serializer: S) -> Result<S::Ok, S::Error> {
    match usize::try_from(value).ok().and_then(|at| names.get(at)) {
        Some(name) => serializer.serialize_str(name),
        None => value.serialize(serializer),
    }
}
