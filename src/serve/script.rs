//! boot.ipxe for one node.

use crate::bundle::export::pxe::{IPXE, IPXE_BASE, IPXE_HEAD, IPXE_WAY, IPXE_WORDS};

/// What a machine is given that has not said who it is: it asks once more, and says it.
pub fn ask(way: Option<&str>) -> String {
    let way = way.map_or(String::new(), |way| format!("&way={way}"));
    format!("{IPXE_HEAD}chain {IPXE}?mac=${{netX/mac:hexhyp}}&uuid=${{uuid}}{way}\n")
}

/// The script with words for a node, which were checked. `host` is what the machine calls
/// us: iPXE of before 2024 cannot tell the kernel where it has the script from.
pub fn personal(script: &str, host: Option<&str>, way: Option<&str>, words: &str) -> String {
    let rest = script.strip_prefix(IPXE_HEAD).unwrap_or(script);
    let mut text = IPXE_HEAD.to_owned();
    if let Some(host) = host.filter(|host| is_host(host)) {
        text.push_str(&format!("set {IPXE_BASE} http://{host}/\n"));
    }
    if let Some(way) = way {
        text.push_str(&format!("set {IPXE_WAY} {way}\n"));
    }
    if !words.is_empty() {
        text.push_str(&format!("set {IPXE_WORDS} {words}\n"));
    }
    text + rest
}

/// Whether it is a host with or without a port, which may stand in a script.
fn is_host(text: &str) -> bool {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "-.:".contains(letter);
    !text.is_empty() && text.len() < 256 && text.chars().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts() {
        let script = "#!ipxe\n# words\nboot\n";
        assert_eq!(
            personal(script, Some("10.0.2.2:8080"), Some("initrd"), "a=b c"),
            "#!ipxe\nset nodelith-base http://10.0.2.2:8080/\nset nodelith-way initrd\nset nodelith-words a=b c\n# words\nboot\n"
        );
        for host in [
            None,
            Some(""),
            Some("a || shell"),
            Some("${a}"),
            Some("a/b"),
        ] {
            assert_eq!(personal(script, host, None, ""), script);
        }
    }
}
