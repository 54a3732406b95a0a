//! Files, links and removals that the profile lists.

use super::SETTINGS_PATH;
use super::draft::{Access, Draft};
use super::facts::UNIT_FOLDERS;
use super::units::PRESET;
use super::users::Accounts;
use crate::digest::Digest;
use crate::error::Result;
use crate::profile::file::File;
use crate::profile::value::FileMode;
use crate::tree::{Node, TreePath};

/// Made after the profile's files, which would be lost there.
const LATER: [&str; 2] = [PRESET, SETTINGS_PATH];

/// Files of at most so many bytes are at hand where the node is checked.
const LOOKED_AT: u64 = 64 << 10;

pub(super) fn configure(draft: &mut Draft<'_>, accounts: &Accounts) -> Result<()> {
    for file in &draft.profile.files {
        let path = place(draft, &file.path);
        if draft.own(&path).is_some() || LATER.contains(&path.as_str()) {
            let message = format!("`{}` is made from other settings of the profile", file.path);
            return Err(draft
                .refuse(message, &["files", "path"], &file.path)
                .hint("take the file out, or the settings that it comes from"));
        }
        if draft.facts.node(&path) == Some(&Node::Directory) && !file.remove {
            let message = format!("`{}` is a directory in the root", file.path);
            return Err(draft
                .refuse(message, &["files", "path"], &file.path)
                .hint("name a file in it"));
        }
        one(draft, file, &path, accounts)?;
    }
    Ok(())
}

fn one(draft: &mut Draft<'_>, file: &File, path: &str, accounts: &Accounts) -> Result<()> {
    let name = format!("file {}", file.path);
    if file.remove {
        if draft.node(path).is_none() {
            let message = format!("there is no `{}` to remove", file.path);
            return Err(draft
                .refuse(message, &["files", "path"], &file.path)
                .hint("take the removal out of the profile"));
        }
        draft.remove(path);
        draft.set(name, "removed");
        return Ok(());
    }
    if let Some(target) = &file.link {
        draft.link(path, target);
        draft.set(name, format!("link to {target}"));
        return Ok(());
    }
    let owner = file.owner.as_deref().unwrap_or("root:root");
    let (user, group) = owner.split_once(':').unwrap_or(("root", "root"));
    let unknown = |what: &str, who: &str, nearest: Option<&str>| {
        let error = draft.refuse(
            format!("the {what} `{who}` of `{}` is not in the node", file.path),
            &["files", "owner"],
            owner,
        );
        error.hint(match nearest {
            Some(nearest) => format!("did you mean `{nearest}`?"),
            None => format!("use a number, or a {what} that the packages or the profile make"),
        })
    };
    let access = Access {
        mode: file.mode.as_ref().map_or(0o644, FileMode::bits),
        uid: accounts
            .user(user)
            .ok_or_else(|| unknown("user", user, accounts.nearest_user(user)))?,
        gid: accounts
            .group(group)
            .ok_or_else(|| unknown("group", group, accounts.nearest_group(group)))?,
    };
    let value = if let Some(text) = &file.text {
        draft.bytes(path, text.as_bytes(), access);
        Digest::of(text.as_bytes()).to_string()
    } else if let Some(source) = &file.source {
        let located = |error| draft.locate(error, &["files", "source"], source.path());
        let is_unit = UNIT_FOLDERS
            .iter()
            .any(|folder| TreePath::from(path).is_within(folder.as_bytes()));
        let (size, content) = draft.local.content(source).map_err(located)?;
        if is_unit || size <= LOOKED_AT {
            // Units are read again, to be enabled; and in what is small secrets are sought.
            let bytes = draft.local.read(source).map_err(located)?;
            draft.bytes(path, &bytes, access);
            match is_unit {
                true => Digest::of(&bytes).to_string(),
                false => format!("{size} bytes from {source}"),
            }
        } else {
            draft.file(path, size, content, access);
            format!("{size} bytes from {source}")
        }
    } else {
        return Ok(());
    };
    draft.set(name, format!("{:04o} {owner} {value}", access.mode));
    Ok(())
}

/// The path in the tree: relative, and past the root's links of merged /usr.
fn place(draft: &Draft<'_>, path: &str) -> String {
    let path = path.trim_start_matches('/');
    let (first, rest) = match path.split_once('/') {
        Some((first, rest)) => (first, rest),
        None => return path.to_owned(),
    };
    match draft.node(first) {
        Some(Node::Symlink(target)) => {
            let target = String::from_utf8_lossy(target.as_bytes()).into_owned();
            format!("{}/{rest}", target.trim_matches('/'))
        }
        _ => path.to_owned(),
    }
}
