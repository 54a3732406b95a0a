//! Objects as the Kubernetes API writes them: only the fields that say something here,
//! all of them optional. One type stands for all kinds, since an object's kind may come
//! after its other fields.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::or_default;
use crate::fleet::objects::{Budget, Key, Node, Owner, Pod, Taint, version};
use crate::fleet::selector::{Operator, Requirement, Selector};

/// Annotation of pods that stand for a file on their node.
const MIRROR: &str = "kubernetes.io/config.mirror";

/// Names of sockets that only nodes with Docker have.
const DOCKER_SOCKETS: [&str; 3] = ["docker.sock", "dockershim.sock", "cri-dockerd.sock"];

/// The longest free text that is kept, in characters.
const LONGEST: usize = 256;

type Texts = BTreeMap<String, String>;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Item {
    pub(super) kind: Option<String>,
    api_version: Option<String>,
    #[serde(default, deserialize_with = "or_default")]
    metadata: Metadata,
    #[serde(default, deserialize_with = "or_default")]
    spec: Spec,
    #[serde(default, deserialize_with = "or_default")]
    status: Status,
    pub(super) items: Option<Vec<Item>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    name: Option<String>,
    namespace: Option<String>,
    resource_version: Option<String>,
    #[serde(default, deserialize_with = "or_default")]
    labels: Texts,
    #[serde(default, deserialize_with = "or_default")]
    annotations: Texts,
    #[serde(default, deserialize_with = "or_default")]
    owner_references: Vec<OwnerReference>,
}

