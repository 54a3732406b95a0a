//! One certificate: its keys, and whether they were allowed to sign.

use jiff::Timestamp;
use pgp::composed::{SignedPublicKey, SignedPublicSubKey};
use pgp::packet::{Signature, SignatureType, SubpacketData};
use pgp::ser::Serialize;
use pgp::types::{KeyDetails, PublicParams, Tag};

use super::{Fault, created, lifetime_end, timestamp, understood, weak_hash};

/// RSA keys below 2048 bits are weak; this is the encoded length of the shortest
/// that is not (two length fields, the modulus, a one-byte exponent).
const SHORTEST_RSA: usize = 2 + 256 + 2 + 1;

/// A certificate of a keyring.
#[derive(Debug, Clone)]
pub(super) struct Certificate(SignedPublicKey);

/// The key of a certificate that may have made a signature.
#[derive(Debug, Clone, Copy)]
pub(super) enum Key<'a> {
    Primary(&'a SignedPublicKey),
    Sub(&'a SignedPublicSubKey),
}

/// What the newest valid self-signature says of a key.
struct Standing {
    expires: Option<Timestamp>,
    signs: bool,
}

impl Key<'_> {
    pub(super) fn fingerprint(self) -> String {
        match self {
            Self::Primary(key) => format!("{:X}", key.fingerprint()),
            Self::Sub(key) => format!("{:X}", key.key.fingerprint()),
        }
    }

    /// Whether this key made `signature` over `text`.
    pub(super) fn verifies(self, signature: &Signature, text: &[u8]) -> bool {
        match self {
            Self::Primary(key) => signature.verify(&key.primary_key, text),
            Self::Sub(key) => signature.verify(&key.key, text),
        }
        .is_ok()
    }

    fn created(self) -> Timestamp {
        let created = match self {
            Self::Primary(key) => key.created_at(),
            Self::Sub(key) => key.key.created_at(),
        };
        timestamp(i64::from(created.as_secs()))
    }

    fn is_weak(self) -> bool {
        let params = match self {
            Self::Primary(key) => key.public_params(),
            Self::Sub(key) => key.key.public_params(),
        };
        match params {
            PublicParams::RSA(params) => params.write_len() < SHORTEST_RSA,
            PublicParams::DSA(_) | PublicParams::Elgamal(_) => true,
            _ => false,
        }
    }
}

impl Certificate {
    pub(super) fn new(key: SignedPublicKey) -> Self {
        Self(key)
    }

    /// Takes over what another copy of the same certificate knows.
    pub(super) fn merge(&mut self, other: Self) -> Option<Self> {
        let (mine, other) = (&mut self.0, other.0);
        if mine.fingerprint() != other.fingerprint() {
            return Some(Self(other));
        }
        let details = other.details;
        mine.details
            .revocation_signatures
            .extend(details.revocation_signatures);
        mine.details
            .direct_signatures
            .extend(details.direct_signatures);
        for user in details.users {
            match mine
                .details
                .users
                .iter_mut()
                .find(|known| known.id == user.id)
            {
                Some(known) => known.signatures.extend(user.signatures),
                None => mine.details.users.push(user),
            }
        }
        for subkey in other.public_subkeys {
            let same = |known: &&mut SignedPublicSubKey| known.key == subkey.key;
            match mine.public_subkeys.iter_mut().find(same) {
                Some(known) => known.signatures.extend(subkey.signatures),
                None => mine.public_subkeys.push(subkey),
            }
        }
        None
    }

