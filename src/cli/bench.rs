//! `strata bench FILE…`

use super::table::{Format, show};
use super::{Done, Shared, Usage, print};
use anyhow::{Result, bail};
use clap::{Args, ValueEnum};
use serde::Serialize;
use std::io::BufRead;
use strata::config::Experiment;
use strata::ranks::{self, Ranks};
use strata::runs::significant;
use strata::torch;
use strata::train::bench::{self, Phase, Roofline, StepCost, Timing, Workload};
use tch::Device;

const COLUMNS: &str = "\
    Steps are timed as in a training run, on random images in memory: gathering, augmentation,\n\
    forward, loss, backward, optimizer, accuracies. Columns:\n  \
      ms                      median time of a step; ms_min and ms_max are the fastest and the slowest\n  \
      gflops                  10^9 operations per second in convolutions and linear layers\n  \
      peak                    share of the machine's peak, the best of a few large products and 1x1 convolutions\n  \
      arithmetic_bound_ms     time that the operations would take at that peak\n  \
      memory_bound_ms         time that the bytes would take at the measured memory bandwidth\n  \
      waited                  share of a step spent waiting for its batch\n  \
      data_ms                 time in which one thread prepares a batch\n  \
      memory_mib              peak memory\n\
    docs/speed.md explains them.";

