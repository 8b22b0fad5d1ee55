//! Which points need not run again.

use crate::config::Point;
use crate::runs::{Record, Store};
use crate::train::{Fingerprints, check_data};
use std::cell::RefCell;
use std::path::PathBuf;

/// Looks up the results of points.
#[derive(Debug)]
pub struct Finished {
    store: Store,
    /// Where datasets are.
    cache: PathBuf,
    fingerprints: RefCell<Fingerprints>,
}

impl Finished {
    pub fn new(store: Store, cache: PathBuf) -> Finished {
        Finished { store, cache, fingerprints: RefCell::default() }
    }

    /// The record of a point that is done, or diverged, on the images that are in the cache now. A run on other images is
    /// left to `train`, which refuses it and says why.
    pub fn record(&self, point: &Point) -> Option<Record> {
        let record = self.store.record_of(point).filter(Record::is_final)?;
        // Data that cannot be read is reported by `train`, too.
        let fingerprint = self.fingerprints.borrow_mut().of(&point.experiment, &self.cache).ok()?;
        let run = self.store.folder_of(point);
        let same = |fingerprint: String| check_data(&run, &point.experiment.data.dataset, &fingerprint).is_ok();
        fingerprint.is_none_or(same).then_some(record)
    }
}
