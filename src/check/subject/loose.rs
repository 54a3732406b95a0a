//! A subject from loose files: each is taken for what it is named as, wherever
//! it lies.

use std::path::{Path, PathBuf};

use super::Subject;
use crate::error::{Context, Error, Kind, Result};
use crate::tree::TreePath;

/// The longest file that is read, in bytes.
const LONGEST: u64 = 4 << 20;

/// Where kubelet's flags stand that were given by themselves.
pub const FLAGS: &str = "var/lib/kubelet/kubeadm-flags.env";

/// Files that were given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Files {
    /// containerd's config.toml.
    pub containerd: Option<PathBuf>,
    /// kubelet's flags: a file, or the flags themselves.
    pub kubelet_flags: Option<String>,
    /// kubelet's configuration.
    pub kubelet: Option<PathBuf>,
    /// crictl.yaml.
    pub crictl: Option<PathBuf>,
    /// Docker's daemon.json.
    pub docker: Option<PathBuf>,
    /// What `docker images` or `crictl images` lists.
    pub images: Option<PathBuf>,
    /// The Node object.
    pub object: Option<PathBuf>,
}

impl Files {
    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Puts the files into a subject, in the place of its own.
    ///
    /// # Errors
    /// When one cannot be read.
    pub fn add(&self, subject: &mut Subject) -> Result<()> {
        let named = [
            (&self.containerd, "etc/containerd/config.toml"),
            (&self.kubelet, "var/lib/kubelet/config.yaml"),
            (&self.crictl, "etc/crictl.yaml"),
            (&self.docker, "etc/docker/daemon.json"),
            (&self.images, "nodelith/images"),
            (&self.object, "nodelith/node.yaml"),
        ];
        for (file, path) in named {
            if let Some(file) = file {
                let text = read(file)?;
                subject.add_text(path.into(), file.display().to_string(), text);
            }
        }
        if let Some(flags) = &self.kubelet_flags {
            let (shown, text) = match flags.trim_start().starts_with('-') {
                true => ("--kubelet-flags".to_owned(), flags.clone()),
                false => (flags.clone(), read(Path::new(flags))?),
            };
            subject.add_text(TreePath::from(FLAGS), shown, text);
        }
        Ok(())
    }
}

fn read(path: &Path) -> Result<String> {
    let size = std::fs::metadata(path).io("reading", path)?.len();
    if size > LONGEST {
        return Err(Error::new(
            Kind::Usage,
            format!("`{}` is too large", path.display()),
        ));
    }
    let bytes = std::fs::read(path).io("reading", path)?;
    String::from_utf8(bytes)
        .map_err(|_| Error::new(Kind::Usage, format!("`{}` is not text", path.display())))
}
