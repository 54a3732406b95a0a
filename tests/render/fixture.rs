//! An image and an export to render for, and values for every template.

use std::fs;
use std::path::{Path, PathBuf};

use nodelith::digest::Digest;
use nodelith::render::facts::Facts;
use nodelith::render::given::Given;
use nodelith::render::{Rendered, Templates, render};
use serde_json::{Value, json};

/// What the manifests of our images say, as that of profiles/quickstart.toml does.
fn annotations() -> Value {
    json!({
        "org.opencontainers.image.title": "quickstart",
        "org.opencontainers.image.version": "1",
        "io.nodelith.kubernetes": "1.33",
    })
}

/// An image layout like the quickstart's, but with nothing in it.
pub fn image(folder: &Path) -> PathBuf {
    let layout = folder.join("image");
    let blobs = layout.join("blobs/sha256");
    fs::create_dir_all(&blobs).unwrap();
    let blob = |media: &str, bytes: &[u8]| {
        let digest = Digest::of(bytes);
        fs::write(blobs.join(digest.hex()), bytes).unwrap();
        json!({"mediaType": media, "digest": digest, "size": bytes.len()})
    };
    let mut root = tar::Header::new_gnu();
    root.set_path("./").unwrap();
    root.set_entry_type(tar::EntryType::Directory);
    root.set_mode(0o755);
    root.set_size(0);
    root.set_cksum();
    let mut layer = tar::Builder::new(Vec::new());
    layer.append(&root, &[][..]).unwrap();
    let layer = layer.into_inner().unwrap();
    let layer = blob("application/vnd.oci.image.layer.v1.tar", &layer);
    let config = json!({
        "architecture": "amd64", "os": "linux",
        "rootfs": {"type": "layers", "diff_ids": [layer["digest"]]},
    });
    let config = blob(
        "application/vnd.oci.image.config.v1+json",
        config.to_string().as_bytes(),
    );
    let manifest = json!({
        "schemaVersion": 2, "config": config, "layers": [layer], "annotations": annotations(),
    });
    let manifest = blob(
        "application/vnd.oci.image.manifest.v1+json",
        manifest.to_string().as_bytes(),
    );
    let index = json!({"schemaVersion": 2, "manifests": [manifest]});
    fs::write(layout.join("index.json"), index.to_string()).unwrap();
    fs::write(
        layout.join("oci-layout"),
        r#"{"imageLayoutVersion":"1.0.0"}"#,
    )
    .unwrap();
    layout
}

/// The description of an export in all formats, as `nodelith export` writes it.
pub fn description() -> Value {
    let files = [
        ("root.erofs", "erofs"),
        ("disk.raw", "disk"),
        ("disk.qcow2", "qcow2"),
        ("disk.vhd", "vhd"),
        ("disk.tar.gz", "gce"),
        ("vmlinuz", "pxe"),
        ("initrd.img", "pxe"),
        ("node-http.efi", "pxe"),
    ];
    let files = files.iter().map(|(name, format)| {
        json!({"name": name, "format": format, "size": 1, "digest": Digest::of(name.as_bytes())})
    });
    json!({
        "schema": "nodelith.export", "version": 1,
        "image": Digest::of(b"the manifest"), "architecture": "amd64",
        "annotations": annotations(),
        "root": {"root-hash": "ab".repeat(32), "uuid": "", "verity-uuid": "", "salt": ""},
        "boot": {"kernel": "6.12.48+deb13-amd64", "command-line": "panic=10", "signed": false},
        "pxe": {
            "kernel": "vmlinuz", "initrd": "initrd.img", "root": "root.erofs",
            "command_line": format!("quiet nodelith.root-sha256={} panic=10", Digest::of(b"root.erofs").hex()),
            "memory": {"http": 1_200_000_000, "initrd": 1_500_000_000},
        },
        "files": files.collect::<Value>(),
    })
}

/// A folder with that description alone.
pub fn bundle(folder: &Path) -> PathBuf {
    let bundle = folder.join("bundle");
    fs::create_dir_all(&bundle).unwrap();
    fs::write(bundle.join("export.json"), format!("{:#}", description())).unwrap();
    bundle
}

