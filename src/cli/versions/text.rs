//! What a person reads.

use jiff::civil::Date;

use super::{Asked, Pair};
use crate::compat::containerd::{self, Row, Support};
use crate::compat::kubernetes::{ALPHA_DROP_INS, DriverFromCri, DropIns, Minor};
use crate::compat::pairs::Fit;
use crate::compat::{companions, kubelet};
use crate::report::Table;

pub(super) fn document(asked: &Asked) -> String {
    let parts = match (asked.one_minor, asked.one_line) {
        (false, false) => vec![minors(asked), lines(asked)],
        (true, false) => vec![minor(asked), pairs(asked)],
        (false, true) => vec![lines(asked), fits(asked), faults(asked)],
        (true, true) => vec![minor(asked), lines(asked), pairs(asked), faults(asked)],
    };
    let parts: Vec<_> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    parts.join("\n\n")
}

/// Every minor, with what is published to go with it.
fn minors(asked: &Asked) -> String {
    let mut table = Table::new(&[
        "KUBERNETES",
        "PAUSE",
        "CRI",
        "CONTAINERD",
        "POSSIBLE TOO",
        "SUPPORTED",
    ]);
    for minor in &asked.minors {
        let pairs: Vec<_> = asked.pairs(minor).collect();
        let published = pairs.iter().filter(|pair| pair.fit == Fit::Published);
        let published = published.filter_map(|pair| Some(format!("{}+", pair.from?)));
        let others = pairs
            .iter()
            .filter(|pair| matches!(pair.fit, Fit::Later | Fit::Unlisted))
            .map(|pair| pair.row.line.to_string());
        table.row([
            format!("1.{}", minor.minor),
            minor.pause_tag().to_owned(),
            minor.cri.join(" "),
            published.collect::<Vec<_>>().join(" "),
            others.collect::<Vec<_>>().join(" "),
            of_minor(minor, asked.day),
        ]);
    }
    table.render()
}

/// Lines of containerd, whatever Kubernetes.
fn lines(asked: &Asked) -> String {
    let mut table = Table::new(&[
        "CONTAINERD",
        "NEWEST",
        "CONFIG",
        "CRI",
        "OWN PAUSE",
        "RUNC",
        "OPEN FILES",
        "SUPPORTED",
    ]);
    for (row, version) in &asked.lines {
        let named = match asked.one_line {
            true => version.to_string(),
            false => row.line.to_string(),
        };
        let reads: Vec<_> = row.reads.iter().map(u8::to_string).collect();
        table.row([
            named,
            row.newest.to_string(),
            reads.join(" "),
            row.cri.join(" "),
            row.pause(*version).to_owned(),
            row.runc.map_or("-".to_owned(), |runc| runc.to_string()),
            row.open_files.clone().unwrap_or_else(|| "-".to_owned()),
            of_line(row, asked.day),
        ]);
    }
    table.render()
}

/// One minor.
fn minor(asked: &Asked) -> String {
    let Some(minor) = asked.minors.first() else {
        return String::new();
    };
    let mut table = Table::new(&["KUBERNETES", &format!("1.{}", minor.minor)]);
    let mut row = |name: &str, value: String| table.row([name.to_owned(), value]);
    row("supported", of_minor(minor, asked.day));
    row("pause", minor.pause());
    row("CRI", minor.cri.join(" "));
    row("cgroup driver", driver(minor).to_owned());
    row("cgroup v1", cgroups(minor).to_owned());
    row("config drop-ins", drop_ins(minor));
    let required: Vec<_> = kubelet::required(minor.minor)
        .map(|(name, value)| format!("--{name}={value}"))
        .collect();
    if !required.is_empty() {
        row("needed flags", required.join(" "));
    }
    let tested = minor
        .crictl
        .map(|crictl| format!(", which was tested with {crictl}"));
    let tested = tested.unwrap_or_default();
    row("crictl", format!("1.{}{tested}", minor.minor));
    row("CNI plug-ins", plugins(minor));
    row(
        "API server",
        format!("of the same minor, or up to {} newer", minor.older_by),
    );
    for (at, note) in minor.notes.iter().enumerate() {
        row(if at == 0 { "notes" } else { "" }, note.clone());
    }
    table.render()
}

fn driver(minor: &Minor) -> &'static str {
    match minor.driver_from_cri {
        DriverFromCri::No => "kubelet's own setting",
        DriverFromCri::Alpha => "kubelet's own setting, unless a feature gate is set",
        DriverFromCri::Beta | DriverFromCri::Stable => {
            "containerd's from 2.0 on, else kubelet's own setting"
        }
    }
}

