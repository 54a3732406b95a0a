//! Relations between packages (Debian Policy 7.1) and the order of versions (Policy 5.6.12).
//!
//! A dependency field is a list of *groups* separated by commas; a group is one
//! relation, or several *alternatives* separated by `|`. A relation names a
//! package and may carry an architecture qualifier (`:any`, `:native`, `:ARCH`),
//! a version constraint in parentheses and a list of architectures in brackets.
//! Everything here borrows from the field's text: an index has half a million
//! relations, of which one solution looks at a few thousand.

use std::cmp::Ordering;
use std::fmt;

use debversion::Version;

use crate::error::{Error, Kind, Result};

/// How a version must compare with the one in a constraint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operator {
    /// `<<`
    Earlier,
    /// `<=`, and the obsolete `<`
    EarlierOrEqual,
    /// `=`
    Equal,
    /// `>=`, and the obsolete `>`
    LaterOrEqual,
    /// `>>`
    Later,
}

impl Operator {
    /// Whether `version` stands to `wanted` as this operator says.
    #[must_use]
    pub fn holds(self, version: &str, wanted: &str) -> bool {
        let order = compare(version, wanted);
        match self {
            Self::Earlier => order.is_lt(),
            Self::EarlierOrEqual => order.is_le(),
            Self::Equal => order.is_eq(),
            Self::LaterOrEqual => order.is_ge(),
            Self::Later => order.is_gt(),
        }
    }

    /// As dependency fields write it.
    #[must_use]
    pub fn symbol(self) -> &'static str {
        match self {
            Self::Earlier => "<<",
            Self::EarlierOrEqual => "<=",
            Self::Equal => "=",
            Self::LaterOrEqual => ">=",
            Self::Later => ">>",
        }
    }
}

/// A version constraint: an operator and the version on its right.
pub type Constraint<'a> = (Operator, &'a str);

/// One relation of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Relation<'a> {
    /// The package's name, without qualifier.
    pub name: &'a str,
    /// What stands after the colon: `any`, `native` or an architecture.
    pub qualifier: Option<&'a str>,
    /// The version constraint.
    pub constraint: Option<Constraint<'a>>,
    /// What stands between the brackets, if there are any.
    pub architectures: Option<&'a str>,
    /// Another alternative of the same group follows.
    pub or: bool,
}

impl Relation<'_> {
    /// Whether the relation counts on `architecture` (Policy 7.1, architecture restrictions).
    #[must_use]
    pub fn applies_to(&self, architecture: &str) -> bool {
        let Some(list) = self.architectures else {
            return true;
        };
        let mut negated = false;
        for pattern in list.split_ascii_whitespace() {
            match pattern.strip_prefix('!') {
                Some(pattern) => {
                    negated = true;
                    if pattern_matches(pattern, architecture) {
                        return false;
                    }
                }
                None if pattern_matches(pattern, architecture) => return true,
                None => {}
            }
        }
        negated
    }
}

/// Whether an architecture pattern (Policy 11.1) covers a Linux architecture.
fn pattern_matches(pattern: &str, architecture: &str) -> bool {
    pattern == architecture
        || pattern == "any"
        || pattern == "linux-any"
        || pattern.strip_prefix("any-") == Some(architecture)
        || pattern.strip_prefix("linux-") == Some(architecture)
}

impl fmt::Display for Relation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)?;
        if let Some(qualifier) = self.qualifier {
            write!(f, ":{qualifier}")?;
        }
        if let Some((operator, version)) = self.constraint {
            write!(f, " ({} {version})", operator.symbol())?;
        }
        Ok(())
    }
}

/// The relations of a field one after the other; [`Relation::or`] tells where groups end.
pub struct Relations<'a> {
    field: &'a str,
    rest: &'a str,
}

impl<'a> Relations<'a> {
    /// Reads the value of a dependency field; an empty one has no relations.
    #[must_use]
    pub fn new(field: &'a str) -> Self {
        Self {
            field,
            rest: field.trim_ascii_start(),
        }
    }

