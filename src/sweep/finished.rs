//! Which points need not run again.

use super::tables::{point_folder, point_summary};
use crate::config::Point;
use crate::runs::Record;
use crate::train::{Fingerprints, check_data};
use std::cell::RefCell;
use std::path::PathBuf;

/// Looks up the results of points.
#[derive(Debug)]
pub struct Finished {
    results: PathBuf,
    /// Where datasets lie.
    cache: PathBuf,
    fingerprints: RefCell<Fingerprints>,
}

impl Finished {
    pub fn new(results: PathBuf, cache: PathBuf) -> Finished {
        Finished { results, cache, fingerprints: RefCell::default() }
    }

    /// The summary of a point that is done, or diverged, on the images that are in the cache now. A run on other images is
    /// left to `train`, which refuses it and says why.
    pub fn summary(&self, point: &Point) -> Option<Record> {
        let summary = point_summary(&self.results, point).filter(Record::is_final)?;
        // Data that cannot be read is reported by `train`, too.
        let fingerprint = self.fingerprints.borrow_mut().of(&point.experiment, &self.cache).ok()?;
        let same = |fingerprint: String| {
            check_data(&point_folder(&self.results, point), &point.experiment.data.dataset, &fingerprint).is_ok()
        };
        fingerprint.is_none_or(same).then_some(summary)
    }
}
