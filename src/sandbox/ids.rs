//! Subordinate ids (subuid(5), subgid(5)) and the maps of user namespaces (`user_namespaces(7)`).

use std::collections::BTreeSet;

/// How many ids a Debian root needs: 0 to 65535.
pub const NEEDED: u32 = 65_536;

/// Where root maps ids when it has no subordinate ids of its own.
pub const ROOT_DEFAULT: Range = Range {
    start: 100_000,
    count: NEEDED,
};

/// A range of ids outside of the namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Range {
    /// The first id.
    pub start: u32,
    /// How many ids.
    pub count: u32,
}

impl Range {
    fn end(self) -> u32 {
        self.start.saturating_add(self.count)
    }
}

/// One line of `/proc/PID/uid_map`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// The first id inside.
    pub inside: u32,
    /// The id outside that it stands for.
    pub outside: u32,
    /// How many ids.
    pub count: u32,
}

/// The ranges that `text`, in the format of subuid(5), gives to any of `owners`
/// (a login name or a number). Lines that cannot be read are passed over, as newuidmap does.
pub fn subordinate(text: &str, owners: &[String]) -> Vec<Range> {
    let mut found = BTreeSet::new();
    for (owner, range) in lines(text) {
        if range.count > 0 && owners.iter().any(|name| name == owner) {
            found.insert(range);
        }
    }
    found.into_iter().collect()
}

/// The first id at or above 100000 from which on nobody in `text` has any.
pub fn first_free(text: &str) -> u32 {
    lines(text)
        .map(|(_, range)| range.end())
        .fold(ROOT_DEFAULT.start, u32::max)
}

fn lines(text: &str) -> impl Iterator<Item = (&str, Range)> {
    text.lines().filter_map(|line| {
        let mut fields = line.trim().splitn(3, ':');
        let owner = fields.next().filter(|name| !name.is_empty())?;
        let start = fields.next()?.trim().parse().ok()?;
        let count = fields.next()?.trim().parse().ok()?;
        Some((owner, Range { start, count }))
    })
}

/// The map of a namespace whose id 0 is `own` outside and whose other ids come
/// from `ranges`; none if there are too few of them.
pub fn map(own: u32, ranges: &[Range]) -> Option<Vec<Extent>> {
    let mut extents = vec![Extent {
        inside: 0,
        outside: own,
        count: 1,
    }];
    let mut next = 1;
    for range in ranges {
        // No id outside may be mapped twice.
        for piece in without(*range, own) {
            let count = piece.count.min(NEEDED - next);
            if count > 0 {
                extents.push(Extent {
                    inside: next,
                    outside: piece.start,
                    count,
                });
                next += count;
            }
        }
    }
    (next == NEEDED).then_some(extents)
}

fn without(range: Range, id: u32) -> Vec<Range> {
    if id < range.start || id >= range.end() {
        return vec![range];
    }
    let before = Range {
        start: range.start,
        count: id - range.start,
    };
    let after = Range {
        start: id + 1,
        count: range.end() - id - 1,
    };
    [before, after]
        .into_iter()
        .filter(|range| range.count > 0)
        .collect()
}

/// Reads `/proc/PID/uid_map`.
pub fn parse_map(text: &str) -> Vec<Extent> {
    text.lines()
        .filter_map(|line| {
            let mut numbers = line.split_whitespace().map(str::parse);
            Some(Extent {
                inside: numbers.next()?.ok()?,
                outside: numbers.next()?.ok()?,
                count: numbers.next()?.ok()?,
            })
        })
        .collect()
}

/// Whether every id from `start` on, `count` of them, exists in the namespace of `map`.
pub fn covers(map: &[Extent], start: u32, count: u32) -> bool {
    let mut next = start;
    let end = start.saturating_add(count);
    while next < end {
        let holder = map
            .iter()
            .find(|extent| extent.inside <= next && next - extent.inside < extent.count);
        match holder {
            Some(extent) => next = extent.inside.saturating_add(extent.count),
            None => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(start: u32, count: u32) -> Range {
        Range { start, count }
    }

    #[test]
    fn ranges_go_by_name_or_number() {
        let text =
            "alice:100000:65536\nbob:165536:65536\n1000:300000:10\nbroken\nalice:x:1\nalice:5:0\n";
        let owners = ["alice".to_owned(), "1000".to_owned()];
        assert_eq!(
            subordinate(text, &owners),
            [range(100_000, 65_536), range(300_000, 10)]
        );
        assert_eq!(subordinate(text, &[]), []);
        assert_eq!(first_free(text), 300_010);
        assert_eq!(first_free(""), 100_000);
    }

    #[test]
    fn maps_start_with_the_own_id() {
        let extents = map(1000, &[range(100_000, 65_536)]).unwrap();
        assert_eq!(
            (extents[0].inside, extents[0].outside, extents[0].count),
            (0, 1000, 1)
        );
        assert_eq!(
            (extents[1].inside, extents[1].outside, extents[1].count),
            (1, 100_000, 65_535)
        );
        assert_eq!(extents.len(), 2);
    }

    #[test]
    fn several_ranges_add_up() {
        let extents = map(1000, &[range(5000, 5), range(100_000, 65_530)]).unwrap();
        assert_eq!(extents[2].inside, 6);
        assert_eq!(
            extents.iter().map(|extent| extent.count).sum::<u32>(),
            NEEDED
        );
        assert!(map(1000, &[range(5000, 5), range(100_000, 65_529)]).is_none());
        assert!(map(1000, &[]).is_none());
    }

    #[test]
    fn the_own_id_inside_a_range_is_not_mapped_twice() {
        let extents = map(100_002, &[range(100_000, 65_536)]).unwrap();
        assert_eq!(extents[1].outside, 100_000);
        assert_eq!(extents[1].count, 2);
        assert_eq!(extents[2].outside, 100_003);
        assert_eq!(
            extents.iter().map(|extent| extent.count).sum::<u32>(),
            NEEDED
        );
    }

    #[test]
    fn coverage_joins_extents() {
        let map = parse_map("         0       1000          1\n         1     100000      65536\n");
        assert!(covers(&map, 0, 65_537));
        assert!(!covers(&map, 0, 65_538));
        assert!(!covers(&map, 100_000, 1));
        assert!(covers(&parse_map("0 0 4294967295"), 100_000, 65_536));
        assert!(!covers(&parse_map("rubbish"), 0, 1));
    }
}
