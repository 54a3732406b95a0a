//! `export --sign-key`, `--sign-command`: signatures for Secure Boot. Judges: `sbverify`,
//! `osslsigncode`, and `sbsign` for files that are signed already.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use insta::assert_snapshot;
use nodelith::tree::{Tree, TreePath};

use crate::common::{json, output, refused, run, skip};
use crate::pxe::connected;
use crate::sample;
use crate::uki::{LOADER, STUB, Scene, program, without};

/// Runs openssl in the folder, by words.
fn openssl(folder: &Path, words: &str) {
    run(Command::new("openssl")
        .args(words.split_whitespace())
        .current_dir(folder));
}

/// Makes `NAME.key` and `NAME.crt`.
pub fn pair(folder: &Path, name: &str) {
    let words = format!(
        "req -x509 -days 2 -subj /CN={name} -newkey rsa:2048 -nodes -keyout {name}.key -out {name}.crt"
    );
    openssl(folder, &words);
}

pub const SIGN: [&str; 4] = ["--sign-key", "db.key", "--sign-certificate", "db.crt"];

/// Whether the judge finds a good signature of this certificate in the file.
fn verify(certificate: &Path, file: &Path) -> bool {
    let mut sbverify = Command::new("sbverify");
    output(sbverify.arg("--cert").arg(certificate).arg(file))
        .status
        .success()
}

