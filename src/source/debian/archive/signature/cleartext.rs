//! The frame around cleartext-signed text (RFC 9580, section 7), taken strictly.

use pgp::armor::Dearmor;
use pgp::packet::{Packet, PacketParser, Signature};

const BEGIN: &str = "-----BEGIN PGP SIGNED MESSAGE-----";
const BEGIN_SIGNATURE: &str = "-----BEGIN PGP SIGNATURE-----";
const END_SIGNATURE: &str = "-----END PGP SIGNATURE-----";
/// An archive signs with a handful of keys.
const MOST_SIGNATURES: usize = 64;

/// A message taken apart.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Framed {
    /// The text, lines ending in `\n`.
    pub text: String,
    /// The same as it is hashed: lines ending in CR LF but for the last, which has no ending.
    pub hashed: Vec<u8>,
    /// The armored signatures.
    pub armor: String,
}

/// Takes a message apart; anything outside the frame is an error.
pub(super) fn parse(message: &[u8]) -> Result<Framed, String> {
    let message = std::str::from_utf8(message).map_err(|_| "it is not text".to_owned())?;
    let mut lines = message.lines();
    if lines.next() != Some(BEGIN) {
        return Err(format!("it does not begin with `{BEGIN}`"));
    }
    for line in lines.by_ref().take_while(|line| !line.is_empty()) {
        if !line.starts_with("Hash: ") {
            return Err("it has a header other than `Hash`".into());
        }
    }
    let mut text = String::with_capacity(message.len());
    let mut hashed = Vec::with_capacity(message.len());
    let mut ended = false;
    for line in lines.by_ref() {
        if line == BEGIN_SIGNATURE {
            ended = true;
            break;
        }
        let line = match line.strip_prefix("- ") {
            Some(escaped) => escaped,
            None if line.starts_with('-') => {
                return Err("it has a line that begins with an unescaped dash".into());
            }
            None => line,
        };
        let line = line.trim_end_matches([' ', '\t', '\r']);
        if line.contains('\r') || line.contains('\0') {
            return Err("it has control characters in its text".into());
        }
        if !text.is_empty() {
            hashed.extend_from_slice(b"\r\n");
        }
        text.push_str(line);
        text.push('\n');
        hashed.extend_from_slice(line.as_bytes());
    }
    if !ended {
        return Err("its signature is missing".into());
    }
    let mut armor = format!("{BEGIN_SIGNATURE}\n");
    let mut ended = false;
    for line in lines.by_ref() {
        armor.push_str(line);
        armor.push('\n');
        if line == END_SIGNATURE {
            ended = true;
            break;
        }
    }
    if !ended {
        return Err("its signature is cut off".into());
    }
    if lines.any(|line| !line.trim().is_empty()) {
        return Err("something follows the signature".into());
    }
    Ok(Framed {
        text,
        hashed,
        armor,
    })
}

/// The signatures in an armored block; those of unknown versions are left out.
pub(super) fn signatures(armor: &str) -> Result<Vec<Signature>, String> {
    let unreadable = |error: pgp::errors::Error| format!("its signature cannot be read: {error}");
    let mut dearmor = Dearmor::new(armor.as_bytes());
    dearmor.read_header().map_err(unreadable)?;
    let mut signatures = Vec::new();
    for packet in PacketParser::new(std::io::BufReader::new(dearmor)).take(MOST_SIGNATURES) {
        match packet {
            Ok(Packet::Signature(signature)) => signatures.push(signature),
            Ok(Packet::Marker(_) | Packet::Padding(_))
            | Err(pgp::errors::Error::Unsupported { .. }) => {}
            Ok(_) => return Err("its signature block holds something else".into()),
            Err(error) => return Err(unreadable(error)),
        }
    }
    Ok(signatures)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn framed(text: &str) -> String {
        format!("{BEGIN}\nHash: SHA256\n\n{text}{BEGIN_SIGNATURE}\n\nAAAA\n{END_SIGNATURE}\n")
    }

    #[test]
    fn text_is_taken_as_it_was_signed() {
        for (text, plain, hashed) in [
            ("", "", ""),
            ("a: b\n", "a: b\n", "a: b"),
            ("a: b \t\nc: d\r\n", "a: b\nc: d\n", "a: b\r\nc: d"),
            ("- -x\n- - y\n", "-x\n- y\n", "-x\r\n- y"),
            ("a\n\n b\n\n", "a\n\n b\n\n", "a\r\n\r\n b\r\n"),
            ("\na\n", "\na\n", "\r\na"),
        ] {
            let framed = parse(framed(text).as_bytes()).unwrap();
            assert_eq!(framed.text, plain, "{text:?}");
            assert_eq!(
                String::from_utf8(framed.hashed).unwrap(),
                hashed,
                "{text:?}"
            );
            assert_eq!(
                framed.armor,
                format!("{BEGIN_SIGNATURE}\n\nAAAA\n{END_SIGNATURE}\n")
            );
        }
    }

    #[test]
    fn anything_outside_the_frame_is_refused() {
        let good = framed("a: b\n");
        let cases = [
            (String::new(), "does not begin"),
            ("Origin: x\n".into(), "does not begin"),
            (format!("x\n{good}"), "does not begin"),
            (format!("\n{good}"), "does not begin"),
            (format!("{good}x\n"), "follows the signature"),
            (format!("{good}{good}"), "follows the signature"),
            (good.replace("Hash: SHA256", "Comment: x"), "header"),
            (good.replace("a: b\n", "-a: b\n"), "dash"),
            (
                good.replace("a: b\n", "-----BEGIN PGP SIGNATURE----- \n"),
                "dash",
            ),
            (good.replace("a: b\n", &format!("{BEGIN}\n")), "dash"),
            (good.replace("a: b\n", "a\rb\n"), "control"),
            (good.replace(END_SIGNATURE, ""), "cut off"),
            (good.replace(BEGIN_SIGNATURE, ""), "dash"),
            (format!("{BEGIN}\nHash: SHA256\n\na: b\n"), "missing"),
            (format!("{BEGIN}\n"), "missing"),
        ];
        for (message, why) in cases {
            let error = parse(message.as_bytes()).unwrap_err();
            assert!(error.contains(why), "{message:?}: {error}");
        }
        assert!(parse(b"\xff\xfe").unwrap_err().contains("not text"));
        assert!(parse(format!("{good}\n \n").as_bytes()).is_ok());
    }

    #[test]
    fn broken_armor_is_refused() {
        for armor in [
            format!("{BEGIN_SIGNATURE}\n\n????\n{END_SIGNATURE}\n"),
            format!("{BEGIN_SIGNATURE}\n{END_SIGNATURE}\n"),
            String::new(),
        ] {
            assert!(
                signatures(&armor).map_or(true, |found| found.is_empty()),
                "{armor}"
            );
        }
    }
}
