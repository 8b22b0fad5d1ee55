//! Bilinear resampling of 8-bit images. When an image shrinks, the triangle widens with the scale (antialias), as in
//! Pillow and torchvision, so that a shrunken image is an average and not a sample of its pixels.

use crate::torch::pictures;

/// The pixels top..top + height, left..left + width of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Window {
    pub top: usize,
    pub left: usize,
    pub height: usize,
    pub width: usize,
}

/// For each output coordinate of an axis the source pixels that it averages: `weights[i * reach..][k]` belongs to pixel
/// `start + first[i] + k`. Where an output needs fewer pixels than `reach`, the rest have weight 0.
struct Taps {
    start: usize,
    first: Vec<i64>,
    reach: usize,
    weights: Vec<f32>,
}

impl Taps {
    /// Output coordinate `i` is at source position `start + (i + 0.5) * scale` of `source` pixels.
    fn new(source: usize, output: usize, start: f64, scale: f64) -> Taps {
        let radius = scale.max(1.0);
        let last = source.saturating_sub(1);
        let ends = |i: usize| {
            let centre = start + (i as f64 + 0.5) * scale;
            let first = ((centre - radius + 0.5).max(0.0) as usize).min(last);
            (centre, first, ((centre + radius + 0.5).max(0.0) as usize).clamp(first + 1, last + 1))
        };
        let reach = (0..output).map(ends).map(|(_, first, end)| end - first).max().unwrap_or(1);
        let (mut firsts, mut weights) = (Vec::with_capacity(output), vec![0.0; output * reach]);
        for (i, weights) in weights.chunks_exact_mut(reach).enumerate() {
            let (centre, first, end) = ends(i);
            let weight = |p: usize| (1.0 - ((p as f64 + 0.5 - centre) / radius).abs()).max(0.0);
            let total: f64 = (first..end).map(weight).sum();
            // All `reach` pixels must exist, those of weight 0 too: near the end the first moves down.
            let from = first.min(source.saturating_sub(reach));
            if total > 0.0 {
                (first..end).for_each(|p| weights[p - from] = (weight(p) / total) as f32);
            } else {
                weights[first - from] = 1.0;
            }
            firsts.push(from);
        }
        let start = firsts.iter().copied().min().unwrap_or(0);
        Taps { start, first: firsts.iter().map(|first| (first - start) as i64).collect(), reach, weights }
    }

    /// Resamples a window of the source. Nothing outside of it is read, as if it had been cut out before.
    fn windowed(length: usize, offset: usize, output: usize) -> Taps {
        let mut taps = Taps::new(length, output, 0.0, length as f64 / output as f64);
        taps.start += offset;
        taps
    }

    /// How many source pixels, from `start` on, some output needs.
    fn length(&self) -> usize {
        self.first.iter().max().map_or(0, |&last| last as usize + self.reach)
    }

    fn raw(&self) -> pictures::Taps<'_> {
        pictures::Taps { first: &self.first, weights: &self.weights, reach: self.reach }
    }
}

/// A map from images of one size to images of another.
pub(super) struct Resampler {
    width: usize,
    rows: Taps,
    columns: Taps,
}

impl Resampler {
    /// The whole image, stretched. Sizes are [height, width].
    pub(super) fn stretch(from: [usize; 2], to: [usize; 2]) -> Resampler {
        Resampler::window(from, Window { top: 0, left: 0, height: from[0], width: from[1] }, to)
    }

    /// The part `window` of an image of size `from`, stretched to size `to`.
    pub(super) fn window(from: [usize; 2], window: Window, to: [usize; 2]) -> Resampler {
        let rows = Taps::windowed(window.height, window.top, to[0]);
        Resampler { width: from[1], rows, columns: Taps::windowed(window.width, window.left, to[1]) }
    }

    /// A centre crop of size `to` of the image resized, aspect kept, until the crop takes `keep` of its shorter side:
    /// torchvision's `Resize(224 / keep)` and `CenterCrop(224)`, its rounding included, in one pass.
    pub(super) fn centre(from: [usize; 2], to: [usize; 2], keep: f64) -> Resampler {
        let wanted = |i: usize| (to[i] as f64 / keep).round();
        let grow = f64::max(wanted(0) / from[0] as f64, wanted(1) / from[1] as f64);
        let axis = |i: usize| {
            let resized = (from[i] as f64 * grow + 1e-6).floor().max(to[i] as f64);
            let scale = from[i] as f64 / resized;
            let margin = ((resized - to[i] as f64) / 2.0).round_ties_even();
            Taps::new(from[i], to[i], margin * scale, scale)
        };
        Resampler { width: from[1], rows: axis(0), columns: axis(1) }
    }

    /// The part of the image that the output depends on.
    pub(super) fn source(&self) -> Window {
        let [height, width] = [&self.rows, &self.columns].map(Taps::length);
        Window { top: self.rows.start, left: self.columns.start, height, width }
    }

