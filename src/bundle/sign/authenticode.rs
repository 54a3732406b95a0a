//! Signatures in PE files: Microsoft's "Windows Authenticode Portable Executable Signature
//! Format", which UEFI takes over ("Secure Boot and Driver Signing").
//!
//! There is no time in them, so that the same key makes of the same file the same bytes.
//! Firmware looks at none.

use super::key::{Key, RSA};
use super::pe::Pe;
use crate::der::{BITS, INTEGER, NULL, OBJECT, OCTETS, SEQUENCE, SET, encode};
use crate::digest::Digest;
use crate::error::{Error, Kind, Result};

/// Signs a PE file. Signatures that it has already stay, before the new one.
///
/// # Errors
/// [`Kind::Verify`] when it is none of 64 bits, or not well-formed.
pub(super) fn sign(bytes: &[u8], key: &Key) -> Result<Vec<u8>> {
    let malformed = || {
        let message = "what is to be signed is no well-formed PE file of 64 bits";
        Error::new(Kind::Verify, message)
    };
    let mut file = Pe::read(bytes).ok_or_else(malformed)?;
    let signature = signed_data(&file.digest(), key)?;
    file.add(&signature).ok_or_else(malformed)?;
    Ok(file.into_bytes())
}

/// `signedData`, 1.2.840.113549.1.7.2 (RFC 2315, 14).
const SIGNED_DATA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 2];
/// `contentType`, 1.2.840.113549.1.9.3 (RFC 2985, 5.3.1).
const CONTENT_TYPE: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 3];
/// `messageDigest`, 1.2.840.113549.1.9.4 (RFC 2985, 5.3.2).
const MESSAGE_DIGEST: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 4];
/// `id-sha256`, 2.16.840.1.101.3.4.2.1 (RFC 5754, 2.2).
const SHA256: &[u8] = &[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1];
/// `SPC_INDIRECT_DATA_OBJID`, 1.3.6.1.4.1.311.2.1.4.
const INDIRECT_DATA: &[u8] = &[0x2b, 6, 1, 4, 1, 0x82, 0x37, 2, 1, 4];
/// `SPC_SP_OPUS_INFO_OBJID`, 1.3.6.1.4.1.311.2.1.12.
const OPUS_INFO: &[u8] = &[0x2b, 6, 1, 4, 1, 0x82, 0x37, 2, 1, 12];
/// `SPC_PE_IMAGE_DATAOBJ`, 1.3.6.1.4.1.311.2.1.15.
const PE_IMAGE_DATA: &[u8] = &[0x2b, 6, 1, 4, 1, 0x82, 0x37, 2, 1, 15];

/// Tags of the context: constructed, and primitive.
const CONTEXT_0: u8 = 0xa0;
const CONTEXT_2: u8 = 0xa2;
const CONTEXT_0_TEXT: u8 = 0x80;

/// `ContentInfo` with `SignedData` (RFC 2315, 7 and 9.1), version 1 throughout.
fn signed_data(digest: &Digest, key: &Key) -> Result<Vec<u8>> {
    let content = indirect_data(digest);
    let sha256 = algorithm(SHA256);
    let data = encode(SEQUENCE, &content);
    let content_info = [object(INDIRECT_DATA), encode(CONTEXT_0, &data)].concat();
    let fields = [
        encode(INTEGER, &[1]),
        encode(SET, &sha256),
        encode(SEQUENCE, &content_info),
        encode(CONTEXT_0, &key.certificates.concat()),
        encode(SET, &signer_info(&content, key)?),
    ];
    let signed = encode(SEQUENCE, &fields.concat());
    let whole = [object(SIGNED_DATA), encode(CONTEXT_0, &signed)].concat();
    Ok(encode(SEQUENCE, &whole))
}

/// `SignerInfo` (RFC 2315, 9.2) for the content of the data.
fn signer_info(content: &[u8], key: &Key) -> Result<Vec<u8>> {
    // What is signed is the data without its header (RFC 2315, 9.3).
    let digest = encode(OCTETS, Digest::of(content).bytes());
    let mut attributes = [
        attribute(CONTENT_TYPE, &object(INDIRECT_DATA)),
        attribute(OPUS_INFO, &encode(SEQUENCE, &[])),
        attribute(MESSAGE_DIGEST, &digest),
    ];
    // The members of a SET OF stand in order (X.690, 11.6).
    attributes.sort();
    let attributes = attributes.concat();
    // They are signed as a set, and stand as what they are in the context.
    let signature = key.sign(&encode(SET, &attributes))?;
    let fields = [
        encode(INTEGER, &[1]),
        key.issuer_and_serial.clone(),
        algorithm(SHA256),
        encode(CONTEXT_0, &attributes),
        algorithm(RSA),
        encode(OCTETS, &signature),
    ];
    Ok(encode(SEQUENCE, &fields.concat()))
}

/// The content of `SpcIndirectDataContent`: that it is about a PE file, and its digest.
fn indirect_data(digest: &Digest) -> Vec<u8> {
    // The specification's own words for a file's name that nobody looks at, in UTF-16.
    let text = "<<<Obsolete>>>".encode_utf16().flat_map(u16::to_be_bytes);
    let text: Vec<u8> = text.collect();
    let link = encode(CONTEXT_2, &encode(CONTEXT_0_TEXT, &text));
    let image = [encode(BITS, &[0]), encode(CONTEXT_0, &link)].concat();
    let data = [object(PE_IMAGE_DATA), encode(SEQUENCE, &image)].concat();
    let message = [algorithm(SHA256), encode(OCTETS, digest.bytes())].concat();
    [encode(SEQUENCE, &data), encode(SEQUENCE, &message)].concat()
}

fn attribute(name: &[u8], value: &[u8]) -> Vec<u8> {
    encode(SEQUENCE, &[object(name), encode(SET, value)].concat())
}

fn algorithm(name: &[u8]) -> Vec<u8> {
    encode(SEQUENCE, &[object(name), encode(NULL, &[])].concat())
}

fn object(name: &[u8]) -> Vec<u8> {
    encode(OBJECT, name)
}
