//! `strata eval RUN…`

use super::arithmetic::Arithmetic;
use super::cost::{Format, render};
use super::runs::TrainedRun;
use super::{Done, Shared, Usage, print};
use anyhow::{Result, bail};
use clap::{Args, ValueEnum};
use strata::data;
use strata::runs::{accuracy, significant};
use strata::train::{Splits, Sums, check_data, cross_entropy, for_each_batch};
use tch::{Kind, Tensor};

/// Top-1 and Top-5 of trained runs on a split; several runs: also their ensemble
///
/// Of several runs of one name, that of the experiment file of this name is taken, with its --set: `strata eval resnet20
/// --set seed=1`.
#[derive(Args)]
pub struct Eval {
    /// Run folders, or names of runs (NAME or NAME/KEY)
    #[arg(required = true, value_name = "RUN")]
    runs: Vec<String>,
    #[arg(long, value_enum, default_value_t = Split::Test)]
    split: Split,
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
    #[command(flatten)]
    arithmetic: Arithmetic,
}

#[derive(Clone, Copy, ValueEnum)]
enum Split {
    /// The training images, without augmentation
    Train,
    Validation,
    Test,
}

pub fn run(command: &Eval, shared: &Shared) -> Result<Done> {
    let device = shared.device()?;
    let cache = data::cache_dir()?;
    let mut lines = Vec::new();
    let mut ensemble: Option<(Tensor, Tensor)> = None;
    let mut dataset = String::new();
    for name in &command.runs {
        let TrainedRun { folder, experiment, model } = TrainedRun::load(name, command.arithmetic, shared, device)?;
        if dataset.is_empty() {
            dataset.clone_from(&experiment.data.dataset);
        } else if dataset != experiment.data.dataset {
            bail!(Usage(format!(
                "an ensemble needs one dataset, but the runs are on {dataset} and {}",
                experiment.data.dataset
            )));
        }
        let splits = Splits::load(&experiment, &cache)?;
        check_data(&folder, &splits.name, &splits.fingerprint)?;
        let images = match command.split {
            Split::Test => splits.test,
            Split::Validation => splits.validation,
            Split::Train => splits.train,
        };
        let images = images.resized(experiment.network.plan.input);
        let normalise = experiment.data.normalisation(experiment.network.plan.input[0]);
        let mut sums = Sums::default();
        let (mut probabilities, mut labels) = (Vec::new(), Vec::new());
        strata::torch::catch(|| {
            let batch = experiment.train.batch.clamp(1, 500);
            for_each_batch(&model, &images, &normalise, batch, experiment.train.precision, |logits, truth| {
                sums.add(cross_entropy(logits, truth, 0.0).double_value(&[]), logits, truth);
                probabilities.push(logits.log_softmax(1, Kind::Float));
                labels.push(truth.shallow_clone());
            })
        })??;
        lines.push(line(name, sums));
        let (probabilities, labels) = (Tensor::cat(&probabilities, 0), Tensor::cat(&labels, 0));
        ensemble = match ensemble {
            Some((sum, truth)) if sum.size() == probabilities.size() && truth.equal(&labels) => {
                Some((sum.logaddexp(&probabilities), truth))
            }
            Some(_) => {
                bail!(Usage("an ensemble needs the same images in every run, but their splits differ".to_owned()))
            }
            None => Some((probabilities, labels)),
        };
    }
    if let (Some((sum, labels)), true) = (ensemble, command.runs.len() > 1) {
        // Logarithms of probabilities throughout: a probability that underflows has one all the same.
        let mean = sum - (command.runs.len() as f64).ln();
        let mut sums = Sums::default();
        sums.add(cross_entropy(&mean, &labels, 0.0).double_value(&[]), &mean, &labels);
        lines.push(line("ensemble (mean of the probabilities)", sums));
    }
    print(&render(command.format, &["run", "loss", "top1", "top5", "correct", "total"], &lines)?)?;
    Ok(Done::Well)
}

fn line(name: &str, sums: Sums) -> Vec<String> {
    vec![
        name.to_owned(),
        significant(sums.mean_loss()),
        accuracy(sums.top1()),
        accuracy(sums.top5()),
        sums.top1.to_string(),
        sums.count.to_string(),
    ]
}