/// The same by another judge, which looks at the checksum too; none without it.
fn osslsigncode(certificate: &Path, file: &Path) -> Option<(bool, String)> {
    let mut command = Command::new("osslsigncode");
    command.arg("verify").arg("-CAfile").arg(certificate);
    let Ok(done) = command.arg("-in").arg(file).output() else {
        skip("the judgement of signatures by osslsigncode (not installed)");
        return None;
    };
    let said = [done.stdout, done.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    Some((done.status.success(), said))
}

/// systemd-boot out of the disk.
fn loader(scene: &Scene, disk: &str) -> PathBuf {
    let image = format!("{}@@1M", scene.path(disk).display());
    let bytes = run(Command::new("mtype").args(["-i", &image, "::EFI/BOOT/BOOTX64.EFI"]));
    let path = scene.path("loader.efi");
    fs::write(&path, bytes).unwrap();
    path
}

#[test]
fn with_a_key() {
    let scene = Scene::of(|_| {});
    let folder = scene.0.path();
    pair(folder, "db");
    pair(folder, "other");
    let (own, other) = (scene.path("db.crt"), scene.path("other.crt"));
    // Nobody's programs are needed.
    let mut command = scene.export("uki,disk", "out");
    let said = json(command.args(SIGN).env("PATH", "/nowhere"));
    assert_eq!(said["boot"]["signed"], true);
    let uki = scene.path("out/node.efi");
    let loader = loader(&scene, "out/disk.raw");
    for file in [&uki, &loader] {
        assert!(verify(&own, file));
        assert!(!verify(&other, file));
        if let Some((passed, said)) = osslsigncode(&own, file) {
            assert!(passed, "{said}");
            assert!(said.contains("PE checksum"), "{said}");
            assert!(!said.contains("invalid PE checksum"), "{said}");
            assert!(!osslsigncode(&other, file).unwrap().0);
        }
    }

    // Once more, elsewhere, from another form of the key: the same bytes.
    openssl(folder, "rsa -in db.key -traditional -out pkcs1.key");
    let key = fs::read_to_string(scene.path("pkcs1.key")).unwrap();
    assert!(key.starts_with("-----BEGIN RSA PRIVATE KEY-----"));
    let mut again = scene.export("uki,disk", "again");
    again.args(["--sign-key", "pkcs1.key", "--sign-certificate", "db.crt"]);
    run(again.env("TZ", "Asia/Tokyo"));
    for name in ["node.efi", "disk.raw"] {
        let first = fs::read(scene.path("out").join(name)).unwrap();
        let second = fs::read(scene.path("again").join(name)).unwrap();
        assert!(first == second, "{name}");
    }

    // The checksum has no part in the signature.
    let mut bytes = fs::read(&uki).unwrap();
    let headers = usize::from(bytes[0x3c]) + 24;
    bytes[headers + 64] ^= 1;
    let bad = scene.path("bad.efi");
    fs::write(&bad, bytes).unwrap();
    assert!(verify(&own, &bad));
    if let Some((_, said)) = osslsigncode(&own, &bad) {
        assert!(said.contains("invalid PE checksum"), "{said}");
    }

    // A bit anywhere else: in the headers, a section, the signature.
    let good = fs::read(&uki).unwrap();
    for at in [0x40, good.len() / 2, good.len() - 100] {
        let mut bytes = good.clone();
        bytes[at] ^= 1;
        fs::write(&bad, bytes).unwrap();
        assert!(!verify(&own, &bad), "{at}");
    }
}

/// What is signed already keeps its signatures.
#[test]
fn what_is_signed_already() {
    let vendor = tempfile::tempdir().unwrap();
    pair(vendor.path(), "vendor");
    let signed = |tree: &mut Tree| {
        let entry = tree.entries.get_mut(LOADER.as_bytes()).unwrap();
        let (plain, signed) = (vendor.path().join("plain"), vendor.path().join("signed"));
        fs::write(&plain, program(vendor.path(), "loader")).unwrap();
        run(Command::new("sbsign")
            .args(["--key", "vendor.key", "--cert", "vendor.crt", "--output"])
            .args([&signed, &plain])
            .current_dir(vendor.path()));
        entry.node = sample::inline(fs::read(&signed).unwrap());
    };
    let scene = Scene::of(signed);
    pair(scene.0.path(), "db");
    run(scene.export("disk", "out").args(SIGN));
    let loader = loader(&scene, "out/disk.raw");
    assert!(verify(&vendor.path().join("vendor.crt"), &loader));
    assert!(verify(&scene.path("db.crt"), &loader));
    let list = run(Command::new("sbverify").arg("--list").arg(&loader));
    let list = String::from_utf8(list).unwrap();
    for signature in ["signature 1", "signature 2"] {
        assert!(list.contains(signature), "{list}");
    }
}

/// A certificate that another has signed, with that one behind it.
#[test]
fn with_a_chain() {
    let scene = Scene::of(|_| {});
    let folder = scene.0.path();
    pair(folder, "ca");
    openssl(
        folder,
        "req -newkey rsa:3072 -nodes -keyout leaf.key -subj /CN=leaf -out leaf.csr",
    );
    openssl(
        folder,
        "x509 -req -days 2 -in leaf.csr -CA ca.crt -CAkey ca.key -out leaf.crt",
    );
    let chain = [
        fs::read(scene.path("leaf.crt")).unwrap(),
        fs::read(scene.path("ca.crt")).unwrap(),
    ];
    // Text before it is nothing.
    let chain = [b"Bag Attributes\n".to_vec(), chain.concat()].concat();
    fs::write(scene.path("chain.crt"), chain).unwrap();
    let mut command = scene.export("uki", "out");
    run(command.args(["--sign-key", "leaf.key", "--sign-certificate", "chain.crt"]));
    let uki = scene.path("out/node.efi");
    assert!(verify(&scene.path("ca.crt"), &uki));
    let list = run(Command::new("sbverify").arg("--list").arg(&uki));
    let list = String::from_utf8(list).unwrap();
    for certificate in ["subject: /CN=leaf", "subject: /CN=ca"] {
        assert!(list.contains(certificate), "{list}");
    }
}

/// What has no stub has nothing to sign: that is said, and not that it was signed.
#[test]
fn what_boots_over_a_network_may_have_nothing_to_sign() {
    let scene = Scene::of(connected);
    pair(scene.0.path(), "db");
    let said = json(scene.export("pxe", "out").args(SIGN));
    assert_eq!(said["boot"]["signed"], true);
    assert!(verify(
        &scene.path("db.crt"),
        &scene.path("out/node-http.efi")
    ));
    let scene = Scene::of(|tree| {
        connected(tree);
        without(STUB)(tree);
    });
    pair(scene.0.path(), "db");
    let done = output(scene.export("pxe", "out").args(SIGN));
    assert!(done.status.success());
    let said = String::from_utf8_lossy(&done.stderr);
    let said: Vec<_> = said
        .lines()
        .filter(|line| line.starts_with("warning"))
        .collect();
    assert_snapshot!(said.join("\n"), @"warning: nothing is signed: the image has nothing that firmware starts (in Debian from systemd-boot-efi)");
    assert!(!scene.path("out/node-http.efi").exists());
    let about = fs::read(scene.path("out/export.json")).unwrap();
    let about: serde_json::Value = serde_json::from_slice(&about).unwrap();
    assert_eq!(about["boot"]["signed"], false);
}

#[test]
fn with_a_command() {
    let scene = Scene::of(|_| {});
    pair(scene.0.path(), "db");
    let command = "sbsign --key db.key --cert db.crt --output \"$2\" \"$1\"";
    run(scene.export("uki", "own").args(["--sign-command", command]));
    assert!(verify(&scene.path("db.crt"), &scene.path("own/node.efi")));
    let refuse = |command: &str| {
        let mut export = scene.export("uki", "none");
        refused(export.arg("--quiet").args(["--sign-command", command]), 2)
    };
    assert_snapshot!(refuse("echo no key >&2; exit 1"), @"error: `--sign-command` failed: no key");
    assert_snapshot!(refuse("true"), @r"
    error: the `--sign-command` has written no signed file
    hint: it takes the file `$1` and writes the signed one to `$2`
    ");
    assert!(!scene.path("none/node.efi").exists());
}

#[test]
fn keys_that_cannot_sign() {
    let scene = Scene::of(|_| {});
    let folder = scene.0.path();
    for name in ["db", "other"] {
        pair(folder, name);
    }
    for words in [
        "pkcs8 -topk8 -in db.key -passout pass:x -out encrypted.key",
        "rsa -in db.key -traditional -aes256 -passout pass:x -out old.key",
        "ecparam -name prime256v1 -genkey -noout -out ec-old.key",
        "pkcs8 -topk8 -nocrypt -in ec-old.key -out ec.key",
        "req -x509 -key ec.key -days 2 -subj /CN=ec -out ec.crt",
        "genrsa -out small.key 1024",
        "x509 -in db.crt -outform der -out der.crt",
    ] {
        openssl(folder, words);
    }
    let key = fs::read_to_string(scene.path("db.key")).unwrap();
    let cut: String = key.lines().take(3).collect::<Vec<_>>().join("\n");
    fs::write(scene.path("cut.key"), &cut).unwrap();
    fs::write(
        scene.path("short.key"),
        format!("{cut}\n-----END PRIVATE KEY-----\n"),
    )
    .unwrap();
    fs::write(scene.path("letters.key"), key.replacen("MII", "M*I", 1)).unwrap();
    let refuse = |key: &str, certificate: &str, status: i32| {
        let mut command = scene.export("uki,disk", "none");
        command.args(["--quiet", "--sign-key", key]);
        let said = refused(command.args(["--sign-certificate", certificate]), status);
        assert!(!scene.path("none").exists());
        // Nothing of a key is said.
        let secret = fs::read_to_string(scene.path("db.key")).unwrap();
        for line in secret.lines().filter(|line| !line.starts_with('-')) {
            assert!(!said.contains(line));
        }
        said
    };
    let key = |name: &str| refuse(name, "db.crt", 2);
    assert_snapshot!(key("encrypted.key"), @r"
    error: nothing can be signed with `encrypted.key`: the private key is encrypted
    hint: decrypt it (`openssl pkey -in KEY -out PLAIN`), or sign with a program of your own by `--sign-command`
    ");
    assert_snapshot!(key("old.key"), @r"
    error: nothing can be signed with `old.key`: the private key is encrypted
    hint: decrypt it (`openssl pkey -in KEY -out PLAIN`), or sign with a program of your own by `--sign-command`
    ");
    assert_snapshot!(key("ec.key"), @r"
    error: nothing can be signed with `ec.key`: it is no RSA key
    hint: Secure Boot takes RSA keys of 2048 bits and more (up to 8192)
    ");
    assert_snapshot!(key("ec-old.key"), @r"
    error: nothing can be signed with `ec-old.key`: it is no RSA key
    hint: Secure Boot takes RSA keys of 2048 bits and more (up to 8192)
    ");
    assert_snapshot!(key("small.key"), @r"
    error: nothing can be signed with `small.key`: the private key is too short
    hint: Secure Boot takes RSA keys of 2048 bits and more (up to 8192)
    ");
    assert_snapshot!(key("cut.key"), @"error: nothing can be signed with `cut.key`: `-----END PRIVATE KEY-----` is missing");
    assert_snapshot!(key("short.key"), @"error: nothing can be signed with `short.key`: the private key is not well-formed");
    assert_snapshot!(key("letters.key"), @"error: nothing can be signed with `letters.key`: the private key is not Base64");
    assert_snapshot!(key("db.crt"), @"error: nothing can be signed with `db.crt`: it holds no private key in PEM form");
    assert_snapshot!(key("der.crt"), @r"
    error: nothing can be signed with `der.crt`: it is not in PEM form
    hint: `openssl pkey -inform der` and `openssl x509 -inform der` write what is
    ");
    assert_snapshot!(key("/dev/zero"), @"error: nothing can be signed with `/dev/zero`: it is too large for a key or a certificate");
    assert_snapshot!(refuse("nowhere.key", "db.crt", 7), @"error: opening `nowhere.key`: No such file or directory");
    assert_snapshot!(refuse("db.key", "other.crt", 2), @r"
    error: the certificate `other.crt` does not belong to the key `db.key`
    hint: the key's own certificate comes first in its file
    ");
    assert_snapshot!(refuse("db.key", "ec.crt", 2), @r"
    error: nothing can be signed with `ec.crt`: it is not that of an RSA key
    hint: Secure Boot takes RSA keys of 2048 bits and more (up to 8192)
    ");
    assert_snapshot!(refuse("db.key", "db.key", 2), @"error: nothing can be signed with `db.key`: it holds no certificate in PEM form");
    assert_snapshot!(refuse("db.key", "der.crt", 2), @r"
    error: nothing can be signed with `der.crt`: it is not in PEM form
    hint: `openssl pkey -inform der` and `openssl x509 -inform der` write what is
    ");
    let mut alone = scene.export("uki", "none");
    let said = refused(alone.args(["--quiet", "--sign-key", "db.key"]), 2);
    assert!(said.contains("\n  --sign-certificate <FILE>\n"), "{said}");
}

/// A loader that is none is found before anything is written.
#[test]
fn what_cannot_be_signed() {
    let scene = Scene::of(|tree| {
        let entry = tree.entries.get_mut(&TreePath::from(LOADER)).unwrap();
        entry.node = sample::inline(b"MZ, but no more".to_vec());
    });
    pair(scene.0.path(), "db");
    let mut command = scene.export("disk", "none");
    let said = refused(command.arg("--quiet").args(SIGN), 4);
    assert_snapshot!(said, @"error: what is to be signed is no well-formed PE file of 64 bits");
    assert!(!scene.path("none/disk.raw").exists());
}
