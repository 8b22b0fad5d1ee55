//! `init.whiten`: filters of the first convolution that whiten the patches of the training images.

use super::error::TrainError;
use crate::arch::params::Param;
use crate::data::{Images, Normalise, eval_batch};
use crate::torch::catch;
use tch::{Kind, Tensor};

/// Number of training images, from the first on, that patches are taken from (Jordan 2024, section 3.2).
const IMAGES: usize = 5000;
/// Values of patches that are taken at most: 40,000 images of CIFAR-10 with a 2x2 kernel have as many.
const VALUES: usize = 1 << 29;
/// Values of patches that are in memory at once.
const VALUES_AT_ONCE: usize = 1 << 24;
/// Added to every eigenvalue, so that directions of almost no variance are not amplified.
const EPSILON: f64 = 5e-4;

/// Filters for a convolution `[2 n, C, h, w]`: the n principal directions of the C·h·w values of a patch, each divided by its root
/// mean square, and then the same n negated. Directions are eigenvectors of the second moments, not centred, of patches of normalised
/// images without padding, each with the sign that makes its largest value positive.
///
/// # Errors
/// An image file that cannot be decoded, or libtorch's error.
pub(super) fn filters(first: &Param, images: &Images, normalise: &Normalise) -> Result<Tensor, TrainError> {
    let (filters, patch) = (first.shape[0], first.shape[1..].iter().product::<i64>());
    let [_, height, width] = images.shape.map(|side| side as i64);
    let values = (patch * (height + 1 - first.shape[2]).max(1) * (width + 1 - first.shape[3]).max(1)) as usize;
    let (count, at_once) = (images.len().min(IMAGES).min((VALUES / values).max(1)), (VALUES_AT_ONCE / values).max(1));
    let mut moment = Tensor::zeros([patch, patch], (Kind::Double, tch::Device::Cpu));
    let mut places = 0;
    for from in (0..count).step_by(at_once) {
        let batch = eval_batch(images, from..(from + at_once).min(count), normalise)?;
        places += catch(|| {
            let pixels = Tensor::from_slice(&batch.pixels).view(batch.shape.map(|side| side as i64));
            let patches = pixels.im2col(&first.shape[2..], [1, 1], [0, 0], [1, 1]).to_kind(Kind::Double);
            moment += patches.matmul(&patches.transpose(1, 2)).sum_dim_intlist(0i64, false, Kind::Double);
            patches.size()[0] * patches.size()[2]
        })?;
    }
    Ok(catch(|| {
        let (values, vectors) = (moment / places as f64).linalg_eigh("L");
        // Eigenvalues ascend, and eigenvectors are columns.
        let scaled = (vectors / (values + EPSILON).sqrt()).tr().flip([0]).narrow(0, 0, filters / 2);
        let largest = scaled.gather(1, &scaled.abs().argmax(1, true), false);
        let scaled = scaled * largest.sign();
        Tensor::cat(&[&scaled, &(&scaled * -1.0)], 0).to_kind(Kind::Float).view(first.shape.as_slice())
    })?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arch::params::Role;
    use crate::random;

    /// Images of noise whose rows resemble each other: neighbouring pixels and channels correlate.
    fn images() -> Images {
        let shape = [3, 8, 8];
        let pixel = |i: usize| (random::below(7, i as u64, 64) + random::below(8, (i / 8) as u64, 192)) as u8;
        Images::new(shape, (0..256 * 192).map(pixel).collect(), vec![0; 256])
    }

    #[test]
    fn outputs_are_uncorrelated_and_of_equal_size() {
        let images = images();
        let normalise = Normalise { mean: vec![0.5; 3], std: vec![0.25; 3] };
        let first = Param::new("0.weight", &[24, 3, 2, 2], Role::ConvWeight { groups: 1 });
        let filters = filters(&first, &images, &normalise).unwrap();
        assert_eq!(filters.size(), first.shape);
        assert_eq!(filters.narrow(0, 12, 12), filters.narrow(0, 0, 12) * -1.0);

        let pixels = Tensor::from_slice(&eval_batch(&images, 0..256, &normalise).unwrap().pixels).view([256, 3, 8, 8]);
        let outputs = pixels.conv2d::<Tensor>(&filters.narrow(0, 0, 12), None, [1, 1], [0, 0], [1, 1], 1);
        let outputs = outputs.transpose(0, 1).reshape([12, -1]);
        let moment = outputs.matmul(&outputs.tr()) / outputs.size()[1] as f64;
        let distance = (moment - Tensor::eye(12, (Kind::Float, tch::Device::Cpu))).abs().max().double_value(&[]);
        // The share of EPSILON in the smallest eigenvalue.
        assert!(distance < 0.05, "{distance}");
    }

    /// The leading direction comes first: half as many filters are the first ones of all.
    #[test]
    fn fewer_filters_are_the_leading_ones() {
        let (images, normalise) = (images(), Normalise { mean: vec![0.5; 3], std: vec![0.25; 3] });
        let of = |count| {
            let first = Param::new("0.weight", &[count, 3, 2, 2], Role::ConvWeight { groups: 1 });
            filters(&first, &images, &normalise).unwrap()
        };
        assert_eq!(of(12).narrow(0, 0, 6), of(24).narrow(0, 0, 6));
    }
}
