//! Programs that come as releases: each a component, with a layer of its own.

use super::components::Components;
use super::draft::Draft;

pub(super) fn configure(draft: &mut Draft<'_>, components: &Components) {
    for program in &components.programs {
        for file in &program.files {
            let path = file.path.trim_start_matches('/');
            draft.program(&program.component, path, file.size, file.content.clone());
        }
        let said = format!("{} {}", program.version, program.digest);
        draft.set(program.component.replace(':', " "), said);
    }
}