    /// Takes off everything before the first byte for which `stop` holds.
    fn take(&mut self, stop: impl Fn(u8) -> bool) -> &'a str {
        let end = self.rest.bytes().position(stop).unwrap_or(self.rest.len());
        let (head, rest) = self.rest.split_at(end);
        self.rest = rest;
        head
    }

    /// Takes off what stands between `open`, which comes next, and `close`.
    fn enclosed(&mut self, open: char, close: char) -> Result<Option<&'a str>> {
        let Some(rest) = self.rest.strip_prefix(open) else {
            return Ok(None);
        };
        let Some((inside, rest)) = rest.split_once(close) else {
            return Err(self.malformed(&format!("`{open}` without `{close}`")));
        };
        self.rest = rest.trim_ascii_start();
        Ok(Some(inside.trim_ascii()))
    }

    fn relation(&mut self) -> Result<Relation<'a>> {
        let full = self.take(|byte| {
            byte.is_ascii_whitespace()
                || matches!(byte, b'(' | b')' | b',' | b'|' | b'[' | b']' | b'<' | b'>')
        });
        if full.is_empty() {
            return Err(self.malformed("a package name is missing"));
        }
        let (name, qualifier) = match full.rsplit_once(':') {
            Some((name, qualifier)) => (name, Some(qualifier)),
            None => (full, None),
        };
        self.rest = self.rest.trim_ascii_start();
        let constraint = match self.enclosed('(', ')')? {
            Some(inside) => Some(self.constraint(inside)?),
            None => None,
        };
        let architectures = self.enclosed('[', ']')?;
        let mut or = false;
        if let Some(rest) = self.rest.strip_prefix('|') {
            or = true;
            self.rest = rest.trim_ascii_start();
            if self.rest.is_empty() {
                return Err(self.malformed("nothing follows the last `|`"));
            }
        } else if let Some(rest) = self.rest.strip_prefix(',') {
            self.rest = rest.trim_ascii_start();
        } else if !self.rest.is_empty() {
            return Err(self.malformed(&format!("unexpected text after `{full}`")));
        }
        Ok(Relation {
            name,
            qualifier,
            constraint,
            architectures,
            or,
        })
    }

    fn constraint(&self, inside: &'a str) -> Result<Constraint<'a>> {
        let end = inside
            .bytes()
            .position(|byte| !matches!(byte, b'<' | b'=' | b'>'));
        let (symbol, version) = inside.split_at(end.unwrap_or(inside.len()));
        let operator = match symbol {
            "<<" => Operator::Earlier,
            "<=" | "<" => Operator::EarlierOrEqual,
            "=" | "" => Operator::Equal,
            ">=" | ">" => Operator::LaterOrEqual,
            ">>" => Operator::Later,
            _ => return Err(self.malformed(&format!("`{symbol}` is no version operator"))),
        };
        let version = version.trim_ascii();
        if version.is_empty() {
            return Err(self.malformed("a version is missing"));
        }
        Ok((operator, version))
    }

    fn malformed(&self, what: &str) -> Error {
        let mut field: String = self.field.chars().take(120).collect();
        if field.len() < self.field.len() {
            field.push('…');
        }
        Error::new(
            Kind::Resolve,
            format!("malformed dependency field `{field}`: {what}"),
        )
    }
}

impl<'a> Iterator for Relations<'a> {
    type Item = Result<Relation<'a>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let relation = self.relation();
        if relation.is_err() {
            self.rest = "";
        }
        Some(relation)
    }
}

/// A field as groups of alternatives, without what does not apply to `architecture`.
///
/// # Errors
/// What is malformed, with the field.
pub fn groups<'a>(field: &'a str, architecture: &str) -> Result<Vec<Vec<Relation<'a>>>> {
    let mut groups = Vec::new();
    let mut group = Vec::new();
    for relation in Relations::new(field) {
        let relation = relation?;
        if relation.applies_to(architecture) {
            group.push(relation);
        }
        if !relation.or && !group.is_empty() {
            groups.push(std::mem::take(&mut group));
        }
    }
    Ok(groups)
}

