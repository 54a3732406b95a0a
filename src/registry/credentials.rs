//! Names and passwords for registries, from docker's and podman's files
//! (containers-auth.json(5)) and their credential helpers.
//!
//! Nothing here is ever shown, logged or kept.

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

use docker_credential::{CredentialRetrievalError, DockerCredential, get_credential_from_reader};
use serde_json::Value;

use super::reference::DOCKER_HUB;
use crate::error::{Error, Kind, Result};

/// The greatest file of credentials, in bytes.
const MOST_BYTES: u64 = 4 << 20;
/// Docker Hub's old names, by which its credentials are kept.
const HUB_KEYS: [&str; 3] = ["https://index.docker.io/v1/", "index.docker.io", DOCKER_HUB];

/// Who one is to a registry.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Credential {
    /// Name and password.
    Password(String, String),
    /// A token that stands for name and password, for token servers only.
    Identity(String),
}

impl Credential {
    /// What must not be shown.
    pub(super) fn secret(&self) -> &str {
        match self {
            Self::Password(_, secret) | Self::Identity(secret) => secret,
        }
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credential")
    }
}

/// A credential, and the file that led to it.
#[derive(Debug, Clone)]
pub(super) struct Login {
    pub credential: Credential,
    pub file: PathBuf,
}

/// What came of a search.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub login: Option<Login>,
    /// What went wrong on the way, without secrets.
    pub warnings: Vec<String>,
}

/// Looks for the credentials for a repository: in `named` alone if it is given,
/// else where podman and docker look, in that order.
///
/// # Errors
/// When a file is there that cannot be read, or the one that is named is not there.
pub(super) fn find(
    named: Option<&Path>,
    environment: &dyn Fn(&str) -> Option<OsString>,
    registry: &str,
    repository: &str,
) -> Result<Found> {
    let mut found = Found::default();
    for (path, must) in files(named, environment) {
        let text = match read(&path) {
            Ok(Some(text)) => text,
            Ok(None) if must => {
                let message = format!("there is no file of credentials `{}`", path.display());
                return Err(Error::new(Kind::Usage, message));
            }
            Ok(None) => continue,
            Err(error) if must => return Err(error),
            Err(error) => {
                found.warnings.push(error.message());
                continue;
            }
        };
        if let Some(credential) = in_file(&text, &path, registry, repository, &mut found.warnings) {
            found.login = Some(Login {
                credential,
                file: path,
            });
            break;
        }
    }
    Ok(found)
}

