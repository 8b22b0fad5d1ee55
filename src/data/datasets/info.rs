//! What can be known of a dataset without loading anything.

use crate::data::Normalise;

/// A dataset's facts.
#[derive(Debug)]
pub struct Info {
    pub name: &'static str,
    /// One line for `--help` and `doctor`.
    pub description: &'static str,
    /// Number of classes.
    pub classes: usize,
    /// Their names, by label; empty where they are not known before the dataset is loaded.
    pub class_names: &'static [&'static str],
    /// Channels, height, width.
    pub shape: [usize; 3],
    /// Images in the training and the test split; 0 where they are counted when they are loaded.
    pub train: usize,
    pub test: usize,
    /// The user's files decide how many classes and images there are; the numbers here are those of the published set.
    pub open: bool,
    /// Per-channel mean and standard deviation of the training pixels in 0..1, as usually published.
    pub mean: &'static [f32],
    pub std: &'static [f32],
}

impl Info {
    /// The published normalisation for images brought to `channels` channels: a grey dataset's values are repeated
    /// for RGB, an RGB dataset's are averaged for grey.
    pub fn normalise(&self, channels: usize) -> Normalise {
        let fit = |values: &[f32]| match channels {
            c if c == values.len() => values.to_vec(),
            c => vec![values.iter().sum::<f32>() / values.len() as f32; c],
        };
        Normalise { mean: fit(self.mean), std: fit(self.std) }
    }
}
