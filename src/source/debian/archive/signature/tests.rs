//! Good and bad signatures by good and bad keys.

use jiff::Timestamp;
use pgp::crypto::hash::HashAlgorithm;

use super::testing::{CREATED, DAY, Plan, SubkeyPlan, TestKey};
use super::*;

const TEXT: &str = "Origin: Test\nSuite: stable\n-dash: x\n";
const MADE: u32 = CREATED + 10 * DAY;

fn now() -> Timestamp {
    timestamp(i64::from(CREATED + 20 * DAY))
}

fn ring(keys: &[&TestKey]) -> Keyring {
    let armored: String = keys.iter().map(|key| key.armored()).collect();
    Keyring::from_armored(&armored, "test.asc").unwrap()
}

#[track_caller]
fn refused(key: &TestKey, message: &str, why: &str) -> Error {
    let error = verify(message.as_bytes(), "InRelease", &ring(&[key]), now()).unwrap_err();
    assert_eq!(error.kind(), Kind::Verify);
    assert!(error.message().contains(why), "{error}");
    error
}

#[test]
fn a_good_signature_gives_the_text() {
    let key = TestKey::good(1);
    let message = key.sign(TEXT, MADE);
    let signed = verify(message.as_bytes(), "InRelease", &ring(&[&key]), now()).unwrap();
    assert_eq!(signed.text, TEXT);
    assert_eq!(signed.signers.len(), 1);
    assert_eq!(signed.signers[0].made, timestamp(i64::from(MADE)));
    assert_eq!(signed.signers[0].fingerprint.len(), 40);
    // The message may have been through a machine that changes line ends.
    let changed = message.replace('\n', "\r\n");
    assert!(verify(changed.as_bytes(), "InRelease", &ring(&[&key]), now()).is_ok());
}

#[test]
fn keys_that_count() {
    type Change = fn(&mut Plan);
    let cases: [(&str, Change); 6] = [
        ("SHA-256 self-signature", |plan| {
            plan.hash = HashAlgorithm::Sha256;
        }),
        ("not yet expired", |plan| plan.lifetime = 30 * DAY),
        ("extended after it had expired", |plan| {
            plan.lifetime = 5 * DAY;
            plan.extended = Some(100 * DAY);
        }),
        ("certified by strangers", |plan| {
            plan.certified_by = Some(50);
        }),
        ("subkey", |plan| plan.subkey = Some(SubkeyPlan::default())),
        ("subkey of a key that only certifies", |plan| {
            plan.signs = false;
            plan.subkey = Some(SubkeyPlan {
                lifetime: 30 * DAY,
                ..SubkeyPlan::default()
            });
        }),
    ];
    for (what, change) in cases {
        let key = TestKey::new(2, change);
        let message = key.sign(TEXT, MADE);
        let result = verify(message.as_bytes(), "InRelease", &ring(&[&key]), now());
        match result {
            Ok(signed) => assert_eq!(signed.text, TEXT, "{what}"),
            Err(error) => panic!("{what}: {error}"),
        }
    }
}

#[test]
fn keys_that_do_not_count() {
    let sub = |change: fn(&mut SubkeyPlan)| {
        let mut plan = SubkeyPlan::default();
        change(&mut plan);
        plan
    };
    type Change = Box<dyn FnOnce(&mut Plan)>;
    let cases: Vec<(&str, Change)> = vec![
        ("expired at", Box::new(|plan| plan.lifetime = 15 * DAY)),
        ("expired at", Box::new(|plan| plan.lifetime = 5 * DAY)),
        (
            "expired at",
            Box::new(|plan| {
                plan.lifetime = 100 * DAY;
                plan.extended = Some(15 * DAY);
            }),
        ),
        ("revoked", Box::new(|plan| plan.revoked = true)),
        (
            "no valid self-signature",
            Box::new(|plan| plan.bound = false),
        ),
        ("not meant for signing", Box::new(|plan| plan.signs = false)),
        ("before the key", Box::new(|plan| plan.created = MADE + DAY)),
        (
            "expired at",
            Box::new(move |plan| plan.subkey = Some(sub(|sub| sub.lifetime = 15 * DAY))),
        ),
        (
            "revoked",
            Box::new(move |plan| plan.subkey = Some(sub(|sub| sub.revoked = true))),
        ),
        (
            "no valid self-signature",
            Box::new(move |plan| plan.subkey = Some(sub(|sub| sub.stolen = true))),
        ),
        (
            "not meant for signing",
            Box::new(move |plan| {
                plan.subkey = Some(sub(|sub| sub.without_back_signature = true));
            }),
        ),
        // The subkey falls with its primary key.
        (
            "revoked",
            Box::new(|plan| {
                plan.revoked = true;
                plan.subkey = Some(SubkeyPlan::default());
            }),
        ),
        (
            "expired at",
            Box::new(|plan| {
                plan.lifetime = 15 * DAY;
                plan.subkey = Some(SubkeyPlan::default());
            }),
        ),
    ];
    for (why, change) in cases {
        let key = TestKey::new(3, change);
        refused(&key, &key.sign(TEXT, MADE), why);
    }
}

