//! Keys and signatures for tests, made on the spot from fixed secrets.

use pgp::composed::{
    ArmorOptions, DetachedSignature, SignedKeyDetails, SignedPublicKey, SignedPublicSubKey,
};
use pgp::crypto::ed25519::{Mode, SecretKey as Ed25519};
use pgp::crypto::eddsa_legacy::SecretKey as Eddsa;
use pgp::crypto::hash::HashAlgorithm;
use pgp::crypto::public_key::PublicKeyAlgorithm;
use pgp::packet::{
    KeyFlags, PubKeyInner, PublicKey, PublicSubkey, SecretKey, SecretSubkey, Signature,
    SignatureConfig, SignatureType, Subpacket, SubpacketData, UserId,
};
use pgp::ser::Serialize;
use pgp::types::{
    Duration, EddsaLegacyPublicParams, KeyDetails, KeyVersion, PacketHeaderVersion, Password,
    PlainSecretParams, PublicParams, SecretParams, SignedUser, SigningKey, Tag, Timestamp,
};

/// When test keys are made unless a plan says otherwise: 2024-01-01.
pub const CREATED: u32 = 1_704_067_200;
pub const DAY: u32 = 86_400;

/// What a test key shall be like.
pub struct Plan {
    pub seed: u8,
    pub created: u32,
    /// Seconds from creation to expiry.
    pub lifetime: u32,
    pub hash: HashAlgorithm,
    pub signs: bool,
    pub bound: bool,
    pub revoked: bool,
    /// A second self-signature, a day younger, with another lifetime.
    pub extended: Option<u32>,
    /// Someone else's certification, which our code cannot check.
    pub certified_by: Option<u8>,
    /// A subkey signs instead of the primary key.
    pub subkey: Option<SubkeyPlan>,
}

/// What the subkey shall be like.
#[derive(Clone, Copy, Default)]
pub struct SubkeyPlan {
    pub lifetime: u32,
    pub revoked: bool,
    pub without_back_signature: bool,
    /// Bound by a key other than the primary one.
    pub stolen: bool,
}

/// A key that signs.
pub struct TestKey {
    primary: SecretKey,
    subkey: Option<SecretSubkey>,
    public: SignedPublicKey,
}

impl TestKey {
    /// An ordinary key.
    pub fn good(seed: u8) -> Self {
        Self::new(seed, |_| {})
    }

    pub fn new(seed: u8, change: impl FnOnce(&mut Plan)) -> Self {
        let mut plan = Plan {
            seed,
            created: CREATED,
            lifetime: 0,
            hash: HashAlgorithm::Sha512,
            signs: true,
            bound: true,
            revoked: false,
            extended: None,
            certified_by: None,
            subkey: None,
        };
        change(&mut plan);
        make(&plan)
    }

    /// The armored certificate.
    pub fn armored(&self) -> String {
        self.public
            .to_armored_string(ArmorOptions::default())
            .unwrap()
    }

    /// The certificate in binary form.
    pub fn binary(&self) -> Vec<u8> {
        self.public.to_bytes().unwrap()
    }

    /// A cleartext-signed message, as `InRelease` is one.
    pub fn sign(&self, text: &str, made: u32) -> String {
        message(text, self.signature(text, made, HashAlgorithm::Sha256))
    }

    fn signature(&self, text: &str, made: u32, hash: HashAlgorithm) -> Signature {
        let hashed = text
            .strip_suffix('\n')
            .unwrap_or(text)
            .replace('\n', "\r\n");
        match &self.subkey {
            Some(key) => sign_text(key, &hashed, made, hash),
            None => sign_text(&self.primary, &hashed, made, hash),
        }
    }
}

/// Frames a text and a signature over it.
fn message(text: &str, signature: Signature) -> String {
    let escaped: String = text
        .split_inclusive('\n')
        .map(|line| {
            if line.starts_with('-') {
                format!("- {line}")
            } else {
                line.to_owned()
            }
        })
        .collect();
    let armor = DetachedSignature::new(signature)
        .to_armored_string(ArmorOptions::default())
        .unwrap();
    format!("-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\n{escaped}{armor}")
}

fn sign_text(key: &impl SigningKey, text: &str, made: u32, hash: HashAlgorithm) -> Signature {
    config(key, SignatureType::Text, hash, made, vec![])
        .sign(key, &Password::empty(), text.as_bytes())
        .unwrap()
}

