//! YAML, as Kubernetes' programs read it: texts that YAML 1.1 took for booleans
//! are booleans.

use std::collections::BTreeMap;
use std::ops::Range;

use saphyr_parser::{Event, Parser, ScalarStyle, Span};

use super::{Broken, DEEPEST, MOST_NODES, Node, Value};

pub(super) fn read(source: &str, text: usize) -> Result<Vec<Node>, Broken> {
    let mut reading = Reading {
        text,
        places: Places::new(source),
        open: Vec::new(),
        documents: Vec::new(),
        nodes: 0,
    };
    for event in Parser::new_from_str(source) {
        let (event, span) = event.map_err(|error| {
            let at = reading.places.byte(error.marker().index());
            Broken {
                why: error.info().to_owned(),
                span: at..at,
            }
        })?;
        reading.event(event, span)?;
    }
    Ok(reading.documents)
}

/// From characters, in which the parser counts, to bytes.
struct Places {
    bytes: Option<Vec<usize>>,
    length: usize,
}

impl Places {
    fn new(source: &str) -> Self {
        let bytes = (!source.is_ascii()).then(|| source.char_indices().map(|(at, _)| at).collect());
        Self {
            bytes,
            length: source.len(),
        }
    }

    fn byte(&self, character: usize) -> usize {
        match &self.bytes {
            None => character.min(self.length),
            Some(bytes) => bytes.get(character).copied().unwrap_or(self.length),
        }
    }
}

/// A list or mapping that is not at its end yet.
struct Open {
    start: usize,
    items: Vec<Node>,
    mapping: bool,
}

struct Reading {
    text: usize,
    places: Places,
    open: Vec<Open>,
    documents: Vec<Node>,
    nodes: usize,
}

impl Reading {
    fn event(&mut self, event: Event<'_>, span: Span) -> Result<(), Broken> {
        let span = self.places.byte(span.start.index())..self.places.byte(span.end.index());
        let broken = |why: &str| Broken {
            why: why.into(),
            span: span.clone(),
        };
        match event {
            Event::Alias(_) => return Err(broken("aliases are not read")),
            Event::Scalar(value, style, ..) => {
                let value = match style {
                    ScalarStyle::Plain => plain(&value),
                    _ => Value::Text(value.into_owned()),
                };
                self.put(value, span)?;
            }
            Event::SequenceStart(..) | Event::MappingStart(..) => {
                if self.open.len() >= DEEPEST {
                    return Err(broken("it is nested too deep"));
                }
                self.open.push(Open {
                    start: span.start,
                    items: Vec::new(),
                    mapping: matches!(event, Event::MappingStart(..)),
                });
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let Some(open) = self.open.pop() else {
                    return Err(broken("it ends more than it begins"));
                };
                let whole = open.start..span.end.max(open.start);
                let value = match open.mapping {
                    true => mapping(open.items)?,
                    false => Value::List(open.items),
                };
                self.put(value, whole)?;
            }
            _ => {}
        }
        Ok(())
    }

    fn put(&mut self, value: Value, span: Range<usize>) -> Result<(), Broken> {
        self.nodes += 1;
        if self.nodes > MOST_NODES {
            return Err(Broken {
                why: "it has too many values".into(),
                span,
            });
        }
        let node = Node {
            text: self.text,
            key: span.clone(),
            span,
            value,
        };
        match self.open.last_mut() {
            Some(open) => open.items.push(node),
            None => self.documents.push(node),
        }
        Ok(())
    }
}

/// Keys and values by turns. Kubernetes' programs refuse a key that comes twice.
fn mapping(items: Vec<Node>) -> Result<Value, Broken> {
    let mut table = BTreeMap::new();
    let mut items = items.into_iter();
    while let (Some(key), Some(mut value)) = (items.next(), items.next()) {
        let name = key.shown();
        value.key = key.span.clone();
        if table.insert(name.clone(), value).is_some() {
            return Err(Broken {
                why: format!("the key `{name}` comes twice"),
                span: key.span,
            });
        }
    }
    Ok(Value::Table(table))
}

fn plain(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "true" | "True" | "TRUE" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" => {
            Value::Boolean(true)
        }
        "false" | "False" | "FALSE" | "no" | "No" | "NO" | "off" | "Off" | "OFF" => {
            Value::Boolean(false)
        }
        _ => text
            .parse()
            .map_or_else(|_| Value::Text(text.to_owned()), Value::Integer),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_have_places() {
        let source = "# Főnök\nkind: KubeletConfiguration\ncgroupDriver: \"systemd\"\nlist: [1, yes]\n---\na:\n- b: c\n";
        let documents = read(source, 3).unwrap();
        assert_eq!(documents.len(), 2);
        let driver = documents[0].get("cgroupDriver").unwrap();
        assert_eq!((driver.text(), driver.text), (Some("systemd"), 3));
        assert_eq!(&source[driver.span.clone()], "\"systemd\"");
        assert_eq!(&source[driver.key.clone()], "cgroupDriver");
        let list = documents[0].get("list").unwrap();
        assert!(list.items()[0].integer() == Some(1) && list.items()[1].is(true));
        assert_eq!(
            documents[1].get("a").unwrap().items()[0]
                .get("b")
                .unwrap()
                .text(),
            Some("c")
        );
    }

    #[test]
    fn hostile_files_are_refused() {
        for source in [
            "a: &a [x, x]\nb: *a\n".to_owned(),
            "[".repeat(100_000),
            format!("[{}]", "1,".repeat(200_000)),
            "a: 1\na: 2\n".to_owned(),
            "a: b: c".to_owned(),
            "\"".to_owned(),
        ] {
            assert!(
                read(&source, 0).is_err(),
                "{}",
                &source[..source.len().min(20)]
            );
        }
        assert!(read("", 0).unwrap().is_empty());
    }
}
