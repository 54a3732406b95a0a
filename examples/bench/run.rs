//! Running things: for their output, their time, or their memory.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::Result;

/// How often memory is looked at.
const INTERVAL: Duration = Duration::from_millis(20);

/// Runs a command that must succeed, and gives its standard output.
pub fn done(command: &mut Command) -> Result<Vec<u8>> {
    let output = command.stdin(Stdio::null()).output()?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let name = command.get_program().to_string_lossy();
        return Err(format!("`{name}` failed with {}:\n{said}", output.status).into());
    }
    Ok(output.stdout)
}

/// The same, with how long it took in seconds.
pub fn timed_output(command: &mut Command) -> Result<(f64, Vec<u8>)> {
    let begun = Instant::now();
    let output = done(command)?;
    Ok((begun.elapsed().as_secs_f64(), output))
}

/// How long it took, in seconds.
pub fn timed(command: &mut Command) -> Result<f64> {
    Ok(timed_output(command)?.0)
}

/// The most bytes that were in memory at once.
#[derive(Default)]
pub struct Peak {
    /// Of the program itself, in all its processes.
    pub own: u64,
    /// Of all that it started, too.
    pub all: u64,
}

/// Runs a command and watches what it and its descendants hold in memory: the sum
/// of proportional set sizes, in which a shared page counts once.
pub fn peak_memory(command: &mut Command, program: &Path) -> Result<Peak> {
    let program = fs::metadata(program)?;
    let program = (program.dev(), program.ino());
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let mut peak = Peak::default();
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        let mut now = Peak::default();
        for process in descendants(child.id()) {
            let bytes = resident(process);
            now.all += bytes;
            let file = fs::metadata(format!("/proc/{process}/exe"));
            if file.is_ok_and(|file| (file.dev(), file.ino()) == program) {
                now.own += bytes;
            }
        }
        peak.own = peak.own.max(now.own);
        peak.all = peak.all.max(now.all);
        std::thread::sleep(INTERVAL);
    };
    if !status.success() {
        return Err(format!("the build failed with {status}").into());
    }
    Ok(peak)
}

/// A process and all below it.
fn descendants(root: u32) -> BTreeSet<u32> {
    let mut children: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let name = entry.file_name();
        let Some(process) = name.to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        // proc_pid_stat(5): the parent is the second field after the name in brackets.
        let stat = fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        let after = stat.rsplit_once(')').map_or("", |(_, after)| after);
        if let Some(parent) = after
            .split_whitespace()
            .nth(1)
            .and_then(|id| id.parse().ok())
        {
            children.entry(parent).or_default().push(process);
        }
    }
    let mut found = BTreeSet::from([root]);
    let mut waiting = vec![root];
    while let Some(process) = waiting.pop() {
        for child in children.remove(&process).into_iter().flatten() {
            if found.insert(child) {
                waiting.push(child);
            }
        }
    }
    found
}

/// A process's proportional set size in bytes; its resident set where that is hidden.
fn resident(process: u32) -> u64 {
    let field = |file: &str, key: &str| -> Option<u64> {
        let text = fs::read_to_string(format!("/proc/{process}/{file}")).ok()?;
        let value = text.lines().find_map(|line| line.strip_prefix(key))?;
        let kilobytes: u64 = value.split_whitespace().next()?.parse().ok()?;
        Some(kilobytes * 1024)
    };
    field("smaps_rollup", "Pss:")
        .or_else(|| field("status", "VmRSS:"))
        .unwrap_or(0)
}

/// The bytes of all files below a folder.
pub fn size_of(folder: &Path) -> Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        bytes += match metadata.is_dir() {
            true => size_of(&entry.path())?,
            false => metadata.len(),
        };
    }
    Ok(bytes)
}

/// What this machine is, as far as it matters to a time.
pub fn machine() -> Value {
    let find = |file: &str, key: &str| {
        let text = fs::read_to_string(file).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix(key));
        line.map(|rest| rest.trim_start_matches([':', ' ', '\t']).to_owned())
    };
    json!({
        "processors": std::thread::available_parallelism().map_or(0, usize::from),
        "processor": find("/proc/cpuinfo", "model name"),
        "memory": find("/proc/meminfo", "MemTotal"),
        "load": find("/proc/loadavg", ""),
    })
}
