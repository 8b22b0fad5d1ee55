//! The `[train]` table: how long, with what optimizer, along what schedule.

use super::problem::{Place, Problem};
use serde::{Deserialize, Serialize};

/// The table as it is written: every key may be missing, and some belong to one optimizer or schedule alone.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TrainKeys {
    pub epochs: Option<usize>,
    pub batch: Option<usize>,
    pub optimizer: Option<OptimizerName>,
    pub lr: Option<f64>,
    pub momentum: Option<f64>,
    pub nesterov: Option<bool>,
    pub beta1: Option<f64>,
    pub beta2: Option<f64>,
    pub alpha: Option<f64>,
    pub eps: Option<f64>,
    pub weight_decay: Option<f64>,
    pub decay_all: Option<bool>,
    pub schedule: Option<ScheduleName>,
    pub milestones: Option<Vec<f64>>,
    pub gamma: Option<f64>,
    pub every: Option<f64>,
    pub final_lr: Option<f64>,
    pub peak_at: Option<f64>,
    pub warmup: Option<f64>,
    pub label_smoothing: Option<f64>,
    pub clip_norm: Option<f64>,
    pub ema: Option<f64>,
    pub precision: Option<PrecisionName>,
    pub rewrites: Option<bool>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OptimizerName {
    Sgd,
    Adam,
    Adamw,
    Rmsprop,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ScheduleName {
    Constant,
    Step,
    Cosine,
    OneCycle,
    Exponential,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PrecisionName {
    /// bf16 where the processor computes in it, fp32 elsewhere.
    Auto,
    Fp32,
    Bf16,
}

/// What the arithmetic runs in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Precision {
    Fp32,
    /// Convolutions and matrix products in bf16, the rest and all weights in fp32 (autocast).
    Bf16,
}

/// An optimizer with its own keys.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Optimizer {
    Sgd {
        momentum: f64,
        nesterov: bool,
    },
    /// Weight decay is added to the gradient.
    Adam {
        beta1: f64,
        beta2: f64,
        eps: f64,
    },
    /// Weight decay shrinks the weights themselves (Loshchilov & Hutter 2017).
    Adamw {
        beta1: f64,
        beta2: f64,
        eps: f64,
    },
    Rmsprop {
        alpha: f64,
        momentum: f64,
        eps: f64,
    },
}

/// The learning rate as a part of `lr`, over the whole run.
#[derive(Clone, Debug, PartialEq)]
pub enum Schedule {
    Constant,
    /// Times `gamma` at each of the epochs.
    Step {
        milestones: Vec<f64>,
        gamma: f64,
    },
    /// Half a cosine from 1 to `final_lr`.
    Cosine {
        final_lr: f64,
    },
    /// Up to 1 at `peak_at` of the run, down to `final_lr` at its end, both along a cosine (Smith 2017).
    OneCycle {
        peak_at: f64,
        final_lr: f64,
    },
    /// Times `gamma` after every `every` epochs, in steps.
    Exponential {
        gamma: f64,
        every: f64,
    },
}

/// The table with nothing left open.
#[derive(Clone, Debug, PartialEq)]
pub struct Train {
    pub epochs: usize,
    pub batch: usize,
    pub optimizer: Optimizer,
    pub lr: f64,
    pub weight_decay: f64,
    /// Weight decay on biases and normalisations too, as in Torch's and Caffe's habit; else on weights alone.
    pub decay_all: bool,
    pub schedule: Schedule,
    /// Epochs in which the rate rises from 0, in front of the schedule.
    pub warmup: f64,
    pub label_smoothing: f64,
    /// Largest norm of all gradients together; 0 for no bound.
    pub clip_norm: f64,
    /// Decay of the moving average of the weights that is evaluated; 0 for none.
    pub ema: f64,
    pub precision: Precision,
    /// Carry out convolutions in the cheapest way that computes the same; off to doubt a result.
    pub rewrites: bool,
}

impl TrainKeys {
    /// Fills in what is missing. `native_bf16` says whether `auto` means bf16 here.
    pub fn resolve(&self, native_bf16: bool) -> Result<Train, Problem> {
        let optimizer = self.optimizer()?;
        let schedule = self.schedule()?;
        let default_lr = match optimizer {
            Optimizer::Sgd { .. } => 0.1,
            Optimizer::Rmsprop { .. } => 0.01,
            Optimizer::Adam { .. } | Optimizer::Adamw { .. } => 1e-3,
        };
        let train = Train {
            epochs: self.epochs.ok_or_else(|| Problem::at("train", "the key `train.epochs` is missing"))?,
            batch: self.batch.unwrap_or(128),
            optimizer,
            lr: self.lr.unwrap_or(default_lr),
            weight_decay: self.weight_decay.unwrap_or(0.0),
            decay_all: self.decay_all.unwrap_or(false),
            schedule,
            warmup: self.warmup.unwrap_or(0.0),
            label_smoothing: self.label_smoothing.unwrap_or(0.0),
            clip_norm: self.clip_norm.unwrap_or(0.0),
            ema: self.ema.unwrap_or(0.0),
            precision: match self.precision.unwrap_or(PrecisionName::Auto) {
                PrecisionName::Fp32 => Precision::Fp32,
                PrecisionName::Bf16 => Precision::Bf16,
                PrecisionName::Auto if native_bf16 => Precision::Bf16,
                PrecisionName::Auto => Precision::Fp32,
            },
            rewrites: self.rewrites.unwrap_or(true),
        };
        train.check()?;
        Ok(train)
    }

