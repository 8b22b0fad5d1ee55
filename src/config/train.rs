//! The `[train]` table: epochs, optimizer, schedule, loss and precision.

use super::machine::Machine;
use super::precision::{Precision, PrecisionName};
use super::problem::{Location, Missing, Problem, from_serde};
use super::serialize::to_table;
use super::stage::Stage;
use crate::named::{KeyError, Named, check_range, keys_of};
use crate::recipe::losses::LossName;
use crate::recipe::optimizers::OptimizerName;
use crate::recipe::schedules::ScheduleName;
use crate::recipe::{LossSpec, OptimizerSpec, ScheduleSpec};
use serde::Deserialize;
use std::ops::Range;
use toml::Spanned;
use toml::de::{DeTable, DeValue, Deserializer, ValueDeserializer};

/// The keys that `[train]` always has. All others belong to an optimizer, a schedule or a loss.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Frame {
    epochs: Option<usize>,
    batch: usize,
    accumulate: usize,
    optimizer: OptimizerName,
    /// Default: the optimizer's.
    lr: Option<f64>,
    weight_decay: f64,
    decay_all: bool,
    layer_decay: f64,
    bias_lr_factor: f64,
    schedule: ScheduleName,
    warmup: f64,
    loss: LossName,
    clip_norm: f64,
    ema: f64,
    sam_rho: f64,
    precision: PrecisionName,
    rewrites: bool,
    patience: usize,
    log_every: usize,
    log_gradients: usize,
    keep_every: usize,
    size: usize,
    stages: Vec<Stage>,
    /// Default: the number of ranks that were started.
    ranks: Option<usize>,
    sync_bn: bool,
}

impl Default for Frame {
    fn default() -> Frame {
        Frame {
            epochs: None,
            batch: 128,
            accumulate: 1,
            optimizer: OptimizerName::Sgd,
            lr: None,
            weight_decay: 0.0,
            decay_all: false,
            layer_decay: 1.0,
            bias_lr_factor: 1.0,
            schedule: ScheduleName::Constant,
            warmup: 0.0,
            loss: LossName::CrossEntropy,
            clip_norm: 0.0,
            ema: 0.0,
            sam_rho: 0.0,
            precision: PrecisionName::Auto,
            rewrites: true,
            patience: 0,
            log_every: 0,
            log_gradients: 0,
            keep_every: 0,
            size: 0,
            stages: Vec::new(),
            ranks: None,
            sync_bn: false,
        }
    }
}

/// The table with every default filled in.
#[derive(Clone, Debug, PartialEq)]
pub struct Train {
    pub epochs: usize,
    pub batch: usize,
    /// Gradient accumulation: number of parts in which a batch is computed, one after another. Needs less memory; the step is the
    /// same but for the statistics of batch normalisation.
    pub accumulate: usize,
    pub optimizer: OptimizerSpec,
    pub lr: f64,
    pub weight_decay: f64,
    /// Apply weight decay to biases and normalisations, too, as Torch and Caffe do; by default only to weights.
    pub decay_all: bool,
    /// Layer-wise learning rate decay: factor for each level below the last; 1 for equal rates.
    pub layer_decay: f64,
    /// Factor on the learning rate of biases, those of normalisations included.
    pub bias_lr_factor: f64,
    pub schedule: ScheduleSpec,
    /// Epochs of linear warm-up from 0, before the schedule.
    pub warmup: f64,
    pub loss: LossSpec,
    /// Maximum norm of all gradients together; 0 for no clipping.
    pub clip_norm: f64,
    /// Decay of the moving average of the weights, which is then evaluated; 0 for none.
    pub ema: f64,
    /// Radius of sharpness-aware minimisation; 0 for none.
    pub sam_rho: f64,
    pub precision: Precision,
    /// Use fused kernels and rewritten convolutions that compute the same function; set false to rule them out when debugging.
    pub rewrites: bool,
    /// Number of epochs without a better `val_top1` after which the run stops; 0 to never stop early.
    pub patience: usize,
    /// Interval, in steps, of the rows of `steps.csv`; 0 for none.
    pub log_every: usize,
    /// Interval, in steps, of the rows of `gradients.csv`; 0 for none.
    pub log_gradients: usize,
    /// Interval, in epochs, at which weights are kept; 0 for none.
    pub keep_every: usize,
    /// Height of the training images; 0 for that of `model.input`.
    pub size: usize,
    /// Sizes and batches from later epochs on.
    pub stages: Vec<Stage>,
    /// Number of ranks: processes that train together, each on its part of every batch.
    pub ranks: usize,
    /// Synchronised batch normalisation: statistics over the images of all ranks.
    pub sync_bn: bool,
}

