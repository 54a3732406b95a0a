//! Values whose type is open: a setting's text or number, and free-form tables.

use std::collections::BTreeMap;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, de};
use serde_json::{Map, Value};

use super::text::SysctlKey;

/// A text, number or boolean, kept as the text that goes into a file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Scalar(String);

impl Scalar {
    /// The text that goes into a file.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

struct ScalarVisitor;

impl de::Visitor<'_> for ScalarVisitor {
    type Value = Scalar;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text, number or boolean")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Scalar, E> {
        if text.contains(|c: char| c.is_control() && c != '\t') {
            return Err(E::custom("the value spans several lines"));
        }
        Ok(Scalar(text.to_owned()))
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Scalar, E> {
        Ok(Scalar(number.to_string()))
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<Scalar, E> {
        Ok(Scalar(number.to_string()))
    }

    fn visit_bool<E: de::Error>(self, truth: bool) -> Result<Scalar, E> {
        Ok(Scalar(truth.to_string()))
    }
}

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ScalarVisitor)
    }
}

impl JsonSchema for Scalar {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Scalar".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "It is a text, number or boolean.",
            "type": ["string", "number", "boolean"],
        })
    }
}

/// Kernel settings by name. TOML reads `net.ipv4.ip_forward = 1` as nested
/// tables; they mean the same as `"net.ipv4.ip_forward" = 1`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Settings(pub BTreeMap<SysctlKey, Scalar>);

/// Collects nested tables under their joined names.
struct SettingsVisitor<'a> {
    prefix: &'a str,
    settings: &'a mut BTreeMap<SysctlKey, Scalar>,
}

impl<'de> de::DeserializeSeed<'de> for SettingsVisitor<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl SettingsVisitor<'_> {
    fn keep<E: de::Error>(self, value: Result<Scalar, E>) -> Result<(), E> {
        let key: SysctlKey = self.prefix.parse().map_err(E::custom)?;
        self.settings.insert(key, value?);
        Ok(())
    }
}

impl<'de> de::Visitor<'de> for SettingsVisitor<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("kernel settings, each a text or a number")
    }

    fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<String>()? {
            let name = match self.prefix {
                "" => key,
                prefix => format!("{prefix}.{key}"),
            };
            map.next_value_seed(SettingsVisitor {
                prefix: &name,
                settings: self.settings,
            })?;
        }
        Ok(())
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<(), E> {
        self.keep(de::Visitor::visit_str(ScalarVisitor, text))
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<(), E> {
        self.keep(de::Visitor::visit_i64(ScalarVisitor, number))
    }
}

impl<'de> Deserialize<'de> for Settings {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut settings = BTreeMap::new();
        deserializer.deserialize_any(SettingsVisitor {
            prefix: "",
            settings: &mut settings,
        })?;
        Ok(Self(settings))
    }
}

impl JsonSchema for Settings {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Settings".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let nested = generator.subschema_for::<Self>();
        json_schema!({
            "description": "Kernel settings by name; dots may nest.",
            "type": "object",
            "propertyNames": { "pattern": r"^[A-Za-z0-9_*./-]+$" },
            "additionalProperties": {
                "anyOf": [{ "type": ["string", "integer"] }, nested],
            },
            "examples": [{ "net.ipv4.ip_forward": 1 }],
        })
    }
}

/// A table that is passed on as it is: settings that Nodelith has no key for.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct FreeForm(pub Map<String, Value>);

impl FreeForm {
    /// Whether nothing was given.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<'de> Deserialize<'de> for FreeForm {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl<'de> de::Visitor<'de> for Visitor {
            type Value = FreeForm;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a table")
            }

            fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<FreeForm, A::Error> {
                let mut table = Map::new();
                while let Some((key, Mixed(value))) = map.next_entry::<String, Mixed>()? {
                    table.insert(key, value);
                }
                Ok(FreeForm(table))
            }
        }

        deserializer.deserialize_any(Visitor)
    }
}

impl JsonSchema for FreeForm {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "FreeForm".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "object" })
    }
}

/// Any value that has the same meaning in TOML, JSON and YAML: no dates, no
/// infinities.
pub struct Mixed(pub Value);

impl<'de> Deserialize<'de> for Mixed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Mixed;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Mixed, E> {
                Ok(Mixed(text.into()))
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Mixed, E> {
                Ok(Mixed(number.into()))
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Mixed, E> {
                Ok(Mixed(number.into()))
            }

            fn visit_f64<E: de::Error>(self, number: f64) -> Result<Mixed, E> {
                serde_json::Number::from_f64(number)
                    .map(|number| Mixed(Value::Number(number)))
                    .ok_or_else(|| E::custom("a number must be finite"))
            }

            fn visit_bool<E: de::Error>(self, truth: bool) -> Result<Mixed, E> {
                Ok(Mixed(truth.into()))
            }

            fn visit_seq<A: de::SeqAccess<'de>>(self, mut seq: A) -> Result<Mixed, A::Error> {
                let mut values = Vec::new();
                while let Some(Mixed(value)) = seq.next_element()? {
                    values.push(value);
                }
                Ok(Mixed(Value::Array(values)))
            }

            fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<Mixed, A::Error> {
                let mut table = Map::new();
                while let Some(key) = map.next_key::<String>()? {
                    // The name under which the `toml` crate hands dates on.
                    if key.starts_with("$__toml") {
                        return Err(de::Error::custom(
                            "a date has no meaning here\u{1f}write it in quotes",
                        ));
                    }
                    let Mixed(value) = map.next_value()?;
                    table.insert(key, value);
                }
                Ok(Mixed(Value::Object(table)))
            }
        }

        deserializer.deserialize_any(Visitor)
    }
}
