//! `ci/bench`: measures Nodelith beside mmdebstrap, tar with zstd, umoci, mkfs.erofs,
//! veritysetup, mksquashfs and qemu-img, on the same packages in one run. What each figure means is told in
//! docs/benchmarks.md; nothing is asserted of a time.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program that talks to people"
)]

mod check;
mod data;
mod disks;
mod figures;
mod fleet;
mod pack;
mod root;
mod run;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use clap::Parser;
use serde_json::{Value, json};

use data::Data;
use figures::{Aim, Figures, Measure, Tool};

type Result<T, E = Box<dyn std::error::Error>> = std::result::Result<T, E>;

/// Measures Nodelith beside other tools on the same packages.
#[derive(Parser)]
struct Arguments {
    /// Times that each thing is measured
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..))]
    runs: u16,
    /// The profile whose packages are used
    #[arg(long, default_value = "profiles/quickstart.toml")]
    profile: PathBuf,
    /// Use this lock, so that two runs measure the same packages [default: a new one]
    #[arg(long)]
    lock: Option<PathBuf>,
    /// The store that downloads are kept in
    #[arg(long, env = "NODELITH_STORE", default_value = "target/bench-store")]
    store: PathBuf,
    /// Where the figures go as JSON
    #[arg(long, default_value = "target/bench.json")]
    output: PathBuf,
    /// The program that is measured [default: the one built with this]
    #[arg(long, env = "NODELITH")]
    nodelith: Option<PathBuf>,
    /// Packs the folder ROOT into layers in the store STORE, and does nothing else
    #[arg(long, hide = true, num_args = 2, value_names = ["ROOT", "STORE"])]
    pack: Option<Vec<PathBuf>>,
    /// Makes the folder ROOT into a root image in FOLDER, and does nothing else
    #[arg(long, hide = true, num_args = 2, value_names = ["ROOT", "FOLDER"])]
    root_image: Option<Vec<PathBuf>>,
    /// Hashes the root image IMAGE into FILE, and does nothing else
    #[arg(long, hide = true, num_args = 2, value_names = ["IMAGE", "FILE"])]
    verity: Option<Vec<PathBuf>>,
    /// Makes the raw disk DISK into the qcow2 FILE, and does nothing else
    #[arg(long, hide = true, num_args = 2, value_names = ["DISK", "FILE"])]
    qcow2: Option<Vec<PathBuf>>,
    /// Measures only what is made of an image, and of a cluster: no builds
    #[arg(long)]
    exports: bool,
}