/// Time training steps and evaluation: milliseconds, share of the machine's peak, memory
#[derive(Args)]
#[command(after_help = COLUMNS)]
pub(crate) struct Bench {
    /// Experiment files, or their names
    #[arg(required_unless_present = "data", value_name = "FILE")]
    pub files: Vec<String>,
    /// Time image loading instead: images per second on one core for each stage, next to torchvision's loaders where `make
    /// bench-peers` installed them. FILE is an experiment or a folder of images [default: synthetic photographs]
    #[arg(long, conflicts_with_all = ["batch", "phase", "ops", "worker"])]
    data: bool,
    /// Batch size [default: the experiment's]
    #[arg(long, value_name = "N")]
    batch: Option<usize>,
    /// Steps to time, after a warm-up; with --data rounds over all images
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub steps: u16,
    /// Time only training or only evaluation
    #[arg(long, value_enum)]
    phase: Option<PhaseName>,
    /// Output format
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub format: Format,
    /// Profile instead: calls and time per step of each operation, excluding the operations that it calls
    #[arg(long, conflicts_with = "worker")]
    ops: bool,
    /// For scripts such as `make bench`: describe the network in a line of JSON, then answer each line `train N`, `eval N` or
    /// `limits` on standard input with a line of JSON. Started by a launcher, workers train together as the ranks of `strata
    /// train` do
    #[arg(long)]
    worker: bool,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum PhaseName {
    Train,
    Eval,
}

/// Steps before the first that is timed.
const WARM_UP: usize = 3;
/// Rows of the table of operations; the rest take next to no time.
const SHOWN_OPERATIONS: usize = 25;

/// Columns that a narrow terminal does not show, the first ones first.
const EXPENDABLE: [&str; 9] = [
    "ms_max",
    "ms_min",
    "data_ms",
    "waited",
    "memory_bound_ms",
    "arithmetic_bound_ms",
    "gflops",
    "memory_mib",
    "precision",
];
const HEADER: [&str; 15] = [
    "network",
    "phase",
    "batch",
    "precision",
    "ms",
    "ms_min",
    "ms_max",
    "images_per_second",
    "gflops",
    "peak",
    "arithmetic_bound_ms",
    "memory_bound_ms",
    "waited",
    "data_ms",
    "memory_mib",
];

pub(crate) fn run(command: &Bench, shared: &Shared) -> Result<Done> {
    if command.data {
        return super::bench_data::run(command, shared);
    }
    let mut overrides = shared.set.clone();
    overrides.extend(command.batch.map(|batch| format!("train.batch={batch}")));
    let read = |file: &String| super::experiment(file, &overrides);
    let experiments = command.files.iter().map(read).collect::<Result<Vec<_>>>()?;
    let device = shared.device()?;
    if command.worker {
        let [experiment] = experiments.as_slice() else {
            bail!(Usage("--worker takes one experiment".to_owned()));
        };
        let ranks = Ranks::meet(ranks::rank_info()?.as_ref())?;
        return worker(experiment, device, command.steps.into(), ranks);
    }
    if command.ops {
        for experiment in &experiments {
            print(&operations(command, experiment, device)?)?;
        }
        return Ok(Done::Well);
    }
    let roofline = Roofline::measure(device)?;
    let mut lines = Vec::new();
    for experiment in &experiments {
        lines.extend(time(command, experiment, device, &roofline)?);
    }
    print(&show(command.format, &HEADER, lines, &EXPENDABLE)?)?;
    Ok(Done::Well)
}

/// A table of the operations of a phase's steps, the longest first.
fn operations(command: &Bench, experiment: &Experiment, device: Device) -> Result<String> {
    let steps = usize::from(command.steps);
    let workload = Workload::new(experiment, device, steps.max(WARM_UP))?;
    let mut bench = workload.bench();
    let eval = command.phase == Some(PhaseName::Eval);
    let mut round = |steps| if eval { bench.eval(steps) } else { bench.train(steps) };
    round(WARM_UP)?;
    let profile = torch::Profile::start()?;
    round(steps)?;
    // A round is one step longer than what is timed of it.
    let per_step = |value: f64| value / (steps + 1) as f64;
    let times = profile.finish()?;
    let total: f64 = times.iter().map(|op| op.seconds).sum();
    let line = |op: &torch::OpTime| {
        let share = format!("{:.1} %", 100.0 * op.seconds / total);
        let (calls, ms) = (per_step(op.calls as f64), per_step(1000.0 * op.seconds));
        vec![readable(&op.name), significant((100.0 * calls).round() / 100.0), format!("{ms:.3}"), share]
    };
    let lines: Vec<Vec<String>> = times.iter().take(SHOWN_OPERATIONS).map(line).collect();
    show(command.format, &["operation", "calls", "ms", "share"], lines, &["calls"])
}

/// The name of an operation without the C++ around it.
fn readable(name: &str) -> String {
    if let Some(of) = name.strip_prefix("autograd::engine::evaluate_function: ") {
        return format!("autograd engine: {}", readable(of));
    }
    let class = name.strip_prefix("torch::autograd::CppNode<").and_then(|rest| rest.strip_suffix('>'));
    match class.map(|class| class.rsplit("::").next().unwrap_or(class)) {
        // All kernels of ours are one class to autograd.
        Some("Operation") => "backward of fused kernels".to_owned(),
        Some(class) => format!("backward of {}", class.trim_end_matches("Function")),
        None => name.trim_start_matches("torch::autograd::").to_owned(),
    }
}

/// A line for each phase.
fn time(command: &Bench, experiment: &Experiment, device: Device, roofline: &Roofline) -> Result<Vec<Vec<String>>> {
    let steps = usize::from(command.steps);
    let workload = Workload::new(experiment, device, steps.max(WARM_UP))?;
    let mut bench = workload.bench();
    let mut lines = Vec::new();
    // Evaluation first: after training its peak memory would be that of training.
    if command.phase != Some(PhaseName::Train) {
        torch::reset_peak_memory(device);
        bench.eval(WARM_UP)?;
        lines.push(line(experiment, &bench.eval(steps)?, None, device, roofline));
    }
    if command.phase != Some(PhaseName::Eval) {
        torch::reset_peak_memory(device);
        bench.train(WARM_UP)?;
        let timing = bench.train(steps)?;
        lines.push(line(experiment, &timing, Some(bench.fill_ms(steps)?), device, roofline));
    }
    Ok(lines)
}

fn line(
    experiment: &Experiment,
    timing: &Timing,
    data_ms: Option<f64>,
    device: Device,
    roofline: &Roofline,
) -> Vec<String> {
    let (ms, cost, train) = (timing.median(), StepCost::of(experiment, timing.phase), &experiment.train);
    let [least, most] = [f64::min, f64::max].map(|pick| timing.ms.iter().copied().reduce(pick).unwrap_or(f64::NAN));
    let mean = timing.ms.iter().sum::<f64>() / timing.ms.len().max(1) as f64;
    let number =
        |value: f64| if value >= 100.0 { format!("{value:.0}") } else { significant((value * 100.0).round() / 100.0) };
    let percent = |fraction: f64| format!("{:.1} %", 100.0 * fraction);
    let arithmetic_ms = cost.arithmetic_ms(roofline, train.precision);
    vec![
        experiment.name.clone(),
        timing.phase.name().to_owned(),
        train.batch.to_string(),
        train.precision.name().to_owned(),
        number(ms),
        number(least),
        number(most),
        number(1000.0 * train.batch as f64 / ms),
        number(cost.flops / (1e6 * ms)),
        percent(arithmetic_ms / ms),
        number(arithmetic_ms),
        number(cost.memory_ms(roofline)),
        timing.waited_ms.map_or_else(String::new, |waited| percent(waited / mean)),
        data_ms.map_or_else(String::new, number),
        torch::peak_memory_mib(device).map_or_else(String::new, number),
    ]
}

/// The first line of a worker: what it times.
#[derive(Serialize)]
struct Ready<'a> {
    name: &'a str,
    batch: usize,
    input: [usize; 3],
    classes: usize,
    precision: &'static str,
    threads: i32,
    params: u64,
    buffers: u64,
    macs: u64,
    activations: u64,
    train: StepCost,
    eval: StepCost,
    libtorch: String,
    cpu_capability: String,
}

