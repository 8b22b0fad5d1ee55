//! What training writes by the step on request: losses and, by row of the network, norms.

use crate::arch::network::RowNodes;
use crate::config::Experiment;
use crate::model::Model;
use crate::runs::{GRADIENTS, GradientRow, RunError, RunFolder, STEPS, StepLog, StepRow};
use tch::Tensor;

/// The step tables of a run; the default writes none.
#[derive(Debug, Default)]
pub(super) struct Logs<'a> {
    losses: Option<StepLog<'a>>,
    norms: Option<NormLog<'a>>,
}

#[derive(Debug)]
struct NormLog<'a> {
    rows: Vec<RowParams>,
    log: StepLog<'a>,
}

/// The learned parameters of a row of the network.
#[derive(Debug)]
struct RowParams {
    /// Counted from 1.
    position: usize,
    label: String,
    params: Vec<Tensor>,
}

/// Gradients' norms and weights in front of an update, by row.
pub(super) struct Before {
    gradients: Vec<f64>,
    weights: Vec<Vec<Tensor>>,
}

impl<'a> Logs<'a> {
    /// Opens the tables of a run that resumes after `steps` steps.
    ///
    /// # Errors
    /// When a table cannot be read or written.
    pub(super) fn open(
        folder: &'a RunFolder,
        experiment: &Experiment,
        model: &Model,
        steps: u64,
    ) -> Result<Logs<'a>, RunError> {
        let losses = StepLog::open(folder, STEPS, experiment.train.log_every, steps)?;
        let log = StepLog::open(folder, GRADIENTS, experiment.train.log_gradients, steps)?;
        Ok(Logs { losses, norms: log.map(|log| NormLog { rows: rows(experiment, model), log }) })
    }

    /// Logs the loss of a step.
    ///
    /// # Errors
    /// When rows cannot be written.
    pub(super) fn loss(&mut self, row: StepRow) -> Result<(), RunError> {
        match &mut self.losses {
            Some(log) if log.is_due(row.step) => log.add(&row.line()),
            _ => Ok(()),
        }
    }

    /// Measures what an update changes, where the step, counted from 1, is one whose norms are logged.
    pub(super) fn before_update(&self, step: u64) -> Option<Before> {
        let norms = self.norms.as_ref().filter(|norms| norms.log.is_due(step))?;
        let _no_grad = tch::no_grad_guard();
        let gradients = |row: &RowParams| norm(row.params.iter().map(Tensor::grad).filter(Tensor::defined));
        let weights = |row: &RowParams| row.params.iter().map(Tensor::copy).collect();
        Some(Before {
            gradients: norms.rows.iter().map(gradients).collect(),
            weights: norms.rows.iter().map(weights).collect(),
        })
    }

    /// Logs the norms of a step whose update is done. `epoch` is counted from 1.
    ///
    /// # Errors
    /// When rows cannot be written.
    pub(super) fn after_update(&mut self, before: Before, step: u64, epoch: usize) -> Result<(), RunError> {
        let Some(NormLog { rows, log }) = &mut self.norms else { return Ok(()) };
        let _no_grad = tch::no_grad_guard();
        let mut lines = String::new();
        for ((row, gradient), weights) in rows.iter().zip(before.gradients).zip(before.weights) {
            let update = norm(row.params.iter().zip(&weights).map(|(now, before)| now - before));
            let norms = [gradient, norm(weights.into_iter()), update];
            lines.push_str(&GradientRow { step, epoch, position: row.position, row: &row.label, norms }.line());
        }
        log.add(&lines)
    }

    /// Writes what is buffered. Must come before a checkpoint of its steps.
    ///
    /// # Errors
    /// When rows cannot be written.
    pub(super) fn flush(&mut self) -> Result<(), RunError> {
        let mut logs = self.losses.iter_mut().chain(self.norms.iter_mut().map(|norms| &mut norms.log));
        logs.try_for_each(StepLog::flush)
    }
}

/// The rows of the network that have parameters to learn.
fn rows(experiment: &Experiment, model: &Model) -> Vec<RowParams> {
    let learned = model.trainable();
    let of_row = |(position, row): (usize, &RowNodes)| {
        let names: Vec<String> = row.params().into_iter().map(|param| param.name).collect();
        let params = learned.iter().filter(|(param, _)| names.contains(&param.name));
        let params: Vec<Tensor> = params.map(|(_, tensor)| tensor.shallow_clone()).collect();
        (!params.is_empty()).then(|| RowParams { position: position + 1, label: row.label.clone(), params })
    };
    experiment.network.rows.iter().enumerate().filter_map(of_row).collect()
}

/// The L2 norm of all tensors together.
fn norm(tensors: impl Iterator<Item = Tensor>) -> f64 {
    tensors.fold(0.0_f64, |sum, tensor| sum + tensor.norm().double_value(&[]).powi(2)).sqrt()
}
