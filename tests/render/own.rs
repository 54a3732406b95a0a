//! Users' own templates, and what is wrong with them.

use std::fs;
use std::path::Path;

use insta::assert_snapshot;
use nodelith::error::Place;
use nodelith::render::facts::Facts;
use nodelith::render::given::Given;
use nodelith::render::{Templates, render};
use serde_json::json;

use crate::common::{nodelith, run};
use crate::fixture;

const ABOUT: &str = "description = \"Mine\"\n\n[[file]]\nname = \"file\"\nformat = \"FORMAT\"\n\n\
    [[value]]\nname = \"x\"\ntype = \"text\"\ndescription = \"An x\"\ndefault = \"a b\"\n\n\
    [[value]]\nname = \"none_given\"\ntype = \"string\"\ndescription = \"Nothing\"\nrequired = false\n";

fn write(folder: &Path, about: &str, text: &str) {
    let folder = folder.join("mine");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("template.toml"), about).unwrap();
    fs::write(folder.join("file"), text).unwrap();
}

/// What comes of a file of this format, or what is said of it.
fn rendered(format: &str, text: &str) -> Result<String, String> {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &ABOUT.replace("FORMAT", format), text);
    let facts = Facts {
        image: json!({"digest": "sha256:0"}),
        bundle: None,
    };
    let templates = Templates::new(&[folder.path().to_owned()]).unwrap();
    let files = render(&[templates.get("mine").unwrap()], &facts, &Given::default());
    let files = files.map_err(|error| {
        let place = error.place().map(Place::line_column);
        format!("{} {place:?}", error.message())
    })?;
    Ok(files[0].text.clone())
}

#[test]
fn a_folder_with_templates_is_used() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &ABOUT.replace("FORMAT", "text"), "{{ x }}\n");
    let mut list = nodelith();
    list.args(["render", "--list", "--templates"])
        .arg(folder.path());
    let said = String::from_utf8(run(&mut list)).unwrap();
    assert!(
        said.contains("\nmine ") && said.contains("\nmetal3 "),
        "{said}"
    );
    // What is no template's name is none of them.
    for name in ["mine (copy)", ".new-mine"] {
        let aside = folder.path().join(name);
        fs::create_dir(&aside).unwrap();
        fs::write(aside.join("template.toml"), "").unwrap();
    }
    let mut list = nodelith();
    list.args(["render", "--list", "--templates"])
        .arg(folder.path());
    let again = String::from_utf8(run(&mut list)).unwrap();
    assert_eq!(again, said);
    let mut list = nodelith();
    list.args(["render", "mine", "--list"])
        .env("NODELITH_TEMPLATES", folder.path());
    assert_snapshot!(String::from_utf8(run(&mut list)).unwrap(), @r"
    mine: Mine

    VALUE       TYPE    DEFAULT  DESCRIPTION
    x           text    a b      An x
    none_given  string  -        Nothing
    ");
}

/// The example of docs/templates.md.
#[test]
fn the_example_of_the_page_renders() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/templates.md");
    let page = fs::read_to_string(page).unwrap();
    let example = page.split_once("<!-- example: ").unwrap().1;
    let block = |language: &str| {
        let start = example.split_once(&format!("```{language}\n")).unwrap().1;
        start.split_once("```").unwrap().0
    };
    let folder = tempfile::tempdir().unwrap();
    let rack = folder.path().join("rack");
    fs::create_dir(&rack).unwrap();
    fs::write(rack.join("template.toml"), block("toml")).unwrap();
    fs::write(rack.join("rack.yaml"), block("yaml")).unwrap();
    let templates = Templates::new(&[folder.path().to_owned()]).unwrap();
    let mut given = Given::default();
    given.set("rack=b12").unwrap();
    given.set("labels.row=2").unwrap();
    let template = templates.get("rack").unwrap();
    let files = render(&[template], &fixture::facts(), &given).unwrap();
    assert_snapshot!(files[0].text, @r#"
    rack: "b12"
    image:
      name: "quickstart-1"
      digest: "sha256:b802ab9f53cad6bd4004f3c99d9ae71d7a8ff28686bbdc04a30862ee255374dc"
    labels: {"row":"2"}
    "#);
}