/// Every key that `[train]` can have, in the order in which they are written.
pub(super) fn allowed() -> Vec<&'static str> {
    let own = |key: &&str| match *key {
        "lr" => OptimizerName::all_keys(),
        "schedule" => ScheduleName::all_keys(),
        "loss" => LossName::all_keys(),
        _ => Vec::new(),
    };
    keys_of::<Frame>().iter().flat_map(|key| std::iter::once(*key).chain(own(key))).collect()
}

/// The table as written, split into the keys that it always has and those of optimizer, schedule and loss.
struct Written<'a> {
    span: Range<usize>,
    frame: Frame,
    own: DeTable<'a>,
}

impl<'a> Written<'a> {
    fn read(table: Option<&Spanned<DeValue<'a>>>) -> Result<Written<'a>, Problem> {
        let Some(table) = table else {
            return Ok(Written { span: 0..0, frame: Frame::default(), own: DeTable::new() });
        };
        let span = table.span();
        let DeValue::Table(keys) = table.get_ref() else {
            let error = toml::Table::deserialize(ValueDeserializer::from(table.clone())).err();
            return Err(error.map_or_else(|| Problem::at("train", "not a table"), |error| from_serde(&error, "", &[])));
        };
        let (mut frame, mut own) = (DeTable::new(), DeTable::new());
        let allowed = allowed();
        for (key, value) in keys {
            let name = key.get_ref().as_ref();
            if !allowed.contains(&name) {
                let message = format!("there is no key `{name}` here");
                return Err(Problem::unknown_key(Location::Span(key.span()), message, name, &allowed));
            }
            let table = if keys_of::<Frame>().contains(&name) { &mut frame } else { &mut own };
            table.insert(key.clone(), value.clone());
        }
        let frame = Frame::deserialize(Deserializer::from(Spanned::new(span.clone(), frame)))
            .map_err(|error| from_serde(&error, "", &[]))?;
        Ok(Written { span, frame, own })
    }

    /// The entry that `key` names, with its own keys.
    fn choice<N: Named>(&self, key: &str, name: N) -> Result<N::Entry, Problem> {
        let keys = name.keys();
        let foreign = N::all_keys().into_iter().find(|key| !keys.contains(key) && self.own.contains_key(*key));
        if let Some(foreign) = foreign {
            let message = format!("`{foreign}` is not a key of {key} = \"{}\"", name.text());
            let help = match keys {
                [] => "it has no keys of its own".to_owned(),
                _ => format!("its keys: {}", keys.join(", ")),
            };
            return Err(Problem::word(format!("train.{foreign}"), message).help(help));
        }
        let own = self.own.iter().filter(|(key, _)| keys.contains(&key.get_ref().as_ref()));
        let own: DeTable = own.map(|(key, value)| (key.clone(), value.clone())).collect();
        name.read(Deserializer::from(Spanned::new(self.span.clone(), own))).map_err(|error| from_serde(&error, "", &[]))
    }

    /// A required key of the chosen entry that is missing.
    fn missing<N: Named>(&self, key: &str, name: N) -> Option<Missing> {
        let none = Deserializer::from(Spanned::new(0..0, DeTable::new()));
        let message = name.read(none).err()?.message().to_owned();
        let needed = message.strip_prefix("missing field `")?.strip_suffix('`')?;
        let reason = Some(format!("{key} = \"{}\" needs `{needed}`", name.text()));
        (!self.own.contains_key(needed)).then(|| Missing { key: format!("train.{needed}"), reason })
    }
}

/// The missing keys of a `[train]`; none if it is invalid in another way.
pub(super) fn missing(table: Option<&Spanned<DeValue>>) -> Vec<Missing> {
    let Ok(written) = Written::read(table) else { return Vec::new() };
    let frame = &written.frame;
    let own = [
        written.missing("optimizer", frame.optimizer),
        written.missing("schedule", frame.schedule),
        written.missing("loss", frame.loss),
    ];
    let epochs = frame.epochs.is_none().then(|| Missing::new("train.epochs"));
    epochs.into_iter().chain(own.into_iter().flatten()).collect()
}

/// Checks the keys of a `[train]` that may lack some.
pub(super) fn check_keys(table: Option<&Spanned<DeValue>>) -> Result<(), Problem> {
    Written::read(table).map(drop)
}

/// Keys of `[train]` that control additional output: not part of a run's key, and not columns of its summary.
pub(crate) const ASIDE: [&str; 3] = ["log_every", "log_gradients", "keep_every"];

impl Train {
    /// Reads the table and fills in defaults, some of which depend on the machine.
    pub(super) fn read(table: Option<&Spanned<DeValue>>, machine: Machine) -> Result<Train, Problem> {
        let written = Written::read(table)?;
        let frame = written.frame.clone();
        let optimizer = written.choice("optimizer", frame.optimizer)?;
        let train = Train {
            epochs: frame.epochs.ok_or_else(|| Problem::missing(&[Missing::new("train.epochs")]))?,
            batch: frame.batch,
            accumulate: frame.accumulate,
            lr: frame.lr.unwrap_or_else(|| optimizer.default_lr()),
            optimizer,
            weight_decay: frame.weight_decay,
            decay_all: frame.decay_all,
            layer_decay: frame.layer_decay,
            bias_lr_factor: frame.bias_lr_factor,
            schedule: written.choice("schedule", frame.schedule)?,
            warmup: frame.warmup,
            loss: written.choice("loss", frame.loss)?,
            clip_norm: frame.clip_norm,
            ema: frame.ema,
            sam_rho: frame.sam_rho,
            precision: match frame.precision {
                PrecisionName::Fp32 => Precision::Fp32,
                PrecisionName::Bf16 => Precision::Bf16,
                PrecisionName::Fp16 => Precision::Fp16,
                PrecisionName::Auto if machine.native_bf16 => Precision::Bf16,
                PrecisionName::Auto => Precision::Fp32,
            },
            rewrites: frame.rewrites,
            patience: frame.patience,
            log_every: frame.log_every,
            log_gradients: frame.log_gradients,
            keep_every: frame.keep_every,
            size: frame.size,
            stages: frame.stages,
            ranks: frame.ranks.unwrap_or(machine.ranks.max(1)),
            sync_bn: frame.sync_bn,
        };
        train.check().map_err(|error| Problem::of_key("train", error))?;
        Ok(train)
    }

