//! CNI's configurations: those that an add-on writes on every node, and those that
//! somebody wrote by hand.

use toml::{Table, Value};

use super::work::{Found, Where, Work};
use crate::check::document::Node;
use crate::check::subject::secret;

const FOLDER: &str = "etc/cni/net.d/";

/// Add-ons whose `DaemonSet` writes the configuration and brings the plug-ins, by the
/// plug-in that is theirs.
const ADD_ONS: [(&str, &str); 16] = [
    ("antrea", "Antrea"),
    ("aws-cni", "the Amazon VPC CNI"),
    ("azure-vnet", "Azure's CNI"),
    ("calico", "Calico"),
    ("calico-ipam", "Calico"),
    ("cilium-cni", "Cilium"),
    ("flannel", "flannel"),
    ("gke", "GKE"),
    ("kube-ovn", "Kube-OVN"),
    ("kube-router", "kube-router"),
    ("multus", "Multus"),
    ("multus-shim", "Multus"),
    ("ovn-k8s-cni-overlay", "OVN-Kubernetes"),
    ("terway", "Terway"),
    ("weave-ipam", "Weave Net"),
    ("weave-net", "Weave Net"),
];

/// Names of networks whose add-ons use common plug-ins alone.
/// Those of flannel, Calico and Weave Net are not among them: these have a plug-in of their
/// own, and files written by hand often have the same names.
const BY_NAME: [(&str, &str); 2] = [("kindnet", "kindnet"), ("kubernetes", "kube-router")];

/// Plug-ins that the image has, whatever its suite (containernetworking-plugins of bookworm,
/// 1.1.1; `dummy` and `tap` are younger).
const COMMON: [&str; 16] = [
    "bandwidth",
    "bridge",
    "dhcp",
    "firewall",
    "host-device",
    "host-local",
    "ipvlan",
    "loopback",
    "macvlan",
    "portmap",
    "ptp",
    "sbr",
    "static",
    "tuning",
    "vlan",
    "vrf",
];

/// Reads the folder of networks: the first that can be read counts.
pub(super) fn import(work: &mut Work<'_>) {
    let subject = work.subject;
    let mut first = None;
    for text in subject.texts_below(FOLDER) {
        let file = &subject.texts[text];
        let name = String::from_utf8_lossy(&file.path.as_bytes()[FOLDER.len()..]).into_owned();
        let at = Where { text, at: 0 };
        let mut found = work.found("network", &name, at, None);
        let endings = [".conf", ".conflist", ".json"];
        if name.contains('/') || !endings.iter().any(|end| name.ends_with(end)) {
            work.otherwise(
                &found,
                "it is no network, but what an add-on keeps there: it writes it when the node joins",
            );
            continue;
        }
        let root = Node::yaml(&file.text, text).ok();
        let root = root.as_ref().and_then(|all| all.first());
        let Some(root) = root.filter(|root| !types(root).is_empty()) else {
            work.lost(
                &found,
                "it is no configuration of a network, so that CNI passed over it",
            );
            continue;
        };
        let network = root.get("name").and_then(Node::text).unwrap_or_default();
        let shown = !network.is_empty() && super::work::may_be_shown(&name, network);
        found.value = shown.then(|| network.to_owned());
        if let Some(first) = &first {
            let why = format!("only the first by name counts, which is {first}");
            work.same(&found, &why);
            continue;
        }
        let types = types(root);
        if types == ["loopback"] {
            work.same(&found, "containerd makes each pod's loopback by itself");
            continue;
        }
        first = Some(name.clone());
        one(work, &found, root, &types, network, &file.text);
    }
}

/// The network of the node.
fn one(
    work: &mut Work<'_>,
    found: &Found,
    root: &Node,
    types: &[String],
    network: &str,
    text: &str,
) {
    let own = |(known, _): &&(&str, &str)| types.iter().any(|one| one == known);
    let add_on = ADD_ONS.iter().find(own);
    let add_on = add_on.or_else(|| BY_NAME.iter().find(|(known, _)| *known == network));
    if let Some((_, who)) = add_on {
        let why = format!(
            "{who} writes it on each node and brings its plug-ins, from a DaemonSet: it is not carried, and pods start once that runs"
        );
        work.otherwise(found, &why);
        return;
    }
    if let Some(strange) = types.iter().find(|one| !COMMON.contains(&one.as_str())) {
        let why = format!(
            "its plug-in `{strange}` is none of the common ones: bring that and this file by `[[files]]`, unless an add-on writes both"
        );
        work.lost(found, &super::draft::one_line(&why));
        return;
    }
    if secret::secret(text).is_some() {
        work.lost(found, "it holds a secret, which must not be in an image");
        return;
    }
    let file = found.setting.trim_start_matches("network ");
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if !file.chars().all(plain) {
        work.lost(
            found,
            "its name is a strange one: bring it by `[[files]]` under another",
        );
        return;
    }
    if addresses(root) {
        work.lost(
            found,
            "its addresses are this one node's: write it when the node boots, or have a network add-on do it",
        );
        return;
    }
    let mut table = Table::new();
    table.insert("path".into(), Value::from(format!("/{FOLDER}{file}")));
    table.insert("text".into(), format!("{}\n", text.trim_end()).into());
    let path = ["files"];
    work.draft.add(&path, Value::Table(table), &found.from());
    let why = match root.get("cniVersion") {
        Some(_) => {
            "a node keeps /etc/cni/net.d from its first boot on: what stands in the image is its beginning"
        }
        None => {
            "it has no `cniVersion`, without which containerd 1.6.0 to 1.6.3 cannot take networks down: add one"
        }
    };
    work.push(found, super::Part::Changed, &path, Some(why));
}

/// The types of a network's plug-ins, and of what gives them addresses.
fn types(root: &Node) -> Vec<String> {
    let list = root.get("plugins").map_or(&[][..], Node::items);
    let mut types = Vec::new();
    for plugin in list.iter().chain([root]) {
        let ipam = plugin.get("ipam");
        for one in [Some(plugin), ipam].into_iter().flatten() {
            types.extend(one.get("type").and_then(Node::text).map(str::to_owned));
        }
    }
    types
}

/// Whether it has addresses of its own, which no two nodes may share.
fn addresses(node: &Node) -> bool {
    const KEYS: [&str; 6] = [
        "subnet",
        "ranges",
        "rangeStart",
        "addresses",
        "address",
        "ipRanges",
    ];
    node.entries()
        .any(|(key, below)| KEYS.contains(&key) || addresses(below))
        || node.items().iter().any(addresses)
}
