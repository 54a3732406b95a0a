//! Input that is made to hurt is refused or read, never a panic.

use std::path::Path;

use nodelith::fleet::{Cluster, Plan, Rules, Status, output};
use proptest::prelude::*;

use crate::objects;
use crate::scene::rules;

#[test]
fn depth_is_bounded() {
    let deep = 200_000;
    for text in [
        format!("{{\"kind\": \"Node\", \"x\": {}", "[".repeat(deep)),
        format!(
            "{{\"kind\": \"Node\", \"x\": {}{}}}",
            "[".repeat(deep),
            "]".repeat(deep)
        ),
        "{\"kind\": \"List\", \"items\": [".repeat(2000),
        format!(
            "{}{}",
            "{\"kind\": \"List\", \"items\": [".repeat(20),
            "]}".repeat(20)
        ),
        format!("kind: {}", "[".repeat(deep)),
        "a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n".to_owned(),
    ] {
        // Either way will do, but for a crash.
        let _ = Cluster::parse(&text, "hostile");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// The cluster of the page with some bytes of it changed, cut or repeated.
    #[test]
    fn nothing_panics(at in 0_usize..60_000, length in 0_usize..40, with in "[\\PC\n{}\\[\\]\",:0-9]{0,6}") {
        let text = objects::list(&objects::sample());
        let from = text.floor_char_boundary(at.min(text.len()));
        let to = text.floor_char_boundary((from + length).min(text.len()));
        let changed = format!("{}{with}{}", &text[..from], &text[to..]);
        let rules = Rules::parse(&rules(), Path::new("fleet.toml")).unwrap();
        if let Ok(cluster) = Cluster::parse(&changed, "cluster.json") {
            let plan = Plan::make(&cluster, &rules);
            let _ = output::table(&plan);
            let _ = output::json(&plan);
            let _ = output::picture(&plan);
            output::runbook(&plan, &cluster, "fleet.toml").unwrap();
            let _ = Status::of(&cluster, Some(&rules), false);
        }
    }

    #[test]
    fn no_rules_panic(at in 0_usize..2000, length in 0_usize..20, with in "\\PC{0,4}") {
        let text = rules();
        let from = text.floor_char_boundary(at.min(text.len()));
        let to = text.floor_char_boundary((from + length).min(text.len()));
        let _ = Rules::parse(&format!("{}{with}{}", &text[..from], &text[to..]), Path::new("x"));
    }
}
