//! Points that need not run.

use crate::config::Point;
use crate::runs::{Record, Store};
use crate::train::{Fingerprints, check_data};
use std::cell::RefCell;
use std::path::PathBuf;

/// Finds the results of finished points.
#[derive(Debug)]
pub struct Finished {
    store: Store,
    /// The folder of datasets.
    cache: PathBuf,
    fingerprints: RefCell<Fingerprints>,
}

impl Finished {
    pub fn new(store: Store, cache: PathBuf) -> Finished {
        Finished { store, cache, fingerprints: RefCell::default() }
    }

    /// The record of a point that has ended on the images that are in the cache. A run on other images is left to `train`, which
    /// refuses it with a message.
    pub fn record(&self, point: &Point) -> Option<Record> {
        let record = self.store.record_of(point).filter(Record::is_final)?;
        // `train` reports data that cannot be read, too.
        let fingerprint = self.fingerprints.borrow_mut().of(&point.experiment, &self.cache).ok()?;
        let run = self.store.folder_of(point);
        let same = |fingerprint: String| check_data(&run, &point.experiment.data.dataset, &fingerprint).is_ok();
        fingerprint.is_none_or(same).then_some(record)
    }
}
