//! Reads dpkg's database of an image, to tell what is installed.

use std::collections::BTreeMap;

/// Name (with `:ARCHITECTURE` where it is not the only one) to version of every
/// installed package in the text of `/var/lib/dpkg/status`.
#[must_use]
pub fn installed(text: &str) -> BTreeMap<String, String> {
    let mut packages = BTreeMap::new();
    for stanza in text.split("\n\n") {
        let field = |name: &str| {
            stanza
                .lines()
                .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
                .map(str::trim)
        };
        let installed = field("Status").is_some_and(|status| status.ends_with(" installed"));
        let (Some(name), Some(version), true) = (field("Package"), field("Version"), installed)
        else {
            continue;
        };
        let mut name = name.to_owned();
        if packages.contains_key(&name) {
            name = format!("{name}:{}", field("Architecture").unwrap_or_default());
        }
        packages.insert(name, version.to_owned());
    }
    packages
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_installed_counts() {
        let text = "Package: a\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1\n\n\
                    Package: b\nStatus: deinstall ok config-files\nVersion: 2\n\n\
                    Package: a\nStatus: install ok installed\nArchitecture: i386\nVersion: 1\n";
        let found = installed(text);
        let found: Vec<_> = found
            .iter()
            .map(|(name, version)| format!("{name}={version}"))
            .collect();
        assert_eq!(found, ["a=1", "a:i386=1"]);
    }
}
