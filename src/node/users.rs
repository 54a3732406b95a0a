//! Users: what `useradd` would write, with a fixed date of the last change.
//!
//! passwd(5), group(5), shadow(5), gshadow(5), subuid(5).

use std::collections::{BTreeMap, BTreeSet};

use super::draft::{Access, Draft};
use crate::error::Result;
use crate::profile::explain::nearest;
use crate::profile::file::User;
use crate::profile::value::{Id, UserName};
use crate::tree::{FIXED_TIME, Node};

/// The day of the last password change: the fixed time, in days. A real date
/// would differ from build to build.
const LAST_CHANGE: i64 = FIXED_TIME / 86_400;

/// The numbers of one kind of account, from login.defs(5) as Debian ships it.
const PEOPLE: std::ops::RangeInclusive<u32> = 1000..=60000;
const SYSTEM: std::ops::RangeInclusive<u32> = 100..=999;

/// Subordinate numbers: where they begin, how many each user gets.
const SUBORDINATE_FIRST: u64 = 100_000;
const SUBORDINATE_COUNT: u64 = 65_536;

/// Names and numbers of all users and groups of the node.
#[derive(Debug, Default)]
pub(super) struct Accounts {
    users: BTreeMap<String, u32>,
    groups: BTreeMap<String, u32>,
}

impl Accounts {
    /// A user's number, by name or number.
    pub(super) fn user(&self, name: &str) -> Option<u32> {
        let known = || self.users.get(name).copied().or_else(|| root(name));
        name.parse().ok().or_else(known)
    }

    /// A group's number, by name or number.
    pub(super) fn group(&self, name: &str) -> Option<u32> {
        let known = || self.groups.get(name).copied().or_else(|| root(name));
        name.parse().ok().or_else(known)
    }

    pub(super) fn nearest_user(&self, name: &str) -> Option<&str> {
        nearest(name, self.users.keys().map(String::as_str))
    }

    pub(super) fn nearest_group(&self, name: &str) -> Option<&str> {
        nearest(name, self.groups.keys().map(String::as_str))
    }
}

/// The number of root, whether or not a file of accounts has it.
fn root(name: &str) -> Option<u32> {
    (name == "root").then_some(0)
}

/// A file of lines with fields between colons. What we do not understand stays.
#[derive(Debug, Default)]
struct Table {
    lines: Vec<Vec<String>>,
}

impl Table {
    fn parse(text: &str) -> Self {
        let lines = text
            .lines()
            .map(|line| line.split(':').map(str::to_owned).collect());
        Self {
            lines: lines.collect(),
        }
    }

    fn find(&mut self, name: &str) -> Option<&mut Vec<String>> {
        self.lines
            .iter_mut()
            .find(|line| line.len() > 1 && line[0] == name)
    }

    fn push<const N: usize>(&mut self, fields: [&str; N]) {
        self.lines.push(fields.map(str::to_owned).to_vec());
    }

    /// Names with the number in the given field.
    fn numbers(&self, field: usize) -> BTreeMap<String, u32> {
        let numbered = |line: &Vec<String>| Some((line[0].clone(), line.get(field)?.parse().ok()?));
        self.lines.iter().filter_map(numbered).collect()
    }

    fn text(&self) -> String {
        self.lines
            .iter()
            .map(|line| line.join(":") + "\n")
            .collect()
    }

    /// Adds a name to a field that holds a list of names.
    fn enlist(&mut self, group: &str, field: usize, member: &str) {
        if let Some(members) = self.find(group).and_then(|line| line.get_mut(field)) {
            if members.is_empty() {
                member.clone_into(members);
            } else if !members.split(',').any(|known| known == member) {
                *members += &format!(",{member}");
            }
        }
    }
}

/// The tables of accounts, as they are changed.
struct Tables {
    passwd: Table,
    group: Table,
    shadow: Table,
    gshadow: Table,
    subuid: Table,
    subgid: Table,
}

pub(super) fn configure(draft: &mut Draft<'_>) -> Result<Accounts> {
    let table = |path| Table::parse(draft.facts.text(path).unwrap_or_default());
    let mut tables = Tables {
        passwd: table("etc/passwd"),
        group: table("etc/group"),
        shadow: table("etc/shadow"),
        gshadow: table("etc/gshadow"),
        subuid: table("etc/subuid"),
        subgid: table("etc/subgid"),
    };
    let users = &draft.profile.users;
    for user in users {
        add(draft, &mut tables, user)?;
    }
    if !users.is_empty() {
        for (path, table, mode) in [
            ("etc/passwd", &tables.passwd, 0o644),
            ("etc/group", &tables.group, 0o644),
            ("etc/shadow", &tables.shadow, 0o640),
            ("etc/gshadow", &tables.gshadow, 0o640),
            ("etc/subuid", &tables.subuid, 0o644),
            ("etc/subgid", &tables.subgid, 0o644),
        ] {
            if draft.facts.text(path).unwrap_or_default() != table.text() {
                draft.replace(path, &table.text(), mode);
            }
        }
    }
    Ok(Accounts {
        users: tables.passwd.numbers(2),
        groups: tables.group.numbers(2),
    })
}

