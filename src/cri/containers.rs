//! `ps`, `start`, `stop`, `rm`.

use std::path::{Path, PathBuf};

use super::args::{ContainerFilter, Output, Ps, Rm, Stop};
use super::client::Session;
use super::filter::{self, Failures, Pattern};
use super::images;
use super::proto::{
    CONTAINER_STATES, Container, ContainerStateValue, ContainerStatusRequest,
    ListContainersRequest, ListContainersResponse, RemoveContainerRequest, StartContainerRequest,
    StopContainerRequest,
};
use super::table::{Table, ago, short};
use super::{output, proto, say};
use crate::error::{Error, Kind, Result, plain};

/// `CONTAINER_RUNNING`.
pub const RUNNING: i32 = 1;

/// Labels by which kubelet names the pod on its containers.
const POD_NAME: &str = "io.kubernetes.pod.name";
const POD_NAMESPACE: &str = "io.kubernetes.pod.namespace";

pub async fn list(session: &mut Session, arguments: &Ps) -> Result<()> {
    let id = arguments.id.as_deref().unwrap_or_default();
    let mut containers = found(session, id, &arguments.filter).await?;
    let how = &arguments.list;
    if how.output != Output::Table {
        let containers = ListContainersResponse { containers };
        return output::message(&containers, how.output);
    }
    if arguments.resolve_image_path {
        for container in &mut containers {
            resolve(session, container).await?;
        }
    }
    let text = match (how.quiet, how.verbose) {
        (true, _) => containers
            .iter()
            .map(|container| format!("{}\n", container.id))
            .collect(),
        (_, true) => containers.iter().map(paragraph).collect(),
        _ => table(&containers, how.no_trunc),
    };
    say::print(&text)
}

/// The containers that a filter leaves, the newest first.
pub async fn found(
    session: &mut Session,
    id: &str,
    wanted: &ContainerFilter,
) -> Result<Vec<Container>> {
    let (name, namespace) = (
        Pattern::new(wanted.name.as_deref())?,
        Pattern::new(wanted.namespace.as_deref())?,
    );
    let state = filter::state(wanted.state.as_deref(), &CONTAINER_STATES, "CONTAINER_")?;
    let state = match state {
        _ if wanted.latest || wanted.last > 0 => None,
        None if !wanted.all => Some(RUNNING),
        state => state,
    };
    let filter = proto::ContainerFilter {
        id: id.to_owned(),
        state: state.map(|state| ContainerStateValue { state }),
        pod_sandbox_id: wanted.pod.clone().unwrap_or_default(),
        label_selector: filter::labels(&wanted.label)?,
    };
    let request = ListContainersRequest {
        filter: Some(filter),
    };
    let answer = session.runtime().await?.call(request).await;
    let mut containers = answer
        .map_err(|error| error.context("listing containers"))?
        .containers;
    containers.retain(|container| {
        let metadata = container.metadata.as_ref();
        metadata.is_some_and(|data| name.matches(&data.name))
            && namespace.matches(label(container, POD_NAMESPACE))
    });
    if let Some(image) = &wanted.image {
        keep_image(session, &mut containers, image).await?;
    }
    filter::newest(
        &mut containers,
        |container| container.created_at,
        wanted.latest,
        wanted.last,
    );
    Ok(containers)
}

async fn keep_image(
    session: &mut Session,
    containers: &mut Vec<Container>,
    image: &str,
) -> Result<()> {
    let Some(wanted) = images::status(session, image, false).await?.image else {
        containers.clear();
        return Ok(());
    };
    let mut kept = Vec::new();
    for container in std::mem::take(containers) {
        let of = images::status(session, image_of(&container), false).await?;
        if of.image.is_some_and(|image| image.id == wanted.id) {
            kept.push(container);
        }
    }
    *containers = kept;
    Ok(())
}

/// Names the image by its first tag.
async fn resolve(session: &mut Session, container: &mut Container) -> Result<()> {
    let Some(spec) = &mut container.image else {
        return Ok(());
    };
    let status = images::status(session, &spec.image, false).await?;
    let tags = status.image.map(|image| image.repo_tags);
    if let Some(tag) = tags.and_then(|tags| tags.into_iter().next()) {
        spec.image = tag;
    }
    Ok(())
}

fn image_of(container: &Container) -> &str {
    container.image.as_ref().map_or("", |image| &image.image)
}

fn label<'a>(container: &'a Container, key: &str) -> &'a str {
    container.labels.get(key).map_or("unknown", String::as_str)
}

fn table(containers: &[Container], whole: bool) -> String {
    let mut table = Table::new([
        "CONTAINER",
        "IMAGE",
        "CREATED",
        "STATE",
        "NAME",
        "ATTEMPT",
        "POD ID",
        "POD",
        "NAMESPACE",
    ]);
    for container in containers {
        let metadata = container.metadata.clone().unwrap_or_default();
        let id = |id: &str| match whole {
            true => id.to_owned(),
            false => short(id).to_owned(),
        };
        let image = image_of(container);
        table.row([
            id(&container.id),
            match image.starts_with("sha256:") {
                true => id(image),
                false => image.to_owned(),
            },
            ago(container.created_at),
            state(container.state),
            metadata.name,
            metadata.attempt.to_string(),
            id(&container.pod_sandbox_id),
            label(container, POD_NAME).to_owned(),
            label(container, POD_NAMESPACE).to_owned(),
        ]);
    }
    table.text()
}

