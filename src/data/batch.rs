//! From images to normalised float batches: shuffling, augmentation and normalisation in one pass over a batch.

use std::ops::Range;

use super::augment::{Augment, ResizedCrop, View};
use super::workers::{share, threads};
use super::{DataError, Images, Normalise};
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

/// The shuffled order of the `n` images in an epoch.
pub fn order(n: usize, seed: u64, epoch: u64) -> Vec<u32> {
    random::permutation(random::key(seed, "shuffle", &[epoch]), n)
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
        self.shape[0] = 0;
    }

    /// Fills the batch with `images[indices]`, augmented and normalised. What is done to an image depends on (seed,
    /// epoch, its index) alone: not on the batch it is in, nor on how many threads there are.
    ///
    /// # Errors
    /// An image file that cannot be decoded; the batch is then of no use.
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
    ) -> Result<(), DataError> {
        let views = indices.iter().map(|&i| (i as usize, augment.view(seed, epoch, i)));
        let threads = if images.are_files() || augment.is_heavy() { threads() } else { 1 };
        self.fill(images, norm, views, threads)
    }

    /// Fills the batch with the images in `range` as far as there are so many, normalised only.
    ///
    /// # Errors
    /// An image file that cannot be decoded; the batch is then of no use.
    pub fn fill_eval(&mut self, images: &Images, range: Range<usize>, norm: &Normalise) -> Result<(), DataError> {
        let end = range.end.min(images.len());
        let views = (range.start.min(end)..end).map(|i| (i, View::WHOLE));
        self.fill(images, norm, views, if images.are_files() { threads() } else { 1 })
    }

    /// Fills the batch with views of images, on at most `threads` threads.
    pub(super) fn fill(
        &mut self,
        images: &Images,
        norm: &Normalise,
        views: impl ExactSizeIterator<Item = (usize, View)> + Clone + Send,
        threads: usize,
    ) -> Result<(), DataError> {
        let [channels, height, width] = images.shape;
        let tables: Vec<_> = (0..channels).map(|c| norm.table(c)).collect();
        let (count, plane) = (views.len(), height * width);
        self.shape = [count, channels, height, width];
        self.labels.clear();
        self.labels.extend(views.clone().map(|(i, _)| i64::from(images.labels[i])));
        self.pixels.resize(count * channels * plane, 0.0);

        let outputs = self.pixels.chunks_exact_mut((channels * plane).max(1));
        share(threads.min(count), views.zip(outputs), |((i, view), out)| {
            let pixels = match view.resized_crop {
                None => images.image(i)?,
                Some(key) => images.part(i, |size| ResizedCrop::window(key, size))?.into(),
            };
            let planes = pixels.chunks_exact(plane).zip(out.chunks_exact_mut(plane));
            planes.zip(&tables).for_each(|((source, out), table)| view.copy(source, out, width, table));
            Ok(())
        })
    }
}

#[cfg(test)]
#[path = "batch_tests.rs"]
mod tests;
