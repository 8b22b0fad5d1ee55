//! From bytes to normalised float batches: shuffling, padding-crop, flip and normalisation in one pass over a batch.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::Images;
use crate::random;

/// Images ready for the network. Reuse one from step to step: filling it allocates only when it must grow.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Batch {
    /// N·C·H·W normalised values.
    pub pixels: Vec<f32>,
    /// N, C, H, W.
    pub shape: [usize; 4],
    pub labels: Vec<i64>,
}

/// What is done at random to training images.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Augment {
    /// Zero pixels added on each side before a random crop of the original size; 0 is off. The padding is a zero
    /// pixel *before* normalisation, as torchvision's `RandomCrop(padding)` on an image has it: black, not mean grey.
    pub crop: usize,
    /// Mirrors left and right with probability one half.
    pub flip: bool,
    /// A window of 8 to 100 % of the area, 3:4 to 4:3 in shape, resized to the input (GoogLeNet, section 6). For datasets
    /// of image files, which are decoded as they are needed.
    #[serde(skip_serializing_if = "is_off")]
    pub resized_crop: bool,
}

fn is_off(flag: &bool) -> bool {
    !*flag
}

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
    pub fn of(images: &Images) -> Normalise {
        let [channels, height, width] = images.shape;
        let mut counts = vec![[0u64; 256]; channels];
        for (plane, pixels) in images.pixels.chunks_exact((height * width).max(1)).enumerate() {
            pixels.iter().for_each(|&p| counts[plane % channels][usize::from(p)] += 1);
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
        norm
    }

    /// The normalised value of each byte in channel `c`.
    pub fn table(&self, c: usize) -> [f32; 256] {
        let entry = |values: &[f32], otherwise| *values.get(c).or(values.last()).unwrap_or(&otherwise);
        let (mean, std) = (entry(&self.mean, 0.0), entry(&self.std, 1.0));
        std::array::from_fn(|p| (p as f32 / 255.0 - mean) / std)
    }
}

/// The shuffled order of the `n` images in an epoch.
pub fn order(n: usize, seed: u64, epoch: u64) -> Vec<u32> {
    random::permutation(random::key(seed, "shuffle", &[epoch]), n)
}

/// A new batch of `images[indices]`, augmented and normalised: see [`Batch::fill_train`].
pub fn train_batch(
    images: &Images,
    indices: &[u32],
    norm: &Normalise,
    augment: &Augment,
    seed: u64,
    epoch: u64,
) -> Batch {
    let mut batch = Batch::default();
    batch.fill_train(images, indices, norm, augment, seed, epoch);
    batch
}

/// A new batch of the images in `range`, normalised only: see [`Batch::fill_eval`].
pub fn eval_batch(images: &Images, range: Range<usize>, norm: &Normalise) -> Batch {
    let mut batch = Batch::default();
    batch.fill_eval(images, range, norm);
    batch
}

/// Where the window of one image lies in it (its corner may be outside) and whether it is mirrored.
#[derive(Clone, Copy)]
struct View {
    down: isize,
    right: isize,
    flip: bool,
}

impl View {
    const WHOLE: View = View { down: 0, right: 0, flip: false };

    fn random(augment: &Augment, seed: u64, epoch: u64, index: u32) -> View {
        let key = random::key(seed, "augment", &[epoch, u64::from(index)]);
        let pad = augment.crop.min(1 << 16) as u64; // wider than any image: no sum can overflow
        // 2 pad + 1 offsets: the last one, where the window ends with the padding, is one of them.
        let offset = |draw| random::below(key, draw, 2 * pad + 1) as isize - pad as isize;
        View { down: offset(0), right: offset(1), flip: augment.flip && random::word(key, 2) >> 63 == 1 }
    }
}

impl Batch {
    /// Empties the batch, keeping its memory.
    pub fn clear(&mut self) {
        self.pixels.clear();
        self.labels.clear();
        self.shape[0] = 0;
    }

    /// Fills the batch with `images[indices]`, augmented and normalised. Crop and flip of an image depend on (seed,
    /// epoch, its index) alone, not on the batch it is in.
    ///
    /// # Panics
    /// When an index is not below `images.len()`.
    pub fn fill_train(
        &mut self,
        images: &Images,
        indices: &[u32],
        norm: &Normalise,
        augment: &Augment,
        seed: u64,
        epoch: u64,
    ) {
        let views = indices.iter().map(|&i| (i as usize, View::random(augment, seed, epoch, i)));
        self.fill(images, norm, views);
    }

    /// Fills the batch with the images in `range` as far as there are so many, normalised only.
    pub fn fill_eval(&mut self, images: &Images, range: Range<usize>, norm: &Normalise) {
        let end = range.end.min(images.len());
        self.fill(images, norm, (range.start.min(end)..end).map(|i| (i, View::WHOLE)));
    }

    fn fill(&mut self, images: &Images, norm: &Normalise, views: impl ExactSizeIterator<Item = (usize, View)>) {
        let [channels, height, width] = images.shape;
        let tables: Vec<_> = (0..channels).map(|c| norm.table(c)).collect();
        let (count, plane) = (views.len(), height * width);
        self.shape = [count, channels, height, width];
        self.labels.clear();
        self.pixels.resize(count * channels * plane, 0.0);
        let size = (channels * plane).max(1);
        for ((i, view), out) in views.zip(self.pixels.chunks_exact_mut(size)) {
            self.labels.push(i64::from(images.labels[i]));
            let planes = images.image(i).chunks_exact(plane);
            for ((source, out), table) in planes.zip(out.chunks_exact_mut(plane)).zip(&tables) {
                copy_view(source, out, width, table, view);
            }
        }
    }
}

/// Writes the window `view` of one plane through the table; outside of the plane lies the pixel 0.
fn copy_view(source: &[u8], out: &mut [f32], width: usize, table: &[f32; 256], view: View) {
    let height = source.len() / width;
    // Output columns left..right show source columns from..from + right - left.
    let left = (-view.right).clamp(0, width as isize) as usize;
    let right = (width as isize - view.right).clamp(left as isize, width as isize) as usize;
    let from = (left as isize + view.right).max(0) as usize;
    for (y, row) in out.chunks_exact_mut(width).enumerate() {
        let inside = y.checked_add_signed(view.down).filter(|&y| y < height && left < right);
        let Some(source_y) = inside else {
            row.fill(table[0]);
            continue;
        };
        let start = source_y * width + from;
        let pixels = source[start..start + right - left].iter();
        row[..left].fill(table[0]);
        row[left..right].iter_mut().zip(pixels).for_each(|(o, &p)| *o = table[usize::from(p)]);
        row[right..].fill(table[0]);
        if view.flip {
            row.reverse();
        }
    }
}

#[cfg(test)]
#[path = "batch_tests.rs"]
mod tests;