#[test]
fn what_is_not_there_is_an_error() {
    let said = |text: &str| rendered("text", text).unwrap_err();
    assert!(
        said("a\n{{ nobody }}\n").contains("Some((2, 1))"),
        "{}",
        said("a\n{{ nobody }}\n")
    );
    assert!(said("{{ image.nobody }}\n").contains("undefined"));
    assert!(said("{{ none_given }}\n").contains("is not given"));
    assert!(said("{{ bundle.files }}\n").contains("undefined"));
    assert!(said("{% if nobody %}{% endif %}\n").contains("undefined"));
    assert!(said("\n\n{{ x | nobody }}\n").contains("Some((3, 1))"));
    assert!(said("{{ x\n").contains("syntax error"));
    assert!(said("{{ fail('no') }}\n").contains("`file`: no"));
    assert_eq!(
        rendered("text", "{% if none_given is none %}n{% endif %}\n").unwrap(),
        "n"
    );
}

#[test]
fn values_within_quotes_are_refused() {
    for (format, text) in [
        ("shell", "echo \"{{ x }}\"\n"),
        ("shell", "echo '{{ x }}'\n"),
        ("shell", "echo \\{{ x }}\n"),
        ("shell", "cat << EOF\n{{ x }}\nEOF\n"),
        ("shell", "echo `echo {{ x }}`\n"),
        ("grub", "echo \"{{ x }}\"\n"),
        ("json", "{\"a\": \"{{ x }}\"}\n"),
        ("shell", "y=\"$(echo \"{{ x }}\")\"\n"),
        ("shell", "y=\"${u:-\"{{ x }}\"}\"\n"),
        ("shell", "y=\"`echo \"{{ x }}\"`\"\n"),
        ("shell", "y=${{ x }}\n"),
        ("shell", "y=$(({{ x }}))\n"),
        ("json", "{\"a\": {{ x }}b}\n"),
        ("yaml", "a: '{{ x }}'\n"),
        ("yaml", "a: b {{ x }}\n"),
        ("json", "{\"a\": \"k: {{ x }}, z\"}\n"),
        ("yaml", "a: \"k: {{ x }}, z\"\n"),
        ("yaml", "a: |\n  b={{ x }}\n"),
        ("yaml", "a: {{ x }} b\n"),
        ("ipxe", "#!ipxe\necho {{ x }}\n"),
        ("dnsmasq", "dhcp-boot={{ x }}\n"),
        ("systemd", "Path={{ x }}\n"),
    ] {
        let said = rendered(format, text).unwrap_err();
        assert!(
            said.contains(": a value ") && said.contains("Some("),
            "{format}: {said}"
        );
    }
    for (format, text, wanted) in [
        (
            "shell",
            "# it's {{ x }}\necho $# {{ x }}\n",
            "# it's 'a b'\necho $# 'a b'\n",
        ),
        (
            "shell",
            "echo {{ x|words }} \"a\"{{ x }}\n",
            "echo a b \"a\"'a b'\n",
        ),
        ("shell", "x=$(echo {{ x }})\n", "x=$(echo 'a b')\n"),
        (
            "json",
            "[{{ x }}, {{ {'a': x} }}, {{ 1 }}]\n",
            "[\"a b\", {\"a\":\"a b\"}, 1]\n",
        ),
        ("yaml", "{{ x }}: {{ true }} # x\n- {{ x }}\n", ""),
        (
            "yaml",
            "a: {{ x }} # b\nc: [{{ x }}]\n",
            "a: \"a b\" # b\nc: [\"a b\"]\n",
        ),
        ("ipxe", "#!ipxe\necho {{ x|words }}\n", "#!ipxe\necho a b\n"),
        (
            "text",
            "{% macro m(y) %}<{{ y }}>{% endmacro %}{{ m(x) }}\n",
            "<a b>\n",
        ),
        (
            "shell",
            "{% set y %}{{ x }}{% endset %}echo {{ y }}\n",
            "echo 'a b'\n",
        ),
    ] {
        match rendered(format, text) {
            Ok(text) => assert_eq!(text, wanted, "{format}"),
            // What is no YAML is told.
            Err(said) => assert!(wanted.is_empty() && said.contains("is not YAML"), "{said}"),
        }
    }
    // What a block made is not changed any more, since its values are not yet in it.
    let block = |then: &str| {
        let text = format!("{{% set y %}}echo X {{{{ x }}}}{{% endset %}}{then}\n");
        rendered("shell", &text)
    };
    let said = block("{{ y|words }}").unwrap_err();
    assert!(said.contains("cannot be changed any more"), "{said}");
    let said = block("{{ y|reverse }}").unwrap_err();
    assert!(said.contains("is changed where a value stands"), "{said}");
    let said = block("{% autoescape 'html' %}{{ y }}{% endautoescape %}").unwrap_err();
    assert!(
        said.contains("there is no `autoescape` Some((1, 1))"),
        "{said}"
    );
    for (then, wanted) in [
        ("{{ y|replace('0', '1') }}", "echo X 'a b'\n"),
        // What is joined to a block is quoted as well.
        ("{{ y ~ ' ;' }}", "echo X 'a b'' ;'\n"),
        ("{{ y|replace('X', x ~ ';') }}", "echo 'a b;' 'a b'\n"),
        ("{% set z %}%s{% endset %}{{ z|format(x) }}", "'a b'\n"),
    ] {
        assert_eq!(block(then).unwrap(), wanted, "{then}");
    }
    assert!(
        rendered("text", "{{ x|safe }}\n")
            .unwrap_err()
            .contains("unknown filter")
    );
}