/// Orders two versions as dpkg does.
///
/// Strings that are no versions at all come before those that are, in byte
/// order, so that the order stays total; [`is_version`] keeps them out of an index.
#[must_use]
pub fn compare(a: &str, b: &str) -> Ordering {
    if a == b {
        return Ordering::Equal;
    }
    match (Version::parse_lenient(a), Version::parse_lenient(b)) {
        (Ok(a), Ok(b)) => a.cmp(&b),
        (Err(_), Err(_)) => a.cmp(b),
        (Err(_), Ok(_)) => Ordering::Less,
        (Ok(_), Err(_)) => Ordering::Greater,
    }
}

/// Whether `text` can be a version: an optional numeric epoch, then the characters of Policy 5.6.12.
#[must_use]
pub fn is_version(text: &str) -> bool {
    let rest = match text.split_once(':') {
        Some((epoch, rest)) if epoch.bytes().all(|byte| byte.is_ascii_digit()) => {
            if epoch.parse::<u32>().is_err() {
                return false;
            }
            rest
        }
        _ => text,
    };
    !rest.is_empty()
        && rest.bytes().all(|byte| {
            byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'+' | b'-' | b':' | b'~' | b'_')
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_as_policy_writes_them() {
        let cases = [
            ("", ""),
            ("libc6", "libc6"),
            ("libc6 (>= 2.38), zlib1g", "libc6 (>= 2.38) & zlib1g"),
            (
                "a|b (<<1)  | c( = 2:1-1 ) , d",
                "a / b (<< 1) / c (= 2:1-1) & d",
            ),
            ("python3:any (>= 3.9~)", "python3:any (>= 3.9~)"),
            (
                "gcc:native, libc6:amd64 (> 2)",
                "gcc:native & libc6:amd64 (>= 2)",
            ),
            ("x [amd64 arm64], y [!amd64], z [any]", "x & z"),
            (
                "x [!arm64] | y [linux-any] | z [any-amd64] | w [hurd-any]",
                "x / y / z",
            ),
            (
                "folded,\n also (>= 1)\n , last",
                "folded & also (>= 1) & last",
            ),
        ];
        for (field, wanted) in cases {
            let groups = groups(field, "amd64").unwrap();
            let text: Vec<String> = groups
                .iter()
                .map(|group| {
                    let group: Vec<String> = group.iter().map(ToString::to_string).collect();
                    group.join(" / ")
                })
                .collect();
            assert_eq!(text.join(" & "), wanted, "{field}");
        }
    }

    #[test]
    fn malformed_fields_are_refused() {
        for field in [
            "a (>= 1",
            "a (=> 1)",
            "a (>=)",
            ", a",
            "a b",
            "a | ",
            "a [amd64",
            "(>= 1)",
            "a <!nocheck>",
        ] {
            let error = groups(field, "amd64").unwrap_err();
            assert!(error.message().contains("malformed"), "{field}: {error}");
            assert_eq!(error.kind(), Kind::Resolve);
        }
    }

    #[test]
    fn versions_are_ordered_as_dpkg_orders_them() {
        let ascending = [
            "0~",
            "0",
            "0.1~~",
            "0.1~",
            "0.1~a",
            "0.1",
            "0.1-0.1",
            "0.1-1",
            "0.1a",
            "0.1+",
            "0.10",
            "1.0~rc1-1",
            "1.0-1~deb12u1",
            "1.0-1",
            "1.0-1+b1",
            "1.0-1+b10",
            "1.0-1+deb12u1",
            "1.0-10",
            "1.0.1",
            "1:0",
            "1:0.1",
            "2:0",
        ];
        for (left, a) in ascending.iter().enumerate() {
            for (right, b) in ascending.iter().enumerate() {
                assert_eq!(compare(a, b), left.cmp(&right), "{a} {b}");
            }
        }
        for (a, b) in [("0:1", "1"), ("1-0", "1"), ("1.00", "1.0"), ("1.01", "1.1")] {
            assert_eq!(compare(a, b), Ordering::Equal, "{a} {b}");
        }
    }

    #[test]
    fn what_is_no_version_is_told_apart() {
        for good in ["1", "1:2.3-4+b1~x", "2.0_PRE2-1", "20240203"] {
            assert!(is_version(good), "{good}");
        }
        for bad in ["", "1:", "1 2", "99999999999:1", "1/2", "é"] {
            assert!(!is_version(bad), "{bad}");
        }
    }
}
