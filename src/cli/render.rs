//! `nodelith render`: what provisions machines, of an image.

use std::path::Path;

use serde_json::{Value, json};

use super::args::Render;
use super::registry::{self, Needs};
use super::{Context, Outcome, print};
use crate::digest::Digest;
use crate::error::{Error, Kind, Result};
use crate::render::facts::{self, Facts};
use crate::render::given::Given;
use crate::render::values::{Default, Definition};
use crate::render::{Rendered, Template, Templates, eject, render, schema, write};
use crate::report::{Table, counted};

pub(super) fn run(context: &Context, arguments: &Render) -> Result<Outcome> {
    let templates = Templates::new(&arguments.templates)?;
    let Some(names) = &arguments.template else {
        return list(context, &templates.all()?);
    };
    let chosen: Vec<Template> = names
        .split(',')
        .map(|name| templates.get(name))
        .collect::<Result<_>>()?;
    if arguments.list {
        return describe(context, &chosen);
    }
    if arguments.schema {
        let [template] = chosen.as_slice() else {
            let message = "`--schema` is of one template";
            return Err(Error::new(Kind::Usage, message).hint("ask for one after the other"));
        };
        print(&format!("{:#}", schema(template)))?;
        return Ok(Outcome::Done);
    }
    if let Some(folder) = &arguments.eject {
        for template in &chosen {
            eject(template, folder)?;
            let to = folder.join(&template.name);
            context.report.note(&format!("wrote `{}`", to.display()));
        }
        return Ok(Outcome::Done);
    }
    let mut given = Given::for_templates(&chosen);
    for file in &arguments.values {
        given.file(file)?;
    }
    for text in &arguments.set {
        given.set(text)?;
    }
    for text in &arguments.set_file {
        given.set_file(text)?;
    }
    let image = arguments.image.as_deref().unwrap_or_default();
    let files = render(&chosen, &facts_of(context, arguments, image)?, &given)?;
    hand_out(context, arguments, &files)?;
    Ok(Outcome::Done)
}

fn facts_of(context: &Context, arguments: &Render, image: &str) -> Result<Facts> {
    if facts::is_bundle(Path::new(image)) {
        return Facts::of_bundle(Path::new(image));
    }
    let image = registry::open(
        context,
        image,
        arguments.arch.as_deref(),
        &arguments.registry,
        Needs::Metadata,
    )?;
    Ok(Facts::of_image(&image))
}

/// Into a folder, or one to standard output.
fn hand_out(context: &Context, arguments: &Render, files: &[Rendered]) -> Result<()> {
    let folder = arguments.output.as_deref();
    if let Some(folder) = folder {
        write(folder, files)?;
    }
    if context.global.json {
        let json = json!({
            "schema": "nodelith.render", "version": 1, "output": folder,
            "files": files.iter().map(|file| of_file(file, folder)).collect::<Value>(),
        });
        return print(&format!("{json:#}"));
    }
    match (folder, files) {
        (Some(folder), _) => {
            for file in files {
                print(&folder.join(&file.name).display().to_string())?;
            }
            Ok(())
        }
        (None, [only]) => print(only.text.strip_suffix('\n').unwrap_or(&only.text)),
        (None, several) => {
            let names: Vec<_> = several
                .iter()
                .map(|file| format!("`{}`", file.name))
                .collect();
            let message = format!(
                "this makes {}: {}",
                counted(several.len(), "file"),
                names.join(", ")
            );
            Err(Error::new(Kind::Usage, message).hint("give a folder for them with `--output DIR`"))
        }
    }
}

fn of_file(file: &Rendered, folder: Option<&Path>) -> Value {
    let content = folder.is_none().then_some(&file.text);
    json!({
        "template": file.template, "name": file.name, "format": file.format.name(),
        "size": file.text.len(), "digest": Digest::of(file.text.as_bytes()),
        "secret": file.secret, "content": content,
    })
}

fn list(context: &Context, templates: &[Template]) -> Result<Outcome> {
    let mut table = Table::new(&["TEMPLATE", "FILES", "DESCRIPTION"]);
    for template in templates {
        let files: Vec<_> = template.files.iter().map(|file| &*file.name).collect();
        table.row([&template.name, &files.join(" "), &template.description]);
    }
    let json = json!({
        "schema": "nodelith.templates", "version": 1,
        "templates": templates.iter().map(of_template).collect::<Value>(),
    });
    context.print(&json, &table.render())?;
    Ok(Outcome::Done)
}

/// The values of templates.
fn describe(context: &Context, templates: &[Template]) -> Result<Outcome> {
    let mut texts = Vec::new();
    for template in templates {
        let mut table = Table::new(&["VALUE", "TYPE", "DEFAULT", "DESCRIPTION"]);
        for value in &template.values {
            table.row([
                value.name.as_str(),
                value.kind.name(),
                &default(value),
                &value.description,
            ]);
        }
        texts.push(format!("{}: {}", template.name, template.description));
        texts.push(table.render());
    }
    let json = json!({
        "schema": "nodelith.templates", "version": 1,
        "templates": templates.iter().map(of_template).collect::<Value>(),
    });
    context.print(&json, &texts.join("\n\n"))?;
    Ok(Outcome::Done)
}

fn default(value: &Definition) -> String {
    match &value.default {
        Default::Value(Value::String(text)) => text.clone(),
        Default::Value(value) => value.to_string(),
        Default::From(_) => "the image's".into(),
        Default::None if value.required => "(must be given)".into(),
        Default::None => "-".into(),
    }
}

fn of_template(template: &Template) -> Value {
    let values = template.values.iter().map(|value| {
        let (default, from) = match &value.default {
            Default::None => (Value::Null, None),
            Default::Value(value) => (value.clone(), None),
            Default::From(expression) => (Value::Null, Some(expression)),
        };
        json!({
            "name": value.name, "type": value.kind.name(), "description": value.description,
            "default": default, "from": from, "required": value.required,
            "secret": value.secret, "examples": value.examples,
        })
    });
    let files = template.files.iter();
    let files = files.map(|file| json!({"name": file.name, "format": file.format.name()}));
    json!({
        "name": template.name, "description": template.description,
        "sources": template.sources, "files": files.collect::<Value>(),
        "values": values.collect::<Value>(),
    })
}
