//! `lighting`: AlexNet's change of the colour of the light.

use super::{Augmentation, View};
use crate::named::{KeyError, check_range};
use crate::random;
use serde::{Deserialize, Serialize};

/// Standard deviation of the amounts, 0.1 in the paper (Krizhevsky et al. 2012, section 4.1); 0 is off. Along each principal
/// component of ImageNet's colours, all pixels are changed by the amount times the component's standard deviation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Lighting(pub f64);

/// Eigenvalues and eigenvectors of the colours of ImageNet's pixels from 0 to 1, as in fb.resnet.torch.
const VALUES: [f64; 3] = [0.2175, 0.0188, 0.0045];
const VECTORS: [[f64; 3]; 3] = [[-0.5675, 0.7192, 0.4009], [-0.5808, -0.0045, -0.8140], [-0.5836, -0.6948, 0.4203]];

impl Augmentation for Lighting {
    const STREAM: &'static str = "augment.lighting";

    fn draw(&self, key: u64, view: &mut View) {
        if !self.is_off() {
            view.light = light([0, 2, 4].map(|draw| self.0 * random::normal(key, draw)));
        }
    }

    fn check(&self, [channels, ..]: [usize; 3]) -> Result<(), KeyError> {
        check_range("lighting", self.0, 0.0, 10.0)?;
        match self.is_off() || channels == 3 {
            true => Ok(()),
            false => Err(KeyError::new("lighting", format!("`lighting` needs images of 3 channels, not {channels}"))),
        }
    }
}

/// What is added to red, green and blue.
fn light(amounts: [f64; 3]) -> [f32; 3] {
    VECTORS.map(|row| (0..3).map(|i| row[i] * amounts[i] * VALUES[i]).sum::<f64>() as f32)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// timm 1.0.11's `Lighting` with these amounts.
    #[test]
    fn light_is_timms() {
        let found = light([0.1, -0.05, 0.2]);
        let expected = [-0.012658363, -0.013360769, -0.011661918];
        assert!(found.iter().zip(expected).all(|(a, b): (&f32, f32)| (a - b).abs() < 1e-7), "{found:?}");
    }
}
