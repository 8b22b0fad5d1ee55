//! A dataset made by formula, for tests and smoke runs: gratings whose class is their direction (across or down) and
//! their frequency, with jittered phase and contrast under noise. Mirroring an image keeps its class, so every
//! augmentation may be used on it.

use super::{Info, Source};
use crate::data::{DataError, Dataset, Depth, Images};
use crate::random;
use serde::{Deserialize, Serialize};
use std::path::Path;

const NAME: &str = "synthetic";
const SIDE: usize = 28;
const CLASSES: usize = 10;

/// Cycles over the width of the image, by class / 2.
const FREQUENCIES: [f64; CLASSES / 2] = [1.0, 2.0, 3.5, 5.5, 8.0];

/// Synthetic gratings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Synthetic {}

static INFO: Info = Info {
    name: NAME,
    description: "gratings made by formula: needs no files, for tests and smoke runs",
    classes: 10,
    class_names: &[],
    shape: [1, 28, 28],
    train: 2_000,
    test: 500,
    open: false,
    mean: &[0.5],
    std: &[0.5],
};

impl Source for Synthetic {
    fn info(&self) -> &'static Info {
        &INFO
    }

    fn present(&self, _: &Path) -> bool {
        true
    }

    fn check(&self, _: &Path, _: Depth) -> Result<(), DataError> {
        Ok(())
    }

    fn load(&self, _: &Path) -> Result<Dataset, DataError> {
        let (train, test) = (split(0, INFO.train), split(1, INFO.test));
        Ok(Dataset { name: NAME.into(), classes: classes(), train, validation: None, test })
    }

    fn fetch(&self, _: &Path, _: Option<&Path>) -> Result<(), DataError> {
        tracing::info!("{NAME} is generated: nothing to fetch");
        Ok(())
    }

    fn class_names(&self, _: &Path) -> Vec<String> {
        classes()
    }
}

fn classes() -> Vec<String> {
    (0..CLASSES).map(|c| format!("{}-{}", ["across", "down"][c % 2], FREQUENCIES[c / 2])).collect()
}

fn split(split: u64, count: usize) -> Images {
    let mut pixels = Vec::with_capacity(count * SIDE * SIDE);
    for i in 0..count {
        let (class, key) = (i % CLASSES, random::key(0, NAME, &[split, i as u64]));
        let phase = (random::uniform(key, 0) - 0.5) * std::f64::consts::PI;
        let contrast = 0.25 + 0.25 * random::uniform(key, 1);
        let wave = |position: usize| {
            let turns = FREQUENCIES[class / 2] * (position as f64 + 0.5 - SIDE as f64 / 2.0) / SIDE as f64;
            (turns * std::f64::consts::TAU + phase).cos()
        };
        for at in 0..SIDE * SIDE {
            let along = if class % 2 == 0 { at % SIDE } else { at / SIDE };
            let noise = (random::uniform(key, 2 + at as u64) - 0.5) * 0.5;
            pixels.push(((0.5 + contrast * wave(along) + noise).clamp(0.0, 1.0) * 255.0).round() as u8);
        }
    }
    Images::new([1, SIDE, SIDE], pixels, (0..count).map(|i| (i % CLASSES) as u16).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The nearest class mean, the simplest of classifiers, must do well, or a smoke run could not show learning.
    #[test]
    fn it_can_be_learnt() {
        let data = Synthetic {}.load(Path::new("")).unwrap();
        let mut means = vec![vec![0f64; SIDE * SIDE]; CLASSES];
        for i in 0..data.train.len() {
            let mean = &mut means[data.train.labels[i] as usize];
            mean.iter_mut().zip(data.train.image(i).unwrap().iter()).for_each(|(m, &p)| *m += f64::from(p) / 200.0);
        }
        let distance = |mean: &[f64], image: &[u8]| -> f64 {
            mean.iter().zip(image).map(|(m, &p)| (m - f64::from(p)).powi(2)).sum()
        };
        let right = (0..data.test.len()).filter(|&i| {
            let image = data.test.image(i).unwrap();
            let best =
                (0..CLASSES).min_by(|&a, &b| distance(&means[a], &image).total_cmp(&distance(&means[b], &image)));
            best == Some(data.test.labels[i] as usize)
        });
        let right = right.count();
        assert!((350..=500).contains(&right), "{right} of 500");
    }
}
