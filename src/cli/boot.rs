//! `nodelith boot`: boots images in QEMU and says whether they are nodes.

mod attach;

use std::fs;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use attach::Place;

use super::args::{Boot, BootAccelerator, BootFormat, BootWay};
use super::registry::{self, Needs};
use super::{Context, Outcome, print};
use crate::boot::identity::Credentials;
use crate::boot::{
    Accelerator, Bundle, Options, Proof, Target, Way, clean_up_when_interrupted, identity, json,
    junit, prove,
};
use crate::error::{Context as _, Error, Kind, Result};
use crate::image::Image;
use crate::store::write_atomic;

/// The architecture of the machine that QEMU is.
const ARCHITECTURE: &str = "amd64";

pub(super) fn run(context: &Context, arguments: &Boot) -> Result<Outcome> {
    // Once: what comes through a pipe cannot be read again.
    let given = identity::read(&arguments.credentials)?;
    for target in &arguments.targets {
        for way in ways(arguments, target) {
            options(context, arguments, &given, way).check()?;
        }
    }
    attach::check(arguments)?;
    let bundle = |name: &String| Bundle::is_one(Path::new(name));
    if arguments.image.is_some() && !arguments.targets.iter().any(bundle) {
        let message = "`--image` says what a bundle was made from, and there is no bundle";
        return Err(Error::new(Kind::Usage, message));
    }
    let mut proofs = Vec::new();
    for (number, name) in arguments.targets.iter().enumerate() {
        let of_one = prove_one(context, arguments, &given, number, name)
            .map_err(|error| error.context(format!("booting `{name}`")))?;
        proofs.extend(of_one);
    }
    let format = match context.global.json {
        true => BootFormat::Json,
        false => arguments.format,
    };
    match format {
        // Each was printed when it was there.
        BootFormat::Table => {}
        BootFormat::Json => print(&format!("{:#}", json(&proofs)))?,
        BootFormat::Junit => print(&junit(&proofs))?,
    }
    if let Some(path) = &arguments.output {
        save(context, path, &proofs)?;
    }
    Ok(match proofs.iter().all(Proof::passed) {
        true => Outcome::Done,
        false => Outcome::Findings,
    })
}

/// What a target is.
enum Opened {
    Image(Box<Image>),
    /// With the image that it was made from, if that was named.
    Bundle(Bundle, Option<Box<Image>>),
}

impl Opened {
    fn open(context: &Context, arguments: &Boot, name: &str) -> Result<Self> {
        let image = |name: &str| {
            let registry = &arguments.registry;
            registry::open(context, name, Some(ARCHITECTURE), registry, Needs::All).map(Box::new)
        };
        if !Bundle::is_one(Path::new(name)) {
            return Ok(Self::Image(image(name)?));
        }
        let bundle = Bundle::open(name, &context.report)?;
        let image = arguments.image.as_deref().map(image).transpose()?;
        if let Some(image) = &image {
            bundle.is_of(image, &context.report)?;
        }
        Ok(Self::Bundle(bundle, image))
    }

    fn target(&self) -> Target<'_> {
        match self {
            Self::Image(image) => Target::Image(image),
            Self::Bundle(bundle, _) => Target::Bundle(bundle),
        }
    }

    /// The image, if it is at hand.
    fn image(&self) -> Option<&Image> {
        match self {
            Self::Image(image) => Some(image),
            Self::Bundle(_, image) => image.as_deref(),
        }
    }
}

/// Boots one target by each way, prints what came of it, and stores that.
fn prove_one(
    context: &Context,
    arguments: &Boot,
    given: &Credentials,
    number: usize,
    name: &str,
) -> Result<Vec<Proof>> {
    let opened = Opened::open(context, arguments, name)?;
    let place = match (&arguments.attach, opened.image()) {
        (Some(_), Some(image)) => Some(Place::find(context, arguments, image)?),
        // `attach::check` saw to it that there is an image.
        _ => None,
    };
    let mut proofs = Vec::new();
    for way in ways(arguments, name) {
        let options = options(context, arguments, given, way);
        let folder = Folder::make(arguments, number, way)?;
        let proof = prove(opened.target(), &options, &folder.path, &context.report)?;
        if !context.global.json && arguments.format == BootFormat::Table {
            print(&format!("{}\n", proof.text()))?;
        }
        proofs.push(proof);
    }
    if arguments.output.is_none() && !arguments.damage {
        match beside(name, &opened) {
            Some(path) => save(context, &path, &proofs)?,
            None => context.report.note(
                "the proof is stored nowhere: `--output FILE` says where, `--attach` attaches it",
            ),
        }
    }
    if let Some(place) = &place {
        attach::attach(context, arguments, place, &proofs)?;
    }
    Ok(proofs)
}

