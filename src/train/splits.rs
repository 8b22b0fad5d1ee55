//! The training, validation and test images of an experiment, and their fingerprint.

use crate::config::Experiment;
use crate::data::{self, DataError, Images};
use crate::torch;
use std::collections::HashMap;
use std::path::Path;

/// The images of the three splits, in the dataset's own size until [`Splits::resized`].
pub struct Splits {
    pub train: Images,
    pub validation: Images,
    pub test: Images,
    /// Names of the dataset's classes, by label.
    pub classes: Vec<String>,
    /// The dataset's name; it says so when a copy differs from the published files.
    pub name: String,
    /// SHA-256 of shapes, labels and pixels, or of the image files.
    pub fingerprint: String,
}

impl Splits {
    /// Loads the images of an experiment, and fetches them first if they are not in the cache.
    ///
    /// # Errors
    /// When the dataset cannot be fetched or read, is damaged, or has too few images or too many classes.
    pub fn load(experiment: &Experiment, cache: &Path) -> Result<Splits, DataError> {
        data::ensure(&experiment.data.source, cache)?;
        let source = &experiment.data.source;
        let mut set = data::load(source, cache)?;
        if let Some(prepared) = experiment.data.prepared {
            set = data::with_prepared(set, source, prepared, cache)?;
        }
        if !experiment.data.classes.is_empty() {
            set = set.only(&experiment.data.classes)?;
        }
        set.check_classes(experiment.network.plan.classes)?;
        let (validation, train) = set.split(experiment.data.validation, experiment.data.limit)?;
        let fingerprint = data::fingerprint(&[&train, &validation, &set.test]);
        Ok(Splits { train, validation, test: set.test, classes: set.classes, name: set.name, fingerprint })
    }

    /// Loads the images at the network's input; those of training in their own size where it changes from epoch to epoch.
    ///
    /// # Errors
    /// As [`Splits::load`] and [`Splits::resized`].
    pub(super) fn sized(experiment: &Experiment, cache: &Path) -> Result<Splits, DataError> {
        let (mut splits, input) = (Splits::load(experiment, cache)?, experiment.network.plan.input);
        if experiment.train.sizes().next().is_none() {
            return splits.resized(input);
        }
        let none = splits.train.take(0);
        let train = std::mem::replace(&mut splits.train, none);
        Ok(Splits { train, ..splits.resized(input)? })
    }

    /// The images resized to a network's input, `[C, H, W]`.
    ///
    /// # Errors
    /// [`DataError::Unfit`] when they would not fit into memory.
    pub fn resized(self, shape: [usize; 3]) -> Result<Splits, DataError> {
        let count = (self.train.len() + self.validation.len() + self.test.len()) as u64;
        if !self.train.are_files() && self.train.shape != shape {
            check_room(&self.name, count.saturating_mul(shape.iter().product::<usize>() as u64))?;
        }
        let [train, validation, test] = [&self.train, &self.validation, &self.test].map(|images| images.resized(shape));
        Ok(Splits { train, validation, test, ..self })
    }
}

/// Files whose size is looked at.
const LOOKED_AT: usize = 8;

/// Says that image files are enlarged to the network's input, which takes time and shows nothing more; `None` where they have a
/// quarter of its pixels or more.
pub(super) fn enlarged_note(images: &Images, input: [usize; 3]) -> Option<String> {
    let [channels, height, width] = input;
    // A file that cannot be read is an error when its turn comes.
    let sizes = (0..images.len().min(LOOKED_AT)).map_while(|i| images.own_size(i).ok());
    let [h, w] = sizes.max_by_key(|[h, w]| h * w).filter(|_| images.are_files())?;
    (4 * h * w <= height * width).then(|| {
        let times = (height * width) as f64 / (h * w) as f64;
        format!(
            "the images have {w}x{h} pixels and are enlarged to the network's input of {width}x{height}, which takes about \
             {times:.0} times the operations of --set model.input=[{channels},{h},{w}]"
        )
    })
}

/// Refuses images that would fill the memory once resized.
fn check_room(name: &str, needed: u64) -> Result<(), DataError> {
    let mebibytes = needed >> 20;
    match torch::available_memory_mib() {
        Some(available) if mebibytes > available => Err(DataError::Unfit {
            name: name.to_owned(),
            problem: format!(
                "its images resized to model.input take {mebibytes} MiB and {available} MiB of memory are free; take a smaller model.input"
            ),
        }),
        _ => Ok(()),
    }
}

/// Fingerprints of the images in the cache, each computed once: the points of a sweep share their data.
#[derive(Debug, Default)]
pub struct Fingerprints(HashMap<String, Option<String>>);

impl Fingerprints {
    /// The fingerprint of an experiment's images as they are in the cache now; `None` if the dataset is not there.
    ///
    /// # Errors
    /// As [`Splits::load`].
    pub fn of(&mut self, experiment: &Experiment, cache: &Path) -> Result<Option<String>, DataError> {
        let data = &experiment.data;
        let key =
            format!("{:?} {:?} {} {} {:?}", data.source, data.classes, data.validation, data.limit, data.prepared);
        if let Some(known) = self.0.get(&key) {
            return Ok(known.clone());
        }
        let found = match data::present(&data.source, cache).then(|| Splits::load(experiment, cache)) {
            Some(Err(DataError::NotPrepared { .. })) | None => None,
            Some(splits) => Some(splits?.fingerprint),
        };
        self.0.insert(key, found.clone());
        Ok(found)
    }
}
