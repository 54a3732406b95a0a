//! TOML.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{Broken, DEEPEST, MOST_NODES, Node, Value};

pub(super) fn read(source: &str, text: usize) -> Result<Node, Broken> {
    let table = DeTable::parse(source).map_err(|error| Broken {
        why: error
            .message()
            .lines()
            .next()
            .unwrap_or_default()
            .to_owned(),
        span: error.span().unwrap_or_default(),
    })?;
    let mut reading = Reading { text, nodes: 0 };
    let value = reading.table(table.get_ref(), 0)?;
    Ok(Node {
        text,
        key: 0..0,
        span: table.span(),
        value,
    })
}

struct Reading {
    text: usize,
    nodes: usize,
}

impl Reading {
    fn table(&mut self, table: &DeTable<'_>, depth: usize) -> Result<Value, Broken> {
        let mut read = std::collections::BTreeMap::new();
        for (key, value) in table {
            let node = self.node(value, key.span(), depth + 1)?;
            read.insert(key.get_ref().to_string(), node);
        }
        Ok(Value::Table(read))
    }

    fn node(
        &mut self,
        value: &Spanned<DeValue<'_>>,
        key: std::ops::Range<usize>,
        depth: usize,
    ) -> Result<Node, Broken> {
        self.nodes += 1;
        if depth > DEEPEST || self.nodes > MOST_NODES {
            return Err(Broken {
                why: "it has too many values, or they are nested too deep".into(),
                span: value.span(),
            });
        }
        let span = value.span();
        let value = match value.get_ref() {
            DeValue::String(text) => Value::Text(text.to_string()),
            DeValue::Integer(number) => {
                let digits: String = number.as_str().chars().filter(|c| *c != '_').collect();
                i64::from_str_radix(&digits, number.radix())
                    .map_or_else(|_| Value::Other(number.as_str().to_owned()), Value::Integer)
            }
            DeValue::Float(number) => Value::Other(number.as_str().to_owned()),
            DeValue::Boolean(value) => Value::Boolean(*value),
            DeValue::Datetime(date) => Value::Other(date.to_string()),
            DeValue::Array(items) => Value::List(
                items
                    .iter()
                    .map(|item| self.node(item, item.span(), depth + 1))
                    .collect::<Result<_, _>>()?,
            ),
            DeValue::Table(table) => self.table(table, depth)?,
        };
        Ok(Node {
            text: self.text,
            key,
            span,
            value,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_have_places() {
        let source = "version = 2\n[plugins.\"a.b\"]\nlist = [\"x\", 'y']\nhex = 0x1_0\n";
        let node = read(source, 7).unwrap();
        let version = node.get("version").unwrap();
        assert_eq!((version.integer(), version.text), (Some(2), 7));
        let list = node.at(&["plugins", "a.b", "list"]).unwrap();
        assert_eq!(list.shown(), "x, y");
        assert_eq!(&source[list.items()[1].span.clone()], "'y'");
        assert_eq!(&source[list.key.clone()], "list");
        assert_eq!(
            node.at(&["plugins", "a.b", "hex"]).unwrap().integer(),
            Some(16)
        );
    }

    #[test]
    fn broken_files_say_where() {
        let broken = read("version = 2\nx = [1\n", 0).unwrap_err();
        assert!(broken.span.start >= 12, "{broken:?}");
        assert!(read(&format!("x = {}", "[".repeat(100_000)), 0).is_err());
        assert!(read(&format!("x = [{}]", "1,".repeat(200_000)), 0).is_err());
    }
}