fn main() -> ExitCode {
    let done = match Arguments::parse() {
        Arguments {
            pack: Some(folders),
            ..
        } => pack::main(&folders[0], &folders[1]),
        Arguments {
            root_image: Some(folders),
            ..
        } => root::main(&folders[0], &folders[1]),
        Arguments {
            verity: Some(files),
            ..
        } => disks::verity_main(&files[0], &files[1]),
        Arguments {
            qcow2: Some(files), ..
        } => disks::qcow2_main(&files[0], &files[1]),
        arguments => measure(&arguments),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn measure(arguments: &Arguments) -> Result<()> {
    let nodelith = match &arguments.nodelith {
        Some(program) => std::path::absolute(program)?,
        None => beside()?,
    };
    let data = Data::prepare(&nodelith, arguments)?;
    let runs = usize::from(arguments.runs);
    if arguments.exports {
        data.built(&data.downloads, &data.profile)?;
        let mut measures = Vec::from(disks::measures(&data, runs)?);
        measures.push(fleet::measure(&data, runs)?);
        return finish(arguments, &nodelith, &data, measures, &Value::Null);
    }
    let mut measures = vec![cold(&data, runs)?];
    let (packing, packed) = packing(&data, runs)?;
    measures.push(packing);
    measures.push(unchanged(&data, runs)?);
    measures.push(one_file(&data, runs)?);
    measures.push(root::ROOT_IMAGE.measure(&data, runs)?);
    measures.push(root::of_folder(&data, runs)?);
    measures.extend(disks::measures(&data, runs)?);
    measures.push(fleet::measure(&data, runs)?);
    measures.extend(check::measures(&data, runs)?);
    measures.push(memory(&data)?);
    finish(arguments, &nodelith, &data, measures, &packed)
}

/// Prints and writes what was measured.
fn finish(
    arguments: &Arguments,
    nodelith: &Path,
    data: &Data,
    measures: Vec<Measure>,
    packed: &Value,
) -> Result<()> {
    let figures = Figures {
        measures,
        about: json!({
            "runs": arguments.runs,
            "nodelith": program(nodelith),
            "packing-optimised": !cfg!(debug_assertions),
            "machine": run::machine(),
            "data": {
                "packages": data.packages.len(), "download-bytes": data.download_bytes(),
                "packed": packed,
            },
            "tools": {
                "mmdebstrap": version("mmdebstrap"), "tar": version("tar"),
                "zstd": version("zstd"), "umoci": version("umoci"),
                "mkfs-erofs": version("mkfs.erofs"), "veritysetup": version("veritysetup"),
                "mksquashfs": version("mksquashfs"), "qemu-img": version("qemu-img"),
            },
        }),
    };
    println!("{}", figures.text());
    std::fs::write(&arguments.output, format!("{:#}\n", figures.json()))?;
    println!("\n{}", arguments.output.display());
    Ok(())
}

/// Packages at hand → an image, beside mmdebstrap making a root folder of them.
fn cold(data: &Data, runs: usize) -> Result<Measure> {
    let mut ours = Tool::new("nodelith");
    let mut theirs = Tool::new("mmdebstrap");
    for number in 1..=runs {
        eprintln!("cold build {number}/{runs}");
        let store = data.store_of_downloads()?;
        ours.add(run::timed(&mut data.build(store.path(), &data.profile))?);
        drop(store);
        data.forget_root()?;
        theirs.add(run::timed(&mut data.mmdebstrap())?);
        data.check_root()?;
    }
    Ok(Measure {
        name: "cold build",
        unit: "s",
        ours,
        peers: vec![theirs],
        aim: Aim::Ratio(0.25),
    })
}

/// The root that mmdebstrap made → compressed layers with both digests.
fn packing(data: &Data, runs: usize) -> Result<(Measure, Value)> {
    let mut ours = Tool::new("nodelith");
    let mut tar = Tool::new("tar | zstd -3 -T0");
    // The same with sums by a program that uses the processor's SHA instructions.
    let mut openssl = Tool::new("tar …, openssl's sums");
    let mut umoci = Tool::new("umoci (gzip)");
    let mut packed = Value::Null;
    let this = std::env::current_exe()?;
    let root = data.root();
    // Once unmeasured, so that all read from memory.
    run::done(
        Command::new("sh")
            .args(["-c", "tar -C \"$0\" -c . | cat >/dev/null"])
            .arg(&root),
    )?;
    for number in 1..=runs {
        eprintln!("packing {number}/{runs}");
        let folder = data.folder()?;
        let store = folder.path().join("store");
        let mut command = Command::new(&this);
        command.arg("--pack").arg(&root).arg(&store);
        let (seconds, said) = run::timed_output(&mut command)?;
        packed = serde_json::from_slice(&said)?;
        ours.add(seconds);
        ours.bytes = packed["compressed"].as_u64();

        for (tool, sum) in [
            (&mut tar, "sha256sum"),
            (&mut openssl, "openssl dgst -sha256"),
        ] {
            let file = folder.path().join(format!("{}.tar.zst", &sum[..3]));
            let mut command = Command::new("bash");
            command.arg("-c").arg(TAR).arg(&root).arg(&file).arg(sum);
            tool.add(run::timed(&mut command)?);
            tool.bytes = Some(file.metadata()?.len());
            std::fs::remove_file(&file)?;
        }

        let layout = folder.path().join("umoci");
        let image = format!("{}:image", layout.display());
        run::done(
            Command::new("umoci")
                .arg("init")
                .arg("--layout")
                .arg(&layout),
        )?;
        run::done(Command::new("umoci").args(["new", "--image", &image]))?;
        let mut command = Command::new("umoci");
        command
            .args(["insert", "--image", &image])
            .arg(&root)
            .arg("/");
        umoci.add(run::timed(&mut command)?);
        umoci.bytes = Some(run::size_of(&layout)?);
    }
    let measure = Measure {
        name: "packing",
        unit: "s",
        ours,
        peers: vec![tar, openssl, umoci],
        aim: Aim::Ratio(0.65),
    };
    Ok((measure, packed))
}

/// A tar of the folder `$0`, compressed into `$1`, with the digests of both by `$2`.
const TAR: &str = r#"
set -euo pipefail
mkfifo "$1.plain" "$1.packed"
$2 <"$1.plain" >"$1.diff-id" &
$2 <"$1.packed" >"$1.digest" &
tar -C "$0" --numeric-owner -c . | tee "$1.plain" | zstd -q -3 -T0 | tee "$1.packed" >"$1"
wait
"#;

/// The same profile and lock again.
fn unchanged(data: &Data, runs: usize) -> Result<Measure> {
    eprintln!("unchanged build");
    let mut ours = Tool::new("nodelith");
    data.built(&data.downloads, &data.profile)?;
    for _ in 0..runs {
        let (seconds, result) = data.built(&data.downloads, &data.profile)?;
        if result["unchanged"] != true {
            return Err("the build was not unchanged".into());
        }
        ours.add(seconds);
    }
    Ok(Measure {
        name: "unchanged build",
        unit: "s",
        ours,
        peers: Vec::new(),
        aim: Aim::Most(0.05),
    })
}

/// One file of the profile has another text.
fn one_file(data: &Data, runs: usize) -> Result<Measure> {
    eprintln!("one file changed");
    let mut ours = Tool::new("nodelith");
    // Once unmeasured, so that only the text differs from what was built before.
    data.built(&data.downloads, &data.profile_with_file(0)?)?;
    for number in 1..=runs {
        let profile = data.profile_with_file(number)?;
        let (seconds, result) = data.built(&data.downloads, &profile)?;
        let layers = result["images"][0]["layers"].as_array();
        let made = layers.map(|all| all.iter().filter(|one| one["reused"] == false).count());
        if made != Some(1) {
            return Err(format!("not one layer was made, but {made:?}").into());
        }
        ours.add(seconds);
    }
    Ok(Measure {
        name: "one file changed",
        unit: "s",
        ours,
        peers: Vec::new(),
        aim: Aim::Most(0.3),
    })
}

/// A cold build more, watched. Watching costs time, so it is not timed.
fn memory(data: &Data) -> Result<Measure> {
    eprintln!("peak memory");
    let store = data.store_of_downloads()?;
    let peak = run::peak_memory(&mut data.build(store.path(), &data.profile), &data.nodelith)?;
    let mut ours = Tool::new("nodelith and its worker");
    ours.add(peak.own as f64 / 1e6);
    let mut all = Tool::new("package scripts too");
    all.add(peak.all as f64 / 1e6);
    Ok(Measure {
        name: "peak memory",
        unit: "MB",
        ours,
        peers: vec![all],
        aim: Aim::Most(300.0),
    })
}

/// The program that was built with this one.
fn beside() -> Result<PathBuf> {
    let this = std::env::current_exe()?;
    let folder = this.parent().and_then(Path::parent);
    let program = folder.map(|folder| folder.join("nodelith"));
    program
        .filter(|program| program.exists())
        .ok_or_else(|| "there is no `nodelith` beside this program: use `ci/bench`".into())
}

/// The measured program: its digest, and which of Cargo's folders it is from.
fn program(path: &Path) -> Value {
    let bytes = std::fs::read(path).unwrap_or_default();
    let folder = path.parent().and_then(Path::file_name);
    json!({
        "version": version(&path.display().to_string()),
        "built": folder.map(|name| name.to_string_lossy().into_owned()),
        "digest": nodelith::digest::Digest::of(&bytes),
    })
}

/// The first line of what `TOOL --version` says.
fn version(tool: &str) -> Option<String> {
    let output = Command::new(tool).arg("--version").output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines().next().map(str::to_owned)
}
