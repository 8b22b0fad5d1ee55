//! `strata eval RUN…`

use super::epoch_table::percent;
use super::precision::PrecisionArgs;
use super::runs::TrainedRun;
use super::table::{Format, render};
use super::{Done, Shared, Usage, print, write_picture, wrote};
use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use strata::analysis::Confusion;
use strata::figures::picture::{PictureError, PictureFile};
use strata::files::write_output;
use strata::runs::{accuracy, significant};
use strata::train::{Inference, Splits, Sums, check_data, cross_entropy, for_each_batch};
use strata::{data, figures};
use tch::{Device, Kind, Tensor};

/// Evaluate trained runs on a split: loss, Top-1 and Top-5; for several runs also their ensemble
///
/// Runs on different datasets are evaluated separately, without an ensemble.
///
/// If a name has several runs, the one that the experiment file of this name describes is evaluated; --set selects another.
#[derive(Args)]
#[command(after_help = "Examples:
  strata eval resnet20 --set seed=1
  strata eval resnet20@best plain20@latest --split validation
  strata eval resnet20 --confusion confusion.svg --confusion confusion.csv")]
pub(crate) struct Eval {
    /// Run folders, or names of runs (NAME, NAME/KEY, NAME@latest, NAME@best)
    #[arg(required = true, value_name = "RUN")]
    runs: Vec<String>,
    /// Images to evaluate on
    #[arg(long, value_enum, default_value_t = Split::Test)]
    split: Split,
    /// Output format
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
    /// Write the confusion matrix and the accuracy of each class: a table (.csv) or a picture (.svg, .png, .pdf; - is SVG on
    /// standard output, instead of the table). Repeatable; for several runs, the matrix of their ensemble
    #[arg(long, value_name = "FILE")]
    confusion: Vec<ConfusionFile>,
    #[command(flatten)]
    precision: PrecisionArgs,
}

#[derive(Clone, Copy, ValueEnum)]
enum Split {
    /// The training images, without augmentation
    Train,
    /// The images held out of the training split
    Validation,
    /// The images read only after training
    Test,
}

impl Split {
    fn name(self) -> &'static str {
        match self {
            Split::Train => "training",
            Split::Validation => "validation",
            Split::Test => "test",
        }
    }
}

pub(crate) fn run(command: &Eval, shared: &Shared) -> Result<Done> {
    let device = shared.device()?;
    let mut datasets = Vec::new();
    let mut lines = Vec::new();
    let mut ensemble: Option<Evaluation> = None;
    let mut problem = None;
    for name in &command.runs {
        let evaluation = evaluate(command, name, shared, device)?;
        lines.push(line(name, evaluation.sums, command.format));
        datasets.push(evaluation.dataset.clone());
        match &mut ensemble {
            Some(ensemble) => problem = problem.or(ensemble.add(evaluation).err()),
            None => ensemble = Some(evaluation),
        }
        if let Some(problem) = problem.as_ref().filter(|_| !command.confusion.is_empty()) {
            bail!(Usage(format!("--confusion is one matrix of all runs, but {problem}")));
        }
    }
    if let Some(mut result) = ensemble.filter(|_| problem.is_none()) {
        let mut of = command.runs.join(", ");
        if command.runs.len() > 1 {
            result.finish_mean(command.runs.len());
            lines.push(line("ensemble (mean of the probabilities)", result.sums, command.format));
            datasets.push(result.dataset.clone());
            of.insert_str(0, "the ensemble of ");
        }
        write_confusion(command, &result, &format!("Confusion matrix of {of}"))?;
    }
    if command.confusion.iter().any(|file| matches!(file, ConfusionFile::Picture(picture) if picture.is_stdout())) {
        return Ok(Done::Well);
    }
    let mut header = vec!["run", "loss", "top1", "top5", "correct", "total"];
    if datasets.iter().any(|dataset| *dataset != datasets[0]) {
        header.insert(1, "dataset");
        lines.iter_mut().zip(datasets).for_each(|(line, dataset)| line.insert(1, dataset));
    }
    print(&render(command.format, &header, &lines)?)?;
    if let Some(problem) = problem {
        tracing::warn!("note: no ensemble: {problem}");
    }
    Ok(Done::Well)
}

/// What a run, or an ensemble, gives for the images of a split.
struct Evaluation {
    dataset: String,
    classes: Vec<String>,
    sums: Sums,
    /// `[N, classes]`.
    log_probabilities: Tensor,
    /// `[N]`.
    labels: Tensor,
}