fn cgroups(minor: &Minor) -> &'static str {
    match minor.refuses_cgroup_v1 {
        true => "refused unless `failCgroupV1` is false",
        false => "accepted",
    }
}

fn drop_ins(minor: &Minor) -> String {
    match minor.config_drop_ins {
        DropIns::None => "none".to_owned(),
        DropIns::Alpha => format!("not to be used: needs {ALPHA_DROP_INS}, and resets fields"),
        DropIns::Usable | DropIns::Stable => "--config-dir".to_owned(),
    }
}

fn plugins(minor: &Minor) -> String {
    let tested = minor.cni.map(|cni| format!("tested with {cni}"));
    let package = minor
        .cni_package
        .map(|cni| format!("kubelet's package asks for {cni} or later"));
    let said: Vec<_> = tested.into_iter().chain(package).collect();
    match said.is_empty() {
        true => "-".to_owned(),
        false => said.join("; "),
    }
}

/// One minor with each line.
fn pairs(asked: &Asked) -> String {
    let Some(minor) = asked.minors.first() else {
        return String::new();
    };
    let mut table = Table::new(&["CONTAINERD", "FIT", "FROM", "WHY"]);
    for pair in asked.pairs(minor) {
        let mut why = pair.remarks.clone();
        if pair.row.line < containerd::oldest_configured() {
            let oldest = containerd::oldest_configured();
            why.push(format!(
                "not configured: {oldest} is the oldest line that is"
            ));
        }
        for need in companions::needs(pair.row.line).filter(|need| !need.optional) {
            if pair.fit != Fit::Impossible {
                why.push(format!("needs {} {}", need.program, need.least));
            }
        }
        table.row([
            pair.row.line.to_string(),
            fit(&pair).to_owned(),
            pair.from.map(|from| from.to_string()).unwrap_or_default(),
            why.join("; "),
        ]);
    }
    let mut text = table.render();
    if asked.lines.len() > 1 {
        text += "\n\npublished: named by containerd's project. later: a line after all that are \
                 named.\nunlisted: possible, but not named. impossible: kubelet and containerd do \
                 not understand one another.";
    }
    text
}

/// One containerd with each minor.
fn fits(asked: &Asked) -> String {
    let mut table = Table::new(&["KUBERNETES", "FIT", "FROM", "WHY"]);
    for minor in &asked.minors {
        for pair in asked.pairs(minor) {
            table.row([
                format!("1.{}", minor.minor),
                fit(&pair).to_owned(),
                pair.from.map(|from| from.to_string()).unwrap_or_default(),
                pair.remarks.join("; "),
            ]);
        }
    }
    table.render()
}

fn fit(pair: &Pair) -> &'static str {
    pair.fit.name()
}

/// What the named containerd does wrong, or otherwise than others.
fn faults(asked: &Asked) -> String {
    let Some((_, version)) = asked.lines.first() else {
        return String::new();
    };
    let mut lines = Vec::new();
    for fault in asked.faults(*version) {
        let fixed = fault.below.map(|below| format!(" (until {below})"));
        lines.push(format!("- {}{}", fault.about, fixed.unwrap_or_default()));
        lines.push(format!("  {}", fault.instead));
    }
    match lines.is_empty() {
        true => String::new(),
        false => format!("To know of containerd {version}:\n{}", lines.join("\n")),
    }
}

fn of_minor(minor: &Minor, day: Option<Date>) -> String {
    let window = match minor.ended {
        Some(ended) => format!("{} to {ended}", minor.released),
        None => format!("from {}", minor.released),
    };
    let state = day.and_then(|day| minor.is_supported(day));
    match (day, state) {
        (Some(_), Some(true)) => format!("{window}: yes"),
        (Some(_), Some(false)) => format!("{window}: no"),
        (Some(_), None) => format!("{window}: not known"),
        (None, _) => window,
    }
}

fn of_line(row: &Row, day: Option<Date>) -> String {
    let [first, last] = row.supported;
    let mut window = format!("{first} to {last}");
    if let Some(extended) = &row.extended {
        window += &format!(", {} for {}", extended.until, extended.r#for);
    }
    match day.map(|day| row.support(day)) {
        Some(Support::Supported) => format!("{window}: yes"),
        Some(Support::Extended) => format!("{window}: in part"),
        Some(Support::Before | Support::Over) => format!("{window}: no"),
        None => window,
    }
}
