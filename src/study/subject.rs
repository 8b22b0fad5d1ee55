//! A trained run for studies: its network, weights and images.

use super::StudyError;
use crate::arch::Network;
use crate::config::{Experiment, Precision};
use crate::data::{Images, Normalise, eval_batch};
use crate::hex::hex;
use crate::model::{SplitModel, read_tensors};
use crate::runs::Record;
use crate::torch::Autocast;
use crate::train::{Splits, best_weights, check_data, tensors};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tch::{Device, Tensor};

/// Images that a study evaluates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Split {
    /// The training images, without augmentation.
    Train,
    Test,
}

/// A trained run with its best weights.
pub struct Subject {
    /// The run's name, with its key if two runs of a study have the same name.
    pub name: String,
    /// The run's folder; empty for a network without a run, in tests.
    pub folder: PathBuf,
    pub network: Arc<Network>,
    /// `None` for a network without a run, in tests.
    pub experiment: Option<Experiment>,
    pub weights: Vec<(String, Tensor)>,
    pub classes: Vec<String>,
    pub device: Device,
    pub precision: Precision,
    pub rewrites: bool,
    train: Images,
    test: Images,
    normalise: Normalise,
    /// Everything that determines its numbers: the run's key, the hashes of weights and images, precision and device.
    identity: toml::Table,
}

impl Subject {
    /// Loads the best weights of a run and its images. `experiment` is the run's, possibly with another precision.
    ///
    /// # Errors
    /// When weights or images cannot be read, or the images differ from those of the run.
    pub fn load(folder: &Path, experiment: Experiment, device: Device, cache: &Path) -> Result<Subject, StudyError> {
        let path = best_weights(folder, &experiment.key())?;
        let weights: Vec<(String, Tensor)> = read_tensors(&path)?.into_iter().collect();
        let splits = Splits::load(&experiment, cache)?;
        check_data(folder, &splits.name, &splits.fingerprint)?;
        let plan = &experiment.network.plan;
        let splits = splits.resized(plan.input)?;
        let bytes = std::fs::read(&path).unwrap_or_default();
        let (precision, rewrites) = (experiment.train.precision, experiment.train.rewrites);
        let identity = [
            ("name", experiment.name.clone()),
            ("key", experiment.key().sha256().to_owned()),
            ("weights", hex(&Sha256::digest(bytes))),
            ("images", splits.fingerprint.clone()),
            ("precision", precision.name().to_owned()),
            ("rewrites", rewrites.to_string()),
            ("device", if device.is_cuda() { "cuda" } else { "cpu" }.to_owned()),
        ];
        let identity = identity.into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect();
        Ok(Subject {
            name: experiment.name.clone(),
            folder: folder.to_owned(),
            network: experiment.network.clone(),
            weights,
            classes: splits.classes,
            device,
            precision,
            rewrites,
            train: splits.train,
            test: splits.test,
            normalise: experiment.data.normalisation(plan.input[0]),
            identity,
            experiment: Some(experiment),
        })
    }

    /// A run without weights and images, for studies that read only its files.
    ///
    /// # Errors
    /// When its result cannot be read.
    pub fn of_files(folder: &Path, experiment: Experiment, device: Device) -> Result<Subject, StudyError> {
        let record = Record::load(folder)?;
        let result = ["val_top1", "test_top1"].map(|column| record.text(column)).join(" ");
        let plan = &experiment.network.plan;
        let identity =
            [("name", experiment.name.clone()), ("key", experiment.key().sha256().to_owned()), ("result", result)];
        let none = Images::new(plan.input, Vec::new(), Vec::new());
        Ok(Subject {
            name: experiment.name.clone(),
            folder: folder.to_owned(),
            network: experiment.network.clone(),
            weights: Vec::new(),
            classes: Vec::new(),
            device,
            precision: experiment.train.precision,
            rewrites: experiment.train.rewrites,
            train: none.clone(),
            test: none,
            normalise: experiment.data.normalisation(plan.input[0]),
            identity: identity.into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect(),
            experiment: Some(experiment),
        })
    }