impl Evaluation {
    /// Adds the probabilities of another run. The sum stays a logarithm, since a probability may underflow.
    ///
    /// # Errors
    /// When the two cannot form an ensemble.
    fn add(&mut self, other: Evaluation) -> Result<(), String> {
        if self.dataset != other.dataset {
            return Err(format!("the runs are on {} and {}", self.dataset, other.dataset));
        }
        if self.log_probabilities.size() != other.log_probabilities.size() || !self.labels.equal(&other.labels) {
            return Err("the splits of the runs have different images".to_owned());
        }
        self.log_probabilities = self.log_probabilities.logaddexp(&other.log_probabilities);
        Ok(())
    }

    /// Turns the sum over this many runs into their mean, with its loss and accuracies.
    fn finish_mean(&mut self, runs: usize) {
        self.log_probabilities = &self.log_probabilities - (runs as f64).ln();
        let (scores, labels) = (&self.log_probabilities, &self.labels);
        self.sums = Sums::default();
        self.sums.add(cross_entropy(scores, labels).double_value(&[]), scores, labels);
    }
}

/// Evaluates a run.
fn evaluate(command: &Eval, name: &str, shared: &Shared, device: Device) -> Result<Evaluation> {
    let TrainedRun { folder, experiment, model } = TrainedRun::load(name, command.precision, shared, device)?;
    let dataset = experiment.data.dataset.clone();
    let splits = Splits::load(&experiment, &data::cache_dir()?)?;
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
        for_each_batch(&model, &images, &normalise, Inference::of(&experiment), |logits, truth| {
            sums.add(cross_entropy(logits, truth).double_value(&[]), logits, truth);
            probabilities.push(logits.log_softmax(1, Kind::Float));
            labels.push(truth.shallow_clone());
        })
    })??;
    let (log_probabilities, labels) = (Tensor::cat(&probabilities, 0), Tensor::cat(&labels, 0));
    Ok(Evaluation { dataset, classes: splits.classes, sums, log_probabilities, labels })
}

/// A file for a confusion matrix.
#[derive(Clone)]
enum ConfusionFile {
    Table(PathBuf),
    Picture(PictureFile),
}

impl FromStr for ConfusionFile {
    type Err = String;

    fn from_str(text: &str) -> Result<ConfusionFile, String> {
        let path = Path::new(text);
        if path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("csv")) {
            return Ok(ConfusionFile::Table(path.to_owned()));
        }
        text.parse().map(ConfusionFile::Picture).map_err(|error| match error {
            PictureError::Ending(_) => {
                "a confusion matrix is .csv, .svg, .png or .pdf by its ending, or - for SVG on standard output"
                    .to_owned()
            }
            error => error.to_string(),
        })
    }
}

fn write_confusion(command: &Eval, evaluation: &Evaluation, title: &str) -> Result<()> {
    if command.confusion.is_empty() {
        return Ok(());
    }
    let Evaluation { classes, log_probabilities, labels, .. } = evaluation;
    let outputs = log_probabilities.size().get(1).map_or(0, |&count| count as usize);
    let mut confusion = Confusion::new(classes, outputs);
    let [truths, predictions] = [labels.shallow_clone(), log_probabilities.argmax(1, false)]
        .map(|labels| Vec::<i64>::try_from(labels.to_device(Device::Cpu)));
    confusion.add(&truths?, &predictions?);
    for file in &command.confusion {
        match file {
            ConfusionFile::Table(path) => {
                let text = confusion.table().to_csv();
                write_output(path, text.as_bytes()).with_context(|| format!("cannot write {}", path.display()))?;
                wrote(path);
            }
            ConfusionFile::Picture(picture) => {
                let svg = figures::confusion(&confusion, title, command.split.name());
                write_picture(picture, &svg, false)?;
            }
        }
    }
    Ok(())
}

/// Accuracies are percent for people and fractions for programs.
fn line(name: &str, sums: Sums, format: Format) -> Vec<String> {
    let written = if let Format::Csv = format { accuracy } else { percent };
    vec![
        name.to_owned(),
        significant(sums.mean_loss()),
        written(sums.top1()),
        written(sums.top5()),
        sums.top1.to_string(),
        sums.count.to_string(),
    ]
}