    fn check(&self) -> Result<(), KeyError> {
        for (key, value, low, high) in [
            ("epochs", self.epochs as f64, 1.0, 100_000.0),
            ("batch", self.batch as f64, 1.0, 65_536.0),
            ("accumulate", self.accumulate as f64, 1.0, self.batch as f64),
            ("lr", self.lr, 0.0, 1000.0),
            ("weight_decay", self.weight_decay, 0.0, 10.0),
            ("layer_decay", self.layer_decay, 1e-3, 1.0),
            ("bias_lr_factor", self.bias_lr_factor, 0.0, 1000.0),
            ("warmup", self.warmup, 0.0, self.epochs as f64),
            ("clip_norm", self.clip_norm, 0.0, 1e9),
            ("ema", self.ema, 0.0, 0.999_999),
            ("sam_rho", self.sam_rho, 0.0, 100.0),
            ("patience", self.patience as f64, 0.0, 100_000.0),
            ("log_every", self.log_every as f64, 0.0, 1e9),
            ("log_gradients", self.log_gradients as f64, 0.0, 1e9),
            ("keep_every", self.keep_every as f64, 0.0, 1e9),
            ("ranks", self.ranks as f64, 1.0, self.batch as f64),
        ] {
            check_range(key, value, low, high)?;
        }
        self.check_stages()?;
        self.loss.check()?;
        self.optimizer.check()?;
        self.schedule.check()
    }