    /// A network with weights drawn from a seed, on images made by formula, which are training and test images alike; in float64
    /// where `double`.
    #[cfg(test)]
    pub(super) fn example(network: Network, images: usize) -> Subject {
        let [channels, height, width] = network.plan.input;
        let size = channels * height * width;
        let pixels = (0..images * size).map(|i| (crate::random::word(5, i as u64) >> 56) as u8).collect();
        let labels = (0..images).map(|i| (i % network.plan.classes) as u16).collect();
        let images = Images::new(network.plan.input, pixels, labels);
        let model = crate::model::Model::new(&network, Device::Cpu, 1).unwrap_or_else(|error| panic!("{error}"));
        Subject {
            name: "example".to_owned(),
            folder: PathBuf::new(),
            classes: (0..network.plan.classes).map(|class| format!("class {class}")).collect(),
            network: Arc::new(network),
            experiment: None,
            weights: model
                .named_tensors()
                .iter()
                .map(|(name, tensor)| (name.clone(), tensor.detach().copy()))
                .collect(),
            device: Device::Cpu,
            precision: Precision::Fp32,
            rewrites: true,
            train: images.clone(),
            test: images,
            normalise: Normalise { mean: vec![0.5; channels], std: vec![0.25; channels] },
            identity: toml::Table::new(),
        }
    }

    /// Adds the key to names that several subjects have.
    pub fn disambiguate(subjects: &mut [Subject]) {
        let names: Vec<String> = subjects.iter().map(|subject| subject.name.clone()).collect();
        for (subject, name) in subjects.iter_mut().zip(&names) {
            if names.iter().filter(|other| *other == name).count() > 1 {
                let key = subject.identity.get("key").and_then(toml::Value::as_str).unwrap_or_default();
                subject.name = format!("{name}/{}", key.get(..6).unwrap_or_default());
            }
        }
    }

    /// The table that a study's key is computed from.
    pub fn identity(&self) -> &toml::Table {
        &self.identity
    }

    /// The name of a class.
    pub fn class(&self, index: i64) -> String {
        self.classes.get(index as usize).cloned().unwrap_or_else(|| format!("class {index}"))
    }

    /// # Errors
    /// When memory is exhausted or a weight is missing.
    pub fn parts(&self) -> Result<SplitModel, StudyError> {
        Ok(SplitModel::new(&self.network, self.device, &self.weights, self.rewrites)?)
    }

    pub fn images(&self, split: Split) -> &Images {
        match split {
            Split::Train => &self.train,
            Split::Test => &self.test,
        }
    }

    /// The first `count` images, all for 0, normalised, in batches of pixels `[N, C, H, W]` and labels `[N]`. They stay in
    /// memory, because a study evaluates them many times.
    ///
    /// # Errors
    /// An image file that cannot be decoded.
    pub fn batches(&self, split: Split, count: usize, size: usize) -> Result<Vec<(Tensor, Tensor)>, StudyError> {
        self.batches_of(self.images(split), count, size)
    }

    /// Batches like those of [`Subject::batches`], for any images of the network's input size.
    ///
    /// # Errors
    /// An image file that cannot be decoded.
    pub(super) fn batches_of(
        &self,
        images: &Images,
        count: usize,
        size: usize,
    ) -> Result<Vec<(Tensor, Tensor)>, StudyError> {
        let count = if count == 0 { images.len() } else { count.min(images.len()) };
        let size = size.max(1);
        let batch = |start: usize| {
            let batch = eval_batch(images, start..(start + size).min(count), &self.normalise)?;
            Ok(tensors(&batch, self.device))
        };
        (0..count).step_by(size).map(batch).collect()
    }

    /// Autocast to the run's precision while the guard lives.
    pub fn autocast(&self) -> Option<Autocast> {
        Autocast::bf16_if(self.precision == Precision::Bf16, self.device)
    }
}
