//! `runp`, `create`, `run`, `pull`: what is made from configuration files.

use std::collections::BTreeMap;
use std::io::{IsTerminal, Read, Write};
use std::time::Duration;

use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};

use super::args::{Create, Credentials, Pull, PullFirst, Run, Runp};
use super::client::Session;
use super::proto::{
    AuthConfig, ContainerConfig, CreateContainerRequest, ImageSpec, PodSandboxConfig,
    PullImageRequest, RunPodSandboxRequest,
};
use super::{containers, document, filter, say};
use crate::error::{Error, Kind, Result};

pub async fn runp(session: &mut Session, arguments: Runp) -> Result<()> {
    let config = document::pod(&arguments.pod_config)
        .map_err(|error| error.context("load podSandboxConfig"))?;
    let id = run_pod(session, config, arguments.runtime, arguments.cancel_timeout).await?;
    say::print(&format!("{id}\n"))
}

async fn run_pod(
    session: &mut Session,
    config: PodSandboxConfig,
    handler: String,
    within: Option<Duration>,
) -> Result<String> {
    let request = RunPodSandboxRequest {
        config: Some(config),
        runtime_handler: handler,
    };
    // A sandbox may need twice the time: kubelet gives it that, too.
    let within = within.unwrap_or(session.settings.timeout).saturating_mul(2);
    let mut runtime = session.runtime().await?;
    let answer = runtime.call_within(request, Some(within)).await;
    let answer = answer.map_err(|error| error.context("run pod sandbox"))?;
    Ok(answer.pod_sandbox_id)
}

pub async fn create(session: &mut Session, arguments: Create) -> Result<()> {
    let id = create_from(session, arguments)
        .await
        .map_err(|error| error.context("creating container"))?;
    say::print(&format!("{id}\n"))
}

async fn create_from(session: &mut Session, arguments: Create) -> Result<String> {
    let config = document::container(&arguments.container_config)?;
    let pod = document::pod(&arguments.pod_config)?;
    let by_default = session.settings.pull_image_on_create;
    pull_first(session, &config, &pod, &arguments.pull, by_default).await?;
    let within = arguments.pull.cancel_timeout;
    create_container(session, arguments.pod, config, pod, within).await
}

async fn create_container(
    session: &mut Session,
    pod_id: String,
    config: ContainerConfig,
    pod: PodSandboxConfig,
    within: Option<Duration>,
) -> Result<String> {
    let request = CreateContainerRequest {
        pod_sandbox_id: pod_id,
        config: Some(config),
        sandbox_config: Some(pod),
    };
    let within = within.unwrap_or(session.settings.timeout);
    let mut runtime = session.runtime().await?;
    let answer = runtime.call_within(request, Some(within)).await?;
    Ok(answer.container_id)
}

pub async fn run(session: &mut Session, arguments: Run) -> Result<()> {
    let within = arguments.pull.cancel_timeout;
    let doing = |what: &'static str| move |error: Error| error.context(what);
    let config =
        document::container(&arguments.container_config).map_err(doing("running container"))?;
    let pod = document::pod(&arguments.pod_config)
        .map_err(doing("running container: load podSandboxConfig"))?;
    let by_default = !session.settings.disable_pull_on_run;
    let pod_id = run_pod(session, pod.clone(), arguments.runtime, None)
        .await
        .map_err(doing("running container"))?;
    let id = async {
        pull_first(session, &config, &pod, &arguments.pull, by_default).await?;
        create_container(session, pod_id, config, pod, within).await
    };
    let id = id
        .await
        .map_err(doing("running container: creating container failed"))?;
    containers::start(session, vec![id])
        .await
        .map_err(doing("running container"))
}

