//! The file of rules as it is written, and the way from it to [`Rules`].

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use std::time::Duration;

use serde::Deserialize;
use toml::Spanned;

use super::value::{Amount, ImageReference, Labels, Pattern, Time};
use super::{CONTROL_PLANE, ControlPlane, Image, Looks, Pool, Provider, Rules};
use crate::compat::Version;
use crate::error::{Error, Kind, Place, Result};
use crate::fleet::objects::ZONE;
use crate::fleet::obstacles::Why;
use crate::fleet::template::Template;
use crate::profile::explain;

/// What one node takes, unless the rules say other.
const NODE_TIME: Duration = Duration::from_secs(15 * 60);
/// How long to wait after a wave, unless the rules say other.
const SOAK: Duration = Duration::from_secs(10 * 60);
/// Where the control plane comes if it comes first, and if it comes last.
const FIRST: i64 = i64::MIN;
const LAST: i64 = i64::MAX;

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct File {
    name: Option<String>,
    image: Spanned<ImageFile>,
    #[serde(default)]
    rollout: RolloutFile,
    #[serde(default)]
    control_plane: ControlPlaneFile,
    #[serde(default)]
    pools: Vec<PoolFile>,
    #[serde(default)]
    providers: BTreeMap<String, ProviderFile>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct ImageFile {
    reference: ImageReference,
    rollback: Option<ImageReference>,
    os_image: Option<Pattern>,
    kubelet: Option<Pattern>,
    runtime: Option<Pattern>,
    kernel: Option<Pattern>,
    #[serde(default)]
    labels: BTreeMap<String, Pattern>,
    #[serde(default)]
    annotations: BTreeMap<String, Pattern>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct RolloutFile {
    zone_label: Option<String>,
    max_unavailable: Option<Amount>,
    max_unavailable_per_zone: Option<Amount>,
    node_time: Option<Time>,
    soak: Option<Time>,
    #[serde(default)]
    gates: Vec<Spanned<String>>,
    #[serde(default)]
    allow: Vec<Why>,
    #[serde(default)]
    hold_taints: Vec<String>,
    provider: Option<Spanned<String>>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct ControlPlaneFile {
    #[serde(default)]
    order: Order,
    #[serde(default)]
    etcd: Etcd,
    version: Option<Version>,
    canary: Option<Spanned<toml::Value>>,
    soak: Option<Time>,
    gates: Option<Vec<Spanned<String>>>,
    hold: Option<Spanned<String>>,
    allow: Option<Vec<Why>>,
    image: Option<Spanned<ImageFile>>,
    provider: Option<Spanned<String>>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Order {
    First,
    #[default]
    Last,
}

#[derive(Default, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Etcd {
    #[default]
    Stacked,
    External,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct PoolFile {
    name: Spanned<String>,
    #[serde(default)]
    selector: Labels,
    order: Option<u32>,
    max_unavailable: Option<Amount>,
    max_unavailable_per_zone: Option<Amount>,
    canary: Option<Amount>,
    #[serde(default)]
    by_zone: bool,
    soak: Option<Time>,
    gates: Option<Vec<Spanned<String>>>,
    hold: Option<Spanned<String>>,
    allow: Option<Vec<Why>>,
    image: Option<Spanned<ImageFile>>,
    provider: Option<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct ProviderFile {
    reimage: Vec<Spanned<String>>,
}

pub(super) fn parse(text: &str, path: &Path) -> Result<Rules> {
    let file = toml::from_str(text).map_err(|error| explain::explain_text(&error, path, text))?;
    Reading { text, path }.rules(file)
}

struct Reading<'a> {
    text: &'a str,
    path: &'a Path,
}

impl Reading<'_> {
    fn refuse(&self, message: impl Into<String>, span: Range<usize>) -> Error {
        Error::new(Kind::Usage, message).at(Place {
            file: self.path.to_owned(),
            text: self.text.to_owned(),
            span,
        })
    }

    fn rules(&self, file: File) -> Result<Rules> {
        let image = self.image(file.image)?;
        let providers = self.providers(file.providers)?;
        let rollout = file.rollout;
        let gates = self.gates(rollout.gates)?;
        let general = General {
            image,
            provider: self.provider(rollout.provider, &providers)?,
            soak: rollout.soak.map_or(SOAK, |time| time.0),
            gates,
            allow: rollout.allow,
            providers,
        };
        let mut pools: Vec<Pool> = Vec::new();
        for (at, pool) in file.pools.into_iter().enumerate() {
            let pool = self.pool(pool, at, &pools, &general)?;
            pools.push(pool);
        }
        if pools.is_empty() {
            pools.push(general.pool("nodes", 0));
        }
        let of_control_plane = &file.control_plane;
        let control_plane = ControlPlane {
            stacked_etcd: of_control_plane.etcd == Etcd::Stacked,
            version: of_control_plane.version,
        };
        pools.push(self.control_plane(file.control_plane, &general)?);
        Ok(Rules {
            name: file.name,
            zone_label: rollout.zone_label.unwrap_or_else(|| ZONE.to_owned()),
            max_unavailable: rollout.max_unavailable,
            max_unavailable_per_zone: rollout.max_unavailable_per_zone,
            node_time: rollout.node_time.map_or(NODE_TIME, |time| time.0),
            hold_taints: rollout.hold_taints,
            control_plane,
            pools,
        })
    }

    fn pool(&self, file: PoolFile, at: usize, known: &[Pool], general: &General) -> Result<Pool> {
        let name = file.name.get_ref();
        let good = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if name.is_empty() || !name.chars().all(good) {
            let message = format!("a pool cannot be called `{name}`");
            return Err(self
                .refuse(message, file.name.span())
                .hint("use letters, digits, `-`, `_` and `.`"));
        }
        if name == CONTROL_PLANE {
            return Err(self
                .refuse("the control plane is a pool of its own", file.name.span())
                .hint("write its rules under `[control-plane]`"));
        }
        if known.iter().any(|pool| pool.name == *name) {
            let message = format!("there are two pools `{name}`");
            return Err(self.refuse(message, file.name.span()));
        }
        let default = general.pool(name, i64::try_from(at).unwrap_or(LAST - 1));
        Ok(Pool {
            selector: file.selector.0,
            order: file.order.map_or(default.order, i64::from),
            max_unavailable: file.max_unavailable.unwrap_or(default.max_unavailable),
            max_unavailable_per_zone: file.max_unavailable_per_zone,
            canary: file.canary,
            by_zone: file.by_zone,
            soak: file.soak.map_or(default.soak, |time| time.0),
            gates: self.own_gates(file.gates, default.gates)?,
            hold: self.hold(file.hold)?,
            allow: file.allow.unwrap_or(default.allow),
            image: self.own_image(file.image, default.image)?,
            provider: self
                .provider(file.provider, &general.providers)?
                .or(default.provider),
            name: default.name,
        })
    }

    fn control_plane(&self, file: ControlPlaneFile, general: &General) -> Result<Pool> {
        if let Some(canary) = file.canary {
            return Err(self
                .refuse("the control plane has no canary", canary.span())
                .hint("its nodes are reimaged one at a time anyway"));
        }
        let order = match file.order {
            Order::First => FIRST,
            Order::Last => LAST,
        };
        let default = general.pool(CONTROL_PLANE, order);
        Ok(Pool {
            soak: file.soak.map_or(default.soak, |time| time.0),
            gates: self.own_gates(file.gates, default.gates)?,
            hold: self.hold(file.hold)?,
            allow: file.allow.unwrap_or(default.allow),
            image: self.own_image(file.image, default.image)?,
            provider: self
                .provider(file.provider, &general.providers)?
                .or(default.provider),
            ..general.pool(CONTROL_PLANE, order)
        })
    }

    fn image(&self, file: Spanned<ImageFile>) -> Result<Image> {
        let span = file.span();
        let file = file.into_inner();
        let looks = Looks {
            os_image: file.os_image,
            kubelet: file.kubelet,
            runtime: file.runtime,
            kernel: file.kernel,
            labels: file.labels,
            annotations: file.annotations,
        };
        if looks.are_empty() {
            return Err(self
                .refuse("nothing says what a node of this image looks like", span)
                .hint("give one of `os-image`, `kubelet`, `runtime`, `kernel`, `labels`, `annotations`"));
        }
        Ok(Image {
            reference: file.reference,
            rollback: file.rollback,
            looks,
        })
    }

    fn own_image(&self, file: Option<Spanned<ImageFile>>, default: Image) -> Result<Image> {
        file.map_or(Ok(default), |file| self.image(file))
    }

    fn hold(&self, hold: Option<Spanned<String>>) -> Result<Option<String>> {
        let Some(hold) = hold else { return Ok(None) };
        let text = hold.get_ref().trim();
        if text.is_empty() {
            return Err(self
                .refuse("a pool is held without a reason", hold.span())
                .hint("say why, for whoever reads this next"));
        }
        self.one_line(&hold)?;
        Ok(Some(text.to_owned()))
    }

    fn gates(&self, gates: Vec<Spanned<String>>) -> Result<Vec<String>> {
        for gate in &gates {
            self.one_line(gate)?;
        }
        Ok(gates.into_iter().map(Spanned::into_inner).collect())
    }

    fn own_gates(
        &self,
        gates: Option<Vec<Spanned<String>>>,
        default: Vec<String>,
    ) -> Result<Vec<String>> {
        gates.map_or(Ok(default), |gates| self.gates(gates))
    }

    /// Commands stand on a line of the run book each.
    fn one_line(&self, text: &Spanned<String>) -> Result<()> {
        let inner = text.get_ref();
        if inner.trim().is_empty() || inner.chars().any(char::is_control) {
            return Err(self
                .refuse("this must be one line", text.span())
                .hint("put longer commands into a script, and name that"));
        }
        Ok(())
    }

    fn providers(
        &self,
        files: BTreeMap<String, ProviderFile>,
    ) -> Result<BTreeMap<String, Provider>> {
        let providers = files.into_iter().map(|(name, file)| {
            let commands = file.reimage.into_iter().map(|command| {
                self.one_line(&command)?;
                Template::parse(command.get_ref()).map_err(|refusal| {
                    self.refuse(refusal.message, command.span())
                        .hint(refusal.hint)
                })
            });
            let reimage = commands.collect::<Result<_>>()?;
            Ok((name, Provider { reimage }))
        });
        providers.collect()
    }

    fn provider(
        &self,
        name: Option<Spanned<String>>,
        providers: &BTreeMap<String, Provider>,
    ) -> Result<Option<Provider>> {
        let Some(name) = name else { return Ok(None) };
        if let Some(provider) = providers.get(name.get_ref()) {
            return Ok(Some(provider.clone()));
        }
        let message = format!("there is no provider `{}`", name.get_ref());
        let error = self.refuse(message, name.span());
        let known = explain::nearest(name.get_ref(), providers.keys().map(String::as_str));
        Err(match known {
            Some(known) => error.hint(format!("did you mean `{known}`?")),
            None => error.hint(format!(
                "describe it under `[providers.{}]`",
                name.get_ref()
            )),
        })
    }
}

/// What pools have unless they say other.
struct General {
    image: Image,
    provider: Option<Provider>,
    soak: Duration,
    gates: Vec<String>,
    allow: Vec<Why>,
    providers: BTreeMap<String, Provider>,
}

impl General {
    fn pool(&self, name: &str, order: i64) -> Pool {
        Pool {
            name: name.to_owned(),
            selector: super::Selector::default(),
            order,
            max_unavailable: Amount::Number(1),
            max_unavailable_per_zone: None,
            canary: None,
            by_zone: false,
            soak: self.soak,
            gates: self.gates.clone(),
            hold: None,
            allow: self.allow.clone(),
            image: self.image.clone(),
            provider: self.provider.clone(),
        }
    }
}
