//! What sandboxes and containers both have.

use std::collections::BTreeMap;

use prost::Message;
use serde::{Deserialize, Serialize};

use super::json;

/// A range of user or group numbers and where it begins outside.
#[derive(Clone, PartialEq, Message, Serialize, Deserialize)]
#[serde(rename_all(serialize = "camelCase"), default)]
pub struct IdMapping {
    #[prost(uint32, tag = "1")]
    pub host_id: u32,
    #[prost(uint32, tag = "2")]
    pub container_id: u32,
    #[prost(uint32, tag = "3")]
    pub length: u32,
}

/// A number that can be left out.
#[derive(Clone, PartialEq, Message, Serialize, Deserialize)]
#[serde(rename_all(serialize = "camelCase"), default)]
pub struct Int64Value {
    #[prost(int64, tag = "1")]
    #[serde(serialize_with = "json::int64")]
    pub value: i64,
}

/// Which namespaces are the pod's, the container's or the node's.
#[derive(Clone, PartialEq, Message, Serialize, Deserialize)]
#[serde(rename_all(serialize = "camelCase"), default)]
pub struct NamespaceOption {
    #[prost(int32, tag = "1")]
    #[serde(serialize_with = "json::namespace_mode")]
    pub network: i32,
    #[prost(int32, tag = "2")]
    #[serde(serialize_with = "json::namespace_mode")]
    pub pid: i32,
    #[prost(int32, tag = "3")]
    #[serde(serialize_with = "json::namespace_mode")]
    pub ipc: i32,
    #[prost(string, tag = "4")]
    pub target_id: String,
    #[prost(message, optional, tag = "5")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub userns_options: Option<UserNamespace>,
}

#[derive(Clone, PartialEq, Message, Serialize, Deserialize)]
#[serde(rename_all(serialize = "camelCase"), default)]
pub struct UserNamespace {
    #[prost(int32, tag = "1")]
    #[serde(serialize_with = "json::namespace_mode")]
    pub mode: i32,
    #[prost(message, repeated, tag = "2")]
    pub uids: Vec<IdMapping>,
    #[prost(message, repeated, tag = "3")]
    pub gids: Vec<IdMapping>,
}

#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(default)]
pub struct SELinuxOption {
    #[prost(string, tag = "1")]
    pub user: String,
    #[prost(string, tag = "2")]
    pub role: String,
    #[prost(string, tag = "3")]
    pub r#type: String,
    #[prost(string, tag = "4")]
    pub level: String,
}

/// A seccomp or `AppArmor` profile.
#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(default)]
pub struct SecurityProfile {
    #[prost(int32, tag = "1")]
    pub profile_type: i32,
    #[prost(string, tag = "2")]
    pub localhost_ref: String,
}

/// Limits; zero is no limit.
#[derive(Clone, PartialEq, Message, Serialize, Deserialize)]
#[serde(rename_all(serialize = "camelCase"), default)]
pub struct LinuxContainerResources {
    #[prost(int64, tag = "1")]
    #[serde(serialize_with = "json::int64")]
    pub cpu_period: i64,
    #[prost(int64, tag = "2")]
    #[serde(serialize_with = "json::int64")]
    pub cpu_quota: i64,
    #[prost(int64, tag = "3")]
    #[serde(serialize_with = "json::int64")]
    pub cpu_shares: i64,
    #[prost(int64, tag = "4")]
    #[serde(serialize_with = "json::int64")]
    pub memory_limit_in_bytes: i64,
    #[prost(int64, tag = "5")]
    #[serde(serialize_with = "json::int64")]
    pub oom_score_adj: i64,
    #[prost(string, tag = "6")]
    pub cpuset_cpus: String,
    #[prost(string, tag = "7")]
    pub cpuset_mems: String,
    #[prost(message, repeated, tag = "8")]
    pub hugepage_limits: Vec<HugepageLimit>,
    #[prost(btree_map = "string, string", tag = "9")]
    pub unified: BTreeMap<String, String>,
    #[prost(int64, tag = "10")]
    #[serde(serialize_with = "json::int64")]
    pub memory_swap_limit_in_bytes: i64,
}

#[derive(Clone, PartialEq, Message, Serialize, Deserialize)]
#[serde(rename_all(serialize = "camelCase"), default)]
pub struct HugepageLimit {
    #[prost(string, tag = "1")]
    pub page_size: String,
    #[prost(uint64, tag = "2")]
    #[serde(serialize_with = "json::uint64")]
    pub limit: u64,
}
