//! `version`, `info` and `runtime-config`.

use serde_json::{Map, Value, json};

use super::args::Info;
use super::client::Session;
use super::proto::{
    CgroupDriver, RuntimeConfigRequest, RuntimeFeatures, RuntimeHandler, StatusRequest,
    VersionRequest,
};
use super::{output, say};
use crate::error::Result;

pub async fn version(session: &mut Session) -> Result<()> {
    let request = VersionRequest {
        version: "v1".to_owned(),
    };
    let answer = session.runtime().await?.call(request).await;
    let answer = answer.map_err(|error| error.context("getting the runtime version"))?;
    say::print(&format!(
        "Version:  {}\nRuntimeName:  {}\nRuntimeVersion:  {}\nRuntimeApiVersion:  {}\n",
        answer.version, answer.runtime_name, answer.runtime_version, answer.runtime_api_version
    ))
}

pub async fn info(session: &mut Session, arguments: &Info) -> Result<()> {
    let request = StatusRequest {
        verbose: !arguments.quiet,
    };
    let answer = session.runtime().await?.call(request).await;
    let answer = answer.map_err(|error| error.context("getting status of runtime"))?;
    let status = output::value(&answer.status.unwrap_or_default())?;
    let mut map = output::with_info(status, &answer.info)?;
    if !answer.runtime_handlers.is_empty() {
        let handlers = answer.runtime_handlers.iter().map(handler);
        map.insert("runtimeHandlers".to_owned(), handlers.collect());
    }
    if let Some(features) = &answer.features {
        map.insert("features".to_owned(), self::features(features));
    }
    output::statuses(vec![map.into()], arguments.output)
}

/// Who makes the cgroups of pods: a runtime that answers tells its kubelet, too.
pub async fn config(session: &mut Session) -> Result<()> {
    let answer = session.runtime().await?.call(RuntimeConfigRequest {}).await;
    let answer =
        answer.map_err(|error| error.context("get runtime config: call RuntimeConfig RPC"))?;
    let Some(linux) = answer.linux else {
        return Ok(());
    };
    let driver = match CgroupDriver::try_from(linux.cgroup_driver) {
        Ok(CgroupDriver::Systemd) => "SYSTEMD".to_owned(),
        Ok(CgroupDriver::Cgroupfs) => "CGROUPFS".to_owned(),
        Err(_) => linux.cgroup_driver.to_string(),
    };
    say::print(&format!("cgroup driver:   {driver}\n"))
}

// crictl writes these two by Go's rules: snake case, nothing that is false.

fn handler(handler: &RuntimeHandler) -> Value {
    let mut map = Map::new();
    if !handler.name.is_empty() {
        map.insert("name".to_owned(), json!(handler.name));
    }
    if let Some(features) = &handler.features {
        let features = true_ones([
            (
                "recursive_read_only_mounts",
                features.recursive_read_only_mounts,
            ),
            ("user_namespaces", features.user_namespaces),
        ]);
        map.insert("features".to_owned(), features);
    }
    map.into()
}

fn features(features: &RuntimeFeatures) -> Value {
    true_ones([
        (
            "supplemental_groups_policy",
            features.supplemental_groups_policy,
        ),
        (
            "user_namespaces_host_network",
            features.user_namespaces_host_network,
        ),
        ("mount_options", features.mount_options),
    ])
}

fn true_ones<const N: usize>(all: [(&str, bool); N]) -> Value {
    let ones = all.into_iter().filter(|(_, is)| *is);
    Value::Object(
        ones.map(|(name, is)| (name.to_owned(), is.into()))
            .collect(),
    )
}
