//! Values that try to be more than values.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use nodelith::error::Kind;
use nodelith::render::facts::Facts;
use nodelith::render::given::Given;
use nodelith::render::values::Type;
use nodelith::render::{Rendered, Templates, render};
use serde_json::json;

use crate::common::{output, run};
use crate::fixture::{self, VALUES};
use crate::judges;

/// What each format could take for its own.
const HOSTILE: [&str; 24] = [
    "a\"b",
    "a'b",
    "a'\\''b",
    "a\nb: c",
    "a\r\nb",
    "$(touch hit)",
    "`touch hit`",
    "${x}",
    "a; touch hit",
    "a && touch hit",
    "||",
    "{{ image.digest }}",
    "{% raw %}",
    "a b",
    "a: b",
    "- a",
    "# a",
    ",tag:x",
    "%n%%",
    "\\",
    "a\u{85}b\u{2028}c",
    "\u{fdd0}0\u{fdd1}",
    "[a](b)<c>",
    "\u{202e}\u{0}",
];

/// Whatever is given to whichever value: it is refused in one message, or it is in the
/// file and the file is as sound as before.
#[test]
fn values_stay_values() {
    let facts = fixture::facts();
    let (mut taken, mut refused) = (0, 0);
    for (name, _) in VALUES {
        let template = Templates::default().get(name).unwrap();
        for value in &template.values {
            for hostile in HOSTILE {
                let text = match value.kind {
                    Type::Map { .. } => format!("{}.key={hostile}", value.name),
                    _ => format!("{}={hostile}", value.name),
                };
                let mut given = Given::default();
                for text in fixture::values(name).iter().chain([&&*text]) {
                    given.set(text).unwrap();
                }
                match render(std::slice::from_ref(&template), &facts, &given) {
                    Ok(files) => {
                        taken += 1;
                        for file in files {
                            sound(&file);
                        }
                    }
                    Err(error) => {
                        refused += 1;
                        assert_eq!(error.kind(), Kind::Usage);
                        assert!(
                            error.message().contains(&value.name)
                                || error.message().contains(" a value "),
                            "{error}"
                        );
                        assert!(
                            error.place().is_some() && !error.hints().is_empty(),
                            "{error}"
                        );
                    }
                }
            }
        }
    }
    assert!(taken > 50 && refused > 1000, "{taken}, {refused}");
}

/// Programs are started only for what can be wrong without them seeing it.
fn sound(file: &Rendered) {
    use nodelith::render::Format;
    match file.format {
        Format::Json | Format::Yaml => crate::schemas::hold(file),
        // What is within words is seen by those that run them, below.
        Format::Shell => drop(run(Command::new("sh").args(["-nc", &file.text]))),
        _ => judges::judge(file),
    }
}

/// A folder of templates, one for each format, that take any string.
fn open_templates(folder: &Path) {
    let template = |name: &str, format: &str, text: &str| {
        let folder = folder.join(name);
        fs::create_dir_all(&folder).unwrap();
        let about = format!(
            "description = \"x\"\n[[file]]\nname = \"file\"\nformat = \"{format}\"\n\
             [[value]]\nname = \"x\"\ntype = \"text\"\ndescription = \"x\"\n"
        );
        fs::write(folder.join("template.toml"), about).unwrap();
        fs::write(folder.join("file"), text).unwrap();
    };
    template(
        "json",
        "json",
        "{\"a\": {{ x }}, \"b\": [{{ x }}, {{ x ~ '/y' }}]}\n",
    );
    template(
        "yaml",
        "yaml",
        "# {{ x }}\na: {{ x }}\nb:\n  - {{ x }}\n  - c: {{ x }}\nd: [{{ x }}]\n",
    );
    template("shell", "shell", "#!/bin/sh\nprintf '%s' {{ x }}\n");
    template("grub", "grub", "echo {{ x }}\n");
    template("ipxe", "ipxe", "#!ipxe\necho {{ x }}\n");
    template("dnsmasq", "dnsmasq", "dhcp-boot={{ x }}\n");
    template("systemd", "systemd", "[Source]\nPath={{ x }}\n");
    template("text", "text", "x {{ x }}\n");
}

fn with(templates: &Templates, name: &str, value: &str) -> Option<String> {
    let mut given = Given::default();
    given.set(&format!("x={value}")).unwrap();
    let facts = Facts {
        image: json!({}),
        bundle: None,
    };
    let template = templates.get(name).unwrap();
    let files = render(&[template], &facts, &given).ok()?;
    Some(files[0].text.clone())
}

