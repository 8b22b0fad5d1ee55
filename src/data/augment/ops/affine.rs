//! Shears, translations and rotations: an output pixel shows the input at the place that an affine map gives.

use super::{Canvas, Interpolation};

/// Pillow's map of a rotation by `degrees`, counter-clockwise, about the middle.
pub(super) fn rotation(degrees: f64, [height, width]: [usize; 2]) -> [f64; 6] {
    let angle = -degrees.rem_euclid(360.0).to_radians();
    // As Python rounds: to the nearest number that has 15 decimals.
    let rounded = |x: f64| format!("{x:.15}").parse().unwrap_or(x);
    let (cos, sin, minus_sin) = (rounded(angle.cos()), rounded(angle.sin()), rounded(-angle.sin()));
    let (x, y) = (width as f64 / 2.0, height as f64 / 2.0);
    [cos, sin, cos * -x + sin * -y + x, minus_sin, cos, minus_sin * -x + cos * -y + y]
}

/// Maps every plane of an image: output (x, y) shows input (m0 x + m1 y + m2, m3 x + m4 y + m5), in pixels from the corner.
pub(super) fn transform(image: &mut [u8], size: [usize; 2], m: [f64; 6], canvas: Canvas) {
    let mut source = Vec::new();
    for plane in image.chunks_exact_mut(size[0] * size[1]) {
        source.clear();
        source.extend_from_slice(plane);
        match canvas.interpolation {
            Interpolation::Nearest => nearest(&source, plane, size, m, canvas.fill),
            Interpolation::Bilinear => bilinear(&source, plane, size, m, canvas.fill),
        }
    }
}

/// In fixed-point numbers of 16 bits, as Pillow computes for images below 32,768 pixels a side.
fn nearest(source: &[u8], out: &mut [u8], [height, width]: [usize; 2], m: [f64; 6], fill: u8) {
    let fixed = |v: f64| (v * 65536.0 + 0.5).floor() as i64;
    let [a, b, d, e] = [m[0], m[1], m[3], m[4]].map(fixed);
    let (mut start_x, mut start_y) = (fixed(m[2] + m[0] * 0.5 + m[1] * 0.5), fixed(m[5] + m[3] * 0.5 + m[4] * 0.5));
    for row in out.chunks_exact_mut(width) {
        let (mut x, mut y) = (start_x, start_y);
        for pixel in row {
            let inside = |v: i64, side: usize| usize::try_from(v >> 16).ok().filter(|&v| v < side);
            let found = inside(x, width).zip(inside(y, height));
            *pixel = found.map_or(fill, |(x, y)| source[y * width + x]);
            (x, y) = (x + a, y + d);
        }
        (start_x, start_y) = (start_x + b, start_y + e);
    }
}

fn bilinear(source: &[u8], out: &mut [u8], [height, width]: [usize; 2], m: [f64; 6], fill: u8) {
    let blend = |a: f64, b: f64, part: f64| a + (b - a) * part;
    for (row, y) in out.chunks_exact_mut(width).zip(0..) {
        for (pixel, x) in row.iter_mut().zip(0..) {
            let (x, y) = (f64::from(x) + 0.5, f64::from(y) + 0.5);
            let (x, y) = (m[0] * x + m[1] * y + m[2], m[3] * x + m[4] * y + m[5]);
            if !(0.0..width as f64).contains(&x) || !(0.0..height as f64).contains(&y) {
                *pixel = fill;
                continue;
            }
            let (x, y) = (x - 0.5, y - 0.5);
            let (left, top) = (x.floor(), y.floor());
            let at = |column: f64, row: f64| {
                let column = (column.max(0.0) as usize).min(width - 1);
                f64::from(source[(row.max(0.0) as usize).min(height - 1) * width + column])
            };
            let upper = blend(at(left, top), at(left + 1.0, top), x - left);
            let lower = blend(at(left, top + 1.0), at(left + 1.0, top + 1.0), x - left);
            *pixel = blend(upper, lower, y - top) as u8;
        }
    }
}
