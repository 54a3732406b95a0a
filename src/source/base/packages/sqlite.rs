//! Reads the rows of a table of an SQLite database (its file format,
//! "Database File Format"): just what the rpm database needs. Nothing is
//! written, no index is used, a write-ahead log is not looked at.

/// The deepest tree, and the most pages that are visited.
const DEEPEST: usize = 20;
const MOST_PAGES: usize = 100_000;
/// The longest row, in bytes.
const LONGEST_ROW: usize = 32 << 20;

/// A value of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    Null,
    Integer(i64),
    Bytes(Vec<u8>),
}

/// An opened database.
pub(super) struct Database<'a> {
    bytes: &'a [u8],
    page: usize,
    usable: usize,
}

type Result<T> = std::result::Result<T, String>;

impl<'a> Database<'a> {
    pub(super) fn open(bytes: &'a [u8]) -> Result<Self> {
        if !bytes.starts_with(b"SQLite format 3\0") {
            return Err("it is not an SQLite database".into());
        }
        let size = match big(bytes, 16, 2)? {
            1 => 65536,
            size => size,
        };
        let reserved = usize::from(*bytes.get(20).ok_or_else(short)?);
        if !size.is_power_of_two() || size < 512 || reserved > 64 {
            return Err("its pages have no possible size".into());
        }
        Ok(Self {
            bytes,
            page: size,
            usable: size - reserved,
        })
    }

    /// Calls `each` with every row of the table of that name.
    pub(super) fn rows(
        &self,
        table: &str,
        each: &mut dyn FnMut(Vec<Value>) -> Result<()>,
    ) -> Result<()> {
        let mut root = None;
        let mut pages = 0;
        self.walk(1, 0, &mut pages, &mut |row| {
            // type, name, tbl_name, rootpage, sql
            if let [
                Value::Bytes(kind),
                Value::Bytes(name),
                _,
                Value::Integer(page),
                ..,
            ] = &row[..]
                && kind == b"table"
                && name == table.as_bytes()
            {
                root = usize::try_from(*page).ok();
            }
            Ok(())
        })?;
        let root = root.ok_or_else(|| format!("it has no table `{table}`"))?;
        self.walk(root, 0, &mut pages, each)
    }

    fn page(&self, number: usize) -> Result<&'a [u8]> {
        let start = number
            .checked_sub(1)
            .and_then(|number| number.checked_mul(self.page));
        let page = start.and_then(|start| self.bytes.get(start..start.checked_add(self.page)?));
        page.ok_or_else(short)
    }

    fn walk(
        &self,
        number: usize,
        depth: usize,
        pages: &mut usize,
        each: &mut dyn FnMut(Vec<Value>) -> Result<()>,
    ) -> Result<()> {
        *pages += 1;
        if depth > DEEPEST || *pages > MOST_PAGES {
            return Err("it has too many pages".into());
        }
        let page = self.page(number)?;
        // The first page begins with the database's own header.
        let head = if number == 1 { 100 } else { 0 };
        let kind = *page.get(head).ok_or_else(short)?;
        let cells = big(page, head + 3, 2)?;
        let pointers = head + if kind == 5 { 12 } else { 8 };
        for cell in 0..cells {
            let at = big(page, pointers + 2 * cell, 2)?;
            match kind {
                5 => self.walk(big(page, at, 4)?, depth + 1, pages, each)?,
                13 => each(self.row(page, at)?)?,
                _ => return Err("a page is of an unknown kind".into()),
            }
        }
        if kind == 5 {
            self.walk(big(page, head + 8, 4)?, depth + 1, pages, each)?;
        }
        Ok(())
    }

    fn row(&self, page: &[u8], at: usize) -> Result<Vec<Value>> {
        let (length, at) = varint(page, at)?;
        let (_, at) = varint(page, at)?;
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        if length > LONGEST_ROW {
            return Err("a row is too long".into());
        }
        // "B-tree Cell Payload", for leaves of tables.
        let most = self.usable - 35;
        if length <= most {
            let end = at.checked_add(length).ok_or_else(short)?;
            return record(page.get(at..end).ok_or_else(short)?);
        }
        let least = (self.usable - 12) * 32 / 255 - 23;
        let here = least + (length - least) % (self.usable - 4);
        let here = if here <= most { here } else { least };
        let end = at.checked_add(here).ok_or_else(short)?;
        let mut payload = page.get(at..end).ok_or_else(short)?.to_vec();
        let mut next = big(page, end, 4)?;
        while payload.len() < length {
            let page = self.page(next)?;
            next = big(page, 0, 4)?;
            let part = page.get(4..self.usable).ok_or_else(short)?;
            let wanted = part.len().min(length - payload.len());
            payload.extend_from_slice(&part[..wanted]);
        }
        record(&payload)
    }
}

/// "Record Format".
fn record(bytes: &[u8]) -> Result<Vec<Value>> {
    let (head, mut at) = varint(bytes, 0)?;
    let head = usize::try_from(head).unwrap_or(usize::MAX);
    if head > bytes.len() {
        return Err(short());
    }
    let mut body = head;
    let mut values = Vec::new();
    while at < head {
        let (kind, next) = varint(bytes, at)?;
        at = next;
        let width = match kind {
            0 | 8 | 9 => 0,
            1..=4 => kind as usize,
            5 => 6,
            6 | 7 => 8,
            kind if kind >= 12 => usize::try_from((kind - 12) / 2).unwrap_or(usize::MAX),
            _ => return Err("a value is of an unknown kind".into()),
        };
        let end = body.checked_add(width).ok_or_else(short)?;
        let part = bytes.get(body..end).ok_or_else(short)?;
        body = end;
        values.push(match kind {
            0 | 7 => Value::Null,
            8 => Value::Integer(0),
            9 => Value::Integer(1),
            1..=6 => {
                let negative = part[0] & 0x80 != 0;
                let start: i64 = if negative { -1 } else { 0 };
                let number = part
                    .iter()
                    .fold(start, |number, &byte| number << 8 | i64::from(byte));
                Value::Integer(number)
            }
            _ => Value::Bytes(part.to_vec()),
        });
    }
    Ok(values)
}

/// A big-endian number.
fn big(bytes: &[u8], at: usize, width: usize) -> Result<usize> {
    let end = at.checked_add(width).ok_or_else(short)?;
    let part = bytes.get(at..end).ok_or_else(short)?;
    Ok(part
        .iter()
        .fold(0, |number, &byte| number << 8 | usize::from(byte)))
}

fn varint(bytes: &[u8], at: usize) -> Result<(u64, usize)> {
    let mut number = 0u64;
    for place in 0..9 {
        let byte = *bytes.get(at + place).ok_or_else(short)?;
        if place == 8 {
            return Ok((number << 8 | u64::from(byte), at + 9));
        }
        number = number << 7 | u64::from(byte & 0x7f);
        if byte < 0x80 {
            return Ok((number, at + place + 1));
        }
    }
    Err(short())
}

fn short() -> String {
    "it ends too early".into()
}
