//! `nodelith check` of an image of more than 400 MB: its time, and its memory.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use nodelith::image::Image;
use nodelith::tree::Node;

use crate::data::Data;
use crate::figures::{Aim, Measure, Tool};
use crate::{Result, run};

/// What the image comes to at least, in bytes of its files.
const SIZE: u64 = 400_000_000;

/// How long it takes, and what it holds in memory at most.
pub fn measures(data: &Data, runs: usize) -> Result<[Measure; 2]> {
    let (layout, size) = image(data)?;
    let check = || {
        let mut command = Command::new(&data.nodelith);
        command.arg("check").arg(&layout);
        command.args(["--format", "json", "--fail-on", "never"]);
        command
    };
    let mut time = Tool::new("nodelith");
    time.bytes = Some(size);
    for number in 1..=runs {
        eprintln!("check {number}/{runs}");
        time.add(run::timed(&mut check())?);
    }
    let mut memory = Tool::new("nodelith");
    let peak = run::peak_memory(&mut check(), &data.nodelith)?;
    memory.add(peak.own as f64 / 1e6);
    let measure = |name, unit, ours, aim| Measure {
        name,
        unit,
        ours,
        peers: Vec::new(),
        aim: Aim::Most(aim),
    };
    Ok([
        measure("check of an image", "s", time, 2.0),
        measure("peak memory of it", "MB", memory, 200.0),
    ])
}

/// The measured profile's image, filled up with a file that compresses badly.
fn image(data: &Data) -> Result<(PathBuf, u64)> {
    let node = data.layout(&data.downloads);
    let size = size(&node)?;
    let mut filling = BufWriter::new(File::create(data.profile_folder().join("filling"))?);
    let mut state = 1_u64;
    for _ in 0..SIZE.saturating_sub(size).div_ceil(8) {
        // splitmix64
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = state;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        filling.write_all(&(word ^ (word >> 31)).to_le_bytes())?;
    }
    filling.into_inner()?.sync_all()?;
    let profile = data.profile_filled("filling")?;
    let layout = data.profile_folder().join("filled");
    run::done(
        Command::new(&data.nodelith)
            .arg("build")
            .arg(&profile)
            .arg("--store")
            .arg(&data.downloads)
            .arg("--output")
            .arg(&layout),
    )?;
    let size = self::size(&layout)?;
    if size < SIZE {
        return Err(format!("the image to check has only {size} bytes").into());
    }
    Ok((layout, size))
}

/// The bytes of an image's files.
fn size(layout: &Path) -> Result<u64> {
    let image = Image::open(&layout.display().to_string(), None)?;
    let tree = nodelith::tree::image::read(&image)?.tree;
    let sizes = tree.entries.values().map(|entry| match entry.node {
        Node::File { size, .. } => size,
        _ => 0,
    });
    Ok(sizes.sum())
}
