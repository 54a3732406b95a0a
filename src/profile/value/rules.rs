//! What the checked texts may look like: plain functions from text to truth.

pub(super) fn is_lower_digit(c: char) -> bool {
    c.is_ascii_lowercase() || c.is_ascii_digit()
}

pub(super) fn is_letter_digit(c: char) -> bool {
    c.is_ascii_alphanumeric()
}

pub(super) fn starts(text: &str, allowed: fn(char) -> bool) -> bool {
    text.chars().next().is_some_and(allowed)
}

pub(super) fn all(text: &str, allowed: fn(char) -> bool, others: &str) -> bool {
    text.chars().all(|c| allowed(c) || others.contains(c))
}

/// A number without leading zeros of at most `digits` digits.
pub(super) fn number(text: &str, digits: usize) -> Option<u32> {
    let plain = !text.is_empty()
        && text.len() <= digits
        && text.bytes().all(|byte| byte.is_ascii_digit())
        && (text == "0" || !text.starts_with('0'));
    plain.then(|| text.parse().ok()).flatten()
}

/// A path of a Nix store: `/nix/store/HASH-NAME`.
pub(super) fn store_file(text: &str) -> bool {
    let Some((folder, base)) = text.rsplit_once('/') else {
        return false;
    };
    let Some((hash, name)) = base.split_once('-') else {
        return false;
    };
    folder.starts_with('/')
        && !folder.contains(char::is_control)
        && hash.len() == 32
        && all(hash, is_lower_digit, "")
        && !name.starts_with('.')
        && !name.is_empty()
        && all(name, is_letter_digit, "+-._?=")
}

pub(super) fn kubernetes_version(text: &str) -> bool {
    if text == "none" {
        return true;
    }
    let Some(rest) = text.strip_prefix("1.") else {
        return false;
    };
    let (minor, patch) = match rest.split_once('.') {
        Some((minor, patch)) => (minor, Some(patch)),
        None => (rest, None),
    };
    number(minor, 3).is_some_and(|minor| minor >= 18)
        && patch.is_none_or(|patch| number(patch, 4).is_some())
}

pub(super) fn release(text: &str) -> bool {
    let (numbers, rest) = match text.split_once('-') {
        Some((numbers, rest)) => (numbers, Some(rest)),
        None => (text, None),
    };
    let parts: Vec<_> = numbers.split('.').collect();
    (2..=3).contains(&parts.len())
        && parts
            .iter()
            .all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()))
        && rest.is_none_or(|rest| !rest.is_empty() && all(rest, is_lower_digit, "."))
}

pub(super) fn package_choice(text: &str) -> bool {
    let (head, version) = match text.split_once('=') {
        Some((head, version)) => (head, Some(version)),
        None => (text, None),
    };
    let (name, architecture) = match head.split_once(':') {
        Some((name, architecture)) => (name, Some(architecture)),
        None => (head, None),
    };
    let plain = name.replace("{architecture}", "xx");
    plain.len() > 1
        && starts(name, is_lower_digit)
        && all(&plain, is_lower_digit, "+.-")
        && architecture.is_none_or(|text| !text.is_empty() && all(text, is_lower_digit, ""))
        && version.is_none_or(|text| !text.is_empty() && all(text, is_letter_digit, ".+:~-"))
}

/// The unit types of systemd.
const UNIT_TYPES: [&str; 11] = [
    "service",
    "socket",
    "target",
    "mount",
    "automount",
    "timer",
    "path",
    "slice",
    "scope",
    "swap",
    "device",
];

pub(super) fn unit_name(text: &str) -> bool {
    text.len() <= 255
        && text.rsplit_once('.').is_some_and(|(name, kind)| {
            !name.is_empty() && UNIT_TYPES.contains(&kind) && all(name, is_letter_digit, ":_.\\@-")
        })
}

pub(super) fn absolute_path(text: &str) -> bool {
    text.strip_prefix('/').is_some_and(|rest| {
        rest.split('/').all(|part| {
            !matches!(part, "" | "." | "..") && !part.contains(|c: char| c.is_ascii_control())
        })
    })
}

