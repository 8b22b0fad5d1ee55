//! The datasets by name, with all that can be known of them without loading anything.

use super::{DataError, Normalise, cifar10, fashion_mnist};

/// A dataset's facts.
#[derive(Debug)]
pub struct Info {
    pub name: &'static str,
    /// One line for `--help` and `doctor`.
    pub description: &'static str,
    /// Number of classes.
    pub classes: usize,
    /// Their names, by label; empty where a dataset does not name them.
    pub class_names: &'static [&'static str],
    /// Channels, height, width.
    pub shape: [usize; 3],
    /// Images in the training and the test split.
    pub train: usize,
    pub test: usize,
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

/// Every dataset that Strata knows.
pub const DATASETS: &[Info] = &[
    Info {
        name: "fashion-mnist",
        description: "Fashion-MNIST (Xiao et al. 2017): grey 28x28 pictures of clothes",
        classes: 10,
        class_names: &fashion_mnist::CLASSES,
        shape: [1, 28, 28],
        train: 60_000,
        test: 10_000,
        mean: &[0.2860],
        std: &[0.3530],
    },
    Info {
        name: "cifar10",
        description: "CIFAR-10 (Krizhevsky 2009): 32x32 colour photographs",
        classes: 10,
        class_names: &cifar10::CLASSES,
        shape: [3, 32, 32],
        train: 50_000,
        test: 10_000,
        mean: &[125.3 / 255.0, 123.0 / 255.0, 113.9 / 255.0],
        std: &[63.0 / 255.0, 62.1 / 255.0, 66.7 / 255.0],
    },
    Info {
        name: "imagenet",
        description: "ImageNet (ILSVRC 2012): photographs as files, decoded as they are needed",
        classes: 1000,
        class_names: &[],
        shape: [3, 224, 224],
        train: 1_281_167,
        test: 50_000,
        mean: &[0.485, 0.456, 0.406],
        std: &[0.229, 0.224, 0.225],
    },
    Info {
        name: "synthetic",
        description: "gratings made by formula: needs no files, for tests and smoke runs",
        classes: 10,
        class_names: &[],
        shape: [1, 28, 28],
        train: 2_000,
        test: 500,
        mean: &[0.5],
        std: &[0.5],
    },
];

/// The facts of the dataset `name`.
pub fn info(name: &str) -> Option<&'static Info> {
    DATASETS.iter().find(|d| d.name == name)
}

/// As [`info`], with an error that says which names there are and which is nearest.
pub fn known(name: &str) -> Result<&'static Info, DataError> {
    info(name).ok_or_else(|| {
        let nearest = DATASETS.iter().map(|d| (strsim::damerau_levenshtein(d.name, name), d.name)).min();
        let hint = match nearest {
            Some((distance, near)) if distance <= near.len() / 2 => format!(", did you mean '{near}'?"),
            _ => String::new(),
        };
        let known = DATASETS.iter().map(|d| d.name).collect::<Vec<_>>().join(", ");
        DataError::Unknown { name: name.to_owned(), hint, known }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typo_gets_the_nearest_name() {
        let message = known("fashon-mnist").unwrap_err().to_string();
        assert!(message.contains("did you mean 'fashion-mnist'?") && message.contains("cifar10"), "{message}");
        assert!(!known("imagenet-21k-winter").unwrap_err().to_string().contains("did you mean"));
    }

    #[test]
    fn normalisation_fits_the_channels() {
        assert_eq!(known("fashion-mnist").unwrap().normalise(3).mean, [0.2860; 3]);
        assert_eq!(known("cifar10").unwrap().normalise(1).std.len(), 1);
    }
}
