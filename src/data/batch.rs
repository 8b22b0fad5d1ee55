//! From images to normalised float batches: shuffling, augmentation and normalisation in one pass over a batch.

use std::ops::Range;

use super::augment::{Augment, Pairing, ResizedCrop, View};
use super::{DataError, Images, Normalise};
use crate::random;
use crate::ranks::Ranks;
use crate::workers::{share, threads};

/// Images ready for the network. Reuse one from step to step: filling it allocates only when it must grow.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Batch {
    /// N·C·H·W normalised values.
    pub pixels: Vec<f32>,
    /// N, C, H, W.
    pub shape: [usize; 4],
    pub labels: Vec<i64>,
    /// Images of the whole batch, of which these are the part of one rank; N where there is one rank.
    pub whole: usize,
    /// Where the images are mixed in pairs: the labels are those with the larger share.
    pub mixed: Option<Mixed>,
}

/// What else the images of a batch show, by mixup or CutMix.
#[derive(Debug, Clone, PartialEq)]
pub struct Mixed {
    /// The label of each image's partner.
    pub labels: Vec<i64>,
    /// The part of the batch's own labels, from 0.5 to 1.
    pub share: f64,
}

/// The shuffled order of the `n` images in an epoch.
pub fn order(n: usize, seed: u64, epoch: u64) -> Vec<u32> {
    random::permutation(random::key(seed, "shuffle", &[epoch]), n)
}

/// The part of a batch that is a rank's: every image is one rank's. In pairs, image i stays with its partner, image n - 1 - i, so
/// that images are mixed as on one rank.
pub fn part_of(whole: &[u32], ranks: &Ranks, in_pairs: bool) -> Vec<u32> {
    let n = whole.len();
    if !in_pairs {
        return whole[ranks.part_of(n)].to_vec();
    }
    let pairs = ranks.part_of(n.div_ceil(2));
    // In the middle of an odd batch is an image that is its own partner.
    let partners = pairs.clone().rev().filter(|&i| n - 1 - i != i).map(|i| n - 1 - i);
    pairs.clone().chain(partners).map(|i| whole[i]).collect()
}

/// A new batch of `images[indices]`, augmented and normalised: see [`Batch::fill_train`].
///
/// # Errors
/// As [`Batch::fill_train`].
#[cfg(test)]
pub(crate) fn train_batch(
    images: &Images,
    indices: &[u32],
    norm: &Normalise,
    augment: &Augment,
    seed: u64,
    epoch: u64,
) -> Result<Batch, DataError> {
    let mut batch = Batch::default();
    batch.fill_train(images, indices, norm, augment, seed, epoch)?;
    Ok(batch)
}

/// A new batch of the images in `range`, normalised only: see [`Batch::fill_eval`].
///
/// # Errors
/// As [`Batch::fill_eval`].
pub fn eval_batch(images: &Images, range: Range<usize>, norm: &Normalise) -> Result<Batch, DataError> {
    let mut batch = Batch::default();
    batch.fill_eval(images, range, norm)?;
    Ok(batch)
}

impl Batch {
    /// Empties the batch, keeping its memory.
    pub fn clear(&mut self) {
        self.pixels.clear();
        self.labels.clear();
        self.mixed = None;
        self.whole = 0;
        self.shape[0] = 0;
    }

    /// Fills the batch with `images[indices]`, augmented and normalised; an index beyond the last image is a further copy
    /// of one (`repeats`). What is done to an image depends on (seed,
    /// epoch, its index) alone: not on the batch it is in, nor on how many threads there are.
    ///
    /// # Errors
    /// An image file that cannot be decoded; the batch is then of no use.
    pub fn fill_train(
        &mut self,
        images: &Images,
        indices: &[u32],
        norm: &Normalise,
        augment: &Augment,
        seed: u64,
        epoch: u64,
    ) -> Result<(), DataError> {
        self.fill_part(images, (indices, indices), norm, augment, seed, epoch)
    }

    /// As [`Batch::fill_train`] for the images `part` of a batch `whole`, which decides how images are mixed.
    ///
    /// # Errors
    /// As [`Batch::fill_train`].
    pub fn fill_part(
        &mut self,
        images: &Images,
        (whole, part): (&[u32], &[u32]),
        norm: &Normalise,
        augment: &Augment,
        seed: u64,
        epoch: u64,
    ) -> Result<(), DataError> {
        let size = [images.shape[1], images.shape[2]];
        let view = |i: usize| augment.view(seed, epoch, i as u32, size);
        let threads = if images.are_files() || augment.is_heavy() { threads() } else { 1 };
        self.fill(images, norm, part.iter().map(|&i| i as usize), view, threads)?;
        self.whole = whole.len();
        if augment.mixes() && !part.is_empty() {
            let [_, channels, height, width] = self.shape;
            let first = whole.first().copied().unwrap_or_default();
            let pairing = augment.pairing(seed, epoch, first, [height, width]);
            self.mix(pairing, channels * height * width);
        }
        Ok(())
    }

    /// Mixes the images in pairs. A batch that is not mixed has the share 1, so that all targets of a run have one shape.
    fn mix(&mut self, pairing: Option<Pairing>, image: usize) {
        let [.., height, width] = self.shape;
        let share = pairing.map_or(1.0, |pairing| pairing.mix(&mut self.pixels, image, [height, width]));
        let mut partners: Vec<i64> = self.labels.iter().rev().copied().collect();
        if share < 0.5 {
            std::mem::swap(&mut self.labels, &mut partners);
        }
        self.mixed = Some(Mixed { labels: partners, share: share.max(1.0 - share) });
    }

    /// Fills the batch with the images in `range` up to as many as there are, normalised only.
    ///
    /// # Errors
    /// An image file that cannot be decoded; the batch is then of no use.
    pub fn fill_eval(&mut self, images: &Images, range: Range<usize>, norm: &Normalise) -> Result<(), DataError> {
        let end = range.end.min(images.len());
        let view = |_| View::whole([images.shape[1], images.shape[2]]);
        self.fill(images, norm, range.start.min(end)..end, view, if images.are_files() { threads() } else { 1 })
    }

    /// Fills the batch with views of images, on at most `threads` threads.
    pub(super) fn fill(
        &mut self,
        images: &Images,
        norm: &Normalise,
        indices: impl ExactSizeIterator<Item = usize> + Clone + Send,
        view: impl Fn(usize) -> View + Sync,
        threads: usize,
    ) -> Result<(), DataError> {
        let [channels, height, width] = images.shape;
        let tables: Vec<_> = (0..channels).map(|c| norm.table(c)).collect();
        let std: Vec<f32> = (0..channels).map(|c| norm.std_of(c)).collect();
        let (count, plane) = (indices.len(), height * width);
        self.shape = [count, channels, height, width];
        (self.whole, self.mixed) = (count, None);
        self.labels.clear();
        self.labels.extend(indices.clone().map(|i| i64::from(images.labels[i % images.len()])));
        self.pixels.resize(count * channels * plane, 0.0);

        let outputs = self.pixels.chunks_exact_mut((channels * plane).max(1));
        share(threads.min(count), indices.zip(outputs), |(i, out)| {
            let (view, i) = (view(i), i % images.len());
            let pixels = match view.resized_crop {
                None => images.image(i)?,
                Some(key) => images.window(i, |size| ResizedCrop::window(key, size))?.into(),
            };
            view.draw(&pixels, out, &tables, &std);
            Ok(())
        })
    }
}

#[cfg(test)]
#[path = "batch_tests.rs"]
mod tests;