/// The shell itself, JSON's reader and YAML's give back what was put in.
#[test]
fn what_is_taken_comes_out_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    open_templates(folder.path());
    let templates = Templates::new(&[folder.path().to_owned()]).unwrap();
    let mut taken = 0;
    for hostile in HOSTILE {
        if let Some(text) = with(&templates, "json", hostile) {
            let read = judges::json(&text);
            assert_eq!(
                read,
                json!({"a": hostile, "b": [hostile, format!("{hostile}/y")]})
            );
            taken += 1;
        }
        if let Some(text) = with(&templates, "yaml", hostile) {
            let read = judges::yaml(&text);
            let wanted = json!({"a": hostile, "b": [hostile, {"c": hostile}], "d": [hostile]});
            assert_eq!(read, [wanted], "{text}");
            taken += 1;
        }
        if let Some(text) = with(&templates, "shell", hostile) {
            let script = folder.path().join("script");
            fs::write(&script, text).unwrap();
            let said = run(Command::new("sh").arg(&script).current_dir(folder.path()));
            assert_eq!(String::from_utf8(said).unwrap(), hostile);
            assert!(!folder.path().join("hit").exists());
            taken += 1;
        }
        for name in ["grub", "ipxe", "dnsmasq", "systemd", "text"] {
            if let Some(text) = with(&templates, name, hostile) {
                let plain = with(&templates, name, "a").unwrap();
                assert_eq!(text.lines().count(), plain.lines().count(), "{text}");
                assert!(
                    text.contains(
                        &hostile.replace('%', if name == "systemd" { "%%" } else { "%" })
                    ),
                    "{text}"
                );
                taken += 1;
            }
        }
    }
    assert!(taken > 60, "{taken}");
}

/// Scripts run with programs that only say what they are given: what is in a tag is in an
/// argument, and nothing else is started.
#[test]
fn scripts_hand_on_what_they_are_given() {
    let folder = tempfile::tempdir().unwrap();
    let digest = fixture::description()["image"].clone();
    fakes(
        folder.path(),
        &format!(
            "*describe-images*) echo None;; *tags.*manifest*) echo {};; *--query*) echo out;; \
             *\" show \"*|*\" describe \"*) exit 1;;",
            digest.as_str().unwrap()
        ),
    );
    let tag = "it's; $(touch hit) `touch hit` \"x\"";
    for (name, tags) in [
        ("aws-image", "tags"),
        ("azure", "tags"),
        ("gce", "user_data_file"),
    ] {
        let more = match tags {
            "tags" => format!("tags.team={tag}"),
            other => format!("{other}={tag}"),
        };
        let (ran, said) = script(folder.path(), name, &[&more]);
        assert!(
            ran.status.success(),
            "{name}: {}",
            String::from_utf8_lossy(&ran.stderr)
        );
        let wanted = match name {
            "aws-image" => serde_json::to_string(tag).unwrap(),
            _ => tag.to_owned(),
        };
        assert!(said.contains(&wanted), "{name}:\n{said}");
        assert!(said.contains("sha256sum|--check"), "{said}");
        assert!(!folder.path().join("hit").exists());
    }
}

/// Programs that only say what they are given, into a log; what they print is by the cases of
/// a shell's `case`.
fn fakes(folder: &Path, cases: &str) {
    let tools = folder.join("bin");
    fs::create_dir_all(&tools).unwrap();
    let log = folder.join("log");
    for name in ["aws", "az", "gcloud", "sha256sum"] {
        let fake = format!(
            "#!/bin/sh\nprintf '%s|' {name} \"$@\" >> {log}\necho >> {log}\n\
             case \"$*\" in {cases} *) echo out;; esac\n",
            log = log.display(),
        );
        let path = tools.join(name);
        fs::write(&path, fake).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }
}

/// Runs the script of a template with the programs of [`fakes`]; and what they were given.
fn script(folder: &Path, name: &str, more: &[&str]) -> (std::process::Output, String) {
    let files = fixture::rendered(name, more).unwrap();
    let script = folder.join(&files[0].name);
    fs::write(&script, &files[0].text).unwrap();
    let log = folder.join("log");
    let _ = fs::remove_file(&log);
    let mut command = Command::new("sh");
    command.arg(&script).current_dir(folder);
    command.env("PATH", format!("{}/bin:/usr/bin:/bin", folder.display()));
    (output(&mut command), fs::read_to_string(log).unwrap())
}

