//! `pods`, `stopp`, `rmp`.

use super::args::{Output, PodFilter, Pods, Rmp};
use super::client::Session;
use super::filter::{self, Failures, Pattern};
use super::proto::{
    ListPodSandboxRequest, ListPodSandboxResponse, POD_STATES, PodSandbox, PodSandboxFilter,
    PodSandboxStateValue, PodSandboxStatusRequest, RemovePodSandboxRequest, StopPodSandboxRequest,
};
use super::table::{Table, ago, short, time};
use super::{output, say};
use crate::error::{Error, Kind, Result};

/// `SANDBOX_READY`.
const READY: i32 = 0;

pub async fn list(session: &mut Session, arguments: &Pods) -> Result<()> {
    let id = arguments.id.as_deref().unwrap_or_default();
    let pods = found(session, id, &arguments.filter).await?;
    let how = &arguments.list;
    if how.output != Output::Table {
        let items = ListPodSandboxResponse { items: pods };
        return output::message(&items, how.output);
    }
    let text = match (how.quiet, how.verbose) {
        (true, _) => pods.iter().map(|pod| format!("{}\n", pod.id)).collect(),
        (_, true) => pods.iter().map(paragraph).collect(),
        _ => table(&pods, how.no_trunc),
    };
    say::print(&text)
}

/// The pods that a filter leaves, the newest first.
pub async fn found(session: &mut Session, id: &str, wanted: &PodFilter) -> Result<Vec<PodSandbox>> {
    let (name, namespace) = (
        Pattern::new(wanted.name.as_deref())?,
        Pattern::new(wanted.namespace.as_deref())?,
    );
    let state = filter::state(wanted.state.as_deref(), &POD_STATES, "SANDBOX_")?;
    let filter = PodSandboxFilter {
        id: id.to_owned(),
        state: state.map(|state| PodSandboxStateValue { state }),
        label_selector: filter::labels(&wanted.label)?,
    };
    let request = ListPodSandboxRequest {
        filter: Some(filter),
    };
    let answer = session.runtime().await?.call(request).await;
    let mut pods = answer
        .map_err(|error| error.context("listing pod sandboxes"))?
        .items;
    pods.retain(|pod| {
        let metadata = pod.metadata.as_ref();
        metadata.is_some_and(|data| name.matches(&data.name) && namespace.matches(&data.namespace))
    });
    filter::newest(&mut pods, |pod| pod.created_at, wanted.latest, wanted.last);
    Ok(pods)
}

fn table(pods: &[PodSandbox], whole: bool) -> String {
    let mut table = Table::new([
        "POD ID",
        "CREATED",
        "STATE",
        "NAME",
        "NAMESPACE",
        "ATTEMPT",
        "RUNTIME",
    ]);
    for pod in pods {
        let metadata = pod.metadata.clone().unwrap_or_default();
        let id = if whole { &pod.id } else { short(&pod.id) };
        table.row([
            id.to_owned(),
            ago(pod.created_at),
            state(pod.state),
            metadata.name,
            metadata.namespace,
            metadata.attempt.to_string(),
            handler(pod).to_owned(),
        ]);
    }
    table.text()
}

fn paragraph(pod: &PodSandbox) -> String {
    let mut text = format!("ID: {}\n", pod.id);
    let metadata = pod.metadata.clone().unwrap_or_default();
    for (key, value) in [
        ("Name", &metadata.name),
        ("UID", &metadata.uid),
        ("Namespace", &metadata.namespace),
    ] {
        if !value.is_empty() {
            text += &format!("{key}: {value}\n");
        }
    }
    if metadata.attempt != 0 {
        text += &format!("Attempt: {}\n", metadata.attempt);
    }
    text += &format!("Status: {}\n", state(pod.state));
    text += &format!("Created: {}\n", time(pod.created_at));
    output::pairs(&mut text, "Labels", &pod.labels);
    output::pairs(&mut text, "Annotations", &pod.annotations);
    text += &format!("Runtime: {}\n\n", handler(pod));
    text
}

fn state(state: i32) -> String {
    match state {
        READY => "Ready".to_owned(),
        1 => "NotReady".to_owned(),
        other => other.to_string(),
    }
}

fn handler(pod: &PodSandbox) -> &str {
    match pod.runtime_handler.as_str() {
        "" => "(default)",
        handler => handler,
    }
}

pub async fn stop(session: &mut Session, ids: Vec<String>) -> Result<()> {
    for id in ids {
        stop_one(session, &id).await?;
    }
    Ok(())
}

async fn stop_one(session: &mut Session, id: &str) -> Result<()> {
    let request = StopPodSandboxRequest {
        pod_sandbox_id: id.to_owned(),
    };
    let answer = session.runtime().await?.call(request).await;
    answer.map_err(|error| error.context(format!("stopping the pod sandbox {id:?}")))?;
    say::print(&format!("Stopped sandbox {id}\n"))
}

pub async fn remove(session: &mut Session, arguments: Rmp) -> Result<()> {
    let mut ids = arguments.ids;
    if arguments.all {
        let pods = found(session, "", &PodFilter::default()).await?;
        ids = pods.into_iter().map(|pod| pod.id).collect();
        if ids.is_empty() {
            say::info("No pods to remove");
        }
    }
    session.runtime().await?;
    let mut failures = Failures::new();
    for id in ids {
        failures.add(remove_one(session, &id, arguments.force).await);
    }
    failures.result()
}

async fn remove_one(session: &mut Session, id: &str, force: bool) -> Result<()> {
    let request = PodSandboxStatusRequest {
        pod_sandbox_id: id.to_owned(),
        verbose: false,
    };
    let answer = session.runtime().await?.call(request).await;
    let answer =
        answer.map_err(|error| error.context(format!("getting sandbox status of pod {id:?}")))?;
    if answer.status.is_some_and(|status| status.state == READY) {
        if !force {
            let message = format!("pod sandbox {id:?} is running, please stop it first");
            return Err(
                Error::new(Kind::Usage, message).hint("`stopp` stops it, `rmp --force` does both")
            );
        }
        stop_one(session, id).await?;
    }
    let request = RemovePodSandboxRequest {
        pod_sandbox_id: id.to_owned(),
    };
    let answer = session.runtime().await?.call(request).await;
    answer.map_err(|error| error.context(format!("removing the pod sandbox {id:?}")))?;
    say::print(&format!("Removed sandbox {id}\n"))
}
