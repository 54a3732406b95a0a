//! What a profile takes out of somebody else's image that is the root.

use std::collections::BTreeSet;

use super::draft::Draft;
use crate::error::Result;

pub(super) fn configure(draft: &mut Draft<'_>) -> Result<()> {
    let Some(image) = &draft.profile.base_image else {
        return Ok(());
    };
    for path in &image.remove {
        let place = draft.facts.place(path, &BTreeSet::new());
        let place = place.map(|place| place.to_string());
        let Some(place) = place.filter(|place| draft.facts.node(place).is_some()) else {
            let message = format!("the base has no `{path}` to remove");
            let error = draft.refuse(message, &["base", "image", "remove"], path);
            return Err(error.hint("take it off the list"));
        };
        draft.remove(&place);
        draft.set(format!("base {path}"), "removed");
    }
    Ok(())
}