/// What is there already under the same name is taken only if it is of the same image.
#[test]
fn what_is_of_another_image_is_not_taken() {
    let folder = tempfile::tempdir().unwrap();
    let digest = fixture::description()["image"].clone();
    let digest = digest.as_str().unwrap();
    let scale_set = ["scale_set=workers", "ssh_key_file=/id.pub"];
    for (name, more) in [("aws-image", &[][..]), ("azure", &scale_set), ("gce", &[])] {
        // AWS is asked for the name with a tag, and then for the name alone.
        let cases = "*tag:*manifest*) echo None;; *tags.*manifest*) echo sha256:0;; \
                     *describe-images*) echo ami-1;; *description*) echo nodelith sha256:0;;";
        fakes(folder.path(), cases);
        let (ran, said) = script(folder.path(), name, more);
        assert_eq!(ran.status.code(), Some(1), "{name}");
        let why = String::from_utf8(ran.stderr).unwrap();
        assert!(why.contains("is of another image"), "{name}: {why}");
        for made in [
            "sha256sum|",
            "create|",
            "import-snapshot|",
            "instance-templates|",
        ] {
            assert!(!said.contains(made), "{name}: {said}");
        }
        let cases = format!(
            "*tag:*manifest*) echo ami-1;; *tags.*manifest*) echo {digest};; \
             *description*) echo nodelith {digest};;"
        );
        fakes(folder.path(), &cases);
        let (ran, said) = script(folder.path(), name, more);
        assert!(ran.status.success(), "{name}: {said}");
        assert!(!said.contains("sha256sum|"), "{name}: {said}");
        // What runs is not made anew.
        assert!(!said.contains("vmss|create"), "{name}: {said}");
    }
    let cases = format!("*vmss*show*) echo sha256:0;; *tags.*manifest*) echo {digest};;");
    fakes(folder.path(), &cases);
    let (ran, said) = script(folder.path(), "azure", &scale_set);
    assert_eq!(ran.status.code(), Some(1), "{said}");
    let why = String::from_utf8(ran.stderr).unwrap();
    assert!(why.contains("scale set workers is there already"), "{why}");
    assert!(!said.contains("vmss|create"), "{said}");
}

/// iPXE joins lines that end in a backslash; and Matchbox hands it what is in JSON.
#[test]
fn what_ipxe_cannot_say_is_refused() {
    for (template, value) in [("pxe-ipxe", "arguments"), ("matchbox", "arguments")] {
        for word in ["x\\", "${x}", "||", "&&", ";", "#x"] {
            let given = format!("{value}={word}");
            let error = fixture::rendered(template, &[&given]).unwrap_err();
            let wanted = "a value has characters that iPXE does not take";
            assert!(error.message().contains(wanted), "{template}: {error}");
        }
        fixture::rendered(template, &["arguments=a;b"]).unwrap();
    }
    let error = fixture::rendered("matchbox", &["base_url=http://x/${y}"]).unwrap_err();
    assert!(error.message().contains("iPXE"), "{error}");
}

/// Descriptions of exports that are none, or try more.
#[test]
fn descriptions_are_not_trusted() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("export.json");
    let mut hostile = fixture::description();
    hostile["annotations"]["org.opencontainers.image.title"] = "a'; touch hit\n".into();
    hostile["pxe"]["command_line"] = "a || reboot ${x}".into();
    fs::write(&path, hostile.to_string()).unwrap();
    let facts = Facts::of_bundle(folder.path()).unwrap();
    let given = |name: &str| {
        let mut given = Given::default();
        for text in fixture::values(name) {
            given.set(text).unwrap();
        }
        given
    };
    for name in ["pxe-ipxe", "pxe-grub", "sysupdate", "azure"] {
        let template = Templates::default().get(name).unwrap();
        if let Ok(files) = render(&[template], &facts, &given(name)) {
            files.iter().for_each(judges::judge);
            assert!(
                name == "pxe-grub" || name == "azure",
                "{name}: {}",
                files[0].text
            );
        }
    }
    for wrong in [
        "",
        "[]",
        "{}",
        r#"{"schema": "nodelith.export", "version": 2}"#,
        r#"{"schema": "nodelith.export", "version": 1}"#,
    ] {
        fs::write(&path, wrong).unwrap();
        let error = Facts::of_bundle(folder.path()).unwrap_err();
        assert_eq!(error.kind(), Kind::Usage, "{wrong}");
    }
    for digest in ["sha256:é", "sha256:0\nreboot", ""] {
        let mut hostile = fixture::description();
        hostile["image"] = digest.into();
        fs::write(&path, hostile.to_string()).unwrap();
        let error = Facts::of_bundle(folder.path()).unwrap_err();
        assert!(error.message().contains("which image it is of"), "{error}");
    }
}