pub(super) fn user_name(text: &str) -> bool {
    text.len() <= 32
        && starts(text, |c| c.is_ascii_lowercase() || c == '_')
        && all(text, is_lower_digit, "_-")
}

pub(super) fn account(text: &str) -> bool {
    user_name(text)
        || (!text.is_empty() && text.len() <= 9 && text.bytes().all(|byte| byte.is_ascii_digit()))
}

pub(super) fn image_reference(text: &str) -> bool {
    let (rest, digest) = match text.split_once('@') {
        Some((rest, digest)) => (rest, Some(digest)),
        None => (text, None),
    };
    let slash = rest.rfind('/').map_or(0, |at| at + 1);
    let (path, tag) = match rest[slash..].rfind(':') {
        // `host:5000` alone is a name with a tag.
        Some(colon) => (&rest[..slash + colon], Some(&rest[slash + colon + 1..])),
        None => (rest, None),
    };
    let mut parts = path.split('/');
    let host = parts.next().unwrap_or_default();
    let (host, port) = match host.split_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (host, None),
    };
    starts(host, is_letter_digit)
        && all(host, is_letter_digit, ".-")
        && port.is_none_or(|port| !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()))
        && parts.all(|part| {
            starts(part, is_lower_digit)
                && part.ends_with(is_lower_digit)
                && all(part, is_lower_digit, "._-")
        })
        && tag.is_none_or(|tag| {
            tag.len() <= 128
                && starts(tag, |c| c.is_ascii_alphanumeric() || c == '_')
                && all(tag, is_letter_digit, "._-")
        })
        && digest.is_none_or(|digest| {
            digest.strip_prefix("sha256:").is_some_and(|hex| {
                hex.len() == 64 && hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
            })
        })
}

pub(super) fn url(text: &str) -> bool {
    if text.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return false;
    }
    match text.split_once("://") {
        Some(("https" | "http", rest)) => !rest.is_empty() && !rest.starts_with('/'),
        Some(("file", rest)) => rest.starts_with('/'),
        _ => false,
    }
}

pub(super) fn registry_host(text: &str) -> bool {
    if text == "_default" {
        return true;
    }
    let (host, port) = match text.split_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (text, None),
    };
    starts(host, is_letter_digit)
        && host.ends_with(is_letter_digit)
        && all(host, is_letter_digit, ".-")
        && port.is_none_or(|port| {
            (1..=5).contains(&port.len()) && port.bytes().all(|b| b.is_ascii_digit())
        })
}

pub(super) fn span(text: &str) -> bool {
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        if digits == 0 {
            return false;
        }
        rest = &rest[digits..];
        if let Some(fraction) = rest.strip_prefix('.') {
            let after = fraction.trim_start_matches(|c: char| c.is_ascii_digit());
            if after.len() == fraction.len() {
                return false;
            }
            rest = after;
        }
        match ["ms", "s", "m", "h"]
            .iter()
            .find_map(|unit| rest.strip_prefix(unit))
        {
            Some(after) => rest = after,
            None => return false,
        }
    }
    !text.is_empty()
}

pub(super) fn argument(text: &str) -> bool {
    let mut quoted = false;
    for c in text.chars() {
        if c == '"' {
            quoted = !quoted;
        } else if (c.is_control() && c <= '\u{1f}') || (c.is_whitespace() && !quoted) {
            return false;
        }
    }
    !text.is_empty() && !quoted
}

pub(super) fn ssh_key(text: &str) -> bool {
    if text.contains(char::is_control) {
        return false;
    }
    let mut words = text.split(' ');
    let kind = words.find(|word| {
        ["ssh-", "ecdsa-", "sk-"]
            .iter()
            .any(|kind| word.strip_prefix(kind).is_some_and(|rest| !rest.is_empty()))
    });
    kind.is_some()
        && words.next().is_some_and(|key| {
            key.len() > 4 && key.starts_with("AAAA") && all(key, is_letter_digit, "+/=")
        })
}
