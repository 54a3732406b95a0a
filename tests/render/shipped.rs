//! The templates that come with the program.

use std::fs;

use nodelith::render::facts::Facts;
use nodelith::render::given::Given;
use nodelith::render::values::Default;
use nodelith::render::{Templates, schema};
use serde_json::Value;

use crate::common::{document, nodelith, refused, run};
use crate::fixture::{self, VALUES, VARIANTS, rendered};
use crate::{judges, schemas};

#[test]
fn every_one_renders_and_is_what_it_should_be() {
    let shipped = Templates::default().names().unwrap();
    assert!(shipped.iter().eq(VALUES.map(|(name, _)| name)));
    let plain = VALUES.map(|(name, _)| (name, &[][..]));
    for (name, more) in plain.into_iter().chain(VARIANTS) {
        let files = rendered(name, more).unwrap_or_else(|why| panic!("{name}: {why}"));
        assert!(!files.is_empty());
        for file in files {
            judges::judge(&file);
            schemas::hold(&file);
            let text = &file.text;
            assert!(
                text.ends_with('\n') && !text.contains("\n\n\n"),
                "{name}:\n{text}"
            );
        }
    }
}

#[test]
fn snapshots() {
    let plain = VALUES.map(|(name, _)| (name, "", &[][..]));
    let variants = VARIANTS.iter().enumerate();
    let variants = variants.map(|(number, (name, more))| {
        let before = VARIANTS[..number].iter().filter(|(one, _)| one == name);
        let ending = ["-more", "-else"][before.count()];
        (*name, ending, *more)
    });
    for (name, ending, more) in plain.into_iter().chain(variants) {
        for file in rendered(name, more).unwrap() {
            insta::assert_snapshot!(format!("{name}{ending}-{}", file.name), file.text);
        }
    }
}

/// What is pinned: the image's manifest, and the digest of each file that is loaded.
#[test]
fn all_are_pinned_by_digest() {
    let description = fixture::description();
    let manifest = description["image"].as_str().unwrap();
    for (name, _) in VALUES {
        let files = rendered(name, &[]).unwrap();
        assert!(
            files.iter().any(|file| file.text.contains(manifest)),
            "{name}"
        );
    }
    for (name, file) in [
        ("aws-image", "disk.raw"),
        ("azure", "disk.vhd"),
        ("cluster-api-metal3", "disk.qcow2"),
        ("gce", "disk.tar.gz"),
        ("matchbox", "root.erofs"),
        ("metal3", "disk.qcow2"),
        ("pxe-grub", "root.erofs"),
        ("pxe-ipxe", "root.erofs"),
    ] {
        let digest = nodelith::digest::Digest::of(file.as_bytes()).hex();
        assert!(
            rendered(name, &[]).unwrap()[0].text.contains(&digest),
            "{name}"
        );
    }
}

/// For an image alone one gives what an export would say; each that is missing is one
/// message that names it.
#[test]
fn each_missing_value_is_one_message() {
    let folder = tempfile::tempdir().unwrap();
    let image = fixture::image(folder.path());
    let mut looked = 0;
    for template in Templates::default().all().unwrap() {
        let mut given: Vec<String> = fixture::values(&template.name)
            .iter()
            .map(|text| (*text).to_owned())
            .collect();
        let needed: Vec<&str> = template
            .values
            .iter()
            .filter(|value| match &value.default {
                Default::None => value.required,
                Default::From(expression) => value.required && expression.contains("bundle."),
                Default::Value(_) => false,
            })
            .map(|value| value.name.as_str())
            .collect();
        for name in &needed {
            let begins = |text: &String| text.split(['=', '.']).next() == Some(*name);
            if !given.iter().any(begins) {
                let value = template.value(name).unwrap();
                let example = value.examples[0].as_str().unwrap();
                given.push(format!("{name}={example}"));
            }
        }
        let command = |without: Option<&str>| {
            let mut command = nodelith();
            command.args(["render", &template.name]).arg(&image);
            command.arg("--output").arg(folder.path().join("out"));
            for text in &given {
                if text.split(['=', '.']).next() != without {
                    command.args(["--set", text]);
                }
            }
            command
        };
        run(&mut command(None));
        fs::remove_dir_all(folder.path().join("out")).unwrap();
        for name in needed {
            let said = refused(&mut command(Some(name)), 2);
            let wanted = format!(
                "error: value `{name}` of template `{}` is missing\n",
                template.name
            );
            assert!(said.starts_with(&wanted), "{said}");
            let place = format!("image-templates/{}/template.toml:", template.name);
            assert!(said.contains(&place) && said.contains("\nhint: "), "{said}");
            assert_eq!(said.matches("error").count(), 1, "{said}");
            assert!(!folder.path().join("out").exists());
            looked += 1;
        }
    }
    assert!(looked > 40, "{looked}");
}

