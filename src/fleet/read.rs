//! From what kubectl prints to a [`Cluster`].
//!
//! JSON or YAML; a List, a single object, or several documents one after the other; kinds
//! may be mixed, and those that say nothing here are passed over. Unknown fields are
//! passed over too, and depth is bounded by both readers. The same object may come
//! several times: the one with the highest `resourceVersion` counts, so the order of
//! files does not matter.

mod wire;

use std::collections::BTreeMap;

use serde::Deserialize as _;

use super::objects::Cluster;
use crate::error::{Error, Kind, Result};
use wire::Item;

/// Lists within lists are read as deep as this.
const DEEPEST: usize = 8;

impl Cluster {
    /// Adds the objects of a text; `name` is what messages call it.
    ///
    /// # Errors
    /// [`Kind::Usage`] for what is neither JSON nor YAML, has a field of the wrong type, or
    /// names a node as no node can be named.
    pub fn add(&mut self, text: &str, name: &str) -> Result<()> {
        let refuse = |why: String| {
            Error::new(Kind::Usage, format!("reading `{name}`: {why}"))
                .hint("it should be what `kubectl get nodes,pods,pdb,pv -A -o json` prints")
        };
        let items = documents(text).map_err(refuse)?;
        for item in items {
            self.take(item, DEEPEST).map_err(refuse)?;
        }
        Ok(())
    }

    /// What a text holds, alone.
    ///
    /// # Errors
    /// As for [`Cluster::add`].
    pub fn parse(text: &str, name: &str) -> Result<Self> {
        let mut cluster = Self::default();
        cluster.add(text, name)?;
        Ok(cluster)
    }

    fn take(&mut self, item: Item, depth: usize) -> Result<(), String> {
        match item.kind.as_deref().unwrap_or_default() {
            kind if kind.ends_with("List") => {
                let depth = depth.checked_sub(1).ok_or("lists are nested too deep")?;
                // A NodeList's items need not say their kind.
                let inner = kind.strip_suffix("List").filter(|kind| !kind.is_empty());
                for mut one in item.items.unwrap_or_default() {
                    if let (None, Some(kind)) = (&one.kind, inner) {
                        one.kind = Some(kind.to_owned());
                    }
                    self.take(one, depth)?;
                }
            }
            "Node" => {
                let node = item.node()?;
                newest(&mut self.nodes, node.name.clone(), node);
            }
            "Pod" => {
                let (key, pod) = item.pod()?;
                newest(&mut self.pods, key, pod);
            }
            "PodDisruptionBudget" => {
                let (key, budget) = item.budget()?;
                newest(&mut self.budgets, key, budget);
            }
            "PersistentVolume" => {
                if let Some((claim, volume)) = item.local_volume()? {
                    newest(&mut self.local_volumes, claim, volume);
                }
            }
            "" => return Err("an object has no `kind`".into()),
            _ => {}
        }
        Ok(())
    }
}

/// Keeps the greater: objects order by their revision first.
fn newest<K: Ord, V: Ord>(map: &mut BTreeMap<K, V>, key: K, value: V) {
    match map.get_mut(&key) {
        Some(known) if *known >= value => {}
        Some(known) => *known = value,
        None => {
            map.insert(key, value);
        }
    }
}

/// The documents of a text. JSON begins with a brace; all else is taken for YAML.
fn documents(text: &str) -> Result<Vec<Item>, String> {
    let text = text.trim_start_matches('\u{feff}');
    if text.trim_start().starts_with('{') {
        let mut items = Vec::new();
        for item in serde_json::Deserializer::from_str(text).into_iter::<Item>() {
            items.push(item.map_err(|error| error.to_string())?);
        }
        return Ok(items);
    }
    let items = serde_saphyr::from_multiple::<Option<Item>>(text);
    let items = items.map_err(|error| {
        let why = error.to_string();
        // Its further lines are a picture of the place.
        why.lines().next().unwrap_or_default().to_owned()
    })?;
    let items: Vec<_> = items.into_iter().flatten().collect();
    match items.is_empty() {
        true => Err("there is nothing in it".into()),
        false => Ok(items),
    }
}

/// Reads `null` as if the field were not there.
fn or_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Default + serde::Deserialize<'de>,
{
    Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
}
