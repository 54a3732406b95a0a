//! Which parts of a profile are understood but not acted on yet.

use super::Profile;

impl Profile {
    /// What changes nothing in an image yet, as the profile writes it. It is
    /// checked and kept, so that profiles can be written ahead.
    #[must_use]
    pub fn waiting(&self) -> Vec<&'static str> {
        let parts = [("[[images]]", !self.images.is_empty())];
        let set = parts.into_iter().filter(|(_, set)| *set);
        set.map(|(name, _)| name).collect()
    }
}