#[test]
fn changed_text_is_refused() {
    let key = TestKey::good(4);
    let message = key.sign(TEXT, MADE);
    for (from, to) in [
        ("stable", "stab1e"),
        ("Origin: Test\n", ""),
        ("Suite: stable\n", "Suite: stable\n\n"),
        ("Suite: stable\n", "Suite: stable\nSuite: x\n"),
        ("- -dash: x\n", "- -dash: x\n\n"),
    ] {
        let changed = message.replacen(from, to, 1);
        assert_ne!(changed, message);
        let error = refused(&key, &changed, "does not match the text");
        assert!(error.hints()[0].contains("mirror"), "{error}");
    }
    refused(
        &key,
        &format!("{message}Origin: Evil\n"),
        "follows the signature",
    );
    refused(&key, &format!("Origin: Evil\n{message}"), "does not begin");
}

#[test]
fn unknown_keys_are_named() {
    let (mine, theirs) = (TestKey::good(5), TestKey::good(6));
    let message = theirs.sign(TEXT, MADE);
    let signer = verify(message.as_bytes(), "x", &ring(&[&theirs]), now()).unwrap();
    let fingerprint = &signer.signers[0].fingerprint;
    let error = refused(&mine, &message, "not in the keyring");
    assert!(error.message().contains(fingerprint), "{error}");
    let hint = &error.hints()[0];
    assert!(
        hint.contains("`test.asc`") && hint.contains("--keyring"),
        "{hint}"
    );
}

#[test]
fn wrong_times_are_refused() {
    let key = TestKey::good(7);
    let later = CREATED + 20 * DAY + 3600;
    let error = refused(&key, &key.sign(TEXT, later), "not yet");
    assert!(error.hints()[0].contains("clock"));
    // Clocks may differ a little.
    let message = key.sign(TEXT, CREATED + 20 * DAY + 60);
    assert!(verify(message.as_bytes(), "x", &ring(&[&key]), now()).is_ok());
}

/// Made by `GnuPG` 2.2 with RSA keys: of 2048 bits, of 2048 bits with a self-signature
/// over SHA-1 (`--cert-digest-algo`), and of 1024 bits. Their secret halves are gone.
#[test]
fn what_gnupg_makes() {
    macro_rules! fixture {
        ($name:literal) => {
            include_str!(concat!("fixtures/", $name, ".asc"))
        };
    }
    let cases = [
        (fixture!("rsa-key"), fixture!("rsa-message"), None),
        (fixture!("rsa-key"), fixture!("two-message"), None),
        (
            fixture!("rsa-key"),
            fixture!("rsa-message-sha1"),
            Some("relies on SHA1"),
        ),
        (
            fixture!("sha1-key"),
            fixture!("sha1-message"),
            Some("no valid self-signature"),
        ),
        (
            fixture!("short-key"),
            fixture!("short-message"),
            Some("a short or outdated key"),
        ),
        (
            fixture!("short-key"),
            fixture!("rsa-message"),
            Some("not in the keyring"),
        ),
    ];
    for (key, message, why) in cases {
        let keyring = Keyring::from_armored(key, "test.asc").unwrap();
        match (verify(message.as_bytes(), "x", &keyring, now()), why) {
            (Ok(signed), None) => assert_eq!((&*signed.text, signed.signers.len()), (TEXT, 1)),
            (Err(error), Some(why)) => assert!(error.message().contains(why), "{error}"),
            (result, why) => panic!("{result:?}, {why:?}"),
        }
    }
    // One bad signature beside a good one does no harm, in either order of keys.
    let both = format!("{}\n{}", fixture!("short-key"), fixture!("rsa-key"));
    let keyring = Keyring::from_armored(&both, "test.asc").unwrap();
    let signed = verify(fixture!("two-message").as_bytes(), "x", &keyring, now()).unwrap();
    assert_eq!(signed.signers.len(), 1);
}