fn add(draft: &mut Draft<'_>, tables: &mut Tables, user: &User) -> Result<()> {
    let name = user.name.as_str();
    let system = user.system.unwrap_or_default();
    let new = tables.passwd.find(name).is_none();
    let (uid, gid) = if new {
        let uid = user_number(draft, tables, user, system)?;
        let gid = own_group(draft, tables, user, system, uid)?;
        (uid, gid)
    } else {
        known_numbers(draft, tables, user)?
    };
    let home = home(tables, user, system);
    if new {
        let shell = if system {
            "/usr/sbin/nologin"
        } else {
            "/bin/bash"
        };
        let shell = user.shell.as_deref().unwrap_or(shell);
        let gecos = user.gecos.as_deref().unwrap_or_default();
        let (uid, gid) = (uid.to_string(), gid.to_string());
        tables
            .passwd
            .push([name, "x", &uid, &gid, gecos, &home, shell]);
        let change = LAST_CHANGE.to_string();
        if system {
            tables
                .shadow
                .push([name, "!", &change, "", "", "", "", "", ""]);
        } else {
            tables
                .shadow
                .push([name, "!", &change, "0", "99999", "7", "", "", ""]);
            subordinate(&mut tables.subuid, name);
            subordinate(&mut tables.subgid, name);
        }
    } else if let Some(line) = tables.passwd.find(name).filter(|line| line.len() == 7) {
        for (field, value) in [
            (4, &user.gecos.as_deref()),
            (5, &user.home.as_deref()),
            (6, &user.shell.as_deref()),
        ] {
            if let Some(value) = value {
                (*value).clone_into(&mut line[field]);
            }
        }
    }
    password(tables, user);
    for group in &user.groups {
        if tables.group.find(group).is_none() {
            let known = tables.group.numbers(2);
            let message = format!("the group `{group}` of the user `{name}` is not in the node");
            let error = draft.refuse(message, &["users", "groups"], group);
            return Err(match nearest(group, known.keys().map(String::as_str)) {
                Some(known) => error.hint(format!("did you mean `{known}`?")),
                None => error.hint("install the package that makes the group"),
            });
        }
        tables.group.enlist(group, 3, name);
        tables.gshadow.enlist(group, 3, name);
    }
    folders(draft, user, new && !system, &home, uid, gid)?;
    draft.set(
        format!("user {name}"),
        format!(
            "uid {uid} gid {gid} home {home} groups {} keys {} password {}",
            user.groups
                .iter()
                .map(UserName::as_str)
                .collect::<Vec<_>>()
                .join(","),
            user.ssh_keys.len(),
            if user.password_hash.is_some() && user.locked != Some(true) {
                "set"
            } else {
                "none"
            },
        ),
    );
    Ok(())
}

/// The numbers of a user that the root has already; the profile cannot change them.
fn known_numbers(draft: &Draft<'_>, tables: &mut Tables, user: &User) -> Result<(u32, u32)> {
    let field = |line: Option<&mut Vec<String>>, at: usize| {
        line.and_then(|line| line.get(at)?.parse::<u32>().ok())
    };
    let uid = field(tables.passwd.find(&user.name), 2).unwrap_or_default();
    let gid = field(tables.passwd.find(&user.name), 3).unwrap_or_default();
    for (key, wanted, real) in [("uid", user.uid, uid), ("gid", user.gid, gid)] {
        if wanted.is_some_and(|wanted| wanted.get() != real) {
            let message = format!(
                "the user `{}` is in the node already, with the {key} {real}",
                user.name
            );
            return Err(draft
                .refuse(message, &["users", "name"], &user.name)
                .hint(format!("take `{key}` out, or choose another name")));
        }
    }
    Ok((uid, gid))
}

fn user_number(draft: &Draft<'_>, tables: &Tables, user: &User, system: bool) -> Result<u32> {
    let taken: BTreeSet<u32> = tables.passwd.numbers(2).into_values().collect();
    // Numbers that later users ask for are not given away.
    let asked = draft
        .profile
        .users
        .iter()
        .filter_map(|other| other.uid)
        .map(Id::get);
    let groups: BTreeSet<u32> = tables.group.numbers(2).into_values().collect();
    let reserved: BTreeSet<u32> = taken.iter().copied().chain(asked).collect();
    match user.uid {
        Some(uid) if taken.contains(&uid.get()) => {
            let message = format!(
                "the number {} of the user `{}` is taken",
                uid.get(),
                user.name
            );
            Err(draft
                .refuse(message, &["users", "name"], &user.name)
                .hint("choose another `uid`, or none"))
        }
        Some(uid) => Ok(uid.get()),
        // A number that is free for the user's own group too, where that is wanted.
        None => free(system, |number| {
            !reserved.contains(&number) && (user.gid.is_some() || !groups.contains(&number))
        })
        .ok_or_else(|| draft.refuse("no user number is free", &["users", "name"], &user.name)),
    }
}

