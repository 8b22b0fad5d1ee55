//! Bilinear resampling of 8-bit images. When an image shrinks, the triangle widens with the scale (antialias), as in
//! Pillow and torchvision, so that a shrunken image is an average and not a sample of its pixels.

/// The pixels top..top + height, left..left + width of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Window {
    pub top: usize,
    pub left: usize,
    pub height: usize,
    pub width: usize,
}

/// For each output coordinate of an axis the source pixels that it averages: `weights[i * reach..][k]` belongs to pixel
/// `first[i] + k`. Where an output needs fewer pixels than `reach`, the rest have weight 0.
struct Taps {
    reach: usize,
    first: Vec<usize>,
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
        let mut taps = Taps { reach, first: Vec::with_capacity(output), weights: vec![0.0; output * reach] };
        for (i, weights) in taps.weights.chunks_exact_mut(reach).enumerate() {
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
            taps.first.push(from);
        }
        taps
    }

    /// Resamples a window of the source. Nothing outside of it is read, as if it had been cut out before.
    fn windowed(length: usize, offset: usize, output: usize) -> Taps {
        let mut taps = Taps::new(length, output, 0.0, length as f64 / output as f64);
        taps.first.iter_mut().for_each(|first| *first += offset);
        taps
    }

    fn iter(&self) -> impl Iterator<Item = (usize, &[f32])> {
        self.first.iter().copied().zip(self.weights.chunks_exact(self.reach))
    }

    /// The source pixels that some output needs.
    fn start_and_end(&self) -> (usize, usize) {
        let (first, last) = (self.first.iter().min(), self.first.iter().max());
        (first.copied().unwrap_or(0), last.map_or(0, |last| last + self.reach))
    }
}

/// A map from images of one size to images of another.
pub(super) struct Resampler {
    width: usize,
    rows: Taps,
    columns: Taps,
}

/// Lanes of the inner loop: a power of two, which the compiler turns into one vector register.
const LANES: usize = 4;

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

    /// Resamples an image whose pixels are `N` interleaved bytes (1 to 4: a plane, or RGB), adding its `N` planes to
    /// `output`. `scratch` is reused between calls.
    pub(super) fn apply<const N: usize>(&self, source: &[u8], output: &mut Vec<u8>, scratch: &mut Vec<f32>) {
        let (wide, tall) = (self.columns.first.len(), self.rows.first.len());
        // Only what an output pixel uses: a crop skips the rest.
        let (top, bottom) = self.rows.start_and_end();
        let (left, right) = self.columns.start_and_end();
        // A row as floats, with room for the last pixel's unused lanes.
        let mut line = vec![0f32; (right - left) * N + LANES];
        scratch.clear();
        scratch.reserve((bottom - top) * wide * N);
        for row in source.chunks_exact((self.width * N).max(1)).take(bottom).skip(top) {
            line.iter_mut().zip(&row[left * N..right * N]).for_each(|(f, &p)| *f = f32::from(p));
            for (first, weights) in self.columns.iter() {
                let mut sums = [0f32; LANES];
                let mut pixels = &line[(first - left) * N..];
                for &w in weights {
                    let Some((pixel, _)) = pixels.split_first_chunk::<LANES>() else { break };
                    sums.iter_mut().zip(pixel).for_each(|(sum, p)| *sum += w * p);
                    pixels = &pixels[N..];
                }
                scratch.extend_from_slice(&sums[..N]);
            }
        }
        let start = output.len();
        output.resize(start + N * tall * wide, 0);
        let planes = &mut output[start..];
        let mut sums = vec![0f32; wide * N];
        for (y, (first, weights)) in self.rows.iter().enumerate() {
            sums.fill(0.5);
            for (w, row) in weights.iter().zip(scratch[(first - top) * wide * N..].chunks_exact((wide * N).max(1))) {
                sums.iter_mut().zip(row).for_each(|(s, p)| *s += w * p);
            }
            for c in 0..N {
                let out = planes[(c * tall + y) * wide..].iter_mut().take(wide);
                // 0.5 was added: `as` truncates and saturates.
                out.zip(sums.iter().skip(c).step_by(N)).for_each(|(out, &sum)| *out = sum as u8);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resample(map: &Resampler, source: &[u8]) -> Vec<u8> {
        let mut output = Vec::new();
        map.apply::<1>(source, &mut output, &mut Vec::new());
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

    #[test]
    fn interleaved_equals_plane_by_plane() {
        let planes: Vec<Vec<u8>> = (0..3).map(|c| (0..99).map(|i| (i * 29 + c * 71) as u8).collect()).collect();
        let rgb: Vec<u8> = (0..99).flat_map(|i| [planes[0][i], planes[1][i], planes[2][i]]).collect();
        for map in [Resampler::stretch([9, 11], [4, 5]), Resampler::centre([9, 11], [20, 16], 0.875)] {
            let mut output = Vec::new();
            map.apply::<3>(&rgb, &mut output, &mut Vec::new());
            assert_eq!(output, planes.iter().flat_map(|plane| resample(&map, plane)).collect::<Vec<_>>());
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