    fn optimizer(&self) -> Result<Optimizer, Problem> {
        let name = self.optimizer.unwrap_or(OptimizerName::Sgd);
        let own: &[&str] = match name {
            OptimizerName::Sgd => &["momentum", "nesterov"],
            OptimizerName::Adam | OptimizerName::Adamw => &["beta1", "beta2", "eps"],
            OptimizerName::Rmsprop => &["alpha", "momentum", "eps"],
        };
        let written = [
            ("momentum", self.momentum.is_some()),
            ("nesterov", self.nesterov.is_some()),
            ("beta1", self.beta1.is_some()),
            ("beta2", self.beta2.is_some()),
            ("alpha", self.alpha.is_some()),
            ("eps", self.eps.is_some()),
        ];
        foreign_key(&written, own, &format!("optimizer = \"{}\"", toml_name(&name)))?;
        let (beta1, beta2) = (self.beta1.unwrap_or(0.9), self.beta2.unwrap_or(0.999));
        let eps = self.eps.unwrap_or(1e-8);
        Ok(match name {
            OptimizerName::Sgd => {
                let momentum = self.momentum.unwrap_or(0.9);
                Optimizer::Sgd { momentum, nesterov: self.nesterov.unwrap_or(false) }
            }
            OptimizerName::Adam => Optimizer::Adam { beta1, beta2, eps },
            OptimizerName::Adamw => Optimizer::Adamw { beta1, beta2, eps },
            OptimizerName::Rmsprop => Optimizer::Rmsprop {
                alpha: self.alpha.unwrap_or(0.9),
                momentum: self.momentum.unwrap_or(0.9),
                eps: self.eps.unwrap_or(1e-3),
            },
        })
    }

    fn schedule(&self) -> Result<Schedule, Problem> {
        let name = self.schedule.unwrap_or(ScheduleName::Constant);
        let own: &[&str] = match name {
            ScheduleName::Constant => &[],
            ScheduleName::Step => &["milestones", "gamma"],
            ScheduleName::Cosine => &["final_lr"],
            ScheduleName::OneCycle => &["final_lr", "peak_at"],
            ScheduleName::Exponential => &["gamma", "every"],
        };
        let written = [
            ("milestones", self.milestones.is_some()),
            ("gamma", self.gamma.is_some()),
            ("every", self.every.is_some()),
            ("final_lr", self.final_lr.is_some()),
            ("peak_at", self.peak_at.is_some()),
        ];
        foreign_key(&written, own, &format!("schedule = \"{}\"", toml_name(&name)))?;
        let final_lr = self.final_lr.unwrap_or(0.0);
        Ok(match name {
            ScheduleName::Constant => Schedule::Constant,
            ScheduleName::Step => {
                let milestones = self.milestones.clone().ok_or_else(|| {
                    Problem::at("train.schedule", "a step schedule needs `milestones`, the epochs of its steps")
                })?;
                Schedule::Step { milestones, gamma: self.gamma.unwrap_or(0.1) }
            }
            ScheduleName::Cosine => Schedule::Cosine { final_lr },
            ScheduleName::OneCycle => Schedule::OneCycle { peak_at: self.peak_at.unwrap_or(0.3), final_lr },
            ScheduleName::Exponential => {
                Schedule::Exponential { gamma: self.gamma.unwrap_or(0.97), every: self.every.unwrap_or(2.4) }
            }
        })
    }
}

