//! Estimates the time of points from finished runs.
//!
//! Time is assumed proportional to the multiply-adds of all images that are trained on or evaluated; an image costs three times
//! as much in training as in evaluation. The rate is that of the finished run with the nearest multiply-adds in the same
//! precision on the same kind of device: of the same sweep, or else of any run in the results folder. The number of threads and
//! the load of the machine are not known.

use crate::config::{Data, Point, Sweep};
use crate::data;
use crate::runs::{Column, Record, Status, Store};

/// Rates of finished runs.
#[derive(Clone, Debug, Default)]
pub struct Estimates {
    samples: Vec<Sample>,
    /// The rate of a running point, used while there is no finished run.
    provisional: Option<f64>,
}

#[derive(Clone, Debug)]
struct Sample {
    same_sweep: bool,
    precision: String,
    macs: f64,
    /// Seconds for one multiply-add of one evaluated image: sum over runs, and their number.
    rate: (f64, usize),
}

impl Estimates {
    /// Reads the finished runs. `device` is `cpu` or `cuda`.
    pub fn read(store: &Store, sweep: &Sweep, device: &str) -> Estimates {
        let mut estimates = Estimates::default();
        let of_sweep = sweep.points.iter().filter_map(|point| store.record_of(point));
        of_sweep.for_each(|record| estimates.add(&record, true, device));
        if estimates.samples.is_empty() {
            let records = store.runs().into_iter().filter_map(|run| Record::read(&run));
            records.for_each(|record| estimates.add(&record, false, device));
        }
        estimates
    }

    /// Adds a finished run of this sweep.
    pub(super) fn learn(&mut self, row: &Record, device: &str) {
        self.add(row, true, device);
    }

    /// Adds a running point, which has done `fraction` of its work in `seconds`. Its rate is used while there is no finished run.
    pub(super) fn add_running(&mut self, point: &Point, fraction: f64, seconds: f64) {
        if fraction > 0.0 {
            self.provisional = Some(seconds / (fraction * work(point)));
        }
    }

    fn add(&mut self, row: &Record, same_sweep: bool, device: &str) {
        let number = |column: Column| row.number(column).filter(|number| *number > 0.0);
        if row.status() != Some(Status::Done) || !row.text(Column::Device).starts_with(device) {
            return;
        }
        let count = |key: &str| row.text(key).parse().unwrap_or(0);
        let (validation, limit) = (count("data.validation"), count("data.limit"));
        let (Some(seconds), Some(macs), Some(epochs)) =
            (number(Column::Seconds), number(Column::Macs), number(Column::Epochs))
        else {
            return;
        };
        let dataset = row.text("data.dataset");
        if !same_sweep && !is_counted(dataset, limit) {
            return;
        }
        let images = images(dataset, validation, limit, epochs);
        let (rate, precision) = (seconds / (macs * images), row.text(Column::Precision));
        let same = |sample: &&mut Sample| {
            sample.macs == macs && sample.precision == precision && sample.same_sweep == same_sweep
        };
        match self.samples.iter_mut().find(same) {
            Some(sample) => sample.rate = (sample.rate.0 + rate, sample.rate.1 + 1),
            None => self.samples.push(Sample { same_sweep, precision: precision.to_owned(), macs, rate: (rate, 1) }),
        }
    }

    /// The source of the rates, in words.
    pub fn basis(&self) -> &'static str {
        match self.samples.iter().any(|sample| sample.same_sweep) {
            true => "estimated from finished points of this sweep",
            false => "estimated from the finished runs nearest in multiply-adds",
        }
    }

    /// The time of a point in seconds; `None` where no comparable run is known.
    pub fn seconds(&self, point: &Point) -> Option<f64> {
        let precision = point.experiment.train.precision.name();
        let macs = (point.cost.macs.max(1)) as f64;
        let is_counted = is_counted(&point.experiment.data.dataset, point.experiment.data.limit);
        // Runs of the same sweep are preferred, whatever their cost.
        let distance = |sample: &&Sample| (!sample.same_sweep, (sample.macs / macs).ln().abs());
        let nearest = self
            .samples
            .iter()
            .filter(|sample| sample.precision == precision && (sample.same_sweep || is_counted))
            .min_by(|a, b| distance(a).partial_cmp(&distance(b)).unwrap_or(std::cmp::Ordering::Equal));
        let rate = nearest.map(|sample| sample.rate.0 / sample.rate.1 as f64).or(self.provisional)?;
        Some(rate * work(point))
    }
}