/// The first free number: people's upwards, the system's downwards.
fn free(system: bool, is_free: impl Fn(u32) -> bool) -> Option<u32> {
    if system {
        SYSTEM.rev().find(|number| is_free(*number))
    } else {
        PEOPLE.clone().find(|number| is_free(*number))
    }
}

/// The user's own group: made, unless the number or name is a group's already.
fn own_group(
    draft: &Draft<'_>,
    tables: &mut Tables,
    user: &User,
    system: bool,
    uid: u32,
) -> Result<u32> {
    let name = user.name.as_str();
    let groups = tables.group.numbers(2);
    let taken: BTreeSet<u32> = groups.values().copied().collect();
    if let Some(gid) = user.gid.map(Id::get)
        && taken.contains(&gid)
    {
        return Ok(gid);
    }
    if let Some(known) = groups.get(name) {
        return match user.gid {
            Some(gid) if gid.get() != *known => {
                let message =
                    format!("the group `{name}` is in the node already, with the gid {known}");
                Err(draft
                    .refuse(message, &["users", "name"], name)
                    .hint("take `gid` out, or choose another name"))
            }
            _ => Ok(*known),
        };
    }
    let gid = match user.gid {
        Some(gid) => gid.get(),
        None if !taken.contains(&uid) => uid,
        None => free(system, |number| !taken.contains(&number))
            .ok_or_else(|| draft.refuse("no group number is free", &["users", "name"], name))?,
    };
    tables.group.push([name, "x", &gid.to_string(), ""]);
    tables.gshadow.push([name, "!", "", ""]);
    Ok(gid)
}

fn home(tables: &mut Tables, user: &User, system: bool) -> String {
    let known = tables
        .passwd
        .find(&user.name)
        .and_then(|line| line.get(5).cloned());
    match (&user.home, known) {
        (Some(home), _) => home.to_string(),
        (None, Some(known)) => known,
        (None, None) if system && user.ssh_keys.is_empty() => "/nonexistent".to_owned(),
        (None, None) => format!("/home/{}", user.name),
    }
}

/// The next range of subordinate numbers that overlaps no other.
fn subordinate(table: &mut Table, name: &str) {
    if table.find(name).is_some() {
        return;
    }
    let ends = table.lines.iter().filter_map(|line| {
        let start: u64 = line.get(1)?.parse().ok()?;
        Some(start.saturating_add(line.get(2)?.parse().ok()?))
    });
    let start = ends.max().unwrap_or(0).max(SUBORDINATE_FIRST);
    table.push([name, &start.to_string(), &SUBORDINATE_COUNT.to_string()]);
}

fn password(tables: &mut Tables, user: &User) {
    let Some(field) = tables
        .shadow
        .find(&user.name)
        .and_then(|line| line.get_mut(1))
    else {
        return;
    };
    if let Some(hash) = &user.password_hash {
        hash.as_str().clone_into(field);
    }
    if user.locked == Some(true) && !field.starts_with('!') {
        field.insert(0, '!');
    }
}

/// The home folder with what /etc/skel has, and the keys that may log in.
fn folders(
    draft: &mut Draft<'_>,
    user: &User,
    filled: bool,
    home: &str,
    uid: u32,
    gid: u32,
) -> Result<()> {
    let own = |mode| Access { mode, uid, gid };
    let home = home.trim_start_matches('/');
    if home.is_empty() || (!filled && user.home.is_none() && user.ssh_keys.is_empty()) {
        return Ok(());
    }
    match draft.facts.node(home) {
        None => {
            draft.folder(home, own(0o700));
            for (name, node) in draft.facts.below("etc/skel") {
                let path = format!("{home}/{name}");
                let source = format!("etc/skel/{name}");
                match node {
                    Node::Directory => draft.folder(&path, own(0o755)),
                    Node::File { .. } => {
                        if let Some(text) = draft.facts.text(&source) {
                            let mode = draft.facts.ownership(&source).map_or(0o644, |one| one.0);
                            draft.bytes(&path, text.as_bytes(), own(mode));
                        }
                    }
                    _ => {}
                }
            }
        }
        Some(Node::Directory) => {}
        Some(_) => {
            let message = format!(
                "the home folder `/{home}` of `{}` is no directory",
                user.name
            );
            return Err(draft
                .refuse(message, &["users", "name"], &user.name)
                .hint("set another `home`"));
        }
    }
    if !user.ssh_keys.is_empty() {
        let keys: String = user.ssh_keys.iter().map(|key| format!("{key}\n")).collect();
        draft.folder(&format!("{home}/.ssh"), own(0o700));
        draft.bytes(
            &format!("{home}/.ssh/authorized_keys"),
            keys.as_bytes(),
            own(0o600),
        );
    }
    Ok(())
}
