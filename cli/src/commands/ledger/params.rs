//! `pib ledger params`: the sample sizes of the sampled broadcast. Needs no group and no daemon.

use crate::error::{CliError, Code};
use crate::session::Context;
use clap::Args;
use ledger::params::{Plan, Sampling, Target};
use serde::Serialize;

/// Flags of `pib ledger params`.
#[derive(Debug, Args)]
pub struct Flags {
    /// Members
    #[arg(long, value_name = "N")]
    members: usize,
    /// The fraction of them that may be Byzantine, below 1/3
    #[arg(long, value_name = "F")]
    byzantine: f64,
    /// The chance that one broadcast violates a property, for each property
    #[arg(long, value_name = "E")]
    epsilon: f64,
}

/// One way of drawing samples, as JSON.
#[derive(Debug, Serialize)]
struct Row {
    sampling: &'static str,
    reachable: bool,
    gossip: Option<usize>,
    echo: Option<[usize; 2]>,
    ready: Option<[usize; 2]>,
    delivery: Option<[usize; 2]>,
    sends: Option<usize>,
    validity: Option<f64>,
    consistency: Option<f64>,
    totality: Option<f64>,
    pays: bool,
}

#[derive(Debug, Serialize)]
struct Report {
    message_type: &'static str,
    members: usize,
    byzantine_members: usize,
    epsilon: f64,
    bracha_sends: usize,
    rows: Vec<Row>,
    advice: &'static str,
}

const SAMPLED: &str = "sampled broadcast sends less than Bracha's";
const CERTIFIED: &str = "sampling does not pay here: use certified broadcast";

fn row(sampling: &'static str, target: &Target, plan: Option<Plan>) -> Row {
    let sizes = plan.map(|plan| plan.sizes);
    let bounds = plan.map(|plan| plan.bounds);
    Row {
        sampling,
        reachable: plan.is_some(),
        gossip: sizes.map(|sizes| sizes.gossip),
        echo: sizes.map(|sizes| [sizes.echo, sizes.echo_threshold]),
        ready: sizes.map(|sizes| [sizes.ready, sizes.ready_threshold]),
        delivery: sizes.map(|sizes| [sizes.delivery, sizes.delivery_threshold]),
        sends: sizes.map(|sizes| sizes.sends()),
        validity: bounds.map(|bounds| bounds.validity()),
        consistency: bounds.map(|bounds| bounds.consistency()),
        totality: bounds.map(|bounds| bounds.totality()),
        pays: plan.is_some_and(|plan| target.pays(&plan)),
    }
}

fn say(name: &str, target: &Target, plan: Option<Plan>) -> String {
    let Some(plan) = plan else {
        return format!("{name:17} no samples of a useful size reach this epsilon");
    };
    let (s, b) = (plan.sizes, plan.bounds);
    format!(
        "{name:17} G {}, E {}/{}, R {}/{}, D {}/{}: {} sends a member of {}; at most {:.2e} for \
         validity, {:.2e} for consistency, {:.2e} for totality",
        s.gossip,
        s.echo,
        s.echo_threshold,
        s.ready,
        s.ready_threshold,
        s.delivery,
        s.delivery_threshold,
        s.sends(),
        target.bracha_sends(),
        b.validity(),
        b.consistency(),
        b.totality(),
    )
}

/// Runs the command.
pub fn run(context: &Context, flags: &Flags) -> Result<Code, CliError> {
    let Flags { members, byzantine, epsilon } = *flags;
    let target = Target { members, byzantine, epsilon };
    let plan = |sampling| {
        target.plan(sampling).map_err(|error| {
            CliError::new(Code::Usage, error).hint(
                "for example: pib ledger params --members 1000 --byzantine 0.1 --epsilon 1e-6",
            )
        })
    };
    let ways = [
        ("distinct", plan(Sampling::Distinct)?),
        ("with replacement", plan(Sampling::WithReplacement)?),
    ];
    let rows: Vec<Row> = ways.iter().map(|(name, plan)| row(name, &target, *plan)).collect();
    let advice = if rows.iter().any(|row| row.pays) { SAMPLED } else { CERTIFIED };
    context.output.say(format!(
        "{members} members, {} Byzantine, epsilon {epsilon:e}; Bracha's broadcast sends {} a member",
        target.byzantine_members(),
        target.bracha_sends(),
    ));
    for (name, plan) in ways {
        context.output.result(say(name, &target, plan));
    }
    context.output.result(advice);
    context.output.json(&Report {
        message_type: "ledger_params",
        members,
        byzantine_members: target.byzantine_members(),
        epsilon,
        bracha_sends: target.bracha_sends(),
        rows,
        advice,
    });
    Ok(Code::Done)
}