/// Values that go with one another, and what images say in other words than a template.
#[test]
fn values_that_go_together() {
    let refused = |name: &str, more: &[&str], wanted: &str| {
        let error = rendered(name, more).unwrap_err();
        assert!(error.message().contains(wanted), "{name}: {error}");
        assert!(!error.hints().is_empty(), "{error}");
    };
    refused("gce", &["subnet=nodes"], "value `region` is needed");
    let same = ["labels.a=b", "kubelet_arguments.node-labels=c=d"];
    refused("kubeadm-join", &same, "are the same: give one of them");

    let folder = tempfile::tempdir().unwrap();
    let bundle = fixture::bundle(folder.path());
    let with = |key: &str, said: &str, template: &str, without: &str| {
        let mut description = fixture::description();
        description["annotations"][key] = said.into();
        fs::write(bundle.join("export.json"), description.to_string()).unwrap();
        let mut given = Given::default();
        for text in fixture::values(template) {
            if !text.starts_with(without) {
                given.set(text).unwrap();
            }
        }
        let template = Templates::default().get(template).unwrap();
        let facts = Facts::of_bundle(&bundle).unwrap();
        nodelith::render::render(&[template], &facts, &given).map(|files| files[0].text.clone())
    };
    let id = "org.opencontainers.image.title";
    let text = with(id, "my_node", "sysupdate", "-").unwrap();
    assert!(text.contains("=my-node_@v"), "{text}");
    let kubelet = format!("kubelet=1.33.5@sha256:{}", "0".repeat(64));
    for template in ["cluster-api-aws", "cluster-api-metal3"] {
        let version = |key: &str, said: &str| with(key, said, template, "kubernetes_version");
        for (key, said) in [
            ("io.nodelith.components", &*kubelet),
            ("io.nodelith.kubernetes", "1.33.5"),
        ] {
            let text = version(key, said).unwrap();
            assert!(text.contains("version: \"v1.33.5\"\n"), "{text}");
        }
        // A minor alone is no version of kubelet's.
        let error = version("io.nodelith.kubernetes", "1.33").unwrap_err();
        let wanted = "value `kubernetes_version` of template";
        assert!(error.message().starts_with(wanted), "{error}");
        assert!(error.message().ends_with("is missing"), "{error}");
    }
}

/// The schemas of values are schemas, and take the examples and what we give.
#[test]
fn schemas_of_values() {
    for template in Templates::default().all().unwrap() {
        let schema = schema(&template);
        let validator = jsonschema::draft202012::new(&schema).unwrap();
        for value in &template.values {
            let property = &schema["properties"][&value.name];
            let property = jsonschema::draft202012::new(property).unwrap();
            for example in &value.examples {
                assert!(
                    property.is_valid(example),
                    "{}: {}",
                    template.name,
                    value.name
                );
            }
        }
        assert!(!validator.is_valid(&serde_json::json!({"no_such_value": 1})));
    }
    let printed = run(nodelith().args(["render", "metal3", "--schema"]));
    let printed: Value = serde_json::from_slice(&printed).unwrap();
    assert_eq!(printed["properties"]["online"]["default"], true);
    assert!(
        printed["required"]
            .as_array()
            .unwrap()
            .contains(&"name".into())
    );
}

#[test]
fn all_are_listed_and_say_what_they_follow() {
    let listed = document(&run(nodelith().args(["render", "--list", "--json"])));
    let templates = listed["templates"].as_array().unwrap();
    assert_eq!(templates.len(), VALUES.len());
    for template in templates {
        assert!(
            !template["sources"].as_array().unwrap().is_empty(),
            "{template:#}"
        );
        for value in template["values"].as_array().unwrap() {
            let about = value["description"].as_str().unwrap();
            assert!(!about.is_empty() && !about.ends_with('.'), "{value:#}");
            if value["secret"] == true {
                assert!(value["default"].is_null() && value["from"].is_null());
            }
        }
    }
}
