//! Figures, as a table for people and as JSON.

use nodelith::report::{Table, human_bytes};
use serde_json::{Value, json};

/// Everything that came of a run.
pub struct Figures {
    pub measures: Vec<Measure>,
    /// What it was measured with and on.
    pub about: Value,
}

/// One thing that was measured.
pub struct Measure {
    pub name: &'static str,
    pub unit: &'static str,
    pub ours: Tool,
    /// Others at the same work; an aim by ratio is against the first.
    pub peers: Vec<Tool>,
    pub aim: Aim,
}

/// What we want to reach.
pub enum Aim {
    /// At most this part of the first peer's median.
    Ratio(f64),
    /// At most this.
    Most(f64),
}

/// One tool's values.
pub struct Tool {
    name: &'static str,
    values: Vec<f64>,
    /// How large its output is.
    pub bytes: Option<u64>,
}

impl Tool {
    pub fn new(name: &'static str) -> Self {
        Self {
            name,
            values: Vec::new(),
            bytes: None,
        }
    }

    pub fn add(&mut self, value: f64) {
        self.values.push(value);
    }

    /// Least, median, most.
    fn spread(&self) -> (f64, f64, f64) {
        let mut sorted = self.values.clone();
        sorted.sort_by(f64::total_cmp);
        let at = |index: usize| sorted.get(index).copied().unwrap_or(f64::NAN);
        let half = sorted.len() / 2;
        let median = match sorted.len() % 2 {
            0 => f64::midpoint(at(half.wrapping_sub(1)), at(half)),
            _ => at(half),
        };
        (at(0), median, at(sorted.len().wrapping_sub(1)))
    }

    fn json(&self) -> Value {
        let (min, median, max) = self.spread();
        json!({
            "name": self.name, "median": median, "min": min, "max": max,
            "values": self.values, "bytes": self.bytes,
        })
    }
}

impl Measure {
    /// Our part of the first peer's median, where that is what counts.
    fn ratio(&self) -> Option<f64> {
        match self.aim {
            Aim::Ratio(_) => Some(self.ours.spread().1 / self.peers.first()?.spread().1),
            Aim::Most(_) => None,
        }
    }

    fn reached(&self) -> bool {
        match self.aim {
            Aim::Ratio(most) => self.ratio().is_some_and(|ratio| ratio <= most),
            Aim::Most(most) => self.ours.spread().1 <= most,
        }
    }

    fn aim(&self) -> String {
        let aim = match self.aim {
            Aim::Ratio(most) => format!("{most} of {}", self.peers[0].name),
            Aim::Most(most) => format!("{most} {}", self.unit),
        };
        let is = self
            .ratio()
            .map_or_else(String::new, |is| format!(": is {is:.2}"));
        let reached = if self.reached() {
            "reached"
        } else {
            "not reached"
        };
        format!("{aim}{is}, {reached}")
    }
}

impl Figures {
    pub fn text(&self) -> String {
        let mut table = Table::new(&["MEASURE", "BY", ">MEDIAN", ">MIN", ">MAX", ">OUTPUT", "AIM"]);
        for measure in &self.measures {
            let mut name = measure.name;
            let mut aim = measure.aim();
            for tool in [&measure.ours].into_iter().chain(&measure.peers) {
                let (min, median, max) = tool.spread();
                let shown = |value: f64| match measure.unit {
                    "s" => format!("{value:.3} s"),
                    unit => format!("{value:.0} {unit}"),
                };
                table.row([
                    std::mem::take(&mut name).to_owned(),
                    tool.name.to_owned(),
                    shown(median),
                    shown(min),
                    shown(max),
                    tool.bytes.map_or_else(String::new, human_bytes),
                    std::mem::take(&mut aim),
                ]);
            }
        }
        table.render()
    }

    pub fn json(&self) -> Value {
        let measures: Vec<Value> = self
            .measures
            .iter()
            .map(|measure| {
                let (kind, aim) = match measure.aim {
                    Aim::Ratio(most) => ("ratio-to-first-peer", most),
                    Aim::Most(most) => ("at-most", most),
                };
                json!({
                    "name": measure.name, "unit": measure.unit, "ours": measure.ours.json(),
                    "peers": measure.peers.iter().map(Tool::json).collect::<Vec<_>>(),
                    "aim": {"kind": kind, "most": aim}, "ratio": measure.ratio(),
                    "reached": measure.reached(),
                })
            })
            .collect();
        json!({
            "schema": "nodelith.bench", "version": 1,
            "about": self.about, "measures": measures,
        })
    }
}