#[derive(Debug, Deserialize)]
struct OwnerReference {
    kind: Option<String>,
    controller: Option<bool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Spec {
    // Node
    #[serde(rename = "providerID")]
    provider_id: Option<String>,
    unschedulable: Option<bool>,
    #[serde(default, deserialize_with = "or_default")]
    taints: Vec<WireTaint>,
    // Pod
    node_name: Option<String>,
    #[serde(default, deserialize_with = "or_default")]
    volumes: Vec<Volume>,
    #[serde(default, deserialize_with = "or_default")]
    containers: Vec<Container>,
    // PodDisruptionBudget
    selector: Option<WireSelector>,
    min_available: Option<Amount>,
    max_unavailable: Option<Amount>,
    unhealthy_pod_eviction_policy: Option<String>,
    // PersistentVolume
    local: Option<HostPath>,
    host_path: Option<HostPath>,
    claim_ref: Option<Claim>,
}

#[derive(Debug, Deserialize)]
struct WireTaint {
    key: Option<String>,
    value: Option<String>,
    effect: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Volume {
    empty_dir: Option<EmptyDir>,
    host_path: Option<HostPath>,
    persistent_volume_claim: Option<ClaimName>,
}

#[derive(Debug, Deserialize)]
struct EmptyDir {}

#[derive(Debug, Deserialize)]
struct HostPath {
    path: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ClaimName {
    claim_name: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Claim {
    namespace: Option<String>,
    name: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Container {
    name: Option<String>,
    image: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireSelector {
    #[serde(default, deserialize_with = "or_default")]
    match_labels: Texts,
    #[serde(default, deserialize_with = "or_default")]
    match_expressions: Vec<Expression>,
}

#[derive(Debug, Deserialize)]
struct Expression {
    key: String,
    operator: String,
    #[serde(default, deserialize_with = "or_default")]
    values: Vec<String>,
}

/// `IntOrString`.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Amount {
    Number(i64),
    Text(String),
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Status {
    #[serde(default, deserialize_with = "or_default")]
    conditions: Vec<Condition>,
    #[serde(default, deserialize_with = "or_default")]
    node_info: NodeInfo,
    phase: Option<String>,
    disruptions_allowed: Option<i64>,
    current_healthy: Option<i64>,
    desired_healthy: Option<i64>,
    expected_pods: Option<i64>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Condition {
    #[serde(rename = "type")]
    kind: Option<String>,
    status: Option<String>,
    last_transition_time: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct NodeInfo {
    os_image: Option<String>,
    kernel_version: Option<String>,
    kubelet_version: Option<String>,
    container_runtime_version: Option<String>,
}

impl Item {
    pub(super) fn node(self) -> Result<Node, String> {
        let name = name(self.metadata.name.as_ref(), "a node")?;
        let revision = self.metadata.revision();
        let ready = self.status.ready().cloned();
        let info = self.status.node_info;
        let taints = self.spec.taints.into_iter();
        Ok(Node {
            revision,
            name,
            ready: (ready.as_ref()).map(|condition| condition.status.as_deref() == Some("True")),
            since: ready
                .and_then(|condition| condition.last_transition_time)
                .map(|time| clean(Some(time))),
            labels: (self.metadata.labels.into_iter())
                .map(|(key, value)| (plain(key.chars()), plain(value.chars())))
                .collect(),
            annotations: self.metadata.annotations,
            taints: taints
                .map(|taint| Taint {
                    key: clean(taint.key),
                    value: clean(taint.value),
                    effect: clean(taint.effect),
                })
                .collect(),
            cordoned: self.spec.unschedulable.unwrap_or_default(),
            provider_id: clean(self.spec.provider_id),
            os_image: clean(info.os_image),
            kernel: clean(info.kernel_version),
            kubelet: clean(info.kubelet_version),
            runtime: clean(info.container_runtime_version),
        })
    }

    pub(super) fn pod(self) -> Result<(Key, Pod), String> {
        let key = self.metadata.key("a pod")?;
        let owners = &self.metadata.owner_references;
        let owner = owners.iter().find(|owner| owner.controller == Some(true));
        let owner = match owner.and_then(|owner| owner.kind.as_deref()) {
            _ if self.metadata.annotations.contains_key(MIRROR) => Owner::Kubelet,
            Some("Node") => Owner::Kubelet,
            Some("DaemonSet") => Owner::DaemonSet,
            Some(_) => Owner::Controller,
            None => Owner::Nobody,
        };
        let volumes = &self.spec.volumes;
        let mut paths = volumes
            .iter()
            .filter_map(|volume| volume.host_path.as_ref()?.path.as_deref());
        let docker_socket = paths.any(|path| {
            let name = path.trim_end_matches('/').rsplit('/').next();
            name.is_some_and(|name| DOCKER_SOCKETS.contains(&name))
        });
        let claims = volumes
            .iter()
            .filter_map(|volume| volume.persistent_volume_claim.as_ref()?.claim_name.clone());
        let api_server = self.spec.containers.iter().find_map(|container| {
            let image = container.image.as_deref()?;
            let image = image.split('@').next()?;
            let ours =
                key.0 == "kube-system" && container.name.as_deref() == Some("kube-apiserver");
            version(image.rsplit_once(':')?.1).filter(|_| ours)
        });
        let phase = self.status.phase.as_deref();
        let pod = Pod {
            revision: self.metadata.revision(),
            node: self.spec.node_name.clone().unwrap_or_default(),
            owner,
            finished: matches!(phase, Some("Succeeded" | "Failed")),
            pending: phase == Some("Pending"),
            ready: (self.status.ready())
                .is_some_and(|condition| condition.status.as_deref() == Some("True")),
            empty_dir: volumes.iter().any(|volume| volume.empty_dir.is_some()),
            docker_socket,
            claims: claims.collect(),
            api_server,
            labels: self.metadata.labels,
        };
        Ok((key, pod))
    }

    pub(super) fn budget(self) -> Result<(Key, Budget), String> {
        let key = self.metadata.key("a PodDisruptionBudget")?;
        let Status {
            disruptions_allowed,
            current_healthy,
            desired_healthy,
            expected_pods,
            ..
        } = self.status;
        let whole = |amount: &Option<Amount>, number: i64, text: &str| match amount {
            Some(Amount::Number(found)) => *found >= number,
            Some(Amount::Text(found)) => found.trim() == text,
            None => false,
        };
        let none_may_go = match &self.spec.max_unavailable {
            Some(Amount::Number(number)) => *number <= 0,
            Some(Amount::Text(text)) => matches!(text.trim(), "0" | "0%"),
            None => whole(&self.spec.min_available, i64::MAX, "100%"),
        };
        let all_needed = expected_pods.is_some_and(|expected| {
            expected > 0 && desired_healthy.is_some_and(|desired| desired >= expected)
        });
        let policy = self.spec.unhealthy_pod_eviction_policy.as_deref();
        // `policy/v1beta1` took an empty selector for none.
        let old = self.api_version.as_deref() == Some("policy/v1beta1");
        let revision = self.metadata.revision();
        let selector = self.spec.selector.map(WireSelector::selector).transpose()?;
        let budget = Budget {
            revision,
            selector: selector.filter(|selector| !(old && selector.is_empty())),
            allowed: disruptions_allowed.unwrap_or(i64::from(!none_may_go)),
            never: none_may_go || all_needed,
            lets_unready_go: policy == Some("AlwaysAllow")
                || (desired_healthy.is_some_and(|desired| desired > 0)
                    && current_healthy >= desired_healthy),
        };
        Ok((key, budget))
    }

    /// The claim that a volume on one node is bound to, and the volume's name.
    pub(super) fn local_volume(self) -> Result<Option<(Key, String)>, String> {
        let name = name(self.metadata.name.as_ref(), "a PersistentVolume")?;
        let on_node = self.spec.local.is_some() || self.spec.host_path.is_some();
        let claim = self.spec.claim_ref.filter(|_| on_node);
        Ok(claim.and_then(|claim| Some(((claim.namespace?, claim.name?), name))))
    }
}

impl Metadata {
    fn key(&self, what: &str) -> Result<Key, String> {
        let namespace = self.namespace.as_deref().unwrap_or("default").to_owned();
        Ok((
            name(Some(&namespace), "a namespace")?,
            name(self.name.as_ref(), what)?,
        ))
    }

    fn revision(&self) -> u64 {
        let revision = self.resource_version.as_deref();
        revision.and_then(|text| text.parse().ok()).unwrap_or(0)
    }
}

impl Status {
    fn ready(&self) -> Option<&Condition> {
        let mut conditions = self.conditions.iter();
        conditions.find(|condition| condition.kind.as_deref() == Some("Ready"))
    }
}

impl WireSelector {
    fn selector(self) -> Result<Selector, String> {
        let labels = self.match_labels.into_iter();
        let mut all: Vec<_> = labels
            .map(|(key, value)| Requirement {
                key,
                operator: Operator::In(vec![value]),
            })
            .collect();
        for Expression {
            key,
            operator,
            values,
        } in self.match_expressions
        {
            let operator = match operator.as_str() {
                "In" => Operator::In(values),
                "NotIn" => Operator::NotIn(values),
                "Exists" => Operator::Exists,
                "DoesNotExist" => Operator::DoesNotExist,
                other => {
                    let other = clean(Some(other.to_owned()));
                    return Err(format!("a selector has the unknown operator `{other}`"));
                }
            };
            all.push(Requirement { key, operator });
        }
        Ok(Selector::new(all))
    }
}

/// A name that commands and pages can carry as it is: a DNS subdomain (RFC 1123), which
/// is what the API server accepts.
fn name(given: Option<&String>, what: &str) -> Result<String, String> {
    let name = given.ok_or_else(|| format!("{what} has no name"))?;
    let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '.');
    let ends = |c: char| c.is_ascii_alphanumeric();
    let fits = name.chars().all(good) && name.starts_with(ends) && name.ends_with(ends);
    match fits && name.len() <= 253 {
        true => Ok(name.clone()),
        false => Err(format!(
            "{what} cannot be called `{}`",
            clean(Some(name.clone()))
        )),
    }
}

/// A free text without control characters, and not longer than is sensible.
fn clean(text: Option<String>) -> String {
    let text = text.unwrap_or_default();
    if text.len() <= LONGEST && !text.chars().any(char::is_control) {
        return text;
    }
    plain(text.chars().take(LONGEST))
}

/// A text without control characters.
fn plain(text: impl Iterator<Item = char>) -> String {
    text.map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect()
}
