//! Checked numbers.

use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, de};

use super::Refusal;

macro_rules! numbers {
    ($($(#[$doc:meta])* $name:ident($inner:ty): $what:literal, $least:literal, $most:literal, $hint:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
        pub struct $name($inner);

        impl $name {
            /// The number.
            #[must_use]
            pub fn get(self) -> $inner {
                self.0
            }
        }

        impl TryFrom<i64> for $name {
            type Error = Refusal;

            fn try_from(number: i64) -> Result<Self, Refusal> {
                <$inner>::try_from(number)
                    .ok()
                    .filter(|_| ($least..=$most).contains(&number))
                    .map(Self)
                    .ok_or_else(|| Refusal::new(format!("{number} is not {}", $what), $hint))
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Visitor;

                impl de::Visitor<'_> for Visitor {
                    type Value = $name;

                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        write!(f, "a number from {} to {}", $least, $most)
                    }

                    fn visit_i64<E: de::Error>(self, number: i64) -> Result<$name, E> {
                        $name::try_from(number).map_err(E::custom)
                    }

                    fn visit_u64<E: de::Error>(self, number: u64) -> Result<$name, E> {
                        $name::try_from(i64::try_from(number).unwrap_or(i64::MAX)).map_err(E::custom)
                    }
                }

                deserializer.deserialize_i64(Visitor)
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({
                    "description": concat!("It is ", $what, "."),
                    "type": "integer",
                    "minimum": $least,
                    "maximum": $most,
                })
            }
        }
    )*};
}

numbers! {
    /// How many layers an image may have. Container runtimes stop at 127.
    LayerLimit(u8): "a number of layers", 2, 127, "2 to 127 are possible; 64 is the default";
    /// How many layers a part of an image may have.
    LayerCount(u8): "a number of layers", 1, 64, "1 to 64 are possible";
    /// How hard to compress: 1 to 19 for zstd, 1 to 9 for gzip.
    CompressionLevel(i32): "a compression level", 1, 19, "zstd has levels 1 to 19, gzip 1 to 9";
    /// A user's or group's number.
    Id(u32): "a user or group number", 0, 4_294_967_293_i64, "system accounts have 1 to 999, people 1000 to 59999";
}
