//! Killed at any moment, a build loses nothing and leaves nothing half-made.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant, SystemTime};

use nodelith::digest::Digest;
use serde_json::Value;

use crate::common::{all, manifest_digest, run};
use crate::small;

const MOMENTS: u64 = 20;

#[test]
fn a_build_that_is_killed_at_random_moments_is_made_good_by_the_next() {
    let seed = seed();
    eprintln!("seed: {seed} (NODELITH_TEST_SEED)");
    let every = if all("a whole build after each of the kills") {
        1
    } else {
        5
    };
    let image = small();
    let before = image.variant("killed-before", "hello", "before").build();
    let store = image.packages_only("store-killed");
    let packages: BTreeSet<String> = image.package_digests().into_iter().collect();
    let layout = image.folder.join("out-killed");

    let begun = Instant::now();
    run(&mut image.command(&store, &layout));
    let long = begun.elapsed();
    let mut random = Random(seed);
    let mut killed = 0;
    for moment in 0..MOMENTS {
        forget(&store, &packages);
        // Sometimes there was an image before, sometimes not.
        let _ = fs::remove_dir_all(&layout);
        let old = random.next().is_multiple_of(2);
        if old {
            copy_layout(&before.layout, &layout);
        }
        let after = long.mul_f64(random.fraction() * 1.02);
        let mut build = image.command(&store, &layout);
        let mut child = build
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(after);
        killed += u64::from(child.try_wait().unwrap().is_none());
        child.kill().unwrap();
        child.wait().unwrap();

        let allowed: &[&str] = if old {
            &[&before.digest, &image.digest]
        } else {
            &[&image.digest]
        };
        whole(&layout, old, allowed);
        if moment % every == every - 1 {
            run(&mut image.command(&store, &layout));
            assert_eq!(
                manifest_digest(&layout),
                image.digest,
                "killed after {after:?}"
            );
            nothing_left(&store, &layout);
        }
    }
    assert!(
        killed > MOMENTS / 2,
        "only {killed} of {MOMENTS} builds were killed"
    );
    // A partial image would have been seen.
    let blob = listing(&layout.join("blobs/sha256")).pop().unwrap();
    fs::remove_file(blob).unwrap();
    let seen = std::panic::catch_unwind(|| whole(&layout, true, &[&image.digest]));
    assert!(seen.is_err());
    fs::remove_dir_all(&store).unwrap();
}

#[test]
fn what_killed_builds_left_goes_even_when_nothing_is_to_be_made() {
    let image = small();
    let store = image.packages_only("store-left");
    let layout = image.folder.join("out-left");
    run(&mut image.command(&store, &layout));
    // Killed after its root was recorded; and killed while it cleared such a folder.
    for (name, locked) in [("work-locked", true), ("work-unlocked", false)] {
        let folder = store.join("scratch").join(name);
        fs::create_dir_all(folder.join("work/root/etc")).unwrap();
        if locked {
            fs::write(folder.join("lock"), "").unwrap();
        }
    }
    let said = run(&mut image.command(&store, &layout));
    assert!(String::from_utf8_lossy(&said).contains("is up to date"));
    nothing_left(&store, &layout);
    fs::remove_dir_all(&store).unwrap();
}

/// The image is there whole, or (unless it was there before) not at all.
fn whole(layout: &Path, must_be: bool, allowed: &[&str]) {
    let index = layout.join("index.json");
    if !index.exists() {
        assert!(!must_be, "the old image is gone");
        return;
    }
    let digest = manifest_digest(layout);
    assert!(
        allowed.contains(&&*digest),
        "{digest}, not one of {allowed:?}"
    );
    let blob = |digest: &Value| {
        let digest: Digest = digest.as_str().unwrap().parse().unwrap();
        let bytes = fs::read(layout.join("blobs/sha256").join(digest.hex())).unwrap();
        assert_eq!(Digest::of(&bytes), digest);
        bytes
    };
    let manifest: Value = serde_json::from_slice(&blob(&digest.into())).unwrap();
    blob(&manifest["config"]["digest"]);
    for layer in manifest["layers"].as_array().unwrap() {
        blob(&layer["digest"]);
    }
    assert!(layout.join("oci-layout").exists());
}

/// No work folder, no half-written file, no mount, no process.
fn nothing_left(store: &Path, layout: &Path) {
    let mut left: Vec<PathBuf> = listing(&store.join("scratch"));
    left.extend(listing(&store.join("partial")));
    let half = |path: &PathBuf| {
        path.file_name()
            .unwrap()
            .to_string_lossy()
            .starts_with(".new-")
    };
    for folder in [
        "",
        "blobs",
        "records",
        "records/roots",
        "records/images",
        "records/layers",
    ] {
        left.extend(listing(&store.join(folder)).into_iter().filter(half));
    }
    left.extend(listing(layout).into_iter().filter(half));
    left.extend(
        listing(&layout.join("blobs/sha256"))
            .into_iter()
            .filter(half),
    );
    assert_eq!(left, Vec::<PathBuf>::new());

    let below = store.canonicalize().unwrap();
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert!(!mounts.contains(below.to_str().unwrap()), "{mounts}");
    for process in listing(Path::new("/proc")) {
        for link in ["root", "cwd"] {
            if let Ok(target) = fs::read_link(process.join(link)) {
                assert!(!target.starts_with(&below), "{}", process.display());
            }
        }
    }
}

/// Leaves the packages in the store, and whatever killed builds left half-made.
fn forget(store: &Path, packages: &BTreeSet<String>) {
    let _ = fs::remove_dir_all(store.join("records"));
    for blob in listing(&store.join("blobs/sha256")) {
        if !packages.contains(blob.file_name().unwrap().to_str().unwrap()) {
            fs::remove_file(blob).unwrap();
        }
    }
}

fn copy_layout(from: &Path, to: &Path) {
    run(std::process::Command::new("cp").arg("-a").arg(from).arg(to));
}

fn listing(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).collect()
}

fn seed() -> u64 {
    let given = std::env::var("NODELITH_TEST_SEED").ok();
    given.map_or_else(
        || {
            let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
            u64::from(now.unwrap_or(Duration::from_secs(1)).subsec_nanos()) + 1
        },
        |text| text.parse().unwrap(),
    )
}

/// Marsaglia's xorshift.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// From 0 to 1.
    fn fraction(&mut self) -> f64 {
        f64::from(u32::try_from(self.next() >> 32).unwrap()) / f64::from(u32::MAX)
    }
}
