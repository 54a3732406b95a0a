//! Proofs as an in-toto statement, which travels with the image as a referrer
//! (in-toto attestation framework, "Statement" v1). docs/formats/proof.md describes it.

use serde_json::{Value, json};

use super::report::Proof;
use crate::digest::Digest;
use crate::error::Result;
use crate::image::config::canonical;

/// The media type of a statement, and the type of the artifact that holds it.
pub const IN_TOTO: &str = "application/vnd.in-toto+json";

/// What kind of statement it is.
pub const PREDICATE: &str = "https://nodelith.io/attestation/boot/v1";

/// The statement that the image with this manifest was booted with these results, in
/// canonical form. It says nothing of where the image was.
///
/// # Errors
/// When it cannot be written as JSON.
pub fn statement(image: &Digest, proofs: &[Proof]) -> Result<Vec<u8>> {
    let passed = proofs.iter().all(Proof::passed);
    let verdict = if passed { "passed" } else { "failed" };
    let proofs: Vec<Value> = proofs.iter().map(Proof::facts).collect();
    canonical(&json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{ "digest": { "sha256": image.hex() } }],
        "predicateType": PREDICATE,
        "predicate": {
            "verifier": { "name": "nodelith", "version": env!("CARGO_PKG_VERSION") },
            "verdict": verdict,
            "proofs": proofs,
        },
    }))
}
