//! What a registry wants to see before it answers: `WWW-Authenticate` (RFC 9110,
//! 11.6.1; "Token Authentication" of docker's distribution).

use std::collections::BTreeMap;

/// How to show who one is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Challenge {
    /// Name and password with every request.
    Basic,
    /// A token from this server.
    Bearer {
        /// The token server's address.
        realm: String,
        /// What the token server calls the registry.
        service: Option<String>,
        /// What the registry says the token must allow.
        scope: Option<String>,
    },
}

impl Challenge {
    /// Of all that is offered, the one to be taken: a token where there is a choice.
    pub(super) fn choose<'a>(headers: impl Iterator<Item = &'a str>) -> Option<Self> {
        let mut basic = None;
        for header in headers {
            for (scheme, mut said) in parse(header) {
                if scheme.eq_ignore_ascii_case("bearer")
                    && let Some(realm) = said.remove("realm")
                {
                    return Some(Self::Bearer {
                        realm,
                        service: said.remove("service"),
                        scope: said.remove("scope"),
                    });
                }
                if scheme.eq_ignore_ascii_case("basic") {
                    basic = Some(Self::Basic);
                }
            }
        }
        basic
    }
}

/// Every challenge of a header: its scheme, and its parameters by lower-case name.
fn parse(header: &str) -> Vec<(String, BTreeMap<String, String>)> {
    let mut found: Vec<(String, BTreeMap<String, String>)> = Vec::new();
    let mut rest = header.trim_start_matches(separator);
    while !rest.is_empty() {
        let end = rest
            .find(|letter: char| letter == '=' || letter == ',' || letter.is_whitespace())
            .unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        let value = after.trim_start().strip_prefix('=');
        match (value, found.last_mut()) {
            (Some(value), Some((_, parameters))) => {
                let (value, after) = quoted(value.trim_start());
                parameters.insert(word.to_ascii_lowercase(), value);
                rest = after;
            }
            // A parameter of no scheme.
            (Some(value), None) => rest = quoted(value.trim_start()).1,
            (None, _) => {
                if !word.is_empty() {
                    found.push((word.to_owned(), BTreeMap::new()));
                }
                rest = after;
            }
        }
        rest = rest.trim_start_matches(separator);
    }
    found
}

fn separator(letter: char) -> bool {
    letter == ',' || letter.is_whitespace()
}

/// A token or a quoted text at the beginning, and what follows it.
fn quoted(text: &str) -> (String, &str) {
    let Some(inner) = text.strip_prefix('"') else {
        let end = text.find(separator).unwrap_or(text.len());
        let (value, rest) = text.split_at(end);
        return (value.to_owned(), rest);
    };
    let mut value = String::new();
    let mut letters = inner.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => return (value, &inner[at + 1..]),
            '\\' => value.extend(letters.next().map(|(_, letter)| letter)),
            _ => value.push(letter),
        }
    }
    (value, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bearer(realm: &str, service: Option<&str>, scope: Option<&str>) -> Challenge {
        Challenge::Bearer {
            realm: realm.into(),
            service: service.map(Into::into),
            scope: scope.map(Into::into),
        }
    }

    #[test]
    fn challenges() {
        let hub = "Bearer realm=\"https://auth.example/token\",service=\"registry\",scope=\"repository:a/b:pull,push\"";
        for (headers, chosen) in [
            (
                vec![hub],
                Some(bearer(
                    "https://auth.example/token",
                    Some("registry"),
                    Some("repository:a/b:pull,push"),
                )),
            ),
            (vec!["Basic realm=\"x\""], Some(Challenge::Basic)),
            (vec!["basic"], Some(Challenge::Basic)),
            (
                vec!["Basic realm=x, bEaReR Realm = r"],
                Some(bearer("r", None, None)),
            ),
            (
                vec!["Basic realm=x", "Bearer realm=r"],
                Some(bearer("r", None, None)),
            ),
            (
                vec!["Bearer realm=\"a\\\"b\", service=s t=u"],
                Some(bearer("a\"b", Some("s"), None)),
            ),
            (vec!["Bearer service=\"no realm\""], None),
            (vec!["Negotiate", "Digest realm=\"x\", nonce=\"y\""], None),
            (vec!["realm=x"], None),
            (
                vec!["Bearer realm=\"never closed"],
                Some(bearer("never closed", None, None)),
            ),
            (vec!["", ",", "=", "=,="], None),
            (vec![], None),
        ] {
            assert_eq!(
                Challenge::choose(headers.iter().copied()),
                chosen,
                "{headers:?}"
            );
        }
    }
}
