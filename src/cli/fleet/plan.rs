//! `nodelith fleet plan`.

use super::super::args::FleetPlan;
use super::super::{Context, Outcome};
use super::input;
use crate::error::{Error, Kind, Result};
use crate::fleet::{Plan, Rules, output};
use crate::store::write_atomic;

pub(super) fn run(context: &Context, arguments: &FleetPlan) -> Result<Outcome> {
    let rules = Rules::read(&arguments.rules)?;
    let cluster = input::files(&arguments.files)?;
    if cluster.nodes.is_empty() {
        return Err(Error::new(Kind::Usage, "there are no nodes in the input")
            .hint("give what `kubectl get nodes,pods,pdb,pv -A -o json` prints"));
    }
    let plan = Plan::make(&cluster, &rules);
    if !plan.pods_known {
        context.report.warning(
            "there are no pods in the input: nothing is known of local volumes, disruption budgets and Docker's socket",
        );
    }
    // All are made before the first is written.
    let runbook = match &arguments.runbook {
        Some(_) => {
            let rules = arguments.rules.to_string_lossy();
            Some(output::runbook(&plan, &cluster, &rules)?)
        }
        None => None,
    };
    if let (Some(path), Some(text)) = (&arguments.runbook, runbook) {
        write_atomic(path, text.as_bytes())?;
    }
    if let Some(path) = &arguments.picture {
        write_atomic(path, output::picture(&plan).as_bytes())?;
    }
    match context.global.json {
        true => context.print(&output::json(&plan), "")?,
        false => super::super::print(&output::table(&plan))?,
    }
    Ok(match plan.counts(None).blocked {
        0 => Outcome::Done,
        _ => Outcome::Findings,
    })
}
