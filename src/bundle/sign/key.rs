//! The private key and its certificates, read from PEM files (RFC 7468).
//!
//! What was read of the key is overwritten as soon as it is parsed; the key itself is the
//! library's, which does the same.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use aws_lc_rs::error::KeyRejected;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{KeyPair, RSA_PKCS1_SHA256, RsaKeyPair};
use zeroize::Zeroizing;

use crate::der::{BITS, INTEGER, OBJECT, SEQUENCE, element, encode, expect};
use crate::error::{Context, Error, Kind, Result};
use crate::pem;

/// A key that signs, with the certificates that say whose it is.
#[derive(Debug)]
pub(super) struct Key {
    private: RsaKeyPair,
    /// In DER: the key's own first, then those that it is signed by.
    pub certificates: Vec<Vec<u8>>,
    /// `IssuerAndSerialNumber` of the key's own (RFC 5652, 10.2.4).
    pub issuer_and_serial: Vec<u8>,
}

/// No key or certificate is larger, in bytes.
const LARGEST: u64 = 1 << 20;

/// `rsaEncryption`, 1.2.840.113549.1.1.1 (RFC 8017, appendix C).
pub(super) const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1];

impl Key {
    /// Reads both files.
    ///
    /// # Errors
    /// When one cannot be read or is not what it should be, or they do not belong together.
    pub fn read(key: &Path, certificate: &Path) -> Result<Self> {
        let private = private(key)?;
        let certificates = certificates(certificate)?;
        let known = certificates.first().and_then(|der| Certificate::read(der));
        let own = known.ok_or_else(|| wrong(certificate, "a certificate is not well-formed"))?;
        let Some(public) = own.rsa_key() else {
            return Err(wrong(certificate, "it is not that of an RSA key").hint(RSA_HINT));
        };
        if public != private.public_key().as_ref() {
            let message = format!(
                "the certificate `{}` does not belong to the key `{}`",
                certificate.display(),
                key.display()
            );
            return Err(Error::new(Kind::Usage, message)
                .hint("the key's own certificate comes first in its file"));
        }
        let issuer_and_serial = encode(SEQUENCE, &[own.issuer, own.serial].concat());
        Ok(Self {
            private,
            issuer_and_serial,
            certificates,
        })
    }

    /// Signs a message: RSASSA-PKCS1-v1_5 with SHA-256 (RFC 8017, 8.2), which has nothing
    /// random in it.
    ///
    /// # Errors
    /// When the library cannot.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>> {
        let mut signature = vec![0; self.private.public_modulus_len()];
        self.private
            .sign(
                &RSA_PKCS1_SHA256,
                &SystemRandom::new(),
                message,
                &mut signature,
            )
            .map_err(|_| Error::new(Kind::Usage, "the private key cannot sign"))?;
        Ok(signature)
    }
}

fn private(path: &Path) -> Result<RsaKeyPair> {
    let text = read(path)?;
    let sections = pem::sections(&text).map_err(|why| wrong(path, &why))?;
    let found = sections
        .into_iter()
        .find(|(label, _)| label.ends_with("PRIVATE KEY"));
    let Some((label, body)) = found else {
        return Err(wrong(path, "it holds no private key in PEM form"));
    };
    // RFC 1421, 4.6.1.1: how OpenSSL encrypts keys of the older form.
    if label == "ENCRYPTED PRIVATE KEY" || body.contains("Proc-Type:") {
        return Err(wrong(path, "the private key is encrypted").hint(
            "decrypt it (`openssl pkey -in KEY -out PLAIN`), or sign with a program of your own by `--sign-command`",
        ));
    }
    let der = pem::base64(body).map(Zeroizing::new);
    let der = der.ok_or_else(|| wrong(path, "the private key is not Base64"))?;
    let parsed = match label {
        "RSA PRIVATE KEY" => RsaKeyPair::from_der(&der),
        "PRIVATE KEY" if algorithm(&der) == Some(RSA) => RsaKeyPair::from_pkcs8(&der),
        "PRIVATE KEY" if algorithm(&der).is_none() => {
            return Err(wrong(path, "the private key is not well-formed"));
        }
        _ => return Err(wrong(path, "it is no RSA key").hint(RSA_HINT)),
    };
    parsed.map_err(|why: KeyRejected| {
        let why = match &*why.to_string() {
            "TooSmall" => "the private key is too short",
            "TooLarge" => "the private key is too long",
            _ => "the private key is not well-formed",
        };
        wrong(path, why).hint(RSA_HINT)
    })
}

