//! Operations that give each value of a plane another, Pillow's `ImageOps`.

/// Keeps the upper `bits` bits.
pub(super) fn posterize(image: &mut [u8], bits: u32) {
    let mask = !(0xffu32 >> bits.min(8)) as u8;
    image.iter_mut().for_each(|p| *p &= mask);
}

/// Inverts values from `threshold` on.
pub(super) fn solarize(image: &mut [u8], threshold: f64) {
    image.iter_mut().filter(|p| f64::from(**p) >= threshold).for_each(|p| *p = 255 - *p);
}

/// Replaces the values of each plane by the table for its histogram, where there is one.
pub(super) fn per_plane(image: &mut [u8], size: [usize; 2], table: fn(&[usize; 256]) -> Option<[u8; 256]>) {
    for plane in image.chunks_exact_mut((size[0] * size[1]).max(1)) {
        let mut histogram = [0; 256];
        plane.iter().for_each(|&p| histogram[usize::from(p)] += 1);
        if let Some(table) = table(&histogram) {
            plane.iter_mut().for_each(|p| *p = table[usize::from(*p)]);
        }
    }
}

/// Stretches the values to 0 to 255.
pub(super) fn auto_contrast(histogram: &[usize; 256]) -> Option<[u8; 256]> {
    let used = |&value: &usize| histogram[value] > 0;
    let (low, high) = ((0..256).find(used)?, (0..256).rev().find(used)?);
    if high <= low {
        return None;
    }
    let scale = 255.0 / (high - low) as f64;
    let offset = -(low as f64) * scale;
    Some(std::array::from_fn(|value| (value as f64 * scale + offset) as u8))
}

/// Spreads the values so that they are equally frequent.
pub(super) fn equalize(histogram: &[usize; 256]) -> Option<[u8; 256]> {
    let last = histogram.iter().rev().find(|&&count| count > 0)?;
    let step = (histogram.iter().sum::<usize>() - last) / 255;
    if step == 0 {
        return None;
    }
    let mut below = step / 2;
    Some(std::array::from_fn(|value| {
        let level = (below / step).min(255) as u8;
        below += histogram[value];
        level
    }))
}
