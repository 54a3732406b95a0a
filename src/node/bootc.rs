//! What an image for bootc asks of our own entries.
//!
//! `/var` of such an image is copied once, when a machine is installed; later images
//! bring nothing there. So what would lie in it (homes and keys of users, links to CNI
//! plug-ins where `/opt` leads there) is made at every boot by systemd-tmpfiles
//! (tmpfiles.d(5)) instead. `/etc` of a machine is kept and merged, so that users also
//! have entries for systemd-sysusers (sysusers.d(5)).

use super::der::to_base64;
use super::draft::Draft;
use crate::tree::{Content, Entry, Node, TreePath};

const TMPFILES: &str = "usr/lib/tmpfiles.d/nodelith-var.conf";
const SYSUSERS: &str = "usr/lib/sysusers.d/nodelith.conf";
/// The longest file that is made from a line, in bytes.
const LONGEST: usize = 64 << 10;

pub(super) fn configure(draft: &mut Draft<'_>) {
    if draft.profile.base_image.is_none() || !draft.facts.is_bootc() {
        return;
    }
    sysusers(draft);
    let lines = draft.exchange(tmpfile);
    if lines.is_empty() {
        return;
    }
    let mut text =
        "# /var belongs to the machine: what the image has for it is made here.\n".to_owned();
    text.extend(lines.into_values());
    draft.text(TMPFILES, &text);
}

/// The line that makes an entry in /var; none where no line can.
fn tmpfile(path: &TreePath, entry: &Entry) -> Option<String> {
    let path = path.to_string();
    let name = path.strip_prefix("var/")?;
    // Specifiers begin with a percent sign, and blanks end a field.
    if name.contains(['%', '\\', '"', '\'', ' ', '\t']) {
        return None;
    }
    let access = format!("{:04o} {} {}", entry.mode, entry.uid, entry.gid);
    match &entry.node {
        Node::Directory => Some(format!("d /{path} {access} -\n")),
        Node::Symlink(target) => {
            let target = target.to_string();
            (!target.contains(['%', '\\'])).then(|| format!("L /{path} - - - - {target}\n"))
        }
        Node::File {
            content: Content::Inline(bytes),
            ..
        } if bytes.len() <= LONGEST => {
            let text = to_base64(bytes);
            Some(format!("f+~ /{path} {access} - {text}\n"))
        }
        _ => None,
    }
}

/// Names the profile's users, as far as the root does not have them.
fn sysusers(draft: &mut Draft<'_>) {
    let accounts = |path: &str| draft.read(path).unwrap_or_default();
    let (passwd, group) = (accounts("etc/passwd"), accounts("etc/group"));
    let known = |path: &str, name: &str| {
        let text = draft.facts.text(path).unwrap_or_default();
        text.lines()
            .any(|line| line.split(':').next() == Some(name))
    };
    let mut text = String::new();
    for line in group.lines() {
        let fields: Vec<_> = line.split(':').collect();
        if let [name, _, gid, ..] = fields[..]
            && !known("etc/group", name)
        {
            text += &format!("g {name} {gid}\n");
        }
    }
    for user in &draft.profile.users {
        let name = user.name.as_str();
        let mut lines = passwd
            .lines()
            .map(|line| line.split(':').collect::<Vec<_>>());
        let line = lines.find(|line| line[0] == name);
        if let Some([_, _, uid, gid, gecos, home, shell]) = line.as_deref()
            && !known("etc/passwd", name)
        {
            let gecos = gecos.replace('"', "");
            text += &format!("u {name} {uid}:{gid} \"{gecos}\" {home} {shell}\n");
        }
        for group in &user.groups {
            text += &format!("m {name} {group}\n");
        }
    }
    if !text.is_empty() {
        draft.text(SYSUSERS, &text);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use super::*;
    use crate::tree::FIXED_TIME;

    fn line(path: &str, node: Node) -> Option<String> {
        let entry = Entry {
            node,
            mode: 0o600,
            uid: 1000,
            gid: 10,
            mtime: FIXED_TIME,
            xattrs: BTreeMap::new(),
            component: Arc::from("configuration"),
        };
        tmpfile(&path.into(), &entry)
    }

    #[test]
    fn entries_of_var_become_lines() {
        let link = Node::Symlink("/usr/lib/cni/loopback".into());
        let text = Node::File {
            size: 4,
            content: Content::Inline((*b"key\n").into()),
        };
        for (path, node, expected) in [
            (
                "var/home/a",
                Node::Directory,
                Some("d /var/home/a 0600 1000 10 -\n"),
            ),
            (
                "var/opt/cni/bin/loopback",
                link.clone(),
                Some("L /var/opt/cni/bin/loopback - - - - /usr/lib/cni/loopback\n"),
            ),
            (
                "var/home/a/k",
                text,
                Some("f+~ /var/home/a/k 0600 1000 10 - a2V5Cg==\n"),
            ),
            ("var/a b", Node::Directory, None),
            ("var/large", Node::Fifo, None),
            ("usr/lib/cni", link, None),
        ] {
            assert_eq!(line(path, node).as_deref(), expected, "{path}");
        }
    }
}
