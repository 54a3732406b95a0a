//! Words for one node's command line: a file for each node, whose name is the MAC address
//! of its card (`52-54-00-12-34-56`) or its UUID, in small letters.

use std::io::Read;
use std::path::Path;

use crate::bundle::export::pxe;
use crate::error::{Context, Error, Kind, Result};

/// What a kernel takes on its command line, on x86 and arm64 (`COMMAND_LINE_SIZE`), in bytes.
const MOST: u64 = 2048;

/// Who asks.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Node {
    /// The card's MAC address, as files are named.
    pub mac: Option<String>,
    /// The machine's UUID.
    pub uuid: Option<String>,
    /// How its root is to come, if whoever named the script said it.
    pub way: Option<&'static str>,
}

impl Node {
    /// Reads a query, `mac=…&uuid=…&way=…`; what is empty was not known. In words if it is another.
    pub fn read(query: &str) -> Result<Self, String> {
        let mut node = Self::default();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            let value = value.to_ascii_lowercase();
            let (place, shape) = match key {
                "mac" => (&mut node.mac, &[2; 6][..]),
                "uuid" => (&mut node.uuid, &[8, 4, 4, 4, 12][..]),
                "way" => {
                    let known = pxe::WAYS.iter().find(|way| **way == value);
                    let none = || "the value of `way` is none".to_owned();
                    node.way = Some(known.ok_or_else(none)?);
                    continue;
                }
                _ => return Err("the parameters are `mac`, `uuid` and `way`".to_owned()),
            };
            let value = match key {
                "mac" => value.replace("%3a", "-").replace(':', "-"),
                _ => value,
            };
            if !value.is_empty() {
                if !fits(&value, shape) {
                    return Err(format!("the value of `{key}` is none"));
                }
                *place = Some(value);
            }
        }
        Ok(node)
    }

    /// The words for this node: those of its card, else those of its UUID, else none.
    ///
    /// # Errors
    /// When its file cannot be read, or has what cannot be written into a script.
    pub fn words(&self, folder: &Path) -> Result<String> {
        for name in [&self.mac, &self.uuid].into_iter().flatten() {
            let path = folder.join(name);
            if path.is_file() {
                let file = std::fs::File::open(&path).io("opening", &path)?;
                let mut text = String::new();
                file.take(MOST + 1)
                    .read_to_string(&mut text)
                    .io("reading", &path)?;
                if text.len() as u64 > MOST {
                    let message = format!("`{}` is too large", path.display());
                    return Err(Error::new(Kind::Usage, message)
                        .hint(format!("a command line has at most {MOST} bytes")));
                }
                let words = words(&text);
                let about = || format!("reading `{}`", path.display());
                pxe::check(&words).map_err(|error| error.context(about()))?;
                return Ok(words);
            }
        }
        Ok(String::new())
    }
}

/// Whether it is hexadecimal digits in groups of these sizes, with hyphens between them.
fn fits(text: &str, shape: &[usize]) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_hexdigit());
    parts.len() == shape.len()
        && parts
            .iter()
            .zip(shape)
            .all(|(part, size)| part.len() == *size && digits(part))
}

/// The words of a file, with single spaces between them; lines that begin with `#` are for people.
fn words(text: &str) -> String {
    let lines = text
        .lines()
        .filter(|line| !line.trim_start().starts_with('#'));
    let words: Vec<&str> = lines.flat_map(str::split_whitespace).collect();
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries() {
        let read = |query: &str| {
            let node = Node::read(query)?;
            Ok::<_, String>((node.mac.unwrap_or_default(), node.uuid.unwrap_or_default()))
        };
        let (mac, uuid) = ("52-54-00-ab-cd-ef", "00112233-4455-6677-8899-aabbccddeeff");
        let both = (mac.to_owned(), uuid.to_owned());
        for query in [
            format!("mac={mac}&uuid={uuid}"),
            format!("uuid={}&mac=52:54:00:AB:CD:EF", uuid.to_uppercase()),
            format!("&mac=52%3A54%3a00:ab:cd:ef&uuid={uuid}"),
        ] {
            assert_eq!(read(&query).unwrap(), both, "{query}");
        }
        assert_eq!(read("mac=&uuid=").unwrap(), Default::default());
        assert_eq!(read("").unwrap(), Default::default());
        assert_eq!(Node::read("way=initrd").unwrap().way, Some("initrd"));
        for query in [
            "mac=../../etc/passwd",
            "mac=52-54-00-ab-cd",
            "mac=52-54-00-ab-cd-eg",
            "mac=52-54-00-ab-cd-ef-00",
            "mac=5254-00-ab-cd-ef-",
            "uuid=..%2f..%2fetc",
            "uuid=00112233-4455-6677-8899-aabbccddeef",
            "uuid=.",
            "way=",
            "way=shell",
        ] {
            let key = query.split('=').next().unwrap();
            assert_eq!(
                read(query).unwrap_err(),
                format!("the value of `{key}` is none")
            );
        }
        let said = read("hostname=a").unwrap_err();
        assert_eq!(said, "the parameters are `mac`, `uuid` and `way`");
    }

    #[test]
    fn words_of_a_node() {
        let folder = tempfile::tempdir().unwrap();
        let node = Node::read("mac=52-54-00-ab-cd-ef&uuid=00112233-4455-6677-8899-aabbccddeeff");
        let node = node.unwrap();
        assert_eq!(node.words(folder.path()).unwrap(), "");
        let write =
            |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        write("00112233-4455-6677-8899-aabbccddeeff", "by=uuid\n");
        assert_eq!(node.words(folder.path()).unwrap(), "by=uuid");
        write("52-54-00-ab-cd-ef", "# node 1\n a=b  c\n  #d\ne\n");
        assert_eq!(node.words(folder.path()).unwrap(), "a=b c e");
        for (text, words) in [
            ("a ${b}", "the word `${b}` for the kernel"),
            ("a || shell", "the word `||` for the kernel"),
            (&"a".repeat(2049), "is too large"),
        ] {
            write("52-54-00-ab-cd-ef", text);
            let message = node.words(folder.path()).unwrap_err().message();
            assert!(message.contains(words), "{message}");
        }
    }
}
