//! The names and versions of packages in rpm's database, where that is an SQLite
//! file. Each row of `Packages` is a header ("RPM Package File Structure"): a
//! list of tags, and a store of their values.

use std::collections::BTreeMap;

use super::sqlite::{Database, Value};

const NAME: u32 = 1000;
const VERSION: u32 = 1001;
const RELEASE: u32 = 1002;
const EPOCH: u32 = 1003;
const INTEGER: u32 = 4;
const TEXT: u32 = 6;
const MOST_TAGS: usize = 10_000;

pub(super) fn packages(bytes: &[u8]) -> Result<BTreeMap<String, String>, String> {
    let mut packages = BTreeMap::new();
    Database::open(bytes)?.rows("Packages", &mut |row| {
        if let Some(Value::Bytes(header)) = row.last()
            && let Some((name, version)) = header_of(header)
        {
            packages.insert(name, version);
        }
        Ok(())
    })?;
    Ok(packages)
}

/// A header's name and version.
fn header_of(bytes: &[u8]) -> Option<(String, String)> {
    let number = |at: usize| -> Option<u32> {
        let part = bytes.get(at..at.checked_add(4)?)?;
        Some(u32::from_be_bytes(part.try_into().ok()?))
    };
    let tags = usize::try_from(number(0)?)
        .ok()
        .filter(|tags| *tags <= MOST_TAGS)?;
    let store = bytes.get(8 + 16 * tags..)?;
    let mut texts: BTreeMap<u32, &str> = BTreeMap::new();
    let mut epoch = None;
    for tag in 0..tags {
        let at = 8 + 16 * tag;
        let (tag, kind, offset) = (number(at)?, number(at + 4)?, number(at + 8)? as usize);
        if tag == EPOCH && kind == INTEGER {
            epoch = store
                .get(offset..offset.checked_add(4)?)
                .and_then(|part| part.try_into().ok());
        } else if matches!(tag, NAME | VERSION | RELEASE) && kind == TEXT {
            let rest = store.get(offset..)?;
            let end = rest.iter().position(|&byte| byte == 0)?;
            texts.insert(tag, std::str::from_utf8(&rest[..end]).ok()?);
        }
    }
    let (name, version) = (texts.get(&NAME)?, texts.get(&VERSION)?);
    let release = texts.get(&RELEASE).map_or("", |release| release);
    let epoch = epoch.map(u32::from_be_bytes).filter(|epoch| *epoch > 0);
    let epoch = epoch.map(|epoch| format!("{epoch}:")).unwrap_or_default();
    Some(((*name).to_owned(), format!("{epoch}{version}-{release}")))
}
