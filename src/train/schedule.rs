//! The learning rate as a pure function of the step.

use crate::config::Train;
use crate::recipe::schedules::Progress;

/// The learning rate of step `step`, counted from 0 over the whole run; where the batch size changes with the epoch, steps
/// are counted as if all epochs had `steps_per_epoch`.
pub fn learning_rate(train: &Train, step: f64, steps_per_epoch: u64) -> f64 {
    train.lr * rate_factor(train, step, steps_per_epoch)
}

/// What warm-up and schedule multiply every learning rate by in step `step`.
pub(super) fn rate_factor(train: &Train, step: f64, steps_per_epoch: u64) -> f64 {
    let per_epoch = steps_per_epoch as f64;
    let total = train.epochs as f64 * per_epoch;
    let warmup = train.warmup * per_epoch;
    if step < warmup {
        // The first step already moves: the rate rises to its full value at the end of the warm-up.
        return ((step + 1.0) / warmup.max(1.0)).min(1.0);
    }
    // Cosine and one-cycle fill what the warm-up leaves; milestones count from the start of the run.
    let part = if total > warmup { (step - warmup) / (total - warmup) } else { 0.0 };
    train.schedule.factor(Progress { epoch: step / per_epoch, part })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::train;

    fn rates(keys: &str) -> Vec<f64> {
        let train = train(keys);
        (0..train.epochs as u64 * 10).map(|step| learning_rate(&train, step as f64, 10)).collect()
    }

    #[test]
    fn steps_fall_at_their_epochs() {
        let rates = rates("epochs = 4\nlr = 1.0\nschedule = 'step'\nmilestones = [2, 3]");
        assert_eq!([rates[0], rates[19], rates[20], rates[29]], [1.0, 1.0, 0.1, 0.1]);
        assert!((rates[30] - 0.01).abs() < 1e-15);
    }

    #[test]
    fn warm_up_rises_to_the_full_rate() {
        let rates = rates("epochs = 4\nlr = 1.0\nwarmup = 1");
        assert!((rates[0] - 0.1).abs() < 1e-15 && (rates[9] - 1.0).abs() < 1e-15 && rates[10] == 1.0);
        let uneven = self::rates("epochs = 4\nlr = 1.0\nwarmup = 0.25");
        assert!(uneven.iter().all(|&rate| rate <= 1.0), "a warm-up of two and a half steps does not overshoot");
    }

    #[test]
    fn cosine_and_one_cycle_end_where_they_should() {
        let cosine = rates("epochs = 10\nlr = 2.0\nschedule = 'cosine'");
        assert_eq!(cosine[0], 2.0);
        assert!((cosine[50] - 1.0).abs() < 1e-12 && cosine[99] < 1e-3);
        let cycle = rates("epochs = 10\nlr = 2.0\nschedule = 'one_cycle'\npeak_at = 0.3");
        let peak = cycle.iter().cloned().fold(0.0, f64::max);
        assert_eq!((cycle[30], peak), (2.0, 2.0));
        assert!((cycle[0] - 0.08).abs() < 1e-12 && cycle[99] < 2e-3);
    }

    #[test]
    fn exponential_decays_in_steps() {
        let rates = rates("epochs = 5\nlr = 1.0\nschedule = 'exponential'\ngamma = 0.5\nevery = 2");
        assert_eq!([rates[0], rates[19], rates[20], rates[40]], [1.0, 1.0, 0.5, 0.25]);
    }
}
