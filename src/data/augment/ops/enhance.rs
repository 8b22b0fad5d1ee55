//! Pillow's `ImageEnhance`: blends of an image with a poorer version of it. A factor of 0 gives that version, 1 the image, and
//! more than 1 goes beyond it.

use crate::data::decode::luma;

fn blend(poor: u8, pixel: u8, factor: f32) -> u8 {
    let (poor, pixel) = (f32::from(poor), f32::from(pixel));
    // `as` truncates and saturates.
    (poor + factor * (pixel - poor)) as u8
}

/// The luma of every pixel; for other than three channels the mean of the channels.
fn grey(image: &[u8], shape: [usize; 3]) -> Vec<u8> {
    let plane = shape[1] * shape[2];
    let planes: Vec<&[u8]> = image.chunks_exact(plane.max(1)).collect();
    let mean = |i: usize| (planes.iter().map(|plane| usize::from(plane[i])).sum::<usize>() / planes.len()) as u8;
    match planes[..] {
        [r, g, b] => (0..plane).map(|i| luma(r[i], g[i], b[i])).collect(),
        _ => (0..plane).map(mean).collect(),
    }
}

/// Towards black.
pub(super) fn brightness(image: &mut [u8], factor: f64) {
    image.iter_mut().for_each(|p| *p = blend(0, *p, factor as f32));
}

/// Towards grey of the same brightness: saturation. An image of one channel has none.
pub(super) fn color(image: &mut [u8], shape: [usize; 3], factor: f64) {
    if shape[0] == 1 {
        return;
    }
    let grey = grey(image, shape);
    for plane in image.chunks_exact_mut(grey.len().max(1)) {
        plane.iter_mut().zip(&grey).for_each(|(p, &grey)| *p = blend(grey, *p, factor as f32));
    }
}

/// Towards the mean grey of the image.
pub(super) fn contrast(image: &mut [u8], shape: [usize; 3], factor: f64) {
    let grey = grey(image, shape);
    let sum: u64 = grey.iter().map(|&p| u64::from(p)).sum();
    let mean = (sum as f64 / grey.len().max(1) as f64 + 0.5) as u8;
    image.iter_mut().for_each(|p| *p = blend(mean, *p, factor as f32));
}

/// Towards a smoothed image; its edge has no neighbours and stays.
pub(super) fn sharpness(image: &mut [u8], [height, width]: [usize; 2], factor: f64) {
    let mut source = Vec::new();
    for plane in image.chunks_exact_mut(height * width) {
        source.clear();
        source.extend_from_slice(plane);
        for y in 1..height.saturating_sub(1) {
            for x in 1..width.saturating_sub(1) {
                let row = |y: usize| source[y * width + x - 1..][..3].iter().map(|&p| u32::from(p)).sum::<u32>();
                let here = source[y * width + x];
                // Weights of 5 in the middle and 1 around it, rounded.
                let sum = row(y - 1) + row(y) + row(y + 1) + 4 * u32::from(here);
                plane[y * width + x] = blend(((2 * sum + 13) / 26) as u8, here, factor as f32);
            }
        }
    }
}
