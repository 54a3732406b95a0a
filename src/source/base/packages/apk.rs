//! The names and versions of packages in apk's database: records with empty lines
//! between, each line a letter, a colon and a value (`P:` name, `V:` version).

use std::collections::BTreeMap;

pub(super) fn packages(bytes: &[u8]) -> Result<BTreeMap<String, String>, String> {
    let text = std::str::from_utf8(bytes).map_err(|_| "apk's database is not text")?;
    let mut packages = BTreeMap::new();
    for record in text.split("\n\n") {
        let field = |letter: &str| record.lines().find_map(|line| line.strip_prefix(letter));
        match (field("P:"), field("V:")) {
            (Some(name), Some(version)) => {
                packages.insert(name.to_owned(), version.to_owned());
            }
            _ if record.trim().is_empty() => {}
            _ => return Err("a record of apk's database has no name or no version".into()),
        }
    }
    Ok(packages)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_told_apart() {
        let text = "C:Q1abc=\nP:musl\nV:1.2.5-r9\nA:x86_64\nF:lib\nR:ld-musl-x86_64.so.1\n\n\
                    P:busybox\nV:1.37.0-r12\n\n";
        let found = packages(text.as_bytes()).unwrap();
        assert_eq!(found["musl"], "1.2.5-r9");
        assert_eq!(found["busybox"], "1.37.0-r12");
        assert_eq!(found.len(), 2);
        assert!(packages(b"P:musl\n").is_err());
        assert!(packages(b"P:\xff\nV:1\n").is_err());
        assert!(packages(b"").unwrap().is_empty());
    }
}