    /// The key that `signature` names, if it is one of ours.
    pub(super) fn find(&self, signature: &Signature) -> Option<Key<'_>> {
        if names(signature, &self.0) {
            return Some(Key::Primary(&self.0));
        }
        let subkey = self.0.public_subkeys.iter();
        subkey
            .into_iter()
            .find(|subkey| names(signature, &subkey.key))
            .map(Key::Sub)
    }

    /// Whether `key` was allowed to sign at `made`, and still would be now.
    pub(super) fn check(&self, key: Key<'_>, made: Timestamp, now: Timestamp) -> Result<(), Fault> {
        let primary = Key::Primary(&self.0);
        let standing = self.standing(now)?;
        in_force(primary, &standing, made, now)?;
        match key {
            Key::Primary(_) if standing.signs => Ok(()),
            Key::Primary(_) => Err(Fault::NotForSigning(primary.fingerprint())),
            Key::Sub(subkey) => {
                let standing = self.subkey_standing(subkey, now)?;
                in_force(key, &standing, made, now)?;
                if standing.signs {
                    Ok(())
                } else {
                    Err(Fault::NotForSigning(key.fingerprint()))
                }
            }
        }
    }

    fn standing(&self, now: Timestamp) -> Result<Standing, Fault> {
        let key = &self.0.primary_key;
        let id = Key::Primary(&self.0).fingerprint();
        let details = &self.0.details;
        // A revocation counts whatever hash it uses: it can only take trust away.
        if details.revocation_signatures.iter().any(|signature| {
            signature.typ() == Some(SignatureType::KeyRevocation)
                && signature.verify_key(key).is_ok()
        }) {
            return Err(Fault::Revoked(id));
        }
        let mut found: Vec<&Signature> = Vec::new();
        for user in &details.users {
            let valid = |signature: &&Signature| {
                signature
                    .verify_certification(key, Tag::UserId, &user.id)
                    .is_ok()
            };
            let revoked = user
                .signatures
                .iter()
                .filter(|signature| signature.typ() == Some(SignatureType::CertRevocation))
                .filter(valid)
                .map(created)
                .max();
            found.extend(
                user.signatures
                    .iter()
                    .filter(|signature| signature.typ() != Some(SignatureType::CertRevocation))
                    .filter(|signature| names(signature, &self.0) && counts(signature, now))
                    .filter(|signature| revoked.is_none_or(|revoked| created(signature) > revoked))
                    .filter(valid),
            );
        }
        // A direct signature that says nothing of expiry or use (it may only name a
        // revoker) does not overrule what the user IDs' signatures say.
        let users_say = !found.is_empty();
        found.extend(
            details
                .direct_signatures
                .iter()
                .filter(|signature| signature.typ() == Some(SignatureType::Key))
                .filter(|signature| {
                    !users_say || flags(signature) || signature.key_expiration_time().is_some()
                })
                .filter(|signature| counts(signature, now) && signature.verify_key(key).is_ok()),
        );
        let newest = found.into_iter().max_by_key(|signature| created(signature));
        let newest = newest.ok_or(Fault::Unbound(id))?;
        Ok(Standing {
            expires: expiry(newest, Key::Primary(&self.0)),
            signs: !flags(newest) || newest.key_flags().sign(),
        })
    }

    fn subkey_standing(
        &self,
        subkey: &SignedPublicSubKey,
        now: Timestamp,
    ) -> Result<Standing, Fault> {
        let primary = &self.0.primary_key;
        let key = Key::Sub(subkey);
        let bound = |signature: &&Signature| {
            signature
                .verify_subkey_binding(primary, &subkey.key)
                .is_ok()
        };
        let of = |sort: SignatureType| {
            subkey
                .signatures
                .iter()
                .filter(move |signature| signature.typ() == Some(sort))
        };
        if of(SignatureType::SubkeyRevocation).any(|signature| bound(&signature)) {
            return Err(Fault::Revoked(key.fingerprint()));
        }
        let newest = of(SignatureType::SubkeyBinding)
            .filter(|signature| counts(signature, now))
            .filter(bound)
            .max_by_key(|signature| created(signature))
            .ok_or_else(|| Fault::Unbound(key.fingerprint()))?;
        // A signing subkey must itself say that it belongs to the primary key (RFC 9580, 10.1.5).
        let back = newest.embedded_signature().is_some_and(|signature| {
            counts(signature, now)
                && signature
                    .verify_primary_key_binding(&subkey.key, primary)
                    .is_ok()
        });
        Ok(Standing {
            expires: expiry(newest, key),
            signs: back && newest.key_flags().sign(),
        })
    }
}

/// Whether `signature` names `key` as its maker.
fn names(signature: &Signature, key: &impl KeyDetails) -> bool {
    let fingerprints = signature.issuer_fingerprint();
    if fingerprints.is_empty() {
        let ids = signature.issuer_key_id();
        return ids.contains(&&key.legacy_key_id());
    }
    fingerprints.contains(&&key.fingerprint())
}

/// Whether a self-signature is fit to be relied on, apart from its mathematics.
fn counts(signature: &Signature, now: Timestamp) -> bool {
    understood(signature)
        && weak_hash(signature).is_none()
        && signature.created().is_some()
        && created(signature) <= now
        && lifetime_end(signature).is_none_or(|end| end > now)
}

fn flags(signature: &Signature) -> bool {
    signature.config().is_some_and(|config| {
        config
            .hashed_subpackets()
            .any(|packet| matches!(packet.data, SubpacketData::KeyFlags(_)))
    })
}

fn expiry(signature: &Signature, key: Key<'_>) -> Option<Timestamp> {
    let seconds = signature.key_expiration_time()?.as_secs();
    (seconds > 0).then(|| timestamp(key.created().as_second() + i64::from(seconds)))
}

fn in_force(
    key: Key<'_>,
    standing: &Standing,
    made: Timestamp,
    now: Timestamp,
) -> Result<(), Fault> {
    if key.is_weak() {
        return Err(Fault::Weak(
            key.fingerprint(),
            "a short or outdated key".into(),
        ));
    }
    if made < key.created() {
        return Err(Fault::Early(key.fingerprint(), made));
    }
    match standing.expires {
        Some(end) if end <= now || end <= made => Err(Fault::Expired(key.fingerprint(), end)),
        _ => Ok(()),
    }
}