fn make(plan: &Plan) -> TestKey {
    let (inner, secret) = material(plan.seed, plan.created);
    let public = PublicKey::from_inner(inner).unwrap();
    let primary = SecretKey::new(public.clone(), secret).unwrap();
    let id = UserId::from_str(PacketHeaderVersion::New, "Test Archive <test@example.org>").unwrap();
    let certify = |signer: &SecretKey, made, lifetime| {
        let extra = vec![flags(plan.signs), expiry(lifetime)];
        config(signer, SignatureType::CertPositive, plan.hash, made, extra)
            .sign_certification_third_party(signer, &Password::empty(), &public, Tag::UserId, &id)
            .unwrap()
    };
    let mut certifications = Vec::new();
    if let Some(seed) = plan.certified_by {
        certifications.push(certify(&stranger(seed), plan.created, 0));
    }
    if plan.bound {
        certifications.push(certify(&primary, plan.created, plan.lifetime));
    } else {
        // Says that it is by the primary key, and is not.
        let forged = config(
            &primary,
            SignatureType::CertPositive,
            plan.hash,
            plan.created,
            vec![],
        )
        .sign_certification_third_party(
            &stranger(99),
            &Password::empty(),
            &public,
            Tag::UserId,
            &id,
        )
        .unwrap();
        certifications.push(forged);
    }
    if let Some(lifetime) = plan.extended {
        certifications.push(certify(&primary, plan.created + DAY, lifetime));
    }
    let revocations = if plan.revoked {
        let revocation = config(
            &primary,
            SignatureType::KeyRevocation,
            plan.hash,
            plan.created,
            vec![],
        )
        .sign_key(&primary, &Password::empty(), &public)
        .unwrap();
        vec![revocation]
    } else {
        Vec::new()
    };
    let (subkey, subkeys) = match plan.subkey {
        Some(sub) => {
            let (secret, bound) = make_subkey(plan, sub, &primary, &public);
            (Some(secret), vec![bound])
        }
        None => (None, Vec::new()),
    };
    let user = SignedUser::new(id.clone(), certifications);
    let details = SignedKeyDetails::new(revocations, vec![], vec![user], vec![]);
    TestKey {
        public: SignedPublicKey::new(public.clone(), details, subkeys),
        primary,
        subkey,
    }
}

fn make_subkey(
    plan: &Plan,
    sub: SubkeyPlan,
    primary: &SecretKey,
    primary_public: &PublicKey,
) -> (SecretSubkey, SignedPublicSubKey) {
    let (inner, secret) = material(plan.seed.wrapping_add(128), plan.created);
    let public = PublicSubkey::from_inner(inner).unwrap();
    let key = SecretSubkey::new(public.clone(), secret).unwrap();
    let mut extra = vec![flags(true), expiry(sub.lifetime)];
    if !sub.without_back_signature {
        let back = config(
            &key,
            SignatureType::KeyBinding,
            plan.hash,
            plan.created,
            vec![],
        )
        .sign_primary_key_binding(&key, &public, &Password::empty(), primary_public)
        .unwrap();
        extra.push(SubpacketData::EmbeddedSignature(Box::new(back)));
    }
    let bind = |typ, extra| {
        let signature = config(primary, typ, plan.hash, plan.created, extra);
        let password = Password::empty();
        if sub.stolen {
            signature.sign_subkey_binding(&stranger(98), primary_public, &password, &public)
        } else {
            signature.sign_subkey_binding(primary, primary_public, &password, &public)
        }
        .unwrap()
    };
    let mut signatures = vec![bind(SignatureType::SubkeyBinding, extra)];
    if sub.revoked {
        signatures.push(bind(SignatureType::SubkeyRevocation, vec![]));
    }
    (key, SignedPublicSubKey::new(public, signatures))
}

fn stranger(seed: u8) -> SecretKey {
    let (inner, secret) = material(seed, CREATED);
    SecretKey::new(PublicKey::from_inner(inner).unwrap(), secret).unwrap()
}

fn material(seed: u8, created: u32) -> (PubKeyInner, SecretParams) {
    let secret = Eddsa::Ed25519(Ed25519::try_from_bytes([seed; 32], Mode::EdDSALegacy).unwrap());
    let params = EddsaLegacyPublicParams::try_from(&secret).unwrap();
    let inner = PubKeyInner::new(
        KeyVersion::V4,
        PublicKeyAlgorithm::EdDSALegacy,
        Timestamp::from_secs(created),
        None,
        PublicParams::EdDSALegacy(params),
    );
    let secret = SecretParams::Plain(PlainSecretParams::EdDSALegacy(secret));
    (inner.unwrap(), secret)
}

fn flags(signs: bool) -> SubpacketData {
    let mut flags = KeyFlags::default();
    flags.set_certify(true);
    flags.set_sign(signs);
    SubpacketData::KeyFlags(flags)
}

fn expiry(lifetime: u32) -> SubpacketData {
    SubpacketData::KeyExpirationTime(Duration::from_secs(lifetime))
}

fn config(
    key: &impl KeyDetails,
    typ: SignatureType,
    hash: HashAlgorithm,
    made: u32,
    extra: Vec<SubpacketData>,
) -> SignatureConfig {
    let mut config = SignatureConfig::v4(typ, key.algorithm(), hash);
    let mut data = vec![
        SubpacketData::SignatureCreationTime(Timestamp::from_secs(made)),
        SubpacketData::IssuerFingerprint(key.fingerprint()),
    ];
    data.extend(extra);
    config.hashed_subpackets = data
        .into_iter()
        .map(|data| Subpacket::regular(data).unwrap())
        .collect();
    config.unhashed_subpackets =
        vec![Subpacket::regular(SubpacketData::IssuerKeyId(key.legacy_key_id())).unwrap()];
    config
}