/// For every template, all that an export does not say; some with what is optional.
pub const VALUES: [(&str, &[&str]); 14] = [
    ("aws-image", &["bucket=node-images"]),
    (
        "aws-karpenter",
        &[
            "role=KarpenterNodeRole-prod",
            "subnet_tags.karpenter.sh/discovery=prod",
            "security_group_tags.karpenter.sh/discovery=prod",
        ],
    ),
    (
        "aws-launch-template",
        &[
            "ami_id=ami-0123456789abcdef0",
            "instance_type=m7i.large",
            "security_groups=sg-0123456789abcdef0,sg-0123456789abcdef1",
        ],
    ),
    (
        "azure",
        &[
            "resource_group=clusters",
            "location=westeurope",
            "storage_account=nodeimages",
            "gallery=nodes",
        ],
    ),
    (
        "cluster-api-aws",
        &[
            "cluster=prod",
            "kubernetes_version=v1.33.5",
            "ami_id=ami-0123456789abcdef0",
            "instance_type=m7i.large",
        ],
    ),
    (
        "cluster-api-metal3",
        &[
            "cluster=prod",
            "kubernetes_version=v1.33.5",
            "base_url=http://192.0.2.1:8080",
        ],
    ),
    (
        "dnsmasq",
        &[
            "interface=eth1",
            "network=192.0.2.0",
            "script_url=http://192.0.2.1:8080/boot.ipxe",
        ],
    ),
    (
        "gce",
        &[
            "project=clusters-prod",
            "bucket=node-images",
            "machine_type=n2-standard-4",
        ],
    ),
    (
        "kubeadm-join",
        &["discovery_file=/etc/kubernetes/discovery.conf"],
    ),
    (
        "matchbox",
        &["base_url=http://matchbox.example:8080/assets/node-1"],
    ),
    (
        "metal3",
        &[
            "name=worker-1",
            "boot_mac=52:54:00:12:34:56",
            "bmc_address=redfish-virtualmedia://192.0.2.9/redfish/v1/Systems/1",
            "bmc_secret=worker-1-bmc",
            "base_url=http://192.0.2.1:8080",
        ],
    ),
    ("pxe-grub", &["server=192.0.2.1:8080"]),
    ("pxe-ipxe", &["base_url=http://192.0.2.1:8080"]),
    ("sysupdate", &["source=https://updates.example/node"]),
];

/// The same with what else can be chosen, one after the other.
pub const VARIANTS: [(&str, &[&str]); 18] = [
    ("aws-image", &["region=eu-central-1", "tags.team=it's"]),
    (
        "aws-karpenter",
        &["user_data=hello\nworld\n", "tags.team=x"],
    ),
    (
        "aws-launch-template",
        &["instance_profile=workers", "user_data=hello", "tags.team=x"],
    ),
    (
        "azure",
        &[
            "scale_set=workers",
            "ssh_key_file=/etc/nodes/id.pub",
            "subnet=/subscriptions/0/subnets/nodes",
            "custom_data_file=/etc/nodes/data",
            "security_type=TrustedLaunch",
            "tags.team=it's",
        ],
    ),
    (
        "azure",
        &["scale_set=workers", "ssh_key_file=/etc/nodes/id.pub"],
    ),
    (
        "cluster-api-aws",
        &["api=v1beta2", "kubelet_arguments.node-labels=a=b"],
    ),
    (
        "cluster-api-metal3",
        &["kubelet_arguments.node-labels=a=b", "data_template=data"],
    ),
    (
        "cluster-api-metal3",
        &["api=v1beta2", "host_labels.pool=workers", "format=raw"],
    ),
    (
        "dnsmasq",
        &[
            "mode=server",
            "network=192.0.2.100",
            "range_end=192.0.2.199",
            "router=192.0.2.1",
            "http_boot_url=http://192.0.2.1:8080/node-http.efi",
            "hosts.worker-1=52:54:00:12:34:56",
        ],
    ),
    (
        "dnsmasq",
        &["http_boot_url=http://192.0.2.1:8080/node-http.efi"],
    ),
    (
        "gce",
        &[
            "subnet=nodes",
            "region=europe-west1",
            "service_account=nodes@clusters-prod.iam.gserviceaccount.com",
            "user_data_file=/etc/nodes/user data",
            "labels.team=platform",
        ],
    ),
    (
        "kubeadm-join",
        &[
            "config_version=v1beta3",
            "node_name=worker-1",
            "labels.pool=workers",
            "taints=dedicated=gpu:NoSchedule,slow:NoExecute",
            "kubelet_arguments.node-ip=192.0.2.10",
        ],
    ),
    (
        "kubeadm-join",
        &[
            "labels.pool=workers",
            "kubelet_arguments.node-ip=192.0.2.10",
        ],
    ),
    (
        "matchbox",
        &["selector.mac=52:54:00:12:34:56", "arguments=console=ttyS0"],
    ),
    (
        "metal3",
        &[
            "format=raw",
            "root_device=/dev/nvme0n1",
            "user_data_secret=data",
            "verify_bmc=false",
            "labels.pool=workers",
        ],
    ),
    ("pxe-grub", &["root=initrd", "path=/images/node-1"]),
    (
        "pxe-ipxe",
        &["root=initrd", "arguments=console=ttyS0,loglevel=3"],
    ),
    (
        "sysupdate",
        &["source=/var/updates", "verify=false", "protect=1"],
    ),
];

/// Values of a template.
pub fn values(template: &str) -> &'static [&'static str] {
    let found = VALUES.iter().find(|(name, _)| *name == template);
    found.unwrap().1
}

/// The facts of the export.
pub fn facts() -> Facts {
    let folder = tempfile::tempdir().unwrap();
    Facts::of_bundle(&bundle(folder.path())).unwrap()
}

/// A shipped template with all that it needs, and more.
pub fn rendered(template: &str, more: &[&str]) -> nodelith::error::Result<Vec<Rendered>> {
    let mut given = Given::default();
    for text in values(template).iter().chain(more) {
        given.set(text).unwrap();
    }
    let template = Templates::default().get(template).unwrap();
    render(&[template], &facts(), &given)
}
