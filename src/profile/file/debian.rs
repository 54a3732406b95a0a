//! `[debian]`: the root filesystem from a Debian archive.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Architecture;
use crate::profile::merge::{Merge, append, grow, merge_fields, replace};
use crate::profile::value::{
    ComponentName, Glob, LocalFile, Locale, PackageChoice, RepositoryName, Suite, Url,
};

/// The root filesystem from a Debian archive.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Debian {
    /// The release by its code name.
    pub suite: Option<Suite>,
    /// The archive's components. Default: `main`.
    pub components: Option<Vec<ComponentName>>,
    /// Whether to take stable updates (`SUITE-updates`). Default: true, false for sid.
    pub updates: Option<bool>,
    /// Whether to take security updates (`SUITE-security`). Default: true, false for sid.
    pub security: Option<bool>,
    /// Packages to install, with what they depend on (not what they recommend).
    pub packages: Vec<PackageChoice>,
    /// Packages taken off the lists of extended profiles.
    pub remove: Vec<PackageChoice>,
    /// Local packages (`.deb` files) to install.
    pub debs: Vec<LocalFile>,
    /// What is left out of the packages.
    pub exclude: Option<Exclude>,
    /// The archive's mirror; without it the command line, environment or host says.
    pub mirror: Option<Url>,
    /// The mirror of the security archive.
    pub security_mirror: Option<Url>,
    /// Mirrors to try for packages that the mirror has dropped, such as snapshots.
    pub fallback_mirrors: Vec<Url>,
    /// The keyring that signs the archive; without it the host's debian-archive-keyring.
    pub keyring: Option<LocalFile>,
    /// Further package repositories, by name.
    pub repository: Vec<Repository>,
}

/// What is left out of the packages. Copyright files always stay.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Exclude {
    /// Leave out /usr/share/doc, info pages and the like. Default: false.
    pub documentation: Option<bool>,
    /// Leave out manual pages. Default: false.
    pub man_pages: Option<bool>,
    /// Leave out translations (`true`), none (`false`), or all but those listed.
    pub locales: Option<Locales>,
    /// Further paths to leave out, as patterns.
    pub paths: Vec<Glob>,
}

/// Which translations are left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum Locales {
    /// All of them, or none.
    All(bool),
    /// All but these.
    Except(Vec<Locale>),
}

impl<'de> Deserialize<'de> for Locales {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Locales;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("true, false, or a list of locales to keep")
            }

            fn visit_bool<E>(self, all: bool) -> Result<Locales, E> {
                Ok(Locales::All(all))
            }

            fn visit_seq<A: serde::de::SeqAccess<'de>>(
                self,
                mut seq: A,
            ) -> Result<Locales, A::Error> {
                let mut kept = Vec::new();
                while let Some(locale) = seq.next_element()? {
                    kept.push(locale);
                }
                Ok(Locales::Except(kept))
            }
        }

        deserializer.deserialize_any(Visitor)
    }
}

/// A further package repository with its own key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Repository {
    /// Its name in this profile and in the lock.
    pub name: RepositoryName,
    /// Where it is.
    pub url: Url,
    /// Its suite; `/` or `./` for a flat repository.
    pub suite: Suite,
    /// Its components; none for a flat repository.
    #[serde(default)]
    pub components: Vec<ComponentName>,
    /// The file with the OpenPGP key that signs it.
    pub key: Option<LocalFile>,
    /// The OpenPGP key that signs it, in ASCII armour.
    pub key_text: Option<String>,
    /// The architectures that it has, if not all of the profile's.
    #[serde(default)]
    pub architectures: Vec<Architecture>,
}

replace!(Suite, Url, Locales, Vec<ComponentName>);
grow!(Glob, Url, LocalFile);

impl Merge for Debian {
    fn merge(&mut self, over: Self) {
        self.packages
            .retain(|package| !over.remove.iter().any(|gone| same(package, gone)));
        self.remove
            .retain(|gone| !over.packages.iter().any(|package| same(package, gone)));
        append(&mut self.packages, over.packages, same);
        append(&mut self.remove, over.remove, same);
        append(&mut self.repository, over.repository, |a, b| {
            a.name == b.name
        });
        merge_fields!(self, over;
            suite, components, updates, security, debs, exclude, mirror, security_mirror,
            fallback_mirrors, keyring,
        );
    }
}

/// Whether two choices are about the same package, whatever version they ask for.
pub(in crate::profile) fn same(a: &PackageChoice, b: &PackageChoice) -> bool {
    a.package() == b.package()
}

impl PackageChoice {
    /// The package's name, with `:architecture` if one was given.
    #[must_use]
    pub fn package(&self) -> &str {
        self.as_str().split('=').next().unwrap_or_default()
    }
}

impl Merge for Exclude {
    fn merge(&mut self, over: Self) {
        merge_fields!(self, over; documentation, man_pages, locales, paths);
    }
}

impl Debian {
    pub(super) fn local_files<'a>(&'a mut self, found: &mut Vec<&'a mut LocalFile>) {
        found.extend(&mut self.debs);
        found.extend(&mut self.keyring);
        found.extend(
            self.repository
                .iter_mut()
                .flat_map(|repository| &mut repository.key),
        );
    }
}
