//! Bilinear resampling of 8-bit planes. When an image shrinks, the triangle widens with the scale (antialias), as in
//! Pillow and torchvision, so that a shrunken image is an average and not a sample of its pixels.

/// The source pixels that one output coordinate averages: `weights[i]` belongs to pixel `first + i`.
struct Taps {
    first: usize,
    weights: Vec<f32>,
}

/// Output coordinate `i` lies at source position `start + (i + 0.5) * scale`.
fn taps(source: usize, output: usize, start: f64, scale: f64) -> Vec<Taps> {
    let reach = scale.max(1.0);
    let tap = |i: usize| {
        let centre = start + (i as f64 + 0.5) * scale;
        let last = source.saturating_sub(1);
        let first = ((centre - reach + 0.5).max(0.0) as usize).min(last);
        let end = ((centre + reach + 0.5).max(0.0) as usize).clamp(first + 1, last + 1);
        let weight = |p: usize| (1.0 - ((p as f64 + 0.5 - centre) / reach).abs()).max(0.0);
        let total: f64 = (first..end).map(weight).sum();
        match total > 0.0 {
            true => Taps { first, weights: (first..end).map(|p| (weight(p) / total) as f32).collect() },
            false => Taps { first, weights: vec![1.0] },
        }
    };
    (0..output).map(tap).collect()
}

/// A map from planes of one size to planes of another.
pub(super) struct Resampler {
    width: usize,
    rows: Vec<Taps>,
    columns: Vec<Taps>,
}

impl Resampler {
    /// The whole plane, stretched. Sizes are [height, width].
    pub fn stretch(from: [usize; 2], to: [usize; 2]) -> Resampler {
        let axis = |i: usize| taps(from[i], to[i], 0.0, from[i] as f64 / to[i] as f64);
        Resampler { width: from[1], rows: axis(0), columns: axis(1) }
    }

    /// A centre crop of size `to` of the plane resized, aspect kept, until the crop takes `keep` of its shorter side:
    /// torchvision's `Resize(224 / keep)` and `CenterCrop(224)`, its rounding included, in one pass.
    pub fn centre(from: [usize; 2], to: [usize; 2], keep: f64) -> Resampler {
        let wanted = |i: usize| (to[i] as f64 / keep).round();
        let grow = f64::max(wanted(0) / from[0] as f64, wanted(1) / from[1] as f64);
        let axis = |i: usize| {
            let resized = (from[i] as f64 * grow + 1e-6).floor().max(to[i] as f64);
            let scale = from[i] as f64 / resized;
            let margin = ((resized - to[i] as f64) / 2.0).round_ties_even();
            taps(from[i], to[i], margin * scale, scale)
        };
        Resampler { width: from[1], rows: axis(0), columns: axis(1) }
    }

    /// Resamples one plane, adding it to `output`. `scratch` is reused between calls.
    pub fn plane(&self, source: &[u8], output: &mut Vec<u8>, scratch: &mut Vec<f32>) {
        let wide = self.columns.len();
        // Only the rows that an output row uses: a centre crop skips the rest.
        let first = self.rows.first().map_or(0, |t| t.first);
        let end = self.rows.last().map_or(0, |t| t.first + t.weights.len());
        scratch.clear();
        for row in source.chunks_exact(self.width.max(1)).take(end).skip(first) {
            scratch.extend(self.columns.iter().map(|tap| {
                let pixels = row[tap.first..].iter();
                tap.weights.iter().zip(pixels).map(|(w, &p)| w * f32::from(p)).sum::<f32>()
            }));
        }
        let mut sums = vec![0f32; wide];
        for tap in &self.rows {
            sums.fill(0.5);
            for (w, row) in tap.weights.iter().zip(scratch[(tap.first - first) * wide..].chunks_exact(wide)) {
                sums.iter_mut().zip(row).for_each(|(s, p)| *s += w * p);
            }
            output.extend(sums.iter().map(|&s| s as u8)); // 0.5 was added: `as` truncates and saturates
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resample(map: &Resampler, source: &[u8]) -> Vec<u8> {
        let mut output = Vec::new();
        map.plane(source, &mut output, &mut Vec::new());
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
    fn extreme_sizes_work() {
        for (from, to) in [([1, 1], [5, 7]), ([1, 900], [64, 64]), ([300, 1], [1, 1]), ([3, 2], [224, 224])] {
            for keep in [1.0, 0.875] {
                let out = resample(&Resampler::centre(from, to, keep), &vec![77; from[0] * from[1]]);
                assert_eq!(out, vec![77; to[0] * to[1]], "{from:?} {to:?}");
            }
        }
    }
}