#[test]
fn a_revocation_in_either_copy_counts() {
    let good = TestKey::good(8);
    let revoked = TestKey::new(8, |plan| plan.revoked = true);
    let message = good.sign(TEXT, MADE);
    for keys in [[&good, &revoked], [&revoked, &good]] {
        let error = verify(message.as_bytes(), "x", &ring(&keys), now()).unwrap_err();
        assert!(error.message().contains("revoked"), "{error}");
    }
}

#[test]
fn keyrings_are_found_and_read() {
    let root = tempfile::tempdir().unwrap();
    let error = Keyring::of_host(root.path()).unwrap_err();
    assert_eq!(error.kind(), Kind::Verify);
    assert!(error.hints()[0].contains("debian-archive-keyring"));

    let (first, second) = (TestKey::good(9), TestKey::good(10));
    let message = second.sign(TEXT, MADE);
    let good = |keyring: &Keyring| verify(message.as_bytes(), "x", keyring, now()).is_ok();

    let trusted = root.path().join("etc/apt/trusted.gpg.d");
    std::fs::create_dir_all(&trusted).unwrap();
    std::fs::write(trusted.join("vendor.asc"), second.armored()).unwrap();
    assert!(Keyring::of_host(root.path()).is_err());
    std::fs::write(trusted.join("debian-archive-x.asc"), second.armored()).unwrap();
    assert!(good(&Keyring::of_host(root.path()).unwrap()));

    let folder = root.path().join("usr/share/keyrings");
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("debian-archive-keyring.gpg");
    std::fs::write(&path, first.binary()).unwrap();
    assert!(!good(&Keyring::of_host(root.path()).unwrap()));
    std::fs::write(&path, [first.binary(), second.binary()].concat()).unwrap();
    let keyring = Keyring::of_host(root.path()).unwrap();
    assert!(good(&keyring) && !keyring.is_empty());
    assert!(keyring.origin().contains("debian-archive-keyring.gpg"));
}

#[test]
fn unreadable_keyrings_say_so() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys.gpg");
    let error = Keyring::from_files(std::slice::from_ref(&path)).unwrap_err();
    assert_eq!(error.kind(), Kind::Verify);
    assert!(error.message().contains("keys.gpg"), "{error}");
    let cut = &TestKey::good(1).binary()[..40];
    for bytes in [b"".as_slice(), b"no key", b"\x99\x01", b"\xff\xff\xff", cut] {
        std::fs::write(&path, bytes).unwrap();
        let error = Keyring::from_files(std::slice::from_ref(&path)).unwrap_err();
        assert_eq!(error.kind(), Kind::Verify, "{bytes:?}");
    }
}

#[test]
fn no_changed_byte_changes_the_text() {
    let key = TestKey::new(11, |plan| plan.subkey = Some(SubkeyPlan::default()));
    let message = key.sign(TEXT, MADE).into_bytes();
    let keyring = ring(&[&key]);
    for at in 0..message.len() {
        for change in [0x01, 0x20, 0x80, 0xff] {
            let mut changed = message.clone();
            changed[at] ^= change;
            if let Ok(signed) = verify(&changed, "x", &keyring, now()) {
                assert_eq!(signed.text, TEXT, "byte {at}");
            }
        }
        // All but the line end after the last line matters.
        let cut = verify(&message[..at], "x", &keyring, now());
        assert!(cut.is_err() || at + 1 == message.len());
    }
    // Nor does a damaged keyring do worse than not to be read.
    let binary = key.binary();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys.gpg");
    for at in 0..binary.len() {
        let mut changed = binary.clone();
        changed[at] ^= 0x41;
        std::fs::write(&path, &changed).unwrap();
        if let Ok(keyring) = Keyring::from_files(std::slice::from_ref(&path)) {
            let _ = verify(&message, "x", &keyring, now());
        }
    }
}
