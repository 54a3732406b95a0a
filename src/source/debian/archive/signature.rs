//! Signatures of archives: OpenPGP cleartext-signed text (`InRelease`), RFC 9580 section 7.
//!
//! What is used is the signed text and nothing else of the file: a file with
//! anything before, between or after the signed parts is refused as a whole.
//! One good signature suffices, as for apt: signed by a key of the keyring
//! that is bound to its certificate by a valid self-signature, is not revoked,
//! and had not expired, neither when it signed nor now. MD5, SHA-1 and other
//! hashes below SHA-256 count for nothing, in signatures and in self-signatures.
//!
//! Third-party certifications on archive keys are many and mean nothing here:
//! that a key is in the keyring is what makes it trusted. Revocations count
//! when the key itself made them; designated revokers are not looked for.

mod certificate;
mod cleartext;
mod keyring;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

use std::fmt;

use jiff::Timestamp;
use pgp::crypto::hash::HashAlgorithm;
use pgp::packet::{Signature, SignatureType, SignatureVersion, SubpacketData};

use crate::error::{Error, Kind, Result};

pub use keyring::Keyring;

/// How far the clocks of archive and builder may differ, in seconds.
pub const CLOCK_TOLERANCE: i64 = 600;

/// Text that a key of the keyring has signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed {
    /// The signed text, lines ending in `\n`, without trailing white space in lines.
    pub text: String,
    /// Who signed it: good signatures only, at least one.
    pub signers: Vec<Signer>,
}

/// A good signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signer {
    /// Fingerprint of the key or subkey that signed, in upper-case hexadecimal digits.
    pub fingerprint: String,
    /// When it signed, by its own word.
    pub made: Timestamp,
}

/// Takes the signed text out of a cleartext-signed `message`, if a key of `keyring` signed it.
///
/// `name` is what errors call the message; `now` is the time by which keys expire.
///
/// # Errors
/// [`Kind::Verify`], with the reason for each signature.
pub fn verify(message: &[u8], name: &str, keyring: &Keyring, now: Timestamp) -> Result<Signed> {
    let refused = |why: &str| {
        Error::new(
            Kind::Verify,
            format!("`{name}` is not properly signed: {why}"),
        )
    };
    let framed = cleartext::parse(message).map_err(|why| {
        refused(&why).hint(
            "the mirror may be broken, or something between here and there answers in its place",
        )
    })?;
    let signatures = cleartext::signatures(&framed.armor).map_err(|why| refused(&why))?;
    let mut signers = Vec::new();
    let mut faults = Vec::new();
    for signature in &signatures {
        match judge(signature, &framed.hashed, keyring, now) {
            Ok(signer) => signers.push(signer),
            Err(fault) => faults.push(fault),
        }
    }
    if signers.is_empty() {
        return Err(no_good_signature(name, keyring, &faults));
    }
    Ok(Signed {
        text: framed.text,
        signers,
    })
}

/// Why a signature, or the key that made it, does not count.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Fault {
    /// Made by none of the keyring's keys; names the key as far as it is known.
    Unknown(String),
    Bad(String),
    Weak(String, String),
    Expired(String, Timestamp),
    Revoked(String),
    Unbound(String),
    Early(String, Timestamp),
    NotForSigning(String),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(key) => write!(f, "key {key} is not in the keyring"),
            Self::Bad(key) => write!(f, "the signature of key {key} does not match the text"),
            Self::Weak(key, what) => write!(
                f,
                "the signature of key {key} relies on {what}, which is too weak"
            ),
            Self::Expired(key, at) => write!(f, "key {key} expired at {at}"),
            Self::Revoked(key) => write!(f, "key {key} is revoked"),
            Self::Unbound(key) => write!(f, "key {key} has no valid self-signature"),
            Self::Early(key, at) => {
                write!(
                    f,
                    "the signature of key {key} is from {at}, which is not yet or before the key"
                )
            }
            Self::NotForSigning(key) => write!(f, "key {key} is not meant for signing"),
        }
    }
}