/// Whether the number of training images is known without looking at them. Where it is not, as for a folder of images, only runs
/// of one sweep can be compared, which have the same images.
fn is_counted(dataset: &str, limit: usize) -> bool {
    limit > 0 || data::info(dataset).is_some_and(|info| info.train > 0)
}

/// The multiply-adds of a point's run, up to a constant factor.
fn work(point: &Point) -> f64 {
    let Data { dataset, validation, limit, .. } = &point.experiment.data;
    let images = images(dataset, *validation, *limit, point.experiment.train.epochs as f64);
    point.cost.macs.max(1) as f64 * images
}

/// The images of a run, each as often as it is evaluated or would be in the time that training takes.
fn images(dataset: &str, validation: usize, limit: usize, epochs: f64) -> f64 {
    const TRAINING: usize = 3;
    let info = data::info(dataset);
    let train = match limit {
        0 => info.map_or(1, |info| info.train.saturating_sub(validation)).max(1),
        limit => limit,
    };
    epochs * (TRAINING * train + validation) as f64 + info.map_or(0, |info| info.test) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Machine;

    fn sweep() -> Sweep {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s.toml");
        let text = "[data]\ndataset = 'synthetic'\nvalidation = 400\nlimit = 1000\n[model]\npreset = 'resnet'\nlayout = 'cifar'\n\
                    depth = 8\n[train]\nepochs = 2\nprecision = 'fp32'\n[sweep]\nmodel.depth = [8, 56]\ntrain.epochs = [2, 4]\n";
        std::fs::write(&path, text).unwrap();
        Sweep::load(&path, &[], Machine::default()).unwrap()
    }

    fn row(macs: u64, seconds: f64) -> Record {
        let cells = [("status", "done"), ("device", "cpu"), ("precision", "fp32"), ("epochs", "2")];
        let data = [("data.dataset", "synthetic"), ("data.validation", "200"), ("data.limit", "500")];
        let mut row: Record =
            cells.iter().chain(&data).map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        row.set(Column::Macs, macs.to_string());
        row.set(Column::Seconds, seconds.to_string());
        row
    }

    /// A finished run on 40 images of a folder made 512 images of another dataset take three hours.
    #[test]
    fn a_run_on_uncounted_images_is_no_measure() {
        let sweep = sweep();
        let mut folder = row(sweep.points[0].cost.macs, 3.0);
        folder.set("data.dataset", "folder");
        folder.set("data.limit", "0");
        let mut estimates = Estimates::default();
        estimates.add(&folder, false, "cpu");
        assert_eq!(estimates.seconds(&sweep.points[0]), None);
    }

    #[test]
    fn time_goes_with_cost_images_and_epochs_of_the_nearest_run() {
        let sweep = sweep();
        let macs = sweep.points[0].cost.macs;
        let mut estimates = Estimates::default();
        assert_eq!(estimates.seconds(&sweep.points[0]), None);
        estimates.add(&row(macs, 3.0), false, "cpu");
        estimates.add(&row(macs, 5.0), false, "cpu");
        estimates.add(&row(macs, 99.0), false, "cuda");
        estimates.add(&row(macs * 100, 1.0), false, "cpu");
        // The mean over seeds is 4 s. Twice the images, then twice the epochs, too.
        let test = data::info("synthetic").unwrap().test as f64;
        let images = |epochs: f64, images: f64| epochs * images * (3.0 * 500.0 + 200.0) + test;
        let expected = |epochs| 4.0 * images(epochs, 2.0) / images(2.0, 1.0);
        let close = |a: f64, b: f64| (a - b).abs() < 1e-9 * b;
        let seconds = |estimates: &Estimates, point: usize| estimates.seconds(&sweep.points[point]).unwrap();
        assert!(close(seconds(&estimates, 0), expected(2.0)) && close(seconds(&estimates, 1), expected(4.0)));
        // A run of the same sweep is preferred.
        estimates.learn(&row(macs * 100, 100.0), "cpu");
        assert!(close(seconds(&estimates, 0), expected(2.0) / 4.0));
    }
}