fn paragraph(container: &Container) -> String {
    let mut text = format!(
        "ID: {}\nPodID: {}\nNamespace: {}\n",
        container.id,
        container.pod_sandbox_id,
        label(container, POD_NAMESPACE)
    );
    let metadata = container.metadata.clone().unwrap_or_default();
    if !metadata.name.is_empty() {
        text += &format!("Name: {}\n", metadata.name);
    }
    text += &format!(
        "Attempt: {}\nState: {}\nImage: {}\nCreated: {}\n",
        metadata.attempt,
        state(container.state),
        image_of(container),
        ago(container.created_at)
    );
    output::pairs(&mut text, "Labels", &container.labels);
    output::pairs(&mut text, "Annotations", &container.annotations);
    text + "\n"
}

fn state(state: i32) -> String {
    match state {
        0 => "Created".to_owned(),
        RUNNING => "Running".to_owned(),
        2 => "Exited".to_owned(),
        3 => "Unknown".to_owned(),
        other => other.to_string(),
    }
}

pub async fn start(session: &mut Session, ids: Vec<String>) -> Result<()> {
    for id in ids {
        let request = StartContainerRequest {
            container_id: id.clone(),
        };
        let answer = session.runtime().await?.call(request).await;
        answer.map_err(|error| error.context(format!("starting the container {id:?}")))?;
        say::print(&format!("{id}\n"))?;
    }
    Ok(())
}

pub async fn stop(session: &mut Session, arguments: Stop) -> Result<()> {
    let mut ids = arguments.ids;
    if arguments.all {
        let running = found(session, "", &ContainerFilter::default()).await?;
        if running.is_empty() {
            return say::print("No running containers found.\n");
        }
        ids = running.into_iter().map(|container| container.id).collect();
    }
    for id in ids {
        stop_one(session, &id, arguments.timeout).await?;
    }
    Ok(())
}

/// Stops a container that has `grace` seconds to end by itself.
async fn stop_one(session: &mut Session, id: &str, grace: u32) -> Result<()> {
    let request = StopContainerRequest {
        container_id: id.to_owned(),
        timeout: grace.into(),
    };
    let more = std::time::Duration::from_secs(grace.into());
    let answer = session.runtime().await?.call_longer(request, more).await;
    answer.map_err(|error| error.context(format!("stopping the container {id:?}")))?;
    say::print(&format!("{id}\n"))
}

pub async fn remove(session: &mut Session, arguments: Rm) -> Result<()> {
    let mut ids = arguments.ids.clone();
    if arguments.all {
        let all = ContainerFilter {
            all: true,
            ..ContainerFilter::default()
        };
        let all = found(session, "", &all).await?;
        ids = all.into_iter().map(|container| container.id).collect();
        if ids.is_empty() {
            say::info("No containers to remove");
        }
    }
    session.runtime().await?;
    let mut failures = Failures::new();
    for id in ids {
        failures.add(remove_one(session, &id, &arguments).await);
    }
    failures.result()
}

async fn remove_one(session: &mut Session, id: &str, how: &Rm) -> Result<()> {
    let request = ContainerStatusRequest {
        container_id: id.to_owned(),
        verbose: false,
    };
    let answer = session.runtime().await?.call(request).await;
    let status = answer
        .map_err(|error| error.context(format!("getting container status {id:?}")))?
        .status
        .unwrap_or_default();
    if status.state == RUNNING {
        if !how.force {
            let message = format!("container {id:?} is running, please stop it first");
            return Err(
                Error::new(Kind::Usage, message).hint("`stop` stops it, `rm --force` does both")
            );
        }
        stop_one(session, id, 0).await?;
    }
    let request = RemoveContainerRequest {
        container_id: id.to_owned(),
    };
    let answer = session.runtime().await?.call(request).await;
    answer.map_err(|error| error.context(format!("removing container {id:?}")))?;
    say::print(&format!("{id}\n"))?;
    if !how.keep_logs && !status.log_path.is_empty() {
        remove_logs(Path::new(&status.log_path), id);
    }
    Ok(())
}

/// Removes a log and its rotations; what cannot be removed is only told.
fn remove_logs(log: &Path, id: &str) {
    for file in rotations(log) {
        match std::fs::remove_file(&file) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                let why = plain(&error);
                let file = file.display();
                say::warning(&format!("removing log file {file} of {id:?}: {why}"));
            }
            _ => {}
        }
    }
}

/// The log, and the files beside it whose names go on after its name and a dot.
fn rotations(log: &Path) -> Vec<PathBuf> {
    let mut files = vec![log.to_owned()];
    let (Some(folder), Some(name)) = (log.parent(), log.file_name()) else {
        return files;
    };
    let prefix = format!("{}.", name.to_string_lossy());
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let names = entries.map(|entry| entry.file_name());
    let rotated = names.filter(|name| name.to_string_lossy().starts_with(&prefix));
    files.extend(rotated.map(|name| folder.join(name)));
    files
}
