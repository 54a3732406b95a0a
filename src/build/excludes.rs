//! What a profile leaves out of packages, as patterns of dpkg's `path-exclude`.
//! Copyright files are kept whatever the patterns say.

use crate::profile::ExcludeSettings;
use crate::profile::file::Locales;

const DOCUMENTATION: &[&str] = &[
    "/usr/share/doc/*",
    "/usr/share/doc-base/*",
    "/usr/share/gtk-doc/*",
    "/usr/share/info/*",
    "/usr/share/linda/*",
    "/usr/share/lintian/*",
];
const MAN_PAGES: &[&str] = &["/usr/share/man/*"];
const LOCALES: &[&str] = &["/usr/share/locale/*"];
/// Kept of the locales whatever is left out: the names of locales themselves.
const LOCALE_NAMES: &str = "!/usr/share/locale/locale.alias";

/// The patterns; one that begins with `!` keeps what an earlier one leaves out.
#[must_use]
pub fn patterns(settings: &ExcludeSettings) -> Vec<String> {
    let mut patterns = Vec::new();
    let mut add = |wanted: bool, list: &[&str]| {
        if wanted {
            patterns.extend(list.iter().map(|&pattern| pattern.to_owned()));
        }
    };
    add(settings.documentation, DOCUMENTATION);
    add(settings.man_pages, MAN_PAGES);
    match &settings.locales {
        Locales::All(all) => add(*all, LOCALES),
        Locales::Except(kept) => {
            add(true, LOCALES);
            add(true, &[LOCALE_NAMES]);
            for locale in kept {
                patterns.push(format!("!/usr/share/locale/{locale}/*"));
            }
        }
    }
    patterns.extend(settings.paths.iter().cloned());
    patterns
}
