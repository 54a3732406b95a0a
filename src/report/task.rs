//! One piece of work with progress: a bar, a line, or events.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use super::{Report, Style};

/// What a task counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Bytes, shown with binary prefixes and a rate.
    Bytes,
    /// Things ("packages").
    Count(&'static str),
}

/// A piece of work under way. Shared by reference between threads.
#[derive(Debug)]
pub struct Task {
    report: Report,
    name: String,
    unit: Unit,
    done: AtomicU64,
    begun: Instant,
    bar: Option<ProgressBar>,
}

impl Task {
    pub(super) fn begin(report: Report, name: &str, total: Option<u64>, unit: Unit) -> Self {
        let bar = match &*report.0 {
            Style::Bars(bars) => {
                let bar = bars.add(total.map_or_else(ProgressBar::new_spinner, ProgressBar::new));
                bar.set_style(style(unit, total.is_some()));
                bar.set_message(name.to_owned());
                bar.enable_steady_tick(Duration::from_millis(120));
                Some(bar)
            }
            _ => None,
        };
        report.event(&json!({"event": "begin", "task": name, "total": total}));
        Self {
            report,
            name: name.to_owned(),
            unit,
            done: AtomicU64::new(0),
            begun: Instant::now(),
            bar,
        }
    }

    /// Counts `amount` more as done.
    pub fn advance(&self, amount: u64) {
        self.done.fetch_add(amount, Ordering::Relaxed);
        if let Some(bar) = &self.bar {
            bar.inc(amount);
        }
    }

    /// Ends the task, with what came of it in a few words ("129 packages").
    pub fn finish(self, result: &str) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        let elapsed = self.begun.elapsed();
        let done = self.done.load(Ordering::Relaxed);
        if self.report.is_json() {
            self.report.event(&json!({
                "event": "end", "task": self.name, "done": done,
                "seconds": (elapsed.as_secs_f64() * 1000.0).round() / 1000.0, "result": result,
            }));
            return;
        }
        let rate = match self.unit {
            Unit::Bytes if done > 0 && elapsed.as_millis() > 50 => {
                let rate = done as f64 / elapsed.as_secs_f64();
                format!(", {}/s", human_bytes(rate as u64))
            }
            _ => String::new(),
        };
        self.report.note(&format!(
            "{:>12} {result} in {:.1} s{rate}",
            self.name,
            elapsed.as_secs_f64()
        ));
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn style(unit: Unit, known: bool) -> ProgressStyle {
    let template = match (unit, known) {
        (Unit::Bytes, true) => {
            "{msg:>12} [{bar:28}] {binary_bytes}/{binary_total_bytes} {binary_bytes_per_sec} {eta}"
                .to_owned()
        }
        (Unit::Bytes, false) => "{msg:>12} {spinner} {binary_bytes} {binary_bytes_per_sec}".into(),
        (Unit::Count(what), true) => format!("{{msg:>12}} [{{bar:28}}] {{pos}}/{{len}} {what}"),
        (Unit::Count(what), false) => format!("{{msg:>12}} {{spinner}} {{pos}} {what}"),
    };
    ProgressStyle::with_template(&template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("=> ")
}

/// A number of things for people: `1 package`, `2 packages`.
#[must_use]
pub fn counted(number: usize, thing: &str) -> String {
    match number {
        1 => format!("1 {thing}"),
        _ => format!("{number} {thing}s"),
    }
}

/// A number of bytes for people: `1.5 GiB`, `312 B`.
#[must_use]
pub fn human_bytes(bytes: u64) -> String {
    indicatif::BinaryBytes(bytes).to_string()
}
