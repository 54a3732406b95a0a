//! docs/migrating-from-docker.md shows what its commands print.

use super::scene::{New, Scene, after, guide, list};

/// Stands for any number of lines.
const REST: &str = "…";

/// A command of the guide and what it prints.
pub struct Shown {
    pub command: String,
    pub output: Vec<String>,
    /// Whether it needs an image that was built.
    pub slow: bool,
}

/// The commands of the guide, in order.
pub fn shown() -> Vec<Shown> {
    let page = guide();
    let mut all: Vec<Shown> = Vec::new();
    let mut before = "";
    for (number, part) in page.split("```").enumerate() {
        if number % 2 == 1
            && let Some(block) = part.strip_prefix("console\n")
        {
            for line in block.lines() {
                match (line.strip_prefix("$ "), all.last_mut()) {
                    (Some(command), _) => all.push(Shown {
                        command: command.to_owned(),
                        output: Vec::new(),
                        slow: before.trim_end().ends_with("<!-- slow -->"),
                    }),
                    (None, Some(last)) => last.output.push(line.trim_end().to_owned()),
                    (None, None) => panic!("`{line}` is of no command"),
                }
            }
        }
        before = part;
    }
    all
}

/// Whether lines are those that are shown.
pub fn is_like(shown: &[String], said: &[&str]) -> bool {
    match shown.split_first() {
        None => said.is_empty(),
        Some((first, rest)) if first == REST => {
            (0..=said.len()).any(|skipped| is_like(rest, &said[skipped..]))
        }
        Some((first, rest)) => said
            .split_first()
            .is_some_and(|(line, more)| first == line.trim_end() && is_like(rest, more)),
    }
}

#[test]
fn the_guide_is_true() {
    let scene = Scene::new();
    let new = New {
        runtime: "containerd://1.6.20~ds1".into(),
        os_image: "Debian GNU/Linux 12 (bookworm)".into(),
        kernel: "6.1.0-42-cloud-amd64".into(),
    };
    scene.write("after.json", &list(&after(&new)));
    let mut wrong = String::new();
    let mut quick = 0;
    for shown in shown().iter().filter(|shown| !shown.slow) {
        quick += 1;
        let said = scene.said(&shown.command);
        let lines: Vec<&str> = said.trim_end().lines().collect();
        let lines = if said.is_empty() { &[][..] } else { &lines };
        if !is_like(&shown.output, lines) {
            wrong += &format!("$ {}\n{said}\n", shown.command);
        }
    }
    assert!(quick >= 6, "{quick}");
    assert!(wrong.is_empty(), "put this into the guide:\n{wrong}");
}

#[test]
fn what_is_not_so_is_seen() {
    let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
    assert!(is_like(&lines("a\n…\nc"), &["a", "b", "b", "c"]));
    assert!(is_like(&lines("…"), &[]));
    assert!(!is_like(&lines("a\n…\nc"), &["a", "b"]));
    assert!(!is_like(&lines("a"), &["a", "b"]));
    assert!(!is_like(&lines("a\nb"), &["a"]));
}
