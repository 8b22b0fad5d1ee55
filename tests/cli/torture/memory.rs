//! Memory over as many steps, epochs and checkpoints as a day of training has.
//!
//! The deck's GoogLeNet takes 36 ms a step on the machine of docs/speed.md: 2.4 million steps a day, in 5,581 epochs of 430.
//! A tiny network does as many steps, epochs, validations and checkpoints in minutes. What it cannot show is a leak that grows
//! with the size of a network's tensors and not with their number.

use super::{Place, print_table, tally};
use crate::place::Running;
use std::fs;
use std::time::{Duration, Instant};

const STEPS_OF_A_DAY: u64 = 2_400_000;
/// Of Fashion-MNIST's 55,000 images in batches of 128.
const STEPS_OF_AN_EPOCH: u64 = 430;

fn experiment(epochs: u64) -> String {
    format!(
        r#"
[data]
dataset = "synthetic"
validation = 20
limit = {}

[model]
input = [1, 8, 8]
rows = [
  {{ op = "conv", kernel = 3, width = 4, norm = "batch" }}, {{ op = "conv", kernel = 3, width = 4, norm = "batch" }},
  {{ op = "global_avg_pool" }}, {{ op = "classifier" }},
]

[train]
epochs = {epochs}
batch = 4
lr = 0.01
momentum = 0.9
"#,
        4 * STEPS_OF_AN_EPOCH
    )
}

/// The resident memory of a run along its steps.
struct Growth {
    epochs: u64,
    seconds: f64,
    /// Steps done, bytes.
    samples: Vec<(f64, f64)>,
}

impl Growth {
    /// Trains for so many epochs and looks at the process every `interval`.
    fn watch(epochs: u64, interval: Duration, fault: Option<&str>) -> Growth {
        let place = Place::new();
        place.file("day.toml", experiment(epochs));
        let mut command = place.command(&["train", "day.toml"]);
        if let Some(fault) = fault {
            command.env("STRATA_FAULT", fault);
        }
        let mut running = Running::spawn(command);
        let table = place.run("day").path("epochs.csv");
        let mut samples = Vec::new();
        let start = Instant::now();
        while !running.ended() {
            let rows = fs::read(&table).map_or(0, |text| text.iter().filter(|&&byte| byte == b'\n').count());
            if let (true, Some(bytes)) = (rows > 1, running.resident()) {
                samples.push(((rows as u64 - 1) as f64 * STEPS_OF_AN_EPOCH as f64, bytes as f64));
            }
            std::thread::sleep(interval);
        }
        let seconds = start.elapsed().as_secs_f64();
        assert!(running.wait().success());
        assert_eq!(place.run("day").epochs().len() as u64, 1 + epochs);
        Growth { epochs, seconds, samples }
    }

    fn steps(&self) -> u64 {
        self.epochs * STEPS_OF_AN_EPOCH
    }

    /// Bytes a step past the first quarter: until then caches and the heap's free places fill up. The heap grows in steps and a leak
    /// steadily, so the median of the last three quarters counts, each by least squares over its samples.
    fn slope(&self) -> f64 {
        let quarter = self.steps() as f64 / 4.0;
        let mut slopes = [1.0, 2.0, 3.0].map(|index| {
            let steps = quarter * index..=quarter * (index + 1.0);
            least_squares(&self.samples.iter().filter(|sample| steps.contains(&sample.0)).copied().collect::<Vec<_>>())
        });
        slopes.sort_by(f64::total_cmp);
        slopes[1]
    }

    fn mebibytes(&self) -> [f64; 3] {
        let bytes = |index: usize| self.samples[index].1 / f64::from(1 << 20);
        let peak = (0..self.samples.len()).map(bytes).fold(0.0, f64::max);
        [bytes(self.samples.len() / 4), bytes(self.samples.len() - 1), peak]
    }
}

/// The slope of the line through the samples.
fn least_squares(samples: &[(f64, f64)]) -> f64 {
    let mean = |of: fn(&(f64, f64)) -> f64| samples.iter().map(of).sum::<f64>() / samples.len() as f64;
    let (x, y) = (mean(|s| s.0), mean(|s| s.1));
    let (xy, xx) = samples.iter().fold((0.0, 0.0), |(xy, xx), s| (xy + (s.0 - x) * (s.1 - y), xx + (s.0 - x).powi(2)));
    assert!(samples.len() >= 5 && xx > 0.0, "only {} samples, or no step between them", samples.len());
    xy / xx
}

/// One tensor of one number that is not freed costs more a step; the test with the fault shows it.
const MOST_BYTES_A_STEP: f64 = 100.0;

#[test]
fn memory_does_not_grow_with_steps_and_a_leak_would_be_seen() {
    let sample = Duration::from_millis(20);
    // In so few steps a late growth of the heap looks like a slope; a leak is there every time.
    let slopes = (0..3).map(|_| Growth::watch(20, sample, None).slope());
    let sound = slopes.take_while(|slope| *slope >= MOST_BYTES_A_STEP).collect::<Vec<_>>();
    assert!(sound.len() < 3, "{sound:?} bytes a step");
    let leaking = Growth::watch(20, sample, Some("step:1+:leak")).slope();
    assert!(leaking > MOST_BYTES_A_STEP, "{leaking} bytes a step of a leak");
}

/// A fifth of that over a day is 48 MB.
const MOST_BYTES_A_STEP_OF_A_DAY: f64 = 20.0;

#[test]
#[ignore = "long: make torture"]
fn long_memory() {
    let steps = std::env::var("STRATA_STEPS").ok().and_then(|text| text.parse().ok()).unwrap_or(STEPS_OF_A_DAY);
    // Some thousand looks over a day, as many for less of it.
    let interval = Duration::from_secs_f64((steps as f64 / STEPS_OF_A_DAY as f64).clamp(0.02, 1.0));
    let growth = Growth::watch(steps.div_ceil(STEPS_OF_AN_EPOCH), interval, None);
    let (slope, [warm, last, peak]) = (growth.slope(), growth.mebibytes());
    let header =
        ["steps", "epochs", "seconds", "MiB after a quarter", "at the end", "at the peak", "bytes a million steps"];
    let row = [
        growth.steps().to_string(),
        growth.epochs.to_string(),
        format!("{:.0}", growth.seconds),
        format!("{warm:.1}"),
        format!("{last:.1}"),
        format!("{peak:.1}"),
        format!("{:.0}", 1e6 * slope),
    ];
    print_table(&header, &[row.to_vec()]);
    assert!(slope < MOST_BYTES_A_STEP_OF_A_DAY, "{slope} bytes a step");
    let lost = format!("memory grew by {slope:.1} bytes a step");
    tally("steps of training, with their epochs and checkpoints", growth.steps(), &lost);
}
