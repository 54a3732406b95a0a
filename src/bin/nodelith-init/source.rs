//! Where the root is, by the kernel's command line and by what lies in the initrd.

use std::net::Ipv4Addr;

use crate::Result;
use crate::address::{self, Setting};

/// Where a second initrd puts the root image.
pub const CARRIED: &str = "/nodelith/root.erofs";

/// Where the root is.
#[derive(Debug, PartialEq, Eq)]
pub enum Source {
    /// In two partitions whose UUIDs are the halves of this root hash.
    Partitions(String),
    /// On the disk whose serial number is `nodelith-root`.
    Disk,
    /// In the initrd, at [`CARRIED`].
    Carried(Digest),
    /// On a server.
    Network(Box<Asked>),
}

/// SHA-256 of a root image.
pub type Digest = [u8; 32];

/// A root image that is to be fetched.
#[derive(Debug, PartialEq, Eq)]
pub struct Asked {
    /// Its URL; or a path, which is beside what the machine booted (DHCP's boot file).
    pub url: String,
    /// What it must be.
    pub digest: Digest,
    /// How the network is set up (`ip=`).
    pub setting: Setting,
    /// The card that the machine booted from (`BOOTIF=`), if that was said.
    pub card: Option<[u8; 6]>,
    /// Servers for names beside those that DHCP names (`nameserver=`).
    pub names: Vec<Ipv4Addr>,
}

/// Reads a command line. `carried` says whether there is a file at [`CARRIED`]; it goes
/// before an address. Of a word that is there several times the last one counts.
pub fn asked(words: &str, carried: bool) -> Result<Source> {
    let last = |key: &str| values(words, key).next_back();
    if carried {
        let digest = digest(last("nodelith.root-sha256"))?;
        return Ok(Source::Carried(digest));
    }
    if let Some(url) = last("nodelith.root") {
        let mut names = Vec::new();
        for text in values(words, "nameserver") {
            let server = text.parse();
            names.push(server.map_err(|_| format!("`nameserver={text}` is no IPv4 address"))?);
        }
        // A boot loader that does not know the card writes nothing of it.
        let card = last("BOOTIF").filter(|text| !["", "01-"].contains(text));
        let card = card.map(address::card);
        return Ok(Source::Network(Box::new(Asked {
            url: url.to_owned(),
            digest: digest(last("nodelith.root-sha256"))?,
            setting: last("ip").map_or(Ok(Setting::Dhcp(None)), address::setting)?,
            card: card.transpose()?,
            names,
        })));
    }
    match last("roothash") {
        None => Ok(Source::Disk),
        Some(hash) if crate::halves(hash).is_some() => Ok(Source::Partitions(hash.to_owned())),
        Some(hash) => Err(format!("`roothash={hash}` is no root hash").into()),
    }
}

fn values<'a>(words: &'a str, key: &str) -> impl DoubleEndedIterator<Item = &'a str> {
    words
        .split_whitespace()
        .filter_map(move |word| word.strip_prefix(key)?.strip_prefix('='))
}

fn digest(text: Option<&str>) -> Result<Digest> {
    let text = text.ok_or("`nodelith.root-sha256=`, the digest of the root, is missing")?;
    let mut digest = [0; 32];
    if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(format!("`nodelith.root-sha256={text}` is no SHA-256").into());
    }
    for (index, byte) in digest.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * index..2 * index + 2], 16)?;
    }
    Ok(digest)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &str = "00112233445566778899aabbccddeeff0123456789abcdef0123456789abcdef";

    #[test]
    fn what_command_lines_ask_for() {
        let partitions = Source::Partitions(HASH.into());
        assert_eq!(asked("quiet\n", false).unwrap(), Source::Disk);
        let words = format!("roothash=0 roothash={HASH}\n");
        assert_eq!(asked(&words, false).unwrap(), partitions);
        let words = format!("roothash={HASH} nodelith.root-sha256={HASH}");
        let digest = digest(Some(HASH)).unwrap();
        assert_eq!((digest[0], digest[31]), (0, 0xef));
        assert_eq!(asked(&words, true).unwrap(), Source::Carried(digest));
        let words = format!(
            "nodelith.root=http://10.0.0.1/a nodelith.root-sha256={HASH} \
             BOOTIF=01-52-54-00-12-34-56 nameserver=10.0.0.2 nameserver=10.0.0.3"
        );
        let found = Asked {
            url: "http://10.0.0.1/a".into(),
            digest,
            setting: Setting::Dhcp(None),
            card: Some([0x52, 0x54, 0, 0x12, 0x34, 0x56]),
            names: vec![Ipv4Addr::new(10, 0, 0, 2), Ipv4Addr::new(10, 0, 0, 3)],
        };
        assert_eq!(
            asked(&words, false).unwrap(),
            Source::Network(Box::new(found))
        );
    }

    #[test]
    fn what_is_refused() {
        let missing = "`nodelith.root-sha256=`, the digest of the root, is missing";
        for (words, carried, message) in [
            (
                "roothash=cafe".to_owned(),
                false,
                "`roothash=cafe` is no root hash",
            ),
            (String::new(), true, missing),
            ("nodelith.root=http://a".to_owned(), false, missing),
            (
                "nodelith.root-sha256=é".to_owned(),
                true,
                "`nodelith.root-sha256=é` is no SHA-256",
            ),
            (
                format!("nodelith.root=a nodelith.root-sha256={HASH} nameserver=x"),
                false,
                "`nameserver=x` is no IPv4 address",
            ),
        ] {
            assert_eq!(asked(&words, carried).unwrap_err().to_string(), message);
        }
    }
}
