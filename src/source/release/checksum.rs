//! The files in which publishers give the SHA-256 of what they publish.
//!
//! Some hold a digest and nothing else; others are what sha256sum(1) writes, of one
//! file or of many: `HASH  NAME`, or `HASH *NAME`, the name perhaps with a folder.
//! What else a clear-signed list has is passed over.

use crate::digest::Digest;

/// The longest checksum file that is read, in bytes.
pub(super) const LIMIT: u64 = 1 << 20;

/// The digest of the file `name` in the text of a checksum file.
pub(super) fn find(text: &str, name: &str) -> Option<Digest> {
    let mut bare = Vec::new();
    for line in text.lines() {
        let mut words = line.split_whitespace();
        let Some(digest) = words.next().and_then(Digest::from_hex) else {
            continue;
        };
        match words.next() {
            None => bare.push(digest),
            Some(of) => {
                let of = of.trim_start_matches('*');
                if of.rsplit('/').next() == Some(name) && words.next().is_none() {
                    return Some(digest);
                }
            }
        }
    }
    match bare[..] {
        [digest] => Some(digest),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_publishers_form() {
        let (a, b) = ("a".repeat(64), "b".repeat(64));
        let signed = format!(
            "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA512\n\n{b}  runc.arm64\n{a}  runc.amd64\n\
             -----BEGIN PGP SIGNATURE-----\n\niQIzBAEBCgAdFiEE\n=abcd\n-----END PGP SIGNATURE-----\n"
        );
        for (text, name, found) in [
            (a.clone(), "kubelet", Some(&a)),
            (format!("{a}\n"), "crictl.tar.gz", Some(&a)),
            (
                format!("{a}  containerd.tar.gz\n"),
                "containerd.tar.gz",
                Some(&a),
            ),
            (format!("{a} *./release/x.tgz\r\n"), "x.tgz", Some(&a)),
            (signed, "runc.amd64", Some(&a)),
            (format!("{b}  other\n{a}  x\n"), "x", Some(&a)),
            (format!("{a}  other\n"), "x", None),
            (format!("{a}  x y\n"), "x", None),
            (format!("{a}\n{b}\n"), "x", None),
            ("<html>not found</html>".to_owned(), "x", None),
            (format!("{}\n", &a[1..]), "x", None),
            (String::new(), "x", None),
        ] {
            let expected = found.and_then(|hex| Digest::from_hex(hex));
            assert_eq!(find(&text, name), expected, "{text}");
        }
    }
}