/// A worker's line for a round.
#[derive(Serialize)]
struct Round {
    #[serde(flatten)]
    timing: Timing,
    /// Milliseconds to gather and augment a batch on one thread; only for training.
    data_ms: Option<f64>,
    peak_mib: Option<f64>,
}

fn worker(experiment: &Experiment, device: Device, steps: usize, ranks: Ranks) -> Result<Done> {
    let workload = Workload::on_ranks(experiment, device, steps, ranks)?;
    let mut bench = workload.bench();
    let cost = experiment.network.cost();
    send(&Ready {
        name: &experiment.name,
        batch: experiment.train.batch,
        input: experiment.network.plan.input,
        classes: experiment.network.plan.classes,
        precision: experiment.train.precision.name(),
        threads: tch::get_num_threads(),
        params: cost.params,
        buffers: cost.buffers,
        macs: cost.macs,
        activations: cost.activations,
        train: StepCost::of(experiment, Phase::Train),
        eval: StepCost::of(experiment, Phase::Eval),
        libtorch: torch::version(),
        cpu_capability: torch::cpu_capability(),
    })?;
    for request in std::io::stdin().lock().lines() {
        let request = request?;
        let mut words = request.split_whitespace();
        let (what, count) = (words.next().unwrap_or_default(), words.next().and_then(|count| count.parse().ok()));
        match (what, count) {
            ("train", Some(count)) => {
                let timing = bench.train(count)?;
                let peak_mib = torch::peak_memory_mib(device);
                send(&Round { timing, data_ms: Some(bench.fill_ms(3)?), peak_mib })?;
            }
            ("eval", Some(count)) => {
                let timing = bench.eval(count)?;
                send(&Round { timing, data_ms: None, peak_mib: torch::peak_memory_mib(device) })?;
            }
            ("limits", None) => send(&bench::Roofline::measure(device)?)?,
            _ => bail!(Usage(format!("a worker takes `train N`, `eval N` or `limits`, not `{request}`"))),
        }
    }
    Ok(Done::Well)
}

fn send(value: &impl Serialize) -> Result<()> {
    print(&format!("{}\n", serde_json::to_string(value)?))
}

#[cfg(test)]
mod tests {
    use super::readable;

    #[test]
    fn operations_have_no_names_of_cpp() {
        let names = [
            "autograd::engine::evaluate_function: torch::autograd::CppNode<strata::Operation>",
            "torch::autograd::CppNode<(anonymous namespace)::ConvFunction>",
            "torch::autograd::AccumulateGrad",
            "aten::mm",
        ];
        let expected = ["autograd engine: backward of fused kernels", "backward of Conv", "AccumulateGrad", "aten::mm"];
        assert_eq!(names.map(readable), expected);
    }
}
