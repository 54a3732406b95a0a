//! Where the runtime listens and how long to wait: flags, then the environment,
//! then crictl's configuration file.
//!
//! The file is a YAML mapping; a key that crictl does not know is refused, as
//! crictl refuses it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use super::args::Global;
use super::say;
use crate::error::{Error, Kind, Result};

const FILE: &str = "/etc/crictl.yaml";
/// What crictl waits where nothing says how long.
const TIMEOUT: Duration = Duration::from_secs(2);

/// What the configuration file says.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Options {
    pub runtime_endpoint: String,
    pub image_endpoint: String,
    /// Seconds.
    pub timeout: i64,
    pub debug: bool,
    pub pull_image_on_create: bool,
    pub disable_pull_on_run: bool,
    pub max_retries: i64,
}

impl Options {
    /// Each setting by its key, in the order in which crictl lists them.
    pub fn list(&self) -> [(&'static str, String); 7] {
        [
            ("runtime-endpoint", self.runtime_endpoint.clone()),
            ("image-endpoint", self.image_endpoint.clone()),
            ("timeout", self.timeout.to_string()),
            ("debug", self.debug.to_string()),
            (
                "pull-image-on-create",
                self.pull_image_on_create.to_string(),
            ),
            ("disable-pull-on-run", self.disable_pull_on_run.to_string()),
            ("max-retries", self.max_retries.to_string()),
        ]
    }
}

/// Everything that was set, wherever it was set.
#[derive(Debug)]
pub struct Settings {
    /// Empty where nothing says where the runtime listens.
    pub runtime_endpoint: String,
    /// Empty where it is the runtime's.
    pub image_endpoint: String,
    pub timeout: Duration,
    pub max_retries: i64,
    pub pull_image_on_create: bool,
    pub disable_pull_on_run: bool,
    pub debug: bool,
}

impl Settings {
    pub fn new(global: &Global) -> Result<Self> {
        let options = options(global)?;
        let or = |flag: &Option<String>, option: String| flag.clone().unwrap_or(option);
        let timeout = match global.timeout {
            Some(Duration::ZERO) => TIMEOUT,
            Some(timeout) => timeout,
            None if options.timeout > 0 => Duration::from_secs(options.timeout.unsigned_abs()),
            None => TIMEOUT,
        };
        for (flag, endpoint) in [
            ("--runtime-endpoint", &global.runtime_endpoint),
            ("--image-endpoint", &global.image_endpoint),
        ] {
            if endpoint.as_ref().is_some_and(String::is_empty) {
                return Err(Error::new(Kind::Usage, format!("{flag} is not set")));
            }
        }
        Ok(Self {
            runtime_endpoint: or(&global.runtime_endpoint, options.runtime_endpoint),
            image_endpoint: or(&global.image_endpoint, options.image_endpoint),
            timeout,
            max_retries: global.max_retries.unwrap_or(options.max_retries),
            pull_image_on_create: options.pull_image_on_create,
            disable_pull_on_run: options.disable_pull_on_run,
            debug: global.debug || options.debug,
        })
    }
}

/// The configuration file, if there is one.
pub fn options(global: &Global) -> Result<Options> {
    let path = match &global.config {
        Some(path) => path.clone(),
        None => match [PathBuf::from(FILE), beside()]
            .into_iter()
            .find(|path| path.exists())
        {
            Some(path) => path,
            None => return Ok(Options::default()),
        },
    };
    let read = std::fs::read_to_string(&path)
        .map_err(|error| unread(&path, &error))
        .and_then(|text| parse(&text).map_err(|error| error.context(path.display().to_string())));
    read.map_err(|error| error.context("get server config: load config file"))
}

fn beside() -> PathBuf {
    let program = std::env::current_exe().unwrap_or_default();
    program.with_file_name("crictl.yaml")
}

/// A file that cannot be read, said as Go says it.
pub fn unread(path: &Path, error: &std::io::Error) -> Error {
    let why = crate::error::plain(error);
    Error::new(Kind::Io, format!("open {}: {why}", path.display()))
}

pub(super) fn parse(text: &str) -> Result<Options> {
    let map: Option<BTreeMap<String, Value>> = super::document::yaml(text)?;
    let mut options = Options::default();
    for (key, value) in map.unwrap_or_default() {
        let text = match value {
            Value::String(text) => text,
            Value::Null => String::new(),
            other => other.to_string(),
        };
        let wrong = |what: &str| {
            let message = format!("parsing config option '{key}': {text:?} is not {what}");
            Error::new(Kind::Usage, message)
        };
        let number = || text.parse().map_err(|_| wrong("a whole number"));
        let truth = || match text.as_str() {
            "1" | "t" | "T" | "true" | "True" | "TRUE" => Ok(true),
            "0" | "f" | "F" | "false" | "False" | "FALSE" => Ok(false),
            _ => Err(wrong("true or false")),
        };
        match key.as_str() {
            "runtime-endpoint" => options.runtime_endpoint = text,
            "image-endpoint" => options.image_endpoint = text,
            "timeout" => options.timeout = number()?,
            "debug" => options.debug = truth()?,
            "pull-image-on-create" => options.pull_image_on_create = truth()?,
            "disable-pull-on-run" => options.disable_pull_on_run = truth()?,
            "max-retries" => options.max_retries = number()?,
            _ => return Err(unknown(&key)),
        }
    }
    Ok(options)
}

fn unknown(key: &str) -> Error {
    let keys: Vec<_> = Options::default().list().map(|(key, _)| key).into();
    let message = format!("Config option '{key}' is not valid");
    Error::new(Kind::Usage, message).hint(format!("there are {}", keys.join(", ")))
}

/// `config`: prints what the file says.
pub fn show(global: &Global, arguments: &super::args::Config) -> Result<()> {
    let unwritten = !arguments.set.is_empty() || !arguments.pair.is_empty();
    if unwritten || (arguments.get.is_none() && !arguments.list) {
        let message = "config: only --get KEY and --list are supported";
        let path = global.config.as_deref().unwrap_or(Path::new(FILE));
        return Err(Error::new(Kind::Usage, message)
            .hint(format!("to change a setting, edit {}", path.display())));
    }
    let list = options(global)?.list();
    let Some(key) = &arguments.get else {
        let mut table = super::table::Table::new(["KEY", "VALUE"]);
        for (key, value) in list {
            table.row([key.to_owned(), value]);
        }
        return say::print(&table.text());
    };
    match list.into_iter().find(|(name, _)| name == key) {
        Some((_, value)) => say::print(&format!("{value}\n")),
        None => Err(Error::new(
            Kind::Usage,
            format!("no configuration option named {key}"),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_read() {
        assert_eq!(parse("").unwrap(), Options::default());
        assert_eq!(parse("# nothing\n").unwrap(), Options::default());
        let text = "runtime-endpoint: unix:///run/a.sock\ntimeout: 10\ndebug: true\nimage-endpoint: \"\"\n";
        let options = parse(text).unwrap();
        assert_eq!(options.runtime_endpoint, "unix:///run/a.sock");
        assert_eq!((options.timeout, options.debug), (10, true));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, said) in [
            ("retries: 1\n", "Config option 'retries' is not valid"),
            (
                "timeout: 2s\n",
                "parsing config option 'timeout': \"2s\" is not a whole number",
            ),
            (
                "debug: loud\n",
                "parsing config option 'debug': \"loud\" is not true or false",
            ),
        ] {
            assert_eq!(parse(text).unwrap_err().message(), said);
        }
        assert!(parse("- a\n").is_err());
        assert!(parse("a: [\n").is_err());
    }
}
