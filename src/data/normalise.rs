//! From bytes to normalised values.

use serde::{Deserialize, Serialize};

use super::{DataError, Images};

/// Per-channel normalisation of pixels in 0..1: (pixel - mean) / std. When an image has more channels than there are
/// entries, the last entry serves for the rest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Normalise {
    pub mean: Vec<f32>,
    pub std: Vec<f32>,
}

impl Normalise {
    /// Mean and standard deviation of each channel of `images`, from exact integer counts. A constant channel gets
    /// std 1, so that nothing is divided by zero.
    ///
    /// # Errors
    /// An image file that cannot be decoded.
    pub fn of(images: &Images) -> Result<Normalise, DataError> {
        let [channels, height, width] = images.shape;
        let mut counts = vec![[0u64; 256]; channels];
        for i in 0..images.len() {
            let image = images.image(i)?;
            for (counts, plane) in counts.iter_mut().zip(image.chunks_exact((height * width).max(1))) {
                plane.iter().for_each(|&p| counts[usize::from(p)] += 1);
            }
        }
        let mut norm = Normalise { mean: Vec::new(), std: Vec::new() };
        for counts in &counts {
            let total = counts.iter().sum::<u64>().max(1) as f64;
            let average = |f: &dyn Fn(f64) -> f64| {
                counts.iter().enumerate().map(|(p, &n)| f(p as f64 / 255.0) * n as f64).sum::<f64>() / total
            };
            let mean = average(&|p| p);
            let std = average(&|p| (p - mean).powi(2)).sqrt();
            norm.mean.push(mean as f32);
            norm.std.push(if std > 0.0 { std as f32 } else { 1.0 });
        }
        Ok(norm)
    }

    /// What the values of channel `c` are divided by.
    pub(super) fn std_of(&self, c: usize) -> f32 {
        *self.std.get(c).or(self.std.last()).unwrap_or(&1.0)
    }

    /// The normalised value of each byte in channel `c`.
    pub fn table(&self, c: usize) -> [f32; 256] {
        let mean = *self.mean.get(c).or(self.mean.last()).unwrap_or(&0.0);
        let std = self.std_of(c);
        std::array::from_fn(|p| (p as f32 / 255.0 - mean) / std)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mean_and_std_of_each_channel() {
        let images = Images::new([2, 1, 2], vec![0, 255, 51, 51, 0, 255, 51, 51], vec![0, 1]);
        let norm = Normalise::of(&images).unwrap();
        assert_eq!((norm.mean, norm.std), (vec![0.5, 0.2], vec![0.5, 1.0]));
    }
}
