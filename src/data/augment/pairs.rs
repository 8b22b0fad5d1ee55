//! What is done to pairs of images: mixup or CutMix, drawn once a batch from (seed, epoch, index of its first image).

use super::Augment;
use crate::data::resample::Window;
use crate::random;

/// How an image and its partner are mixed. The partner of image i of n is image n - 1 - i, as in timm: the order is shuffled.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::data) enum Pairing {
    /// The sum of `share` times the image and 1 - `share` times its partner.
    Blend { share: f64 },
    /// The partner's pixels in this window.
    Paste(Window),
}

impl Augment {
    /// Whether labels are mixed, so that a batch has targets between 0 and 1.
    pub(crate) fn mixes(&self) -> bool {
        self.mixup.is_some() || self.cutmix.is_some()
    }

    /// How the batch of an epoch whose first image is `first` is mixed, for images of `size` = [height, width]; `None` if it
    /// is not.
    pub(in crate::data) fn pairing(&self, seed: u64, epoch: u64, first: u32, size: [usize; 2]) -> Option<Pairing> {
        let key = random::key(seed, "augment.pairs", &[epoch, u64::from(first)]);
        let cutmix = self.cutmix.filter(|cutmix| self.mixup.is_none() || random::uniform(key, 0) < cutmix.switch);
        let (alpha, p) = match (cutmix, self.mixup) {
            (Some(cutmix), _) => (cutmix.alpha, cutmix.p),
            (None, Some(mixup)) => (mixup.alpha, mixup.p),
            (None, None) => return None,
        };
        if random::uniform(key, 1) >= p {
            return None;
        }
        let share = random::beta(key, alpha);
        Some(match cutmix {
            None => Pairing::Blend { share },
            Some(_) => {
                let centre = [2, 3].map(|draw| random::uniform(key, draw));
                Pairing::Paste(window(share, centre, size))
            }
        })
    }
}

/// The paper's rectangle: 1 - `share` of the area, shaped like the image, around a point that is uniform, and cut off at the edge.
fn window(share: f64, centre: [f64; 2], [height, width]: [usize; 2]) -> Window {
    let side = (1.0 - share).sqrt();
    let span = |length: usize, centre: f64| {
        let (middle, half) = ((length as f64 * centre) as usize, (length as f64 * side) as usize / 2);
        (middle.saturating_sub(half), (middle + half).min(length))
    };
    let ((top, bottom), (left, right)) = (span(height, centre[0]), span(width, centre[1]));
    Window { top, left, height: bottom - top, width: right - left }
}

impl Pairing {
    /// Mixes the images in `pixels`, each of C·H·W values with `size` = [H, W], and returns the share of an image's own label.
    pub(in crate::data) fn mix(self, pixels: &mut [f32], image: usize, [height, width]: [usize; 2]) -> f64 {
        let count = pixels.len() / image.max(1);
        let (first, second) = pixels.split_at_mut(count / 2 * image);
        let partners = second.chunks_exact_mut(image).rev();
        let pairs = first.chunks_exact_mut(image).zip(partners);
        match self {
            Pairing::Blend { share } => {
                let (own, other) = (share as f32, (1.0 - share) as f32);
                for (a, b) in pairs.flat_map(|(a, b)| a.iter_mut().zip(b)) {
                    (*a, *b) = (*a * own + *b * other, *b * own + *a * other);
                }
                share
            }
            Pairing::Paste(window) => {
                let rows = |plane: usize| {
                    (0..window.height).map(move |y| (plane * height + window.top + y) * width + window.left)
                };
                for (a, b) in pairs {
                    for start in (0..image / (height * width)).flat_map(rows) {
                        let row = start..start + window.width;
                        a[row.clone()].swap_with_slice(&mut b[row]);
                    }
                }
                1.0 - (window.height * window.width) as f64 / (height * width) as f64
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{CutMix, Mixup};
    use super::*;

    /// The first 16 values of three images of [1, 4, 4], mixed by timm 1.0.11's `Mixup` (`_mix_batch` with the share set).
    #[test]
    fn pairs_are_timms() {
        let ramp = || (0..48).map(|i| i as f32).collect::<Vec<f32>>();
        let mut mixed = ramp();
        assert_eq!(Pairing::Blend { share: 0.75 }.mix(&mut mixed, 16, [4, 4]), 0.75);
        assert_eq!(
            [mixed[0], mixed[15], mixed[16], mixed[31], mixed[32], mixed[47]],
            [8.0, 23.0, 16.0, 31.0, 24.0, 39.0]
        );
        let mut mixed = ramp();
        let cut = window(0.6, [0.8, 0.1], [4, 4]);
        assert_eq!(cut, Window { top: 2, left: 0, height: 2, width: 1 });
        assert_eq!(Pairing::Paste(cut).mix(&mut mixed, 16, [4, 4]), 0.875);
        assert_eq!([mixed[8], mixed[9], mixed[12], mixed[32 + 8], mixed[16 + 8]], [40.0, 9.0, 44.0, 8.0, 24.0]);
    }

    #[test]
    fn batches_switch_between_the_two() {
        let both = Augment { mixup: Some(Mixup::default()), cutmix: Some(CutMix::default()), ..Augment::default() };
        let drawn: Vec<_> = (0..2000).map(|first| both.pairing(1, 2, first, [32, 32]).unwrap()).collect();
        let blends = drawn.iter().filter(|pairing| matches!(pairing, Pairing::Blend { .. })).count();
        assert!((900..1100).contains(&blends), "{blends}");
        let half = Augment { mixup: Some(Mixup { p: 0.5, ..Mixup::default() }), ..Augment::default() };
        let mixed = (0..2000).filter(|&first| half.pairing(1, 2, first, [32, 32]).is_some()).count();
        assert!((900..1100).contains(&mixed), "{mixed}");
        assert_eq!(Augment::default().pairing(1, 2, 3, [32, 32]), None);
        // Beta(1, 1) is uniform: the mean area of an uncut rectangle is half of the image, of one cut off less.
        let only = Augment { cutmix: Some(CutMix::default()), ..Augment::default() };
        let area = |first| match only.pairing(1, 2, first, [32, 32]) {
            Some(Pairing::Paste(window)) => (window.height * window.width) as f64 / 1024.0,
            other => panic!("{other:?}"),
        };
        let mean = (0..4000).map(area).sum::<f64>() / 4000.0;
        assert!((0.26..0.34).contains(&mean), "{mean}");
    }
}
