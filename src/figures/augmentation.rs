//! Training images as they are augmented: a row an image, first as it is, then as eight epochs see it.

use super::svg::{FAINT, Font, card, fit, n, text};
use crate::data::{Augment, Batch, DataError, Images, Normalise, eval_batch};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use image::{ExtendedColorType, ImageEncoder, codecs::png::PngEncoder};
use std::fmt::Write;

/// Images, and draws of each.
const COUNT: usize = 8;
/// Pixels between two images.
const GAP: usize = 2;
/// A small image is shown at least this large.
const SHOWN: usize = 64;
const MARGIN: f64 = 30.0;
const TOP: f64 = 100.0;

/// A picture in RGB, with white gaps between the images.
pub struct AugmentationGrid {
    width: usize,
    height: usize,
    rgb: Vec<u8>,
    /// Pixels that a pixel is shown as.
    scale: usize,
}

impl AugmentationGrid {
    /// The first eight of `images`, as they are and in the epochs 1 to 8 of a run with this seed. They are one batch, of which
    /// mixup and CutMix pair the first image with the last.
    ///
    /// # Errors
    /// An image file that cannot be decoded.
    pub fn new(
        images: &Images,
        normalise: &Normalise,
        augment: &Augment,
        seed: u64,
    ) -> Result<AugmentationGrid, DataError> {
        let count = images.len().min(COUNT);
        let indices: Vec<u32> = (0..count as u32).collect();
        let [_, tall, wide] = images.shape;
        let (width, height) = ((COUNT + 1) * (wide + GAP) + GAP, count * (tall + GAP) + GAP);
        let scale = SHOWN.div_ceil(tall.max(wide)).max(1);
        let mut grid = AugmentationGrid { width, height, rgb: vec![255; 3 * width * height], scale };
        grid.column(0, &eval_batch(images, 0..count, normalise)?, normalise);
        let mut batch = Batch::default();
        for epoch in 0..COUNT {
            batch.fill_train(images, &indices, normalise, augment, seed, epoch as u64)?;
            grid.column(epoch + 1, &batch, normalise);
        }
        Ok(grid)
    }

    /// Copies the images of a batch below each other; one or two channels become grey.
    fn column(&mut self, column: usize, batch: &Batch, normalise: &Normalise) {
        let [count, channels, tall, wide] = batch.shape;
        let value = |list: &[f32], c: usize, otherwise| *list.get(c).or(list.last()).unwrap_or(&otherwise);
        for (i, y, x) in (0..count).flat_map(|i| (0..tall).flat_map(move |y| (0..wide).map(move |x| (i, y, x)))) {
            let at = (GAP + i * (tall + GAP) + y) * self.width + GAP + column * (wide + GAP) + x;
            for (c, out) in self.rgb[3 * at..3 * at + 3].iter_mut().enumerate() {
                let channel = if channels < 3 { 0 } else { c };
                let pixel = batch.pixels[((i * channels + channel) * tall + y) * wide + x];
                let byte = pixel * value(&normalise.std, channel, 1.0) + value(&normalise.mean, channel, 0.0);
                *out = (byte * 255.0).round() as u8;
            }
        }
    }

    /// The picture as a PNG, enlarged where images are small.
    pub fn png(&self) -> Vec<u8> {
        self.encode(self.scale)
    }

    fn encode(&self, scale: usize) -> Vec<u8> {
        let mut pixels = Vec::with_capacity(self.rgb.len() * scale * scale);
        for row in self.rgb.chunks_exact(3 * self.width) {
            let wide: Vec<u8> = row.chunks_exact(3).flat_map(|pixel| pixel.repeat(scale)).collect();
            (0..scale).for_each(|_| pixels.extend_from_slice(&wide));
        }
        let (width, height) = ((self.width * scale) as u32, (self.height * scale) as u32);
        let mut png = Vec::new();
        PngEncoder::new(&mut png)
            .write_image(&pixels, width, height, ExtendedColorType::Rgb8)
            .unwrap_or_else(|error| panic!("a PNG in memory has the bytes that its size says: {error}"));
        png
    }

    /// The picture on a card with a title; `keys` are the augmentations, in words.
    pub fn svg(&self, title: &str, keys: &str) -> String {
        let [width, height] = [self.width, self.height].map(|side| (side * self.scale) as f64);
        let size = [width + 2.0 * MARGIN, TOP + height + MARGIN];
        let mut svg = card(title, size);
        text(&mut svg, [MARGIN, 38.0], &fit(title, 23.0, true, width), Font::new(23.0).bold(), false);
        text(&mut svg, [MARGIN, 64.0], &fit(keys, 15.0, false, width), Font::new(15.0).colour(FAINT), false);
        let labels = Font::new(13.0).colour(FAINT);
        for column in 0..=COUNT {
            let left = (GAP + column * (self.width - GAP) / (COUNT + 1)) * self.scale;
            let label = if column == 0 { "image".to_owned() } else { format!("epoch {column}") };
            text(&mut svg, [MARGIN + left as f64, TOP - 8.0], &label, labels, false);
        }
        let _ = writeln!(
            svg,
            "<image x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" image-rendering=\"pixelated\" \
             href=\"data:image/png;base64,{}\"/>\n</svg>",
            n(MARGIN),
            n(TOP),
            n(width),
            n(height),
            STANDARD.encode(self.encode(1))
        );
        svg
    }
}
