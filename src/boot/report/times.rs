//! How long a boot took, from what `systemd-analyze time` and the kernel said.

use serde_json::{Value, json};

use crate::boot::checks::Boot;

/// Seconds of the parts of a boot, as far as they are known.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Times {
    /// From QEMU's start to its end.
    total: f64,
    /// Firmware.
    firmware: Option<f64>,
    /// Boot loader.
    loader: Option<f64>,
    /// The kernel, until it starts the initrd's program.
    kernel: Option<f64>,
    /// The initrd's program, until it starts systemd.
    initrd: Option<f64>,
    /// From systemd's start until all is up.
    userspace: Option<f64>,
}

impl Times {
    /// Reads a boot's.
    pub(super) fn of(boot: &Boot) -> Self {
        let line = boot.said.text("times").unwrap_or_default();
        let line = line.lines().next().unwrap_or_default();
        let begun = boot.said.text("init").ok().and_then(stamp);
        Self {
            total: boot.outcome.seconds,
            ..Self::parse(line, begun)
        }
    }

    /// Of `Startup finished in 1.2s (firmware) + … = …`, and the second at which the
    /// kernel started the initrd's program.
    fn parse(line: &str, begun: Option<f64>) -> Self {
        let text = line.strip_prefix("Startup finished in ").unwrap_or(line);
        let text = text.split_once(" = ").map_or(text, |(parts, _)| parts);
        let mut times = Self::default();
        for part in text.split(" + ") {
            let Some((time, name)) = part.split_once(" (") else {
                continue;
            };
            let time = seconds(time);
            match name.trim_end_matches(')') {
                "firmware" => times.firmware = time,
                "loader" => times.loader = time,
                "kernel" => times.kernel = time,
                "initrd" => times.initrd = time,
                "userspace" => times.userspace = time,
                _ => {}
            }
        }
        // To systemd, an initrd without systemd is a part of the kernel's time.
        if let (None, Some(all), Some(begun)) = (times.initrd, times.kernel, begun)
            && begun <= all
        {
            times.kernel = Some(begun);
            times.initrd = Some(all - begun);
        }
        times
    }

    /// Seconds from QEMU's start to its end.
    pub(super) fn total(&self) -> f64 {
        self.total
    }

    fn parts(&self) -> [(&'static str, Option<f64>); 5] {
        [
            ("firmware", self.firmware),
            ("loader", self.loader),
            ("kernel", self.kernel),
            ("initrd", self.initrd),
            ("userspace", self.userspace),
        ]
    }

    pub(super) fn text(&self) -> String {
        let parts = self.parts().into_iter();
        let mut words: Vec<String> = parts
            .filter_map(|(name, time)| Some(format!("{name} {:.1} s", time?)))
            .collect();
        words.push(format!("test and power-off included {:.0} s", self.total));
        words.join(", ")
    }

    /// In milliseconds.
    pub(super) fn json(&self, boot: &str) -> Value {
        // Canonical JSON has no fractions.
        let milliseconds = |seconds: f64| (seconds * 1000.0).round() as u64;
        let [firmware, loader, kernel, initrd, userspace] =
            self.parts().map(|(_, time)| time.map(milliseconds));
        json!({
            "boot": boot, "total": milliseconds(self.total),
            "firmware": firmware, "loader": loader,
            "kernel": kernel, "initrd": initrd, "userspace": userspace,
        })
    }
}

/// Seconds of a time as systemd writes it: `1min 2.345s`, `300ms`.
fn seconds(text: &str) -> Option<f64> {
    text.split_whitespace().try_fold(0.0, |sum, part| {
        let at = part.find(|letter: char| letter.is_ascii_alphabetic())?;
        let number: f64 = part[..at].parse().ok()?;
        let unit = match &part[at..] {
            "us" => 1e-6,
            "ms" => 1e-3,
            "s" => 1.0,
            "min" => 60.0,
            "h" => 3600.0,
            _ => return None,
        };
        Some(sum + number * unit)
    })
}

/// The second at which a line of the kernel's was written: `[    2.345678] …`.
fn stamp(line: &str) -> Option<f64> {
    let (time, _) = line.trim_start().strip_prefix('[')?.split_once(']')?;
    time.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read() {
        let line = "Startup finished in 2.5s (firmware) + 300ms (loader) + 4.5s (kernel) + 1min 2.25s (userspace) = 1min 9.55s ";
        let begun = stamp("[    3.250000] Run /init as init process");
        let times = Times::parse(line, begun);
        let wanted = Times {
            total: 0.0,
            firmware: Some(2.5),
            loader: Some(0.3),
            kernel: Some(3.25),
            initrd: Some(1.25),
            userspace: Some(62.25),
        };
        assert_eq!(times, wanted);
        // With systemd in the initrd it tells that itself.
        let line = "Startup finished in 1s (kernel) + 2s (initrd) + 3s (userspace) = 6s";
        let times = Times::parse(line, begun);
        assert_eq!((times.kernel, times.initrd), (Some(1.0), Some(2.0)));
        let nothing = Times::parse("Bootup is not yet finished", begun);
        assert_eq!(nothing, Times::default());
        assert_eq!(nothing.text(), "test and power-off included 0 s");
    }
}