    fn check_stages(&self) -> Result<(), KeyError> {
        let mut before = None;
        check_range("size", self.size as f64, 0.0, 8192.0)?;
        for stage in &self.stages {
            if before.is_some_and(|before| stage.from <= before) || stage.from >= self.epochs {
                let message = format!("`from` of `stages` rises and is below {}, the number of epochs", self.epochs);
                return Err(KeyError::new("stages", message));
            }
            if stage.batch > 65_536 || stage.size > 8192 {
                return Err(KeyError::new("stages", "a stage has at most the batch 65536 and the size 8192"));
            }
            if (1..self.accumulate).contains(&stage.batch) {
                let (batch, parts) = (stage.batch, self.accumulate);
                let message =
                    format!("a stage's batch of {batch} images cannot be carried out in {parts} parts (accumulate)");
                return Err(KeyError::new("stages", message));
            }
            before = Some(stage.from);
        }
        Ok(())
    }

    /// The height of the training images, 0 for the network's input, and the batch size in an epoch; the first epoch is 0.
    pub fn stage(&self, epoch: usize) -> (usize, usize) {
        let or = |new: usize, old: usize| if new > 0 { new } else { old };
        let begun = self.stages.iter().filter(|stage| stage.from <= epoch);
        begun.fold((self.size, self.batch), |(size, batch), stage| (or(stage.size, size), or(stage.batch, batch)))
    }

    /// The heights of training images that differ from the network's input.
    pub fn sizes(&self) -> impl Iterator<Item = usize> {
        std::iter::once(self.size).chain(self.stages.iter().map(|stage| stage.size)).filter(|&size| size > 0)
    }

    /// The table with all keys. Their order must not change: it determines the hash. Options that are off are not written: a new
    /// key must not change the hash of existing experiments.
    pub(super) fn table(&self) -> toml::Table {
        let count = |count: usize| toml::Value::Integer(count as i64);
        let above = |off: usize, number: usize| (number > off).then(|| count(number));
        let factor = |off: f64, factor: f64| (factor != off).then(|| factor.into());
        let keys = [
            ("epochs", Some(count(self.epochs))),
            ("batch", Some(count(self.batch))),
            ("accumulate", above(1, self.accumulate)),
            ("ranks", above(1, self.ranks)),
            ("sync_bn", self.sync_bn.then(|| true.into())),
            ("optimizer", Some(self.optimizer.kind().text().into())),
            ("lr", Some(self.lr.into())),
            ("weight_decay", Some(self.weight_decay.into())),
            ("decay_all", Some(self.decay_all.into())),
            ("layer_decay", factor(1.0, self.layer_decay)),
            ("bias_lr_factor", factor(1.0, self.bias_lr_factor)),
            ("schedule", Some(self.schedule.kind().text().into())),
            ("warmup", Some(self.warmup.into())),
            ("loss", (self.loss.kind() != LossName::CrossEntropy).then(|| self.loss.kind().text().into())),
            ("clip_norm", Some(self.clip_norm.into())),
            ("ema", Some(self.ema.into())),
            ("sam_rho", factor(0.0, self.sam_rho)),
            ("precision", Some(self.precision.name().into())),
            ("rewrites", Some(self.rewrites.into())),
            ("patience", above(0, self.patience)),
            ("log_every", above(0, self.log_every)),
            ("log_gradients", above(0, self.log_gradients)),
            ("keep_every", above(0, self.keep_every)),
            ("size", above(0, self.size)),
            ("stages", toml::Value::try_from(&self.stages).ok().filter(|_| !self.stages.is_empty())),
        ];
        let mut table = toml::Table::new();
        for (key, value) in keys {
            table.extend(value.map(|value| (key.to_owned(), value)));
            match key {
                "lr" => table.extend(to_table(&self.optimizer)),
                "schedule" => table.extend(to_table(&self.schedule)),
                "loss" => table.extend(to_table(&self.loss)),
                _ => {}
            }
        }
        table
    }
}

#[cfg(test)]
#[path = "train_tests.rs"]
pub(crate) mod tests;