fn foreign_key(written: &[(&'static str, bool)], own: &[&str], owner: &str) -> Result<(), Problem> {
    match written.iter().find(|(key, there)| *there && !own.contains(key)) {
        None => Ok(()),
        Some((key, _)) => {
            let help = if own.is_empty() {
                "it has no keys of its own".to_owned()
            } else {
                format!("its keys: {}", own.join(", "))
            };
            let message = format!("`{key}` is not a key of {owner}");
            Err(Problem { place: Place::Word(format!("train.{key}")), message, help: Some(help) })
        }
    }
}

/// A bound as a person would write it: 1e-30 rather than thirty digits.
pub(super) fn short(bound: f64) -> String {
    if bound != 0.0 && !(1e-6..1e9).contains(&bound) { format!("{bound:e}") } else { bound.to_string() }
}

/// The name that a unit variant has in TOML.
fn toml_name<T: Serialize>(value: &T) -> String {
    toml::Value::try_from(value).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

impl Train {
    fn check(&self) -> Result<(), Problem> {
        let mut ranges = vec![
            ("epochs", self.epochs as f64, 1.0, 100_000.0),
            ("batch", self.batch as f64, 1.0, 65_536.0),
            ("lr", self.lr, 0.0, 1000.0),
            ("weight_decay", self.weight_decay, 0.0, 10.0),
            ("warmup", self.warmup, 0.0, self.epochs as f64),
            ("label_smoothing", self.label_smoothing, 0.0, 0.999),
            ("clip_norm", self.clip_norm, 0.0, 1e9),
            ("ema", self.ema, 0.0, 0.999_999),
        ];
        match self.optimizer {
            Optimizer::Sgd { momentum, nesterov } => {
                ranges.push(("momentum", momentum, 0.0, 0.9999));
                if nesterov && momentum == 0.0 {
                    return Err(Problem::at("train.nesterov", "Nesterov's step needs a momentum above 0"));
                }
            }
            Optimizer::Adam { beta1, beta2, eps } | Optimizer::Adamw { beta1, beta2, eps } => {
                ranges.extend([
                    ("beta1", beta1, 0.0, 0.9999),
                    ("beta2", beta2, 0.0, 0.999_999),
                    ("eps", eps, 1e-30, 1.0),
                ]);
            }
            Optimizer::Rmsprop { alpha, momentum, eps } => {
                ranges.extend([
                    ("alpha", alpha, 0.0, 0.9999),
                    ("momentum", momentum, 0.0, 0.9999),
                    ("eps", eps, 1e-30, 10.0),
                ]);
            }
        }
        match &self.schedule {
            Schedule::Constant => {}
            Schedule::Step { milestones, gamma } => {
                ranges.push(("gamma", *gamma, 0.0, 1.0));
                if !milestones.windows(2).all(|pair| pair[0] < pair[1]) || !milestones.iter().all(|&at| at > 0.0) {
                    return Err(Problem::at(
                        "train.milestones",
                        "milestones are epochs above 0, each after the one before",
                    ));
                }
            }
            Schedule::Cosine { final_lr } => ranges.push(("final_lr", *final_lr, 0.0, 1.0)),
            Schedule::OneCycle { peak_at, final_lr } => {
                ranges.extend([("final_lr", *final_lr, 0.0, 1.0), ("peak_at", *peak_at, 0.001, 0.999)]);
            }
            Schedule::Exponential { gamma, every } => {
                ranges.extend([("gamma", *gamma, 0.0, 1.0), ("every", *every, 0.001, 100_000.0)]);
            }
        }
        for (key, value, low, high) in ranges {
            if !(low..=high).contains(&value) {
                let message = format!("`{key}` is between {} and {}, not {value}", short(low), short(high));
                return Err(Problem::at(format!("train.{key}"), message));
            }
        }
        Ok(())
    }

    /// The table written out, with the keys of its optimizer and schedule.
    pub fn keys(&self) -> TrainKeys {
        let mut keys = TrainKeys {
            epochs: Some(self.epochs),
            batch: Some(self.batch),
            lr: Some(self.lr),
            weight_decay: Some(self.weight_decay),
            decay_all: Some(self.decay_all),
            warmup: Some(self.warmup),
            label_smoothing: Some(self.label_smoothing),
            clip_norm: Some(self.clip_norm),
            ema: Some(self.ema),
            precision: Some(match self.precision {
                Precision::Fp32 => PrecisionName::Fp32,
                Precision::Bf16 => PrecisionName::Bf16,
            }),
            rewrites: Some(self.rewrites),
            ..TrainKeys::default()
        };
        let adam = |keys: &mut TrainKeys, name, beta1, beta2, eps| {
            keys.optimizer = Some(name);
            (keys.beta1, keys.beta2, keys.eps) = (Some(beta1), Some(beta2), Some(eps));
        };
        match self.optimizer {
            Optimizer::Sgd { momentum, nesterov } => {
                keys.optimizer = Some(OptimizerName::Sgd);
                (keys.momentum, keys.nesterov) = (Some(momentum), Some(nesterov));
            }
            Optimizer::Adam { beta1, beta2, eps } => adam(&mut keys, OptimizerName::Adam, beta1, beta2, eps),
            Optimizer::Adamw { beta1, beta2, eps } => adam(&mut keys, OptimizerName::Adamw, beta1, beta2, eps),
            Optimizer::Rmsprop { alpha, momentum, eps } => {
                keys.optimizer = Some(OptimizerName::Rmsprop);
                (keys.alpha, keys.momentum, keys.eps) = (Some(alpha), Some(momentum), Some(eps));
            }
        }
        keys.schedule = Some(match &self.schedule {
            Schedule::Constant => ScheduleName::Constant,
            Schedule::Step { milestones, gamma } => {
                (keys.milestones, keys.gamma) = (Some(milestones.clone()), Some(*gamma));
                ScheduleName::Step
            }
            Schedule::Cosine { final_lr } => {
                keys.final_lr = Some(*final_lr);
                ScheduleName::Cosine
            }
            Schedule::OneCycle { peak_at, final_lr } => {
                (keys.peak_at, keys.final_lr) = (Some(*peak_at), Some(*final_lr));
                ScheduleName::OneCycle
            }
            Schedule::Exponential { gamma, every } => {
                (keys.gamma, keys.every) = (Some(*gamma), Some(*every));
                ScheduleName::Exponential
            }
        });
        keys
    }
}
