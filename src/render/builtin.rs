//! The templates that come with the program, as they are in `image-templates/`.

/// A template's folder: its name, and its files by name.
pub(super) type Folder = (&'static str, &'static [(&'static str, &'static str)]);

macro_rules! folders {
    ($($name:literal: $($file:literal),+;)+) => {
        /// All of them, by name; a test holds this against the folder.
        pub(super) const FOLDERS: &[Folder] = &[$((
            $name,
            &[$((
                $file,
                include_str!(concat!("../../image-templates/", $name, "/", $file)),
            )),+],
        )),+];
    };
}

folders! {
    "aws-image": "template.toml", "import-image.sh";
    "aws-karpenter": "template.toml", "node-class.yaml";
    "aws-launch-template": "template.toml", "launch-template.yaml";
    "azure": "template.toml", "create-image.sh";
    "cluster-api-aws": "template.toml", "machines.yaml";
    "cluster-api-metal3": "template.toml", "machines.yaml";
    "dnsmasq": "template.toml", "dnsmasq.conf";
    "gce": "template.toml", "create-image.sh";
    "kubeadm-join": "template.toml", "join.yaml";
    "matchbox": "template.toml", "group.json", "profile.json";
    "metal3": "template.toml", "host.yaml";
    "pxe-grub": "template.toml", "grub.cfg";
    "pxe-ipxe": "template.toml", "boot.ipxe";
    "sysupdate": "template.toml", "50-nodelith-verity.transfer", "60-nodelith-root.transfer", "90-nodelith-uki.transfer";
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::Path;

    use super::FOLDERS;

    #[test]
    fn all_that_is_in_the_folder_is_built_in() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("image-templates");
        let mut there = BTreeSet::new();
        for template in fs::read_dir(folder).unwrap() {
            let template = template.unwrap();
            if !template.file_type().unwrap().is_dir() {
                continue;
            }
            for file in fs::read_dir(template.path()).unwrap() {
                let names = [template.file_name(), file.unwrap().file_name()];
                there.insert(names.map(|name| name.into_string().unwrap()));
            }
        }
        let known = FOLDERS.iter().flat_map(|(name, files)| {
            files
                .iter()
                .map(|(file, _)| [name, *file].map(str::to_owned))
        });
        assert_eq!(known.collect::<BTreeSet<_>>(), there);
        assert!(FOLDERS.is_sorted_by_key(|(name, _)| name));
    }
}