async fn pull_first(
    session: &mut Session,
    config: &ContainerConfig,
    pod: &PodSandboxConfig,
    how: &PullFirst,
    by_default: bool,
) -> Result<()> {
    if how.no_pull || !(how.with_pull || by_default) {
        return Ok(());
    }
    let own = config.image.iter();
    let mounted = config
        .mounts
        .iter()
        .filter_map(|mount| mount.image.as_ref());
    let named = own.chain(mounted).filter(|spec| !spec.image.is_empty());
    for spec in named {
        say::info(&format!("Pulling container image: {}", spec.image));
        let annotations = config.image.as_ref().map(|image| image.annotations.clone());
        let annotations = annotations.unwrap_or_default();
        let pod = Some(pod.clone());
        pull_image(session, &spec.image, annotations, pod, &how.credentials).await?;
    }
    Ok(())
}

pub async fn pull(session: &mut Session, arguments: Pull) -> Result<()> {
    let pod = match &arguments.pod_config {
        Some(path) => {
            Some(document::pod(path).map_err(|error| error.context("load podSandboxConfig"))?)
        }
        None => None,
    };
    let annotations = filter::labels(&arguments.annotation)?;
    let credentials = &arguments.credentials;
    let reference = pull_image(session, &arguments.image, annotations, pod, credentials)
        .await
        .map_err(|error| error.context("pulling image"))?;
    say::print(&format!("Image is up to date for {reference}\n"))
}

async fn pull_image(
    session: &mut Session,
    image: &str,
    annotations: BTreeMap<String, String>,
    pod: Option<PodSandboxConfig>,
    credentials: &Credentials,
) -> Result<String> {
    let mut images = session.images().await?;
    let request = PullImageRequest {
        image: Some(ImageSpec {
            image: image.to_owned(),
            annotations,
            ..ImageSpec::default()
        }),
        auth: authentication(credentials)?,
        sandbox_config: pod,
    };
    let within = credentials.pull_timeout.filter(|time| !time.is_zero());
    let answer = images.call_within(request, within).await?;
    Ok(answer.image_ref)
}

fn authentication(credentials: &Credentials) -> Result<Option<AuthConfig>> {
    let with = |username: &str, password: &str| {
        Ok(Some(AuthConfig {
            username: username.to_owned(),
            password: password.to_owned(),
            ..AuthConfig::default()
        }))
    };
    let refuse = |message: &str| Err(Error::new(Kind::Usage, message));
    match credentials {
        Credentials {
            username: Some(username),
            ..
        } => with(username, &ask_password()?),
        Credentials {
            creds: Some(_),
            auth: Some(_),
            ..
        } => refuse("both `--creds` and `--auth` are specified"),
        Credentials {
            creds: Some(creds), ..
        } => match creds.split_once(':').unwrap_or((creds, "")) {
            ("", _) => refuse("username can't be empty"),
            (username, password) => with(username, password),
        },
        Credentials {
            auth: Some(auth), ..
        } => Ok(Some(AuthConfig {
            auth: auth.clone(),
            ..AuthConfig::default()
        })),
        _ => Ok(None),
    }
}

/// Reads a line from standard input; a terminal does not show it.
fn ask_password() -> Result<String> {
    let input = std::io::stdin();
    let failed = |error: &dyn std::fmt::Display| {
        Error::new(Kind::Io, format!("reading the password: {error}"))
    };
    let before = match input.is_terminal() {
        false => None,
        true => {
            let _ = write!(std::io::stderr(), "Enter Password:");
            let before = tcgetattr(&input).map_err(|error| failed(&error))?;
            let mut hidden = before.clone();
            hidden.local_modes.remove(LocalModes::ECHO);
            tcsetattr(&input, OptionalActions::Now, &hidden).map_err(|error| failed(&error))?;
            Some(before)
        }
    };
    let mut line = Vec::new();
    let read = input
        .lock()
        .bytes()
        .take_while(|byte| !matches!(byte, Ok(b'\n')))
        .try_for_each(|byte| byte.map(|byte| line.push(byte)));
    if let Some(before) = before {
        let _ = tcsetattr(&input, OptionalActions::Now, &before);
        let _ = writeln!(std::io::stderr());
    }
    read.map_err(|error| failed(&error))?;
    String::from_utf8(line).map_err(|error| failed(&error))
}
