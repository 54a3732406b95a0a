//! Where credentials come from that systemd finds by itself: the firmware's tables
//! (SMBIOS, DSP0134, "OEM Strings (Type 11)"), QEMU's `fw_cfg`, and the kernel's command line.
//! The first of a name holds, in this order.

use std::fs;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::{Given, MOST, add};

const TABLES: &str = "/sys/firmware/dmi/entries";
const QEMU: &str = "/sys/firmware/qemu_fw_cfg/by_name/opt/io.systemd.credentials";

/// Adds what firmware has; nothing where it is not to be trusted.
pub fn firmware(given: &mut Given) {
    let processors = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    if is_confidential(&processors) {
        return;
    }
    qemu(Path::new(QEMU), given);
    for number in 0.. {
        match fs::read(format!("{TABLES}/11-{number}/raw")) {
            Ok(table) => strings(&table, given),
            Err(_) => break,
        }
    }
}

/// Whether this is a guest whose memory its host cannot read: then what the host says in
/// the place of firmware is not to be taken from it.
fn is_confidential(processors: &str) -> bool {
    const MARKS: [&str; 4] = ["tdx_guest", "sev", "sev_es", "sev_snp"];
    let flags = processors.lines().find(|line| line.starts_with("flags"));
    let mut flags = flags.unwrap_or_default().split_whitespace();
    flags.clone().any(|flag| flag == "hypervisor") && flags.any(|flag| MARKS.contains(&flag))
}

fn qemu(folder: &Path, given: &mut Given) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let file = entry.path().join("raw");
        add(given, &entry.file_name().to_string_lossy(), || {
            fs::read(file).ok()
        });
    }
}

/// Adds those of a table's strings that are credentials.
fn strings(table: &[u8], given: &mut Given) {
    let behind = table.get(1).map_or(0, |&length| usize::from(length));
    let strings = table.get(behind..).unwrap_or_default();
    for string in strings.split(|&byte| byte == 0) {
        let (text, decoded) = if let Some(rest) = string.strip_prefix(b"io.systemd.credential:") {
            (rest, false)
        } else if let Some(rest) = string.strip_prefix(b"io.systemd.credential.binary:") {
            (rest, true)
        } else {
            continue;
        };
        pair(text, b'=', decoded, given);
    }
}

/// Adds those of the kernel's command line.
pub fn command_line(words: &[String], given: &mut Given) {
    for word in words {
        let Some((key, value)) = word.split_once('=') else {
            continue;
        };
        match &*key.replace('-', "_") {
            "systemd.set_credential" => pair(value.as_bytes(), b':', false, given),
            "systemd.set_credential_binary" => pair(value.as_bytes(), b':', true, given),
            _ => {}
        }
    }
}

/// Whether the command line says that none are to be taken.
pub fn are_wanted(words: &[String]) -> bool {
    const NO: [&str; 7] = ["0", "no", "n", "false", "f", "off", "disabled"];
    let said = words.iter().rev().find_map(|word| {
        let word = word.strip_prefix("rd.").unwrap_or(word).replace('-', "_");
        Some(word.strip_prefix("systemd.import_credentials=")?.to_owned())
    });
    said.is_none_or(|said| !NO.contains(&&*said.to_ascii_lowercase()))
}

/// Adds `NAME…VALUE`.
fn pair(text: &[u8], between: u8, decoded: bool, given: &mut Given) {
    let Some(at) = text.iter().position(|&byte| byte == between) else {
        return;
    };
    let (name, value) = (String::from_utf8_lossy(&text[..at]), &text[at + 1..]);
    add(given, &name, || match decoded {
        true if value.len() <= 2 * MOST => STANDARD.decode(value).ok(),
        true => None,
        false => Some(value.to_vec()),
    });
}

/// The words of a kernel's command line; quotes keep blanks.
pub fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = None::<String>;
    let mut quote = None;
    for letter in line.chars() {
        match quote {
            Some(end) if letter == end => quote = None,
            None if letter == '"' || letter == '\'' => {
                quote = Some(letter);
                word.get_or_insert_default();
            }
            None if letter.is_ascii_whitespace() => words.extend(word.take()),
            _ => word.get_or_insert_default().push(letter),
        }
    }
    words.extend(word);
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_of_a_table() {
        let mut table = vec![11, 5, 0, 0, 4];
        for string in [
            "io.systemd.credential:a=1=2",
            "io.systemd.credential.binary:b=AAH/",
            "io.systemd.credential.binary:c=?",
            "io.systemd.credential:d",
            "other:e=1",
        ] {
            table.extend(string.bytes());
            table.push(0);
        }
        table.push(0);
        let mut given = Given::new();
        strings(&table, &mut given);
        let wanted = [("a", &b"1=2"[..]), ("b", &[0, 1, 255])];
        let wanted = wanted.map(|(name, value)| (name.to_owned(), value.to_vec()));
        assert_eq!(given, Given::from(wanted));
        // Tables that end too early.
        for table in [&[][..], &[11], &[11, 200, 0]] {
            strings(table, &mut given);
        }
        assert_eq!(given.len(), 2);
    }

    #[test]
    fn words_of_a_command_line() {
        let line =
            "ro  systemd.set_credential=\"a:1 2\" x='\"y' rd.systemd.import-credentials=No \"\"\n";
        let words = words(line);
        let wanted = [
            "ro",
            "systemd.set_credential=a:1 2",
            "x=\"y",
            "rd.systemd.import-credentials=No",
            "",
        ];
        assert_eq!(words, wanted);
        assert!(!are_wanted(&words) && are_wanted(&words[..3]));
        let mut given = Given::new();
        command_line(&words, &mut given);
        let more = [
            "systemd.set-credential-binary=b:eA==",
            "systemd.set_credential=a:3",
            "systemd.set_credential=c",
        ];
        command_line(&more.map(str::to_owned), &mut given);
        let wanted = [("a", "1 2"), ("b", "x")];
        let wanted = wanted.map(|(name, value)| (name.to_owned(), value.into()));
        assert_eq!(given, Given::from(wanted));
    }

    #[test]
    fn hosts_that_are_not_trusted() {
        let flags = |flags: &str| format!("processor : 0\nflags\t\t: fpu {flags} vme\n");
        assert!(is_confidential(&flags("hypervisor tdx_guest")));
        assert!(is_confidential(&flags("sev hypervisor")));
        assert!(!is_confidential(&flags("sev sev_es")) && !is_confidential(&flags("hypervisor")));
    }

    #[test]
    fn files_of_qemu() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("a")).unwrap();
        fs::write(folder.path().join("a/raw"), "x").unwrap();
        let mut given = Given::new();
        qemu(folder.path(), &mut given);
        assert_eq!(given, Given::from([("a".to_owned(), b"x".to_vec())]));
    }
}