/// By which ways a target is booted.
fn ways(arguments: &Boot, target: &str) -> Vec<Way> {
    let mut ways: Vec<Way> = Vec::new();
    for way in &arguments.way {
        let way = match way {
            BootWay::Kernel => Way::Kernel,
            BootWay::Disk => Way::Disk,
            BootWay::Ipxe => Way::Ipxe,
            BootWay::IpxeInitrd => Way::IpxeInitrd,
        };
        if !ways.contains(&way) {
            ways.push(way);
        }
    }
    match (ways.is_empty(), Bundle::is_one(Path::new(target))) {
        (true, true) => vec![Way::Disk],
        (true, false) => vec![Way::default()],
        (false, _) => ways,
    }
}

fn options<'a>(
    context: &Context,
    arguments: &'a Boot,
    given: &Credentials,
    way: Way,
) -> Options<'a> {
    Options {
        way,
        boots: arguments.boots,
        accelerator: match arguments.accel {
            BootAccelerator::Auto => Accelerator::Auto,
            BootAccelerator::Kvm => Accelerator::Kvm,
            BootAccelerator::Tcg => Accelerator::Tcg,
        },
        deadline: Duration::from_secs(arguments.deadline),
        damage: arguments.damage,
        credentials: given.clone(),
        init: arguments.init.as_deref(),
        threads: context.threads(),
    }
}

/// Where disks are while a machine runs.
struct Folder {
    path: PathBuf,
    /// Removes it in the end, if it is not to be kept.
    _temporary: Option<tempfile::TempDir>,
}

impl Folder {
    /// The folder to keep, or a temporary one, which a signal removes too.
    fn make(arguments: &Boot, number: usize, way: Way) -> Result<Self> {
        if let Some(folder) = &arguments.keep {
            clean_up_when_interrupted(None)?;
            let path = folder.join(format!("{number}-{}", way.name()));
            private(&path)?;
            return Ok(Self {
                path,
                _temporary: None,
            });
        }
        let parent = temporary_folder();
        let made = tempfile::Builder::new()
            .prefix("nodelith-boot-")
            .tempdir_in(&parent)
            .io("making a folder in", &parent)?;
        clean_up_when_interrupted(Some(made.path()))?;
        Ok(Self {
            path: made.path().to_owned(),
            _temporary: Some(made),
        })
    }
}

/// Makes a folder that nobody else reads: credentials are in it, and all that the node has
/// in `/var`. One of an earlier run may be there already.
fn private(folder: &Path) -> Result<()> {
    let mut maker = fs::DirBuilder::new();
    maker.recursive(true).mode(0o700);
    maker.create(folder).io("making", folder)?;
    fs::set_permissions(folder, PermissionsExt::from_mode(0o700)).io("closing", folder)
}

/// Where disks have room: `TMPDIR`, else `/var/tmp`, which no memory backs
/// (file-hierarchy(7)).
fn temporary_folder() -> PathBuf {
    let large = Path::new("/var/tmp");
    match std::env::var_os("TMPDIR") {
        None if large.is_dir() => large.to_owned(),
        _ => std::env::temp_dir(),
    }
}

/// `NAME.boot.json` beside what is on this machine.
fn beside(name: &str, opened: &Opened) -> Option<PathBuf> {
    let path = match opened {
        Opened::Bundle(..) => PathBuf::from(name),
        Opened::Image(image) => image.place()?.to_owned(),
    };
    // `.` has no name of its own.
    let path = match path.file_name() {
        Some(_) => path,
        None => fs::canonicalize(&path).ok()?,
    };
    let mut file = path.file_name()?.to_owned();
    file.push(".boot.json");
    Some(path.with_file_name(file))
}

fn save(context: &Context, path: &Path, proofs: &[Proof]) -> Result<()> {
    let text = format!("{:#}\n", json(proofs));
    write_atomic(path, text.as_bytes())?;
    context
        .report
        .note(&format!("the proof is in `{}`", path.display()));
    Ok(())
}
