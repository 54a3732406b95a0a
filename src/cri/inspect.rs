//! `inspectp`, `inspect`, `inspecti`: statuses, with what the runtime adds.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use super::args::{Inspect, Inspecti, Inspectp, Output, Shown};
use super::client::Session;
use super::proto::{
    CONTAINER_STATES, ContainerStatus, ContainerStatusRequest, Image, POD_STATES, PodSandboxStatus,
    PodSandboxStatusRequest,
};
use super::table::{ago, json_time, size, time};
use super::{images, output, say};
use crate::error::{Error, Kind, Result};

/// How Go writes a time that is none.
const NEVER: &str = "0001-01-01T00:00:00Z";

type Information = BTreeMap<String, String>;

pub async fn pods(session: &mut Session, arguments: Inspectp) -> Result<()> {
    let mut ids = arguments.ids;
    if ids.is_empty() {
        let pods = super::pods::found(session, "", &arguments.filter).await?;
        ids = pods.into_iter().map(|pod| pod.id).collect();
    }
    let mut shown = Statuses::of(&ids, arguments.shown)?;
    for id in ids {
        let request = PodSandboxStatusRequest {
            pod_sandbox_id: id,
            verbose: shown.verbose(),
        };
        let answer = session.runtime().await?.call(request).await;
        let answer = answer.map_err(|error| {
            error.context("get the status of pod sandboxes: pod sandbox status")
        })?;
        let status = answer.status.unwrap_or_default();
        shown.add(&answer.info, || pod_value(&status), || pod_text(&status))?;
    }
    shown.print()
}

pub async fn containers(session: &mut Session, arguments: Inspect) -> Result<()> {
    let mut ids = arguments.ids;
    if ids.is_empty() {
        let containers = super::containers::found(session, "", &arguments.filter).await?;
        ids = containers.into_iter().map(|one| one.id).collect();
    }
    let mut shown = Statuses::of(&ids, arguments.shown)?;
    for id in ids {
        let request = ContainerStatusRequest {
            container_id: id,
            verbose: shown.verbose(),
        };
        let answer = session.runtime().await?.call(request).await;
        let answer = answer
            .map_err(|error| error.context("get the status of containers: container status"))?;
        let status = answer.status.unwrap_or_default();
        shown.add(
            &answer.info,
            || container_value(&status),
            || container_text(&status),
        )?;
    }
    shown.print()
}

pub async fn images(session: &mut Session, arguments: Inspecti) -> Result<()> {
    let mut ids = arguments.ids;
    if ids.is_empty() {
        let name = arguments.name.as_deref().unwrap_or_default();
        let images = images::found(session, name, &arguments.filter.filter).await?;
        ids = images.into_iter().map(|image| image.id).collect();
    }
    let mut shown = Statuses::of(&ids, arguments.shown)?;
    for id in ids {
        let answer = images::status(session, &id, shown.verbose()).await?;
        let Some(image) = answer.image else {
            let message = format!("no such image {id:?} present");
            return Err(Error::new(Kind::Usage, message));
        };
        shown.add(
            &answer.info,
            || output::value(&image),
            || image_text(&image),
        )?;
    }
    shown.print()
}

/// Statuses as they come in.
struct Statuses {
    how: Shown,
    values: Vec<Value>,
    text: String,
}

impl Statuses {
    fn of(ids: &[String], how: Shown) -> Result<Self> {
        if ids.is_empty() {
            let message = "No IDs provided or nothing found per filter";
            return Err(Error::new(Kind::Usage, message));
        }
        Ok(Self {
            how,
            values: Vec::new(),
            text: String::new(),
        })
    }

    fn verbose(&self) -> bool {
        !self.how.quiet
    }

    fn add(
        &mut self,
        info: &Information,
        value: impl FnOnce() -> Result<Value>,
        text: impl FnOnce() -> String,
    ) -> Result<()> {
        if self.how.output == Output::Table {
            self.text += &text();
            if self.verbose() {
                let info = info.iter().map(|(key, value)| format!("{key}:{value}"));
                let info: Vec<_> = info.collect();
                self.text += &format!("Info: map[{}]\n", info.join(" "));
            }
        } else {
            let status = output::with_info(value()?, info)?;
            self.values.push(status.into());
        }
        Ok(())
    }

    fn print(self) -> Result<()> {
        match self.how.output {
            Output::Table => say::print(&self.text),
            output => output::statuses(self.values, output),
        }
    }
}

/// A status whose messages are all there, if only as `null`, and whose times are texts.
fn status<T: Serialize, const M: usize, const N: usize>(
    status: &T,
    messages: [&str; M],
    times: [(&str, String); N],
) -> Result<Value> {
    let mut value = output::value(status)?;
    for message in messages {
        if value.get(message).is_none() {
            value[message] = Value::Null;
        }
    }
    for (name, time) in times {
        value[name] = time.into();
    }
    Ok(value)
}