/// Finds the key that made `signature` over `text`, and whether it counts.
fn judge(
    signature: &Signature,
    text: &[u8],
    keyring: &Keyring,
    now: Timestamp,
) -> Result<Signer, Fault> {
    let Some((certificate, key)) = keyring.find(signature) else {
        return Err(Fault::Unknown(issuer(signature)));
    };
    let id = key.fingerprint();
    if !matches!(
        signature.typ(),
        Some(SignatureType::Text | SignatureType::Binary)
    ) || signature.created().is_none()
    {
        return Err(Fault::Bad(id));
    }
    if let Some(hash) = weak_hash(signature) {
        return Err(Fault::Weak(id, hash));
    }
    // What the text says matters more than the state of the key.
    if !key.verifies(signature, text) {
        return Err(Fault::Bad(id));
    }
    if !understood(signature) {
        return Err(Fault::Bad(id));
    }
    let made = created(signature);
    let latest = now.as_second().saturating_add(CLOCK_TOLERANCE);
    if made.as_second() > latest {
        return Err(Fault::Early(id, made));
    }
    if let Some(end) = lifetime_end(signature).filter(|&end| end <= now) {
        return Err(Fault::Expired(id, end));
    }
    certificate.check(key, made, now)?;
    Ok(Signer {
        fingerprint: id,
        made,
    })
}

fn no_good_signature(name: &str, keyring: &Keyring, faults: &[Fault]) -> Error {
    if faults.is_empty() {
        return Error::new(Kind::Verify, format!("`{name}` has no signature"));
    }
    let told: Vec<_> = faults.iter().map(Fault::to_string).collect();
    let error = Error::new(
        Kind::Verify,
        format!("`{name}` has no good signature: {}", told.join("; ")),
    );
    let any = |test: fn(&Fault) -> bool| faults.iter().any(test);
    if any(|fault| matches!(fault, Fault::Bad(_))) {
        return error.hint(
            "it was changed or damaged after it was signed: try again later, or another `--mirror`",
        );
    }
    if any(|fault| matches!(fault, Fault::Early(..))) {
        return error.hint("is this machine's clock right?");
    }
    if any(|fault| matches!(fault, Fault::Expired(..) | Fault::Unknown(_))) {
        return error.hint(format!(
            "the keys are from {}: install a newer `debian-archive-keyring`, or name the right keys with `--keyring`",
            keyring.origin()
        ));
    }
    error
}

/// What a signature says about the key that made it.
fn issuer(signature: &Signature) -> String {
    let fingerprints = signature.issuer_fingerprint();
    let named = fingerprints
        .first()
        .map(|fingerprint| format!("{fingerprint:X}"));
    let ids = signature.issuer_key_id();
    named
        .or_else(|| ids.first().map(|id| id.to_string().to_uppercase()))
        .unwrap_or_else(|| "(unnamed)".into())
}

/// The hash of `signature`, if it is weaker than SHA-256.
fn weak_hash(signature: &Signature) -> Option<String> {
    match signature.hash_alg() {
        Some(
            HashAlgorithm::Sha256
            | HashAlgorithm::Sha384
            | HashAlgorithm::Sha512
            | HashAlgorithm::Sha3_256
            | HashAlgorithm::Sha3_512,
        ) => None,
        Some(other) => Some(other.to_string()),
        None => Some("an unknown hash".into()),
    }
}

/// Whether it is of a version that we know and demands nothing that we do not (RFC 9580, 5.2.3.7).
fn understood(signature: &Signature) -> bool {
    let known = matches!(
        signature.version(),
        SignatureVersion::V4 | SignatureVersion::V6
    );
    known
        && signature.config().is_some_and(|config| {
            !config.hashed_subpackets().any(|packet| {
                packet.is_critical
                    && matches!(
                        packet.data,
                        SubpacketData::Other(..)
                            | SubpacketData::Experimental(..)
                            | SubpacketData::Notation(_)
                    )
            })
        })
}

fn created(signature: &Signature) -> Timestamp {
    let seconds = signature
        .created()
        .map_or(0, pgp::types::Timestamp::as_secs);
    timestamp(i64::from(seconds))
}

/// When a signature itself stops to count, if ever.
fn lifetime_end(signature: &Signature) -> Option<Timestamp> {
    let lifetime = signature.signature_expiration_time()?.as_secs();
    (lifetime > 0).then(|| timestamp(created(signature).as_second() + i64::from(lifetime)))
}

fn timestamp(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap_or(Timestamp::MAX)
}
