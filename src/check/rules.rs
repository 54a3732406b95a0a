//! The rules, one file for each family.

mod bootc;
mod cni;
mod cri;
mod crictl;
mod docker;
mod hygiene;
mod images;
mod kubelet;
mod node;
mod pairs;
mod registry;
mod sandbox;

use super::rule::Rule;

/// The families: what they are about, and their rules.
pub const FAMILIES: [(&str, &[Rule]); 12] = [
    ("containerd's CRI", cri::RULES),
    ("The sandbox image", sandbox::RULES),
    ("Preloaded images", images::RULES),
    ("Registries", registry::RULES),
    ("Networks of pods", cni::RULES),
    ("kubelet", kubelet::RULES),
    ("crictl", crictl::RULES),
    ("Versions", pairs::RULES),
    ("Docker", docker::RULES),
    ("The node", node::RULES),
    ("Hygiene", hygiene::RULES),
    ("Images for bootc", bootc::RULES),
];

/// Every rule, in the order of the catalogue.
pub fn all() -> impl Iterator<Item = &'static Rule> {
    FAMILIES.iter().flat_map(|(_, rules)| rules.iter())
}

/// The rule of that id.
#[must_use]
pub fn by_id(id: &str) -> Option<&'static Rule> {
    all().find(|rule| rule.id.eq_ignore_ascii_case(id))
}

/// How alike a name must be to one that is known, to be taken for a slip.
const ALIKE: f64 = 0.75;

/// Of known names the one that was probably meant.
fn nearest<'n>(name: &str, known: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    let alike = known.map(|other| (strsim::normalized_damerau_levenshtein(name, other), other));
    let best = alike.max_by(|a, b| a.0.total_cmp(&b.0));
    best.filter(|(alike, _)| *alike >= ALIKE)
        .map(|(_, other)| other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_unique_and_texts_are_there() {
        let mut seen = std::collections::BTreeSet::new();
        for rule in all() {
            assert!(seen.insert(rule.id), "{}", rule.id);
            assert!(rule.id.starts_with("ND-") && rule.id.len() >= 10);
            for text in [rule.title, rule.why, rule.fix] {
                assert!(
                    !text.is_empty() && !text.contains("  "),
                    "{}: {text}",
                    rule.id
                );
            }
            assert!(
                !rule.title.ends_with('.') && !rule.fix.ends_with('.'),
                "{}",
                rule.id
            );
            assert!(
                rule.why.ends_with('.') && !rule.sources.is_empty(),
                "{}",
                rule.id
            );
        }
        assert!(by_id("nd-cri-001").is_some() && by_id("ND-CRI-999").is_none());
    }
}
