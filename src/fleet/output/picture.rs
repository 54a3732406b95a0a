//! A plan as a picture (SVG): time from left to right, a row for each node of a small
//! fleet or for each pool of a large one, a bar for each wave and its soak time.

use std::fmt::Write as _;
use std::time::Duration;

use super::{escaped, span};
use crate::fleet::plan::{Fate, Plan};

/// Up to so many nodes have a row each.
const MOST_ROWS: usize = 40;
/// So many bars a row are drawn; of more waves, neighbours are drawn as one.
const MOST_BARS: usize = 120;
/// Sizes, in the units of the picture.
const LABEL: f64 = 170.0;
const CHART: f64 = 570.0;
const TOP: f64 = 46.0;
const ROW: f64 = 24.0;

const STYLE: &str = "\
  .back { fill: #f6f8fa; } .work { fill: #ddf4ff; stroke: #0969da; } .canary { fill: #fff8c5; stroke: #9a6700; }
  .soak { fill: none; stroke: #57606a; stroke-dasharray: 3 3; } .tick { stroke: #d0d7de; }
  text { fill: #1f2328; } .small { font-size: 11.5px; fill: #57606a; }
  @media (prefers-color-scheme: dark) {
    .back { fill: #161b22; } .work { fill: #0c2d4a; stroke: #4493f8; } .canary { fill: #3b2e08; stroke: #d29922; }
    .soak { stroke: #8b949e; } .tick { stroke: #30363d; } text { fill: #e6edf3; } .small { fill: #9ea7b3; }
  }
";

/// A bar: waves from one to another in a row.
struct Bar {
    first: usize,
    last: usize,
    nodes: usize,
    canary: bool,
}

/// A row: what it is called and its bars.
struct Row {
    name: String,
    bars: Vec<Bar>,
}

/// The picture.
#[must_use]
pub fn picture(plan: &Plan<'_>) -> String {
    let rows = rows(plan);
    let height = TOP + ROW * rows.len() as f64 + 34.0;
    let counts = plan.counts(None);
    let title = format!(
        "Rollout: {} nodes in {} waves, about {}; {} on the image already, {} blocked",
        counts.reimage,
        plan.waves.len(),
        span(plan.duration()),
        counts.done,
        counts.blocked,
    );
    let mut svg = String::new();
    // Writing to a string does not fail.
    let _ = write!(
        svg,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 760 {height:.0}\" role=\"img\" \
         aria-labelledby=\"t\" font-family=\"system-ui, sans-serif\" font-size=\"14\">\n\
         <title id=\"t\">{title}</title>\n<style>\n{STYLE}</style>\n"
    );
    axis(&mut svg, plan, height);
    for (at, row) in rows.iter().enumerate() {
        let y = TOP + ROW * at as f64;
        let _ = writeln!(
            svg,
            "<rect class=\"back\" x=\"{LABEL}\" y=\"{:.0}\" width=\"{CHART}\" height=\"{:.0}\"/>\
             <text x=\"10\" y=\"{:.0}\">{}</text>",
            y + 2.0,
            ROW - 4.0,
            y + 17.0,
            escaped(&shortened(&row.name)),
        );
        for bar in &row.bars {
            draw(&mut svg, plan, bar, y);
        }
    }
    let _ = write!(
        svg,
        "<text class=\"small\" x=\"10\" y=\"{:.0}\">{title}</text>\n</svg>\n",
        height - 10.0
    );
    svg
}

fn rows(plan: &Plan<'_>) -> Vec<Row> {
    let is_small = plan.counts(None).reimage <= MOST_ROWS;
    if !is_small {
        let pools = plan.pools().map(|(at, pool)| Row {
            name: pool.name.clone(),
            bars: bars(plan, at),
        });
        return pools.filter(|row| !row.bars.is_empty()).collect();
    }
    let waves = plan.waves.iter().enumerate();
    let nodes = waves.flat_map(|(at, wave)| {
        wave.nodes.iter().map(move |&node| Row {
            name: plan.nodes[node].node.name.clone(),
            bars: vec![Bar {
                first: at,
                last: at,
                nodes: 1,
                canary: wave.canary,
            }],
        })
    });
    nodes.collect()
}

/// The bars of a pool.
fn bars(plan: &Plan<'_>, pool: usize) -> Vec<Bar> {
    let mut sizes = vec![0; plan.waves.len()];
    for planned in &plan.nodes {
        if let (Fate::Reimage(wave), Some(of)) = (planned.fate, planned.pool)
            && of == pool
        {
            sizes[wave] += 1;
        }
    }
    let waves: Vec<_> = (0..sizes.len()).filter(|&wave| sizes[wave] > 0).collect();
    let together = waves.len().div_ceil(MOST_BARS).max(1);
    let chunks = waves.chunks(together);
    let bars = chunks.filter_map(|chunk| {
        Some(Bar {
            first: *chunk.first()?,
            last: *chunk.last()?,
            nodes: chunk.iter().map(|&wave| sizes[wave]).sum(),
            canary: chunk.iter().all(|&wave| plan.waves[wave].canary),
        })
    });
    bars.collect()
}

fn draw(svg: &mut String, plan: &Plan<'_>, bar: &Bar, y: f64) {
    let (first, last) = (&plan.waves[bar.first], &plan.waves[bar.last]);
    let begin = place(plan, first.start);
    let end = place(plan, last.start + plan.rules.node_time);
    let after = place(plan, last.start + plan.rules.node_time + last.soak);
    let class = if bar.canary { "canary" } else { "work" };
    let waves = match bar.first == bar.last {
        true => format!("wave {}", bar.first + 1),
        false => format!("waves {} to {}", bar.first + 1, bar.last + 1),
    };
    let _ = write!(
        svg,
        "<rect class=\"soak\" x=\"{end:.1}\" y=\"{:.0}\" width=\"{:.1}\" height=\"{:.0}\"/>\
         <rect class=\"{class}\" x=\"{begin:.1}\" y=\"{:.0}\" width=\"{:.1}\" height=\"{:.0}\" rx=\"2\">\
         <title>{waves}: {} from {}</title></rect>",
        y + 6.0,
        after - end,
        ROW - 12.0,
        y + 4.0,
        (end - begin).max(0.5),
        ROW - 8.0,
        crate::report::counted(bar.nodes, "node"),
        span(first.start),
    );
    if end - begin >= 24.0 {
        let number = match bar.first == bar.last {
            true => (bar.first + 1).to_string(),
            false => format!("{}–{}", bar.first + 1, bar.last + 1),
        };
        let _ = write!(
            svg,
            "<text class=\"small\" text-anchor=\"middle\" x=\"{:.1}\" y=\"{:.0}\">{number}</text>",
            f64::midpoint(begin, end),
            y + 16.0
        );
    }
    svg.push('\n');
}

/// Marks of time, at most ten, at round spans.
fn axis(svg: &mut String, plan: &Plan<'_>, height: f64) {
    const STEPS: [u64; 12] = [
        60, 300, 600, 1800, 3600, 7200, 14_400, 28_800, 86_400, 172_800, 604_800, 2_592_000,
    ];
    let all = plan.duration().as_secs();
    let step = STEPS.into_iter().find(|step| all / step <= 9);
    let step = step.unwrap_or_else(|| (all / 9).max(1));
    for at in 0..=all / step {
        let time = Duration::from_secs(at * step);
        let x = place(plan, time);
        let _ = writeln!(
            svg,
            "<path class=\"tick\" d=\"M{x:.1} {:.0}V{:.0}\"/>\
             <text class=\"small\" text-anchor=\"middle\" x=\"{x:.1}\" y=\"{:.0}\">{}</text>",
            TOP - 10.0,
            height - 28.0,
            TOP - 16.0,
            span(time)
        );
    }
}

/// Where a time stands.
fn place(plan: &Plan<'_>, time: Duration) -> f64 {
    let all = plan.duration().as_secs_f64().max(1.0);
    LABEL + CHART * (time.as_secs_f64() / all)
}

/// A name that fits before the chart.
fn shortened(name: &str) -> String {
    const MOST: usize = 20;
    match name.chars().count() > MOST {
        true => name.chars().take(MOST - 1).chain(['…']).collect(),
        false => name.to_owned(),
    }
}
