//! The document `nodelith.versions`.

use serde_json::{Value, json};

use super::Asked;
use crate::compat::containerd::{Row, Support};
use crate::compat::kubernetes::{DriverFromCri, DropIns, Minor};
use crate::compat::{Version, kubelet};

pub(super) fn document(asked: &Asked) -> Value {
    let minors = asked.minors.iter().map(|minor| kubernetes(asked, minor));
    let lines = asked
        .lines
        .iter()
        .map(|(row, version)| containerd(asked, row, *version));
    json!({
        "schema": "nodelith.versions", "version": 1,
        "date": asked.day.map(|day| day.to_string()),
        "kubernetes": minors.collect::<Vec<_>>(),
        "containerd": lines.collect::<Vec<_>>(),
    })
}

fn kubernetes(asked: &Asked, minor: &Minor) -> Value {
    let pairs = asked.pairs(minor).map(|pair| {
        json!({
            "line": pair.row.line.to_string(), "fit": pair.fit.name(),
            "from": text(pair.from), "remarks": pair.remarks,
        })
    });
    let required = kubelet::required(minor.minor);
    json!({
        "minor": format!("1.{}", minor.minor),
        "released": minor.released.to_string(),
        "ended": minor.ended.map(|day| day.to_string()),
        "supported": asked.day.and_then(|day| minor.is_supported(day)),
        "pause": minor.pause(),
        "cri": minor.cri,
        "containerd": pairs.collect::<Vec<_>>(),
        "crictl": text(minor.crictl),
        "cni": text(minor.cni),
        "cni-package": text(minor.cni_package),
        "required-flags": required.map(|(name, value)| (name.to_owned(), json!(value)))
            .collect::<serde_json::Map<_, _>>(),
        "config-drop-ins": match minor.config_drop_ins {
            DropIns::None => "none",
            DropIns::Alpha => "alpha",
            DropIns::Usable => "usable",
            DropIns::Stable => "stable",
        },
        "driver-from-cri": match minor.driver_from_cri {
            DriverFromCri::No => "no",
            DriverFromCri::Alpha => "alpha",
            DriverFromCri::Beta => "beta",
            DriverFromCri::Stable => "stable",
        },
        "refuses-cgroup-v1": minor.refuses_cgroup_v1,
        "older-by": minor.older_by,
        "notes": minor.notes,
        "source": minor.source,
    })
}

fn containerd(asked: &Asked, row: &Row, version: Version) -> Value {
    let faults = asked.faults(version).into_iter().map(|fault| {
        json!({
            "what": fault.what, "about": fault.about, "instead": fault.instead,
            "from": fault.from.to_string(), "below": text(fault.below), "source": fault.source,
        })
    });
    json!({
        "line": row.line.to_string(),
        "release": version.to_string(),
        "newest": row.newest.to_string(),
        "config": row.config, "reads": row.reads,
        "cri": row.cri,
        "tells-cgroup-driver": row.runtime_config,
        "sandbox-image": row.sandbox_image(version),
        "pins-sandbox-image": row.pins(version),
        "open-files": row.open_files,
        "runc": text(row.runc),
        "supported": { "from": row.supported[0].to_string(), "until": row.supported[1].to_string() },
        "extended": row.extended.as_ref().map(|extended| {
            json!({ "until": extended.until.to_string(), "for": extended.r#for })
        }),
        "support": asked.day.map(|day| match row.support(day) {
            Support::Before => "before",
            Support::Supported => "supported",
            Support::Extended => "extended",
            Support::Over => "over",
        }),
        "faults": faults.collect::<Vec<_>>(),
        "source": row.source,
    })
}

fn text(version: Option<Version>) -> Option<String> {
    version.map(|version| version.to_string())
}