/// Files to look into, and whether they must be there.
fn files(
    named: Option<&Path>,
    environment: &dyn Fn(&str) -> Option<OsString>,
) -> Vec<(PathBuf, bool)> {
    let variable = |name: &str| {
        environment(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    if let Some(named) = named
        .map(Path::to_owned)
        .or_else(|| variable("REGISTRY_AUTH_FILE"))
    {
        return vec![(named, true)];
    }
    let home = variable("HOME");
    let runtime = variable("XDG_RUNTIME_DIR").map(|folder| folder.join("containers"));
    let runtime = runtime.unwrap_or_else(|| {
        let user = rustix::process::geteuid().as_raw().to_string();
        Path::new("/run/containers").join(user)
    });
    let config = variable("XDG_CONFIG_HOME").or_else(|| Some(home.clone()?.join(".config")));
    let docker = variable("DOCKER_CONFIG").or_else(|| Some(home?.join(".docker")));
    let folders = [
        Some(runtime.join("auth.json")),
        config.map(|folder| folder.join("containers/auth.json")),
        docker.map(|folder| folder.join("config.json")),
    ];
    folders
        .into_iter()
        .flatten()
        .map(|path| (path, false))
        .collect()
}

fn read(path: &Path) -> Result<Option<Value>> {
    use std::io::Read as _;
    let said = |why: String| {
        let message = format!("reading credentials from `{}`: {why}", path.display());
        Error::new(Kind::Usage, message)
    };
    let file = match std::fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(said(crate::error::plain(&error))),
    };
    let mut bytes = Vec::new();
    file.take(MOST_BYTES)
        .read_to_end(&mut bytes)
        .map_err(|error| said(crate::error::plain(&error)))?;
    // What the parser says could quote a secret.
    serde_json::from_slice(&bytes)
        .map(Some)
        .map_err(|error| said(format!("line {} is not JSON", error.line())))
}

/// What one file says of a repository, the most specific name first.
fn in_file(
    file: &Value,
    path: &Path,
    registry: &str,
    repository: &str,
    warnings: &mut Vec<String>,
) -> Option<Credential> {
    let mut alone = file.clone();
    if let Some(object) = alone.as_object_mut() {
        // The store of all credentials knows registries only.
        object.remove("credsStore");
    }
    let mut keys = Vec::new();
    let mut name = format!("{registry}/{repository}");
    while name.len() > registry.len() {
        keys.push((name.clone(), &alone));
        name.truncate(name.rfind('/').unwrap_or(0));
    }
    if registry == DOCKER_HUB {
        keys.push((DOCKER_HUB.to_owned(), &alone));
        keys.extend(HUB_KEYS[1..].iter().map(|key| ((*key).to_owned(), &alone)));
        keys.push((HUB_KEYS[0].to_owned(), file));
    } else {
        keys.push((registry.to_owned(), file));
    }
    for (key, file) in keys {
        let text = file.to_string();
        match get_credential_from_reader(text.as_bytes(), &key) {
            Ok(DockerCredential::IdentityToken(token)) if !token.is_empty() => {
                return Some(Credential::Identity(token));
            }
            Ok(DockerCredential::UsernamePassword(name, password))
                if !(name.is_empty() && password.is_empty()) =>
            {
                return Some(Credential::Password(name, password));
            }
            Ok(_) | Err(CredentialRetrievalError::NoCredentialConfigured) => {}
            // Helpers say on standard output that they have none.
            Err(CredentialRetrievalError::HelperFailure { stdout, .. })
                if stdout.contains("credentials not found") => {}
            Err(error) => warnings.push(trouble(&error, path, &key)),
        }
    }
    None
}

/// What went wrong, without what a helper printed.
fn trouble(error: &CredentialRetrievalError, path: &Path, key: &str) -> String {
    let why = match error {
        CredentialRetrievalError::HelperFailure { helper, .. } => {
            format!("`{helper}` failed")
        }
        CredentialRetrievalError::HelperCommunicationError => {
            "its credential helper cannot be run".to_owned()
        }
        CredentialRetrievalError::MalformedHelperResponse => {
            "its credential helper gave no credentials".to_owned()
        }
        _ => "they cannot be read".to_owned(),
    };
    format!(
        "no credentials for `{key}` from `{}`: {why}",
        path.display()
    )
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fs;

    use super::*;

    /// Looks in a folder that is all of home, configuration and run-time folder.
    fn look(folder: &Path, registry: &str, repository: &str) -> Found {
        let variables: BTreeMap<&str, PathBuf> = BTreeMap::from([
            ("HOME", folder.to_owned()),
            ("XDG_RUNTIME_DIR", folder.join("run")),
        ]);
        let environment = |name: &str| variables.get(name).map(|path| path.clone().into());
        find(None, &environment, registry, repository).unwrap()
    }

    fn password(found: Found) -> Option<(String, String)> {
        match found.login?.credential {
            Credential::Password(name, password) => Some((name, password)),
            Credential::Identity(token) => Some(("<token>".into(), token)),
        }
    }

    fn put(folder: &Path, path: &str, text: &str) {
        let path = folder.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    #[test]
    fn podmans_files_come_before_dockers_and_specific_names_before_general_ones() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        assert_eq!(password(look(folder, "a.example", "x/y")), None);
        // "docker:d", "config:c", "run:r", "team:t"
        put(
            folder,
            ".docker/config.json",
            r#"{"auths": {
            "a.example": {"auth": "ZG9ja2VyOmQ="},
            "https://b.example/v1/": {"auth": "ZG9ja2VyOmQ="},
            "https://index.docker.io/v1/": {"auth": "ZG9ja2VyOmQ="},
            "c.example": {"identitytoken": "it", "auth": "eDo="},
            "d.example": {}
        }}"#,
        );
        put(
            folder,
            ".config/containers/auth.json",
            r#"{"auths": {
            "a.example/team": {"auth": "dGVhbTp0"},
            "a.example": {"auth": "Y29uZmlnOmM="}
        }}"#,
        );
        let who = |registry: &str, repository: &str| {
            password(look(folder, registry, repository)).map(|(name, _)| name)
        };
        assert_eq!(who("a.example", "x/y").as_deref(), Some("config"));
        assert_eq!(who("a.example", "team").as_deref(), Some("team"));
        assert_eq!(who("a.example", "team/x").as_deref(), Some("team"));
        assert_eq!(who("a.example", "teamwork").as_deref(), Some("config"));
        assert_eq!(who("b.example", "x").as_deref(), Some("docker"));
        assert_eq!(
            who("docker.io", "library/debian").as_deref(),
            Some("docker")
        );
        assert_eq!(who("c.example", "x").as_deref(), Some("<token>"));
        assert_eq!(who("d.example", "x"), None);
        assert_eq!(who("e.example", "x"), None);
        put(
            folder,
            "run/containers/auth.json",
            r#"{"auths": {"a.example": {"auth": "cnVuOnI="}}}"#,
        );
        assert_eq!(who("a.example", "team").as_deref(), Some("run"));

        let named = folder.join(".docker/config.json");
        let nothing = |_: &str| None;
        let found = find(Some(&named), &nothing, "a.example", "team").unwrap();
        assert_eq!(password(found), Some(("docker".into(), "d".into())));
        let missing = folder.join("nowhere.json");
        assert!(find(Some(&missing), &nothing, "a.example", "team").is_err());
    }

    #[test]
    fn what_cannot_be_read_is_said_without_secrets() {
        let folder = tempfile::tempdir().unwrap();
        put(
            folder.path(),
            ".docker/config.json",
            r#"{"auths": {"a.example": {"auth": "hunter2""#,
        );
        let found = look(folder.path(), "a.example", "x");
        assert_eq!(found.warnings.len(), 1);
        assert!(!found.warnings[0].contains("hunter2"), "{found:?}");
        put(
            folder.path(),
            ".docker/config.json",
            r#"{"auths": {"a.example": {"auth": "hunter2"}}}"#,
        );
        let found = look(folder.path(), "a.example", "x");
        assert!(found.login.is_none());
        assert!(!found.warnings[0].contains("hunter2"), "{found:?}");
        let shown = format!("{:?}", Credential::Password("me".into(), "hunter2".into()));
        assert!(!shown.contains("hunter2"));
    }

    #[test]
    fn a_helper_that_is_not_there_is_a_warning() {
        let folder = tempfile::tempdir().unwrap();
        let text = r#"{"credHelpers": {"a.example": "nodelith-is-not-there"}}"#;
        put(folder.path(), ".docker/config.json", text);
        let found = look(folder.path(), "a.example", "x");
        assert!(
            found.login.is_none() && found.warnings.len() == 1,
            "{found:?}"
        );
    }
}
