//! Subjects made on the spot.

use std::sync::Arc;

use nodelith::check::check;
use nodelith::check::rule::Severity;
use nodelith::check::subject::{ImageName, Subject};
use nodelith::compat::Version;
use nodelith::tree::{Content, Entry, Node, TreePath};

/// A subject being put together.
pub struct Scene(pub Subject);

/// Loose files, or only what is said.
pub fn scene() -> Scene {
    Scene(Subject::new("scene", false))
}

/// A whole root, with nothing in it.
pub fn root() -> Scene {
    Scene(Subject::new("scene", true))
}

/// A version.
pub fn version(text: &str) -> Version {
    text.parse().unwrap()
}

impl Scene {
    pub fn containerd(mut self, text: &str) -> Self {
        self.0.given.containerd = Some(version(text));
        self
    }

    pub fn kubernetes(mut self, text: &str) -> Self {
        self.0.given.kubernetes = Some(version(text));
        self
    }

    pub fn crictl(mut self, text: &str) -> Self {
        self.0.given.crictl = Some(version(text));
        self
    }

    /// containerd's config.toml.
    pub fn config(self, text: &str) -> Self {
        self.file("etc/containerd/config.toml", text)
    }

    /// kubelet's flags.
    pub fn flags(self, text: &str) -> Self {
        self.file("var/lib/kubelet/kubeadm-flags.env", text)
    }

    /// kubelet's configuration, without its head.
    pub fn kubelet(self, text: &str) -> Self {
        let head = "apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\n";
        self.file("var/lib/kubelet/config.yaml", &format!("{head}{text}"))
    }

    pub fn package(mut self, name: &str, version: &str) -> Self {
        self.0.packages.insert(name.to_owned(), version.to_owned());
        self
    }

    pub fn file(mut self, path: &str, text: &str) -> Self {
        let node = Node::File {
            size: text.len() as u64,
            content: Content::Inline(text.as_bytes().into()),
        };
        self = self.entry(path, node, 0o644);
        self.0
            .add_text(path.into(), format!("/{path}"), text.to_owned());
        self
    }

    pub fn link(self, path: &str, target: &str) -> Self {
        self.entry(path, Node::Symlink(target.into()), 0o777)
    }

    pub fn entry(mut self, path: &str, node: Node, mode: u32) -> Self {
        let path = TreePath::from(path);
        let mut parent = path.parent();
        while let Some(folder) = parent {
            self.0
                .tree
                .entries
                .entry(folder.clone())
                .or_insert_with(|| entry(Node::Directory, 0o755));
            parent = folder.parent();
        }
        self.0.tree.entries.insert(path, entry(node, mode));
        self
    }

    /// An archive of images, and what is in it: names and digests.
    pub fn archive(mut self, path: &str, images: &[(&str, &str)]) -> Self {
        let content = Content::Inline([].into());
        self = self.entry(path, Node::File { size: 0, content }, 0o644);
        let images = images.iter().map(|(name, digest)| ImageName {
            name: (*name).to_owned(),
            digest: Some((*digest).to_owned()),
        });
        self.0.images.insert(path.into(), images.collect());
        self
    }

    /// The ids of what is found, each once.
    pub fn ids(&self) -> Vec<&'static str> {
        let mut ids: Vec<_> = check(&self.0)
            .iter()
            .map(|finding| finding.rule.id)
            .collect();
        ids.dedup();
        ids
    }

    pub fn finds(&self, id: &str) -> bool {
        self.ids().contains(&id)
    }

    /// Everything but notes, as text.
    pub fn told(&self) -> String {
        let findings = check(&self.0);
        let told = findings
            .iter()
            .filter(|finding| finding.rule.severity != Severity::Note);
        let lines: Vec<_> = told
            .map(|finding| {
                let place = finding
                    .place
                    .as_ref()
                    .map(ToString::to_string)
                    .unwrap_or_default();
                format!("{} {place} {}", finding.rule.id, finding.message)
            })
            .collect();
        lines.join("\n")
    }
}

fn entry(node: Node, mode: u32) -> Entry {
    Entry {
        node,
        mode,
        uid: 0,
        gid: 0,
        mtime: 0,
        xattrs: Default::default(),
        component: Arc::from("scene"),
    }
}