#[test]
fn broken_descriptions_are_told_with_their_place() {
    let folder = tempfile::tempdir().unwrap();
    let file = "description = \"x\"\n[[file]]\nname = \"file\"\nformat = \"text\"\n";
    let value = format!("{file}[[value]]\nname = \"x\"\ndescription = \"x\"\n");
    for (about, wanted, line) in [
        (
            "descripton = \"x\"\n".to_owned(),
            "unknown field `descripton`",
            1,
        ),
        (
            "description = \"x\"\n".to_owned(),
            "missing field `file`",
            1,
        ),
        (
            file.replace("\"file\"", "\"../file\""),
            "`../file` cannot be the name",
            3,
        ),
        (
            file.replace("\"file\"", "\"template.toml\""),
            "cannot be the name",
            3,
        ),
        (
            file.replace("\"text\"", "\"html\""),
            "unknown variant `html`",
            4,
        ),
        (
            format!("{value}type = \"number\"\n"),
            "unknown variant `number`",
            8,
        ),
        (
            format!("{value}type = \"integer\"\npattern = \"x\"\n"),
            "cannot have `pattern`",
            6,
        ),
        (
            format!("{value}type = \"string\"\npattern = \"(\"\n"),
            "which is no pattern",
            6,
        ),
        (format!("{value}type = \"choice\"\n"), "has no `choices`", 6),
        (
            format!("{value}type = \"integer\"\ndefault = \"1\"\n"),
            "must be a whole number",
            6,
        ),
        (
            format!("{value}type = \"integer\"\nexamples = [1.5]\n"),
            "must be a whole number",
            6,
        ),
        (
            format!("{value}type = \"string\"\ndefault = \"x\"\nfrom = \"x\"\n"),
            "both `default` and `from`",
            6,
        ),
        (
            format!("{value}type = \"string\"\nfrom = \"image.\"\n"),
            "`from` syntax error",
            6,
        ),
        (
            format!("{value}type = \"string\"\nsecret = true\ndefault = \"x\"\n"),
            "which has no default",
            6,
        ),
        (
            format!("{value}type = \"integer\"\nsecret = true\n"),
            "must be a string or a text",
            6,
        ),
        (
            format!("{value}type = \"string\"\n").replace("\"x\"\ndesc", "\"image\"\ndesc"),
            "the name is taken",
            6,
        ),
        (
            format!("{value}type = \"string\"\n").replace("\"x\"\ndesc", "\"a-b\"\ndesc"),
            "cannot be named `a-b`",
            6,
        ),
    ] {
        write(folder.path(), &about, "");
        let templates = Templates::new(&[folder.path().to_owned()]).unwrap();
        let error = templates.get("mine").unwrap_err();
        assert!(error.message().contains(wanted), "{error}");
        assert_eq!(error.place().unwrap().line_column().0, line, "{error}");
    }
    write(folder.path(), &file.replace("\"file\"", "\"gone\""), "");
    let templates = Templates::new(&[folder.path().to_owned()]).unwrap();
    let error = templates.get("mine").unwrap_err();
    assert_eq!(error.place().unwrap().line_column().0, 3, "{error}");
    write(folder.path(), file, "\u{fdd0}");
    assert!(
        templates
            .get("mine")
            .unwrap_err()
            .message()
            .contains("Unicode reserves")
    );
}