const RSA_HINT: &str = "Secure Boot takes RSA keys of 2048 bits and more (up to 8192)";

/// The algorithm of a PKCS#8 key (RFC 5208, 5): version, algorithm, the key.
fn algorithm(der: &[u8]) -> Option<&[u8]> {
    let (key, _) = expect(der, SEQUENCE)?;
    let (_, rest) = expect(key, INTEGER)?;
    let (algorithm, _) = expect(rest, SEQUENCE)?;
    Some(expect(algorithm, OBJECT)?.0)
}

fn certificates(path: &Path) -> Result<Vec<Vec<u8>>> {
    let text = read(path)?;
    let sections = pem::sections(&text).map_err(|why| wrong(path, &why))?;
    let of_certificates = sections.into_iter().filter(|(label, _)| {
        matches!(
            *label,
            "CERTIFICATE" | "X509 CERTIFICATE" | "TRUSTED CERTIFICATE"
        )
    });
    let found = of_certificates.map(|(_, body)| {
        let der = pem::base64(body).ok_or_else(|| wrong(path, "a certificate is not Base64"))?;
        // A trusted one has more behind it, which is OpenSSL's own.
        let whole = expect(&der, SEQUENCE).map(|(_, rest)| der.len() - rest.len());
        let whole = whole.ok_or_else(|| wrong(path, "a certificate is not well-formed"))?;
        Ok(der[..whole].to_vec())
    });
    let found: Vec<_> = found.collect::<Result<_>>()?;
    if found.is_empty() {
        return Err(wrong(path, "it holds no certificate in PEM form"));
    }
    Ok(found)
}

/// A small file's text.
fn read(path: &Path) -> Result<Zeroizing<String>> {
    let file = File::open(path).io("opening", path)?;
    // All of the room at once: what grows leaves copies behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(LARGEST as usize + 1));
    file.take(LARGEST + 1)
        .read_to_end(&mut bytes)
        .io("reading", path)?;
    if bytes.len() as u64 > LARGEST {
        return Err(wrong(path, "it is too large for a key or a certificate"));
    }
    let text = std::str::from_utf8(&bytes).map_err(|_| {
        wrong(path, "it is not in PEM form")
            .hint("`openssl pkey -inform der` and `openssl x509 -inform der` write what is")
    })?;
    Ok(Zeroizing::new(text.to_owned()))
}

fn wrong(path: &Path, why: &str) -> Error {
    Error::new(
        Kind::Usage,
        format!("nothing can be signed with `{}`: {why}", path.display()),
    )
}

/// What a signature says of a certificate (RFC 5280, 4.1).
struct Certificate<'a> {
    /// In DER, with its header.
    issuer: &'a [u8],
    /// In DER, with its header.
    serial: &'a [u8],
    /// The content of `SubjectPublicKeyInfo`.
    public: &'a [u8],
}

impl<'a> Certificate<'a> {
    fn read(der: &'a [u8]) -> Option<Self> {
        let (certificate, _) = expect(der, SEQUENCE)?;
        let (mut rest, _) = expect(certificate, SEQUENCE)?;
        // The version is left out for version 1.
        if let (0xa0, _, after) = element(rest)? {
            rest = after;
        }
        let (serial, rest) = whole(rest, INTEGER)?;
        let (_, rest) = expect(rest, SEQUENCE)?; // signature algorithm
        let (issuer, rest) = whole(rest, SEQUENCE)?;
        let (_, rest) = expect(rest, SEQUENCE)?; // validity
        let (_, rest) = expect(rest, SEQUENCE)?; // subject
        let (public, _) = expect(rest, SEQUENCE)?;
        Some(Self {
            issuer,
            serial,
            public,
        })
    }

    /// `RSAPublicKey` (RFC 8017, appendix A.1.1), if it is one.
    fn rsa_key(&self) -> Option<&'a [u8]> {
        let (algorithm, rest) = expect(self.public, SEQUENCE)?;
        let (name, _) = expect(algorithm, OBJECT)?;
        // The first byte of a bit string counts the bits that its last lacks.
        let (key, _) = expect(rest, BITS)?;
        (name == RSA).then_some(key)?.strip_prefix(&[0])
    }
}

/// An element of this tag with its header, and what follows it.
fn whole(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (_, rest) = expect(bytes, tag)?;
    Some((&bytes[..bytes.len() - rest.len()], rest))
}
