//! Points that need not run.

use super::archived::Archived;
use crate::config::{Point, Sweep};
use crate::runs::{Record, Store, Table, sweep_folder};
use crate::train::{Fingerprints, check_data};
use std::cell::RefCell;
use std::collections::HashSet;
use std::path::PathBuf;

/// Finds the results of finished points.
#[derive(Debug)]
pub struct Finished {
    store: Store,
    /// The folder of datasets.
    cache: PathBuf,
    fingerprints: RefCell<Fingerprints>,
    /// The results in the tables of the sweep, where these count as well.
    recorded: Option<Recorded>,
}

/// What the tables of a sweep have.
#[derive(Debug)]
struct Recorded {
    results: Archived,
    /// Short keys of the points whose epochs are there, too.
    epochs: HashSet<String>,
}

impl Finished {
    pub fn new(store: Store, cache: PathBuf) -> Finished {
        Finished { store, cache, fingerprints: RefCell::default(), recorded: None }
    }

    /// Counts points without a run here as finished if the tables of the sweep have their results and epochs, as in a fresh clone.
    /// A table that cannot be read has none.
    #[must_use]
    pub fn or_recorded(self, sweep: &Sweep) -> Finished {
        let folder = sweep_folder(&self.store, sweep);
        let epochs = Table::read(&folder.join("epochs.csv")).unwrap_or_default().rows.into_iter();
        let epochs = epochs.filter_map(|row| row.into_iter().next()).collect();
        Finished { recorded: Some(Recorded { results: Archived::peek(&folder), epochs }), ..self }
    }

    /// The record of a point that is finished.
    pub fn record(&self, point: &Point) -> Option<Record> {
        self.of_run(point).or_else(|| self.recorded(point))
    }

    /// What the tables say of a point that has no run here, if they count.
    pub fn recorded(&self, point: &Point) -> Option<Record> {
        let recorded = self.recorded.as_ref().filter(|recorded| recorded.epochs.contains(point.key.short()))?;
        let result = recorded.results.get(&point.key)?;
        self.store.record_of(point).is_none_or(|run| !run.is_final()).then(|| result.clone())
    }

    /// The record of a run that has ended on the images that are in the cache. A run on other images is left to `train`, which
    /// refuses it with a message.
    fn of_run(&self, point: &Point) -> Option<Record> {
        let record = self.store.record_of(point).filter(Record::is_final)?;
        // `train` reports data that cannot be read, too.
        let fingerprint = self.fingerprints.borrow_mut().of(&point.experiment, &self.cache).ok()?;
        let run = self.store.folder_of(point);
        let same = |fingerprint: String| check_data(&run, &point.experiment.data.dataset, &fingerprint).is_ok();
        fingerprint.is_none_or(same).then_some(record)
    }
}