    /// Resamples a plane of the image, adding it to `output`. `room` is reused between calls.
    pub(super) fn apply(&self, plane: &[u8], output: &mut Vec<u8>, room: &mut Vec<f32>) {
        let Window { top, left, .. } = self.source();
        self.apply_rows(plane.get(top * self.width + left..).unwrap_or_default(), self.width, output, room);
    }

    /// Resamples a plane that begins with [`Resampler::source`], its rows `distance` apart, adding it to `output`.
    pub(super) fn apply_rows(&self, plane: &[u8], distance: usize, output: &mut Vec<u8>, room: &mut Vec<f32>) {
        let start = output.len();
        output.resize(start + self.rows.first.len() * self.columns.first.len(), 0);
        let (width, height) = (self.columns.length(), self.rows.length());
        let plane = &plane[..(height - 1) * distance + width];
        pictures::resample(plane, width, distance, self.rows.raw(), self.columns.raw(), &mut output[start..], room);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resample(map: &Resampler, source: &[u8]) -> Vec<u8> {
        let mut output = Vec::new();
        map.apply(source, &mut output, &mut Vec::new());
        output
    }

    #[test]
    fn same_size_is_the_identity() {
        let source: Vec<u8> = (0..=255).collect();
        assert_eq!(resample(&Resampler::stretch([16, 16], [16, 16]), &source), source);
    }

    #[test]
    fn shrinking_averages_and_growing_interpolates() {
        let stripes: Vec<u8> = (0..64).map(|i| if i % 2 == 0 { 0 } else { 200 }).collect();
        let small = resample(&Resampler::stretch([8, 8], [2, 2]), &stripes);
        assert!(small.iter().all(|p| (90..=110).contains(p)), "stripes must become grey, not vanish: {small:?}");
        assert_eq!(resample(&Resampler::stretch([1, 2], [1, 4]), &[0, 100]), [0, 25, 75, 100]);
    }

    #[test]
    fn the_centre_crop_is_centred() {
        // 1x6 with its middle two bright: a 2x2 crop of the 2x6 image sees only them.
        let source = [0, 0, 9, 9, 0, 0, 0, 0, 9, 9, 0, 0];
        assert_eq!(resample(&Resampler::centre([2, 6], [2, 2], 1.0), &source), [9, 9, 9, 9]);
    }

    #[test]
    fn a_window_is_as_if_cut_out_before() {
        let source: Vec<u8> = (0..70).map(|i| (i * 37 % 256) as u8).collect();
        let window = Window { top: 2, left: 3, height: 4, width: 6 };
        let cut: Vec<u8> = source.chunks(10).skip(2).take(4).flat_map(|row| row[3..9].to_vec()).collect();
        for to in [[4, 6], [2, 3], [9, 5]] {
            let whole = resample(&Resampler::window([7, 10], window, to), &source);
            assert_eq!(whole, resample(&Resampler::stretch([4, 6], to), &cut));
        }
    }

    /// Runs that were trained on resized images depend on every bit of this.
    #[test]
    fn the_bits_are_those_of_plain_loops() {
        for (from, to) in
            [([9, 11], [4, 5]), ([37, 300], [30, 41]), ([20, 16], [33, 50]), ([1, 3], [1, 1]), ([100, 8], [8, 8])]
        {
            let source: Vec<u8> = (0..from[0] * from[1]).map(|i| (i * i * 31 + i * 7) as u8).collect();
            for map in [Resampler::stretch(from, to), Resampler::centre(from, to, 0.875)] {
                let mean = |taps: &Taps, i: usize, zero: f32, at: &dyn Fn(usize) -> f32| {
                    let weights = taps.weights[i * taps.reach..][..taps.reach].iter();
                    weights.zip(taps.start + taps.first[i] as usize..).fold(zero, |sum, (w, p)| sum + w * at(p))
                };
                let line = |y: usize, x: usize| mean(&map.columns, x, 0.0, &|p| f32::from(source[y * from[1] + p]));
                let pixel = |y: usize, x: usize| mean(&map.rows, y, 0.5, &|p| line(p, x)) as u8;
                let plain: Vec<u8> =
                    (0..to[0]).flat_map(|y| (0..to[1]).map(move |x| (y, x))).map(|(y, x)| pixel(y, x)).collect();
                assert_eq!(resample(&map, &source), plain, "{from:?} {to:?}");
            }
        }
    }

    #[test]
    fn extreme_sizes_work() {
        for (from, to) in [([1, 1], [5, 7]), ([1, 900], [64, 64]), ([300, 1], [1, 1]), ([3, 2], [224, 224])] {
            for keep in [1.0, 0.875] {
                let out = resample(&Resampler::centre(from, to, keep), &vec![77; from[0] * from[1]]);
                assert_eq!(out, vec![77; to[0] * to[1]], "{from:?} {to:?}");
            }
        }
    }
}
