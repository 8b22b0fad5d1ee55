//! The hue, by way of Pillow's HSV in bytes.

/// Rotates the hue of an RGB image by a fraction of a turn, from -0.5 to 0.5; other images have no hue.
pub(super) fn shift(image: &mut [u8], shape: [usize; 3], turns: f64) {
    let plane = shape[1] * shape[2];
    if shape[0] != 3 {
        return;
    }
    let by = (turns * 255.0) as i32 as u8;
    let (r, rest) = image.split_at_mut(plane);
    let (g, b) = rest.split_at_mut(plane);
    for ((r, g), b) in r.iter_mut().zip(g).zip(b) {
        let [h, s, v] = to_hsv([*r, *g, *b]);
        [*r, *g, *b] = to_rgb([h.wrapping_add(by), s, v]);
    }
}

fn to_hsv(rgb: [u8; 3]) -> [u8; 3] {
    let (high, low) = (rgb.into_iter().max().unwrap_or(0), rgb.into_iter().min().unwrap_or(0));
    if high == low {
        return [0, 0, high];
    }
    let range = f32::from(high - low);
    let [r, g, b] = rgb.map(|p| f32::from(high - p) / range);
    let sector = match rgb {
        [red, _, _] if red == high => b - g,
        [_, green, _] if green == high => (2.0 + f64::from(r) - f64::from(b)) as f32,
        _ => (4.0 + f64::from(g) - f64::from(r)) as f32,
    };
    let hue = (f64::from(sector) / 6.0 + 1.0).rem_euclid(1.0) as f32;
    let saturation = range / f32::from(high);
    [(f64::from(hue) * 255.0) as u8, (f64::from(saturation) * 255.0) as u8, high]
}

fn to_rgb([h, s, v]: [u8; 3]) -> [u8; 3] {
    if s == 0 {
        return [v; 3];
    }
    let sixth = f64::from(h) * 6.0 / 255.0;
    let part = sixth - sixth.floor();
    let (s, value) = (f64::from(s) / 255.0, f64::from(v));
    let level = |less: f64| (value * (1.0 - less)).round() as u8;
    let (p, q, t) = (level(s), level(s * part), level(s * (1.0 - part)));
    match sixth.floor() as u8 % 6 {
        0 => [v, t, p],
        1 => [q, v, p],
        2 => [p, v, t],
        3 => [p, q, v],
        4 => [t, p, v],
        _ => [v, p, q],
    }
}