fn pod_value(pod: &PodSandboxStatus) -> Result<Value> {
    let created = json_time(pod.created_at);
    status(
        pod,
        ["metadata", "network", "linux"],
        [("createdAt", created)],
    )
}

fn container_value(container: &ContainerStatus) -> Result<Value> {
    let (started, finished) = ran(container);
    let json = |time: Option<i64>| time.map_or(NEVER.to_owned(), json_time);
    let times = [
        ("createdAt", json_time(container.created_at)),
        ("startedAt", json(started)),
        ("finishedAt", json(finished)),
    ];
    status(container, ["metadata", "image", "resources", "user"], times)
}

/// When a container began and ended, as far as it has.
fn ran(container: &ContainerStatus) -> (Option<i64>, Option<i64>) {
    let (created, exited, unknown) = (0, 2, 3);
    let started = (container.state != created).then_some(container.started_at);
    let ended = container.state == exited || container.state == unknown;
    let ended = ended && container.finished_at > 0;
    (started, ended.then_some(container.finished_at))
}

fn pod_text(pod: &PodSandboxStatus) -> String {
    let mut text = format!("ID: {}\n", pod.id);
    if let Some(metadata) = &pod.metadata {
        for (key, value) in [
            ("Name", &metadata.name),
            ("UID", &metadata.uid),
            ("Namespace", &metadata.namespace),
        ] {
            if !value.is_empty() {
                text += &format!("{key}: {value}\n");
            }
        }
        text += &format!("Attempt: {}\n", metadata.attempt);
    }
    text += &format!("Status: {}\n", name(&POD_STATES, pod.state));
    text += &format!("Created: {}\n", time(pod.created_at));
    if let Some(network) = &pod.network {
        text += &format!("IP Addresses: {}\n", network.ip);
        for other in &network.additional_ips {
            text += &format!("Additional IP: {}\n", other.ip);
        }
    }
    output::pairs(&mut text, "Labels", &pod.labels);
    output::pairs(&mut text, "Annotations", &pod.annotations);
    text
}

fn container_text(container: &ContainerStatus) -> String {
    let mut text = format!("ID: {}\n", container.id);
    if let Some(metadata) = &container.metadata {
        if !metadata.name.is_empty() {
            text += &format!("Name: {}\n", metadata.name);
        }
        if metadata.attempt != 0 {
            text += &format!("Attempt: {}\n", metadata.attempt);
        }
    }
    let state = name(&CONTAINER_STATES, container.state);
    text += &format!("State: {state}\nCreated: {}\n", ago(container.created_at));
    let (started, finished) = ran(container);
    if let Some(started) = started {
        text += &format!("Started: {}\n", ago(started));
    }
    if let Some(finished) = finished {
        text += &format!("Finished: {}\n", ago(finished));
        text += &format!("Exit Code: {}\n", container.exit_code);
    }
    output::pairs(&mut text, "Labels", &container.labels);
    output::pairs(&mut text, "Annotations", &container.annotations);
    text
}

fn image_text(image: &Image) -> String {
    let mut text = format!("ID: {}\n", image.id);
    for tag in &image.repo_tags {
        text += &format!("Tag: {tag}\n");
    }
    for digest in &image.repo_digests {
        text += &format!("Digest: {digest}\n");
    }
    text + &format!("Size: {}\n", size(image.size))
}

fn name(names: &[&str], state: i32) -> String {
    let name = usize::try_from(state).ok().and_then(|at| names.get(at));
    name.map_or_else(|| state.to_string(), |name| (*name).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_have_crictls_fields() {
        let value = container_value(&ContainerStatus {
            id: "a".to_owned(),
            state: 1,
            created_at: 1,
            started_at: 1_000_000_000,
            stop_signal: 51,
            ..ContainerStatus::default()
        })
        .unwrap();
        assert_eq!(value["createdAt"], "1970-01-01T00:00:00.000000001Z");
        assert_eq!(value["startedAt"], "1970-01-01T00:00:01Z");
        assert_eq!(value["finishedAt"], NEVER);
        assert_eq!(value["state"], "CONTAINER_RUNNING");
        assert_eq!(value["stopSignal"], "SIGNAL_SIGRTMAXMINUS14");
        assert_eq!(value["exitCode"], 0);
        assert_eq!(value["mounts"], serde_json::json!([]));
        assert_eq!(value["resources"], Value::Null);

        let value = pod_value(&PodSandboxStatus {
            state: 7,
            ..PodSandboxStatus::default()
        })
        .unwrap();
        assert_eq!(value["state"], 7);
        assert_eq!(value["runtimeHandler"], "");
        assert!(value.as_object().unwrap()["network"].is_null());

        let image = Image {
            size: 5,
            uid: Some(Default::default()),
            ..Image::default()
        };
        let value = output::value(&image).unwrap();
        assert_eq!(value["size"], "5");
        assert_eq!(value["uid"]["value"], "0");
        assert_eq!(value["repoTags"], serde_json::json!([]));
        assert_eq!(value["pinned"], false);
        assert!(value.get("spec").is_none());
    }
}
