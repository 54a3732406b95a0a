//! How one profile's words go over those of the profiles that it extends.
//!
//! Scalars override; tables merge key by key; lists grow by what is new.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::value::{FreeForm, Settings};

/// Something that a more specific profile can be laid over.
pub(super) trait Merge {
    /// Lays `over` on top: what it says wins.
    fn merge(&mut self, over: Self);
}

impl<T: Merge> Merge for Option<T> {
    fn merge(&mut self, over: Self) {
        match (self.as_mut(), over) {
            (Some(base), Some(over)) => base.merge(over),
            (None, over @ Some(_)) => *self = over,
            (_, None) => {}
        }
    }
}

/// By key: a key's value merges with the value that it had.
impl<K: Ord, V: Merge> Merge for BTreeMap<K, V> {
    fn merge(&mut self, over: Self) {
        for (key, value) in over {
            match self.get_mut(&key) {
                Some(base) => base.merge(value),
                None => {
                    self.insert(key, value);
                }
            }
        }
    }
}

impl Merge for Settings {
    fn merge(&mut self, over: Self) {
        self.0.extend(over.0);
    }
}

impl Merge for FreeForm {
    fn merge(&mut self, over: Self) {
        merge_tables(&mut self.0, over.0);
    }
}

fn merge_tables(base: &mut Map<String, Value>, over: Map<String, Value>) {
    for (key, value) in over {
        match (base.get_mut(&key), value) {
            (Some(Value::Object(base)), Value::Object(over)) => merge_tables(base, over),
            (_, value) => {
                base.insert(key, value);
            }
        }
    }
}

/// Lists grow; what is there already keeps its place. `same` says which two
/// elements are about the same thing: the later one replaces the earlier.
pub(super) fn append<T>(base: &mut Vec<T>, over: Vec<T>, same: impl Fn(&T, &T) -> bool) {
    for item in over {
        match base.iter_mut().find(|known| same(known, &item)) {
            Some(known) => *known = item,
            None => base.push(item),
        }
    }
}

/// Merges the named fields of two values of one struct, each by its own rule.
macro_rules! merge_fields {
    ($base:expr, $over:expr; $($field:ident),* $(,)?) => {
        $(crate::profile::merge::Merge::merge(&mut $base.$field, $over.$field);)*
    };
}

/// Types whose later value simply replaces the earlier.
macro_rules! replace {
    ($($name:ty),* $(,)?) => {$(
        impl crate::profile::merge::Merge for $name {
            fn merge(&mut self, over: Self) {
                *self = over;
            }
        }
    )*};
}

/// Lists of plain values that grow without doubles.
macro_rules! grow {
    ($($name:ty),* $(,)?) => {$(
        impl crate::profile::merge::Merge for Vec<$name> {
            fn merge(&mut self, over: Self) {
                crate::profile::merge::append(self, over, PartialEq::eq);
            }
        }
    )*};
}

pub(super) use {grow, merge_fields, replace};
