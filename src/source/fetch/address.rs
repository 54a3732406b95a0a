//! Addresses: URLs and local paths, and how they are shown.

use std::path::PathBuf;

use reqwest::Url;

use crate::error::{Error, Kind, Result};
use crate::http::redact;

/// Where bytes can be had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Address {
    /// Over HTTP or HTTPS.
    Http(Url),
    /// A file of this machine.
    Local(PathBuf),
}

impl Address {
    /// Takes an `http:`, `https:`, `file:` or `copy:` URL (as apt's sources have them) or an absolute path.
    pub(super) fn parse(text: &str) -> Result<Self> {
        if text.starts_with('/') {
            return Ok(Self::Local(PathBuf::from(text)));
        }
        // apt writes `file:/path` and `copy:/path`; both forms with and without `//` occur.
        for scheme in ["file:", "copy:"] {
            if let Some(rest) = text.strip_prefix(scheme) {
                let path = rest.strip_prefix("//").unwrap_or(rest);
                if path.starts_with('/') {
                    return Ok(Self::Local(PathBuf::from(percent_decoded(path))));
                }
                return Err(unusable(text, "a local address needs an absolute path"));
            }
        }
        match Url::parse(text) {
            Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => {
                Ok(Self::Http(url))
            }
            Ok(url) => Err(unusable(
                text,
                &format!("no support for `{}:`", url.scheme()),
            )),
            Err(error) => Err(unusable(text, &error.to_string())),
        }
    }

    /// How messages show it.
    pub(super) fn shown(&self) -> String {
        match self {
            Self::Http(url) => redact(url.as_str()),
            Self::Local(path) => path.display().to_string(),
        }
    }
}

fn unusable(text: &str, why: &str) -> Error {
    Error::new(
        Kind::Usage,
        format!("`{}` is not a usable address: {why}", redact(text)),
    )
    .hint("http:, https: and file: addresses and absolute paths are understood")
}

fn percent_decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let pair = bytes.get(at + 1..at + 3).and_then(|pair| {
            let high = char::from(pair[0]).to_digit(16)?;
            let low = char::from(pair[1]).to_digit(16)?;
            u8::try_from(high * 16 + low).ok()
        });
        match (bytes[at], pair) {
            (b'%', Some(byte)) => {
                out.push(byte);
                at += 3;
            }
            (byte, _) => {
                out.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn local_addresses() {
        for (text, path) in [
            ("/srv/mirror/x", "/srv/mirror/x"),
            ("file:/srv/mirror/x", "/srv/mirror/x"),
            ("file:///srv/mirror/x", "/srv/mirror/x"),
            ("copy:/srv/a%2bb", "/srv/a+b"),
            ("file:/srv/100%/x", "/srv/100%/x"),
        ] {
            assert_eq!(
                Address::parse(text).unwrap(),
                Address::Local(PathBuf::from(path)),
                "{text}"
            );
        }
    }

    #[test]
    fn unusable_addresses() {
        for text in [
            "",
            "mirror/debian",
            "file:x",
            "ftp://host/x",
            "cdrom:x",
            "http://",
        ] {
            let error = Address::parse(text).unwrap_err();
            assert_eq!(error.kind(), Kind::Usage, "{text}");
        }
    }

    #[test]
    fn secrets_are_not_shown() {
        for (text, shown) in [
            ("https://me:pass@host:8/a?token=x", "https://host:8/a"),
            ("https://me:p@ss@host", "https://host"),
            ("http://host/a@b/c", "http://host/a@b/c"),
            ("/srv/x", "/srv/x"),
        ] {
            assert_eq!(redact(text), shown);
        }
        let error = Address::parse("ftp://me:pass@host/x").unwrap_err();
        assert!(!error.message().contains("pass"), "{error}");
    }
}
