//! The traps T1 to T30, as these daemons show them.

mod config;
mod files;
mod runtime;

use std::collections::BTreeSet;

use super::common::containerd::Suite::{self, Bookworm, Forky, Trixie};
use super::common::{all, root};

/// Where a trap is shown.
enum Shown {
    /// Here, on these suites.
    Here(&'static [Suite]),
    /// By a table alone, in `tests/check/traps.rs`, since it needs something else than these daemons.
    ByTable(&'static str),
}

use Shown::{ByTable, Here};

/// Every trap, by its number.
const TRAPS: [(u8, Shown); 30] = [
    (1, Here(T01)),
    (2, ByTable("containerd 2.3.0 to 2.3.3")),
    (3, ByTable("containerd 2.3.0 to 2.3.3")),
    (4, ByTable("containerd 2.2.0 and 2.2.1")),
    (5, ByTable("containerd 2.3.0 to 2.3.4")),
    (6, Here(T06)),
    (7, Here(T07)),
    (8, Here(T08)),
    (9, Here(T09)),
    (10, Here(T10)),
    (11, Here(T11)),
    (12, Here(T12)),
    (13, Here(T13)),
    (14, Here(T14)),
    (15, Here(T15)),
    (16, Here(T16)),
    (17, Here(T17)),
    (18, Here(T18)),
    (
        19,
        ByTable("containerd 1.5, which serves CRI v1alpha2 alone"),
    ),
    (20, ByTable("a kubelet")),
    (21, ByTable("a kubelet, on cgroup v1")),
    (22, Here(T22)),
    (23, Here(T23)),
    (24, Here(T24)),
    (25, ByTable("upstream's crictl")),
    (26, Here(T26)),
    (27, ByTable("a kernel older than 4.11")),
    (
        28,
        ByTable("CNI plug-ins older than 1.0, or containerd 1.6.3"),
    ),
    (29, ByTable("systemd older than 240")),
    (30, Here(T30)),
];

/// A test for each trap that is shown here: on the first suite always, on the others
/// with `NODELITH_TEST_ALL`.
macro_rules! shown {
    ($($name:ident $suites:ident [$($suite:ident),+]: $show:path;)+) => {$(
        const $suites: &[Suite] = &[$($suite),+];

        #[test]
        fn $name() {
            if !root("containerd runs as root") {
                return;
            }
            for (place, suite) in $suites.iter().enumerate() {
                let what = format!("{} on {}", stringify!($name), suite.name());
                if place == 0 || all(&what) {
                    $show(*suite);
                }
            }
        }
    )+
    const TESTS: &[&str] = &[$(stringify!($name)),+];
    };
}

shown! {
    t01_several_registry_directories T01 [Forky, Trixie, Bookworm]: files::several_registry_directories;
    t06_version_1_loses_cri T06 [Forky, Trixie, Bookworm]: config::version_1;
    t07_cri_settings_in_the_streaming_table T07 [Forky]: config::streaming_table;
    t08_keys_of_version_3_in_version_2 T08 [Trixie, Bookworm]: config::newer_tables;
    t09_version_3_on_1_7 T09 [Trixie, Bookworm]: config::version_3;
    t10_version_4_before_2_3 T10 [Forky]: config::version_4;
    t11_short_names_of_plugins T11 [Forky, Trixie, Bookworm]: config::short_names;
    t12_cri_is_disabled T12 [Trixie, Forky, Bookworm]: config::disabled;
    t13_drop_in_replaces_cri T13 [Trixie, Bookworm, Forky]: files::replacing_drop_in;
    t14_drop_ins_that_are_not_imported T14 [Forky, Trixie, Bookworm]: files::stray_drop_in;
    t15_systemd_cgroup T15 [Trixie, Bookworm, Forky]: runtime::systemd_cgroup;
    t16_cgroupfs_wins_silently T16 [Forky]: runtime::driver_told;
    t17_different_cgroup_drivers T17 [Trixie, Bookworm]: runtime::driver_untold;
    t18_old_kubelet_and_containerd_2 T18 [Forky, Trixie, Bookworm]: runtime::served;
    t22_removed_runtimes T22 [Forky, Trixie, Bookworm]: runtime::removed;
    t23_both_cni_directories T23 [Forky]: runtime::both_directories;
    t24_local_pull T24 [Forky]: runtime::local_pull;
    t26_broken_hosts_files T26 [Forky, Trixie, Bookworm]: files::broken_hosts;
    t30_mixed_versions T30 [Forky]: files::mixed_versions;
}

/// All thirty are accounted for, each has a test under the same name among the tables,
/// and what is said to be shown here is.
#[test]
fn every_trap_is_shown_somewhere() {
    let tables = include_str!("../../check/traps.rs");
    let by_table: BTreeSet<_> = tables
        .lines()
        .filter_map(|line| line.strip_prefix("fn t")?.split('_').next()?.parse().ok())
        .collect();
    let numbers: BTreeSet<u8> = TRAPS.iter().map(|(number, _)| *number).collect();
    assert_eq!(numbers, (1..=30).collect());
    assert_eq!(by_table, numbers);
    let mut here = 0;
    for (number, shown) in &TRAPS {
        let named = format!("t{number:02}_");
        let test = TESTS.iter().find(|name| name.starts_with(&named));
        match shown {
            Here(suites) => {
                assert!(!suites.is_empty());
                let test = test.unwrap();
                assert!(tables.contains(&format!("fn {test}()")), "{test}");
                here += 1;
            }
            ByTable(why) => assert!(!why.is_empty() && test.is_none(), "{number}"),
        }
    }
    assert_eq!(here, TESTS.len());
}
