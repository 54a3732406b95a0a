//! The shipped profiles load, and the JSON schema says the same as the loader.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::path::{Path, PathBuf};

use nodelith::profile::file::Architecture;
use nodelith::profile::{Profile, init, schema};
use serde_json::Value;

fn shipped(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|kind| kind == "toml"))
        .filter(|path| !path.to_string_lossy().ends_with(".lock.toml"))
        .collect();
    files.sort();
    assert!(!files.is_empty());
    files
}

fn as_json(text: &str) -> Value {
    let table: toml::Table = toml::from_str(text).unwrap();
    serde_json::to_value(table).unwrap()
}

#[test]
fn the_schema_is_a_schema() {
    assert!(jsonschema::meta::is_valid(&schema::value()));
    assert_eq!(schema::text(), schema::text());
}

#[test]
fn every_key_is_described() {
    fn walk(value: &Value, at: &str, missing: &mut Vec<String>) {
        if let Some(Value::Object(properties)) = value.get("properties") {
            for (key, property) in properties {
                if property.get("description").is_none() {
                    missing.push(format!("{at}.{key}"));
                }
            }
        }
        if let Some(Value::Object(definitions)) = value.get("$defs") {
            for (name, definition) in definitions {
                walk(definition, name, missing);
            }
        }
    }
    let mut missing = Vec::new();
    walk(&schema::value(), "profile", &mut missing);
    assert_eq!(missing, Vec::<String>::new());
}

#[test]
fn shipped_profiles_fit_the_schema() {
    let validator = jsonschema::validator_for(&schema::value()).unwrap();
    for path in shipped("profiles")
        .into_iter()
        .chain(shipped("profiles/base"))
    {
        let json = as_json(&std::fs::read_to_string(&path).unwrap());
        let faults: Vec<_> = validator
            .iter_errors(&json)
            .map(|e| e.to_string())
            .collect();
        assert_eq!(faults, Vec::<String>::new(), "{}", path.display());
    }
}

#[test]
fn shipped_profiles_load() {
    for path in shipped("profiles") {
        let profile = Profile::load(&path).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(path.file_stem().unwrap().to_str().unwrap(), profile.name);
        assert!(
            profile
                .packages("amd64")
                .iter()
                .any(|name| name == "systemd")
        );
    }
}

#[test]
fn the_starter_loads() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("p.toml");
    let name = "my-node".parse().unwrap();
    for architecture in [Architecture::Amd64, Architecture::Arm64] {
        let text = init::starter(&name, architecture);
        std::fs::write(&path, &text).unwrap();
        let profile = Profile::load(&path).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(
            (&*profile.name, &profile.architectures[..]),
            ("my-node", &[architecture][..])
        );
        assert!(jsonschema::is_valid(&schema::value(), &as_json(&text)));
    }
}

/// Tables that stand below a whole profile, and whether they may.
const CASES: [(&str, bool); 34] = [
    ("[debian]\nsuite = \"sid\"", true),
    (
        "[debian]\nsuite = \"sid\"\npackages = [\"a-b+c.d:arm64=1:2~3-4\"]",
        true,
    ),
    ("[debian]\nsuite = \"sid\"\npackages = [\"A\"]", false),
    ("[debian]\nsweet = \"sid\"", false),
    (
        "[debian]\nsuite = \"sid\"\nexclude = { locales = [\"de\"], paths = [\"/usr/x/**\"] }",
        true,
    ),
    (
        "[debian]\nsuite = \"sid\"\nexclude = { locales = \"de\" }",
        false,
    ),
    ("[[debian.repository]]\nname = \"k\"", false),
    ("[kubernetes]\nversion = \"1.34\"", true),
    ("[kubernetes]\nversion = \"1.34.10\"", true),
    ("[kubernetes]\nversion = \"none\"", true),
    ("[kubernetes]\nversion = \"1.17\"", false),
    ("[kubernetes]\nversion = \"v1.34\"", false),
    ("[kubernetes]\nversion = 1.34", false),
    ("[image]\nlayers = 127", true),
    ("[image]\nlayers = 0", false),
    ("[image]\ncompression = \"lz4\"", false),
    ("[sysctl]\nnet.ipv4.ip_forward = 1", true),
    ("[sysctl]\n\"net.ipv4.ip_forward\" = \"1\"", true),
    ("[sysctl]\nvm.swappiness = [1]", false),
    ("[units]\nenable = [\"getty@tty1.service\"]", true),
    ("[units]\nenable = [\"containerd\"]", false),
    (
        "[[files]]\npath = \"/etc/motd\"\ntext = \"hi\"\nmode = \"0600\"\nowner = \"0:adm\"",
        true,
    ),
    ("[[files]]\npath = \"etc/motd\"\ntext = \"hi\"", false),
    ("[[files]]\npath = \"/etc/../motd\"\ntext = \"hi\"", false),
    ("[[files]]\npath = \"/etc/motd/\"\ntext = \"hi\"", false),
    (
        "[[files]]\npath = \"/etc/motd\"\ntext = \"hi\"\nmode = 644",
        false,
    ),
    (
        "[[users]]\nname = \"core\"\nssh-keys = [\"ssh-ed25519 AAAAC3Nz me\"]",
        true,
    ),
    ("[[users]]\nname = \"Core\"", false),
    ("[pause]\nimage = \"registry.k8s.io/pause:3.10\"", true),
    ("[pause]\nimage = \"registry.k8s.io/Pause:3.10\"", false),
    (
        "[containerd.registries.\"docker.io\"]\nmirrors = [\"https://m.example\"]",
        true,
    ),
    (
        "[containerd.registries.\"https://docker.io\"]\nmirrors = []",
        false,
    ),
    ("[containerd.extra.plugins.x]\ny = [1, { z = 2.5 }]", true),
    ("[kubelet.flags]\nmax-pods = 5\nv = \"2\"", true),
];

#[test]
fn schema_and_loader_agree() {
    let validator = jsonschema::validator_for(&schema::value()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("p.toml");
    for (case, fits) in CASES {
        let debian = if case.starts_with("[debian]") {
            ""
        } else {
            "[debian]\nsuite = \"sid\"\n"
        };
        let text = format!("name = \"n\"\narchitecture = \"amd64\"\n{debian}{case}\n");
        std::fs::write(&path, &text).unwrap();
        let loaded = Profile::load(&path).map_err(|error| error.to_string());
        assert_eq!(loaded.is_ok(), fits, "{case}: {:?}", loaded.err());
        assert_eq!(
            validator.is_valid(&as_json(&text)),
            fits,
            "schema on {case}"
        );
    }
}
