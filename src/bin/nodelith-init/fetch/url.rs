//! Addresses of files on servers: `http` URLs alone (RFC 3986).

use crate::Result;

/// An `http` URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Url {
    pub host: String,
    pub port: u16,
    /// Path and query, with a `/` at its beginning.
    pub path: String,
}

impl Url {
    /// Reads one.
    pub fn read(text: &str) -> Result<Self> {
        let bad = |why: &str| format!("`{text}` cannot be fetched from: {why}");
        if text.starts_with("https://") {
            let why = "https is not spoken here; use http, for the digest is checked in any case";
            return Err(bad(why).into());
        }
        let rest = text
            .strip_prefix("http://")
            .ok_or_else(|| bad("it does not begin with `http://`"))?;
        let rest = rest.split('#').next().unwrap_or_default();
        if !rest.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(bad("it has letters that URLs do not have").into());
        }
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        if authority.contains('@') {
            return Err(bad("no names and passwords are sent").into());
        }
        if authority.starts_with('[') {
            return Err(bad("only IPv4 is known here").into());
        }
        let (host, port) = authority.split_once(':').unwrap_or((authority, "80"));
        let port = port.parse().map_err(|_| bad("its port is no number"))?;
        if host.is_empty() {
            return Err(bad("it has no host").into());
        }
        let path = match path.starts_with('/') {
            true => path.to_owned(),
            false => format!("/{path}"),
        };
        Ok(Self {
            host: host.to_owned(),
            port,
            path: without_dots(&path),
        })
    }

    /// Host and port, as a request names them.
    pub fn authority(&self) -> String {
        match self.port {
            80 => self.host.clone(),
            port => format!("{}:{port}", self.host),
        }
    }

    pub fn text(&self) -> String {
        format!("http://{}{}", self.authority(), self.path)
    }
}

/// The URL of the root: as it was asked for, or beside the boot file that DHCP told of.
pub fn locate(url: &str, boot_file: Option<&str>) -> Result<String> {
    if url.contains("://") {
        return Ok(url.to_owned());
    }
    match boot_file {
        Some(base) if base.contains("://") => place(base, url),
        Some(base) => Err(format!(
            "`nodelith.root={url}` is no URL, and the boot file that DHCP tells of, `{base}`, \
             is none that it could be beside: give the whole URL"
        )
        .into()),
        None => Err(format!(
            "`nodelith.root={url}` is no URL, and DHCP tells of no boot file that it could be \
             beside: give the whole URL"
        )
        .into()),
    }
}

/// What a reference means at a base (RFC 3986, section 5.2).
pub fn place(base: &str, reference: &str) -> Result<String> {
    if reference.contains("://") {
        return Ok(reference.to_owned());
    }
    let base = Url::read(base)?;
    let authority = base.authority();
    if let Some(rest) = reference.strip_prefix("//") {
        return Ok(format!("http://{rest}"));
    }
    let path = match reference.starts_with('/') {
        true => reference.to_owned(),
        false => {
            let path = base.path.split('?').next().unwrap_or_default();
            let folder = path.rfind('/').map_or("/", |end| &path[..=end]);
            format!("{folder}{reference}")
        }
    };
    Ok(format!("http://{authority}{}", without_dots(&path)))
}

/// A path and its query without `.` and `..` (RFC 3986, section 5.2.4).
fn without_dots(path: &str) -> String {
    let (path, query) = match path.split_once('?') {
        Some((path, query)) => (path, format!("?{query}")),
        None => (path, String::new()),
    };
    let mut segments: Vec<&str> = Vec::new();
    let mut parts = path.split('/').skip(1).peekable();
    while let Some(part) = parts.next() {
        let last = parts.peek().is_none();
        match part {
            "." | ".." => {
                if part == ".." {
                    segments.pop();
                }
                if last {
                    segments.push("");
                }
            }
            _ => segments.push(part),
        }
    }
    format!("/{}{query}", segments.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls() {
        for (text, host, port, path) in [
            ("http://10.0.2.2:8080/a/root", "10.0.2.2", 8080, "/a/root"),
            ("http://boot.example", "boot.example", 80, "/"),
            ("http://a?b=c#d", "a", 80, "/?b=c"),
            // As iPXE of before 2024 has to write it.
            ("http://a/b/boot.ipxe/../root", "a", 80, "/b/root"),
            ("http://a/b/./c/../../d?e=/../", "a", 80, "/d?e=/../"),
            ("http://a/../..", "a", 80, "/"),
        ] {
            let (host, path) = (host.to_owned(), path.to_owned());
            assert_eq!(Url::read(text).unwrap(), Url { host, port, path });
        }
        for (text, why) in [
            ("ftp://a/", "it does not begin with `http://`"),
            (
                "undionly.kpxe/../root.erofs",
                "it does not begin with `http://`",
            ),
            (
                "https://a/",
                "https is not spoken here; use http, for the digest is checked in any case",
            ),
            ("http:///a", "it has no host"),
            ("http://a:b/", "its port is no number"),
            ("http://a:70000/", "its port is no number"),
            ("http://a:b@c/", "no names and passwords are sent"),
            ("http://[fd00::1]/", "only IPv4 is known here"),
            ("http://a/\r\nX: y", "it has letters that URLs do not have"),
            ("http://a/é", "it has letters that URLs do not have"),
        ] {
            let said = Url::read(text).unwrap_err().to_string();
            assert_eq!(said, format!("`{text}` cannot be fetched from: {why}"));
        }
    }

    #[test]
    fn places() {
        for (base, reference, wanted) in [
            ("http://a/b/c.efi", "root", "http://a/b/root"),
            ("http://a:8080", "root", "http://a:8080/root"),
            ("http://a/b?c=/d", "root", "http://a/root"),
            ("http://a/b/c", "/root", "http://a/root"),
            ("http://a/b/c/", "../root", "http://a/b/root"),
            ("http://a/b/c", "//d/root", "http://d/root"),
            ("http://a/b/c", "http://d/root", "http://d/root"),
        ] {
            assert_eq!(place(base, reference).unwrap(), wanted);
        }
        assert_eq!(locate("http://a/b", None).unwrap(), "http://a/b");
        let base = Some("http://a/b/node-http.efi");
        assert_eq!(locate("root.erofs", base).unwrap(), "http://a/b/root.erofs");
        for (base, words) in [
            (None, "tells of no boot file"),
            (Some("x.kpxe"), "`x.kpxe`"),
        ] {
            let said = locate("root.erofs", base).unwrap_err().to_string();
            assert!(
                said.contains(words) && said.ends_with("give the whole URL"),
                "{said}"
            );
        }
    }
}
