//! Which paths not to unpack: patterns with the meaning of dpkg's
//! `path-exclude` and `path-include` (dpkg(1); fnmatch(3) without flags).

/// Kept whatever is excluded: licences want their text to travel with the files.
const KEPT: &[u8] = b"/usr/share/doc/*/copyright";

/// The patterns of a build, the last that matches decides.
#[derive(Debug, Clone, Default)]
pub(super) struct Excludes {
    rules: Vec<Rule>,
}

#[derive(Debug, Clone)]
struct Rule {
    pattern: Vec<u8>,
    keep: bool,
}

impl Excludes {
    /// Patterns in their order; one that begins with `!` keeps what an earlier one leaves out.
    pub fn new(patterns: &[String]) -> Self {
        if patterns.is_empty() {
            return Self::default();
        }
        let rule = |pattern: &String| match pattern.strip_prefix('!') {
            Some(kept) => Rule {
                pattern: kept.as_bytes().to_vec(),
                keep: true,
            },
            None => Rule {
                pattern: pattern.as_bytes().to_vec(),
                keep: false,
            },
        };
        let copyright = Rule {
            pattern: KEPT.to_vec(),
            keep: true,
        };
        Self {
            rules: patterns.iter().map(rule).chain([copyright]).collect(),
        }
    }

    /// Whether to leave out `path` (relative to the root, no leading slash).
    /// Directories and links are kept where something below may be kept.
    pub fn leave_out(&self, path: &[u8], is_directory_or_link: bool) -> bool {
        let mut absolute = Vec::with_capacity(path.len() + 1);
        absolute.push(b'/');
        absolute.extend_from_slice(path);
        let leads_to_kept = |rule: &Rule| {
            rule.keep && {
                let fixed = fixed_part(&rule.pattern);
                // Above what is kept, or within the part that a wildcard stands for.
                absolute.starts_with(fixed) || is_above(&absolute, fixed)
            }
        };
        if is_directory_or_link && self.rules.iter().any(leads_to_kept) {
            return false;
        }
        let last = self.rules.iter().rev();
        let mut deciding = last.filter(|rule| matches(&rule.pattern, &absolute));
        deciding.next().is_some_and(|rule| !rule.keep)
    }
}

fn is_above(folder: &[u8], path: &[u8]) -> bool {
    path.strip_prefix(folder)
        .is_some_and(|rest| rest.first() == Some(&b'/'))
}

/// What comes before the first wildcard, without trailing slashes.
fn fixed_part(pattern: &[u8]) -> &[u8] {
    let end = pattern
        .iter()
        .position(|byte| b"*?[\\".contains(byte))
        .unwrap_or(pattern.len());
    let mut fixed = &pattern[..end];
    while let Some(shorter) = fixed.strip_suffix(b"/") {
        fixed = shorter;
    }
    fixed
}

/// fnmatch(3) without flags: `*` and `?` match slashes and leading dots too.
/// Takes time linear in both lengths for each `*`, however many there are.
fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut at, mut from) = (0, 0);
    // Where to go on when the last `*` has to take one byte more.
    let mut star: Option<(usize, usize)> = None;
    while from < text.len() {
        let step = match pattern.get(at) {
            Some(b'*') => {
                star = Some((at + 1, from));
                at += 1;
                continue;
            }
            Some(b'?') => Some(1),
            Some(b'[') => match bracket(&pattern[at..], text[from]) {
                Some((true, length)) => Some(length),
                Some((false, _)) => None,
                None => (text[from] == b'[').then_some(1),
            },
            Some(b'\\') if at + 1 < pattern.len() => (pattern[at + 1] == text[from]).then_some(2),
            Some(&byte) => (byte == text[from]).then_some(1),
            None => None,
        };
        match (step, star) {
            (Some(length), _) => {
                at += length;
                from += 1;
            }
            (None, Some((after, taken))) => {
                star = Some((after, taken + 1));
                at = after;
                from = taken + 1;
            }
            (None, None) => return false,
        }
    }
    pattern[at..].iter().all(|&byte| byte == b'*')
}

/// A bracket expression at the start of `pattern`: whether it takes `byte`, and
/// its length. Nothing if it has no end, and so is just a `[`.
fn bracket(pattern: &[u8], byte: u8) -> Option<(bool, usize)> {
    let mut at = 1;
    let negated = matches!(pattern.get(at), Some(b'!' | b'^'));
    if negated {
        at += 1;
    }
    let begin = at;
    let mut found = false;
    loop {
        let first = *pattern.get(at)?;
        if first == b']' && at > begin {
            return Some((found != negated, at + 1));
        }
        let last = match (pattern.get(at + 1), pattern.get(at + 2)) {
            (Some(b'-'), Some(&last)) if last != b']' => {
                at += 2;
                last
            }
            _ => first,
        };
        found |= (first..=last).contains(&byte);
        at += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_fnmatch_does() {
        for (pattern, text, expected) in [
            ("/usr/share/man/*", "/usr/share/man/man1/a.1", true),
            ("/usr/share/man/*", "/usr/share/man", false),
            ("*.pyc", "/usr/lib/x.pyc", true),
            ("/a?c", "/a/c", true),
            ("/[a-c]x", "/bx", true),
            ("/[!a-c]x", "/bx", false),
            ("/[]]x", "/]x", true),
            ("/[x", "/[x", true),
            ("/a\\*", "/a*", true),
            ("/a\\*", "/ab", false),
            ("**a**", "bab", true),
            ("", "", true),
            ("", "a", false),
        ] {
            assert_eq!(
                matches(pattern.as_bytes(), text.as_bytes()),
                expected,
                "{pattern} {text}"
            );
        }
    }

    #[test]
    fn many_stars_take_no_exponential_time() {
        let pattern = b"*a".repeat(200);
        assert!(!matches(&pattern, &vec![b'b'; 100_000]));
    }

    #[test]
    fn what_is_kept_of_what_is_left_out() {
        let excludes = Excludes::new(&[
            "/usr/share/locale/*".into(),
            "!/usr/share/locale/de/*".into(),
            "/usr/share/locale/de/x*".into(),
        ]);
        let cases: [(&[u8], bool, bool); 5] = [
            (b"usr/share/locale", true, false),
            (b"usr/share/locale/de", true, false),
            (b"usr/share/locale/de/LC_MESSAGES/tar.mo", false, false),
            (b"usr/share/locale/de/x.mo", false, true),
            (b"usr/share/locale/fr/LC_MESSAGES/tar.mo", false, true),
        ];
        for (path, is_directory, expected) in cases {
            assert_eq!(excludes.leave_out(path, is_directory), expected);
        }
    }

    #[test]
    fn copyright_files_and_the_way_to_them_stay() {
        let excludes = Excludes::new(&["/usr/share/doc/*".into(), "/usr/share/man*".into()]);
        for (path, is_directory, expected) in [
            ("usr/share/doc/bash/README", false, true),
            ("usr/share/doc/bash/copyright", false, false),
            ("usr/share/doc/bash", true, false),
            ("usr/share/man/man1", true, true),
            ("usr/bin/bash", false, false),
        ] {
            let path = path.as_bytes();
            assert_eq!(excludes.leave_out(path, is_directory), expected);
        }
        assert!(!Excludes::default().leave_out(b"usr/share/man/x", false));
    }
}
