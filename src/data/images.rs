//! Images in memory as planes of bytes, and reading one from a PNG or JPEG file.

use std::fs::File;
use std::io::BufReader;
use std::ops::Range;
use std::path::Path;

use image::{DynamicImage, ImageDecoder, ImageReader, Limits};

use super::DataError;
use super::resample::Resampler;

/// Labelled images of one shape.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Images {
    /// Channels, height, width.
    pub shape: [usize; 3],
    /// N·C·H·W bytes, planes of rows.
    pub pixels: Vec<u8>,
    /// N labels.
    pub labels: Vec<u16>,
}

impl Images {
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// The C·H·W bytes of image `i`.
    ///
    /// # Panics
    /// When there is no image `i`, as indexing does.
    pub fn image(&self, i: usize) -> &[u8] {
        let size = self.shape.iter().product::<usize>();
        &self.pixels[i * size..(i + 1) * size]
    }

    /// A copy of the images in `range`, as far as there are so many.
    pub fn slice(&self, range: Range<usize>) -> Images {
        let (end, size) = (range.end.min(self.len()), self.shape.iter().product::<usize>());
        let start = range.start.min(end);
        let pixels = self.pixels[start * size..end * size].to_vec();
        Images { shape: self.shape, pixels, labels: self.labels[start..end].to_vec() }
    }

    /// A copy of the first `n` images, or all when there are fewer.
    pub fn take(&self, n: usize) -> Images {
        self.slice(0..n)
    }

    /// The images stretched to `shape` = [C, H, W], bilinear with antialias. Grey becomes RGB by repetition, RGB
    /// becomes grey by luma; between other channel counts, channel c shows channel c mod the old count. Works on all
    /// cores; the result does not depend on how many there are.
    pub fn resized(&self, shape: [usize; 3]) -> Images {
        if shape == self.shape || self.is_empty() {
            return Images { shape, ..self.clone() };
        }
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let share = self.len().div_ceil(threads);
        let map = Resampler::stretch([self.shape[1], self.shape[2]], [shape[1], shape[2]]);
        let size = shape.iter().product::<usize>();
        let mut pixels = vec![0; self.len() * size];
        std::thread::scope(|scope| {
            for (part, out) in pixels.chunks_mut((share * size).max(1)).enumerate() {
                let map = &map;
                scope.spawn(move || {
                    let (mut image, mut scratch) = (Vec::new(), Vec::new());
                    for (i, out) in out.chunks_exact_mut(size).enumerate() {
                        image.clear();
                        let source = self.image(part * share + i);
                        channels(source, self.shape[0], shape[0], map, &mut image, &mut scratch);
                        out.copy_from_slice(&image);
                    }
                });
            }
        });
        Images { shape, pixels, labels: self.labels.clone() }
    }
}

/// Resamples the planes of one image, changing the channel count.
fn channels(source: &[u8], from: usize, to: usize, map: &Resampler, out: &mut Vec<u8>, scratch: &mut Vec<f32>) {
    let planes: Vec<&[u8]> = source.chunks_exact((source.len() / from.max(1)).max(1)).collect();
    if let ([r, g, b], 1) = (&planes[..], to) {
        return map.plane(&luma(r, g, b), out, scratch);
    }
    for c in 0..to {
        match c.checked_sub(planes.len()) {
            None => map.plane(planes[c], out, scratch),
            // Repeated: copy what was already made.
            Some(earlier) => out.extend_from_within(earlier * out.len() / c..(earlier + 1) * out.len() / c),
        }
    }
}

/// ITU-R BT.601 luma, in the 16-bit fixed point of Pillow's `convert("L")`.
fn luma(r: &[u8], g: &[u8], b: &[u8]) -> Vec<u8> {
    let mix = |r: u8, g: u8, b: u8| (u32::from(r) * 19595 + u32::from(g) * 38470 + u32::from(b) * 7471 + 0x8000) >> 16;
    r.iter().zip(g).zip(b).map(|((&r, &g), &b)| mix(r, g, b) as u8).collect()
}

/// No photograph is larger; more is an attack or a mistake.
const MAX_PIXELS: u64 = 100_000_000;

/// Reads a PNG or JPEG of any size as C·H·W bytes for a network whose input is `shape` = [C, H, W]: turned upright by
/// its EXIF note, then the centre, aspect kept. For H of 64 and more as ImageNet is evaluated (the crop takes 0.875 of
/// the resized shorter side), below that the crop takes all of the shorter side. C = 1 gives luma, 3 gives RGB.
///
/// # Errors
/// A file that cannot be read, is neither PNG nor JPEG, is broken, or has more than 100 megapixels (seen in its
/// header, before memory is taken).
pub fn decode(path: &Path, shape: [usize; 3]) -> Result<Vec<u8>, DataError> {
    let ([height, width], planes) = planes(path, |_| Ok(()))?;
    let keep = if shape[1] >= 64 { 0.875 } else { 1.0 };
    let map = Resampler::centre([height, width], [shape[1], shape[2]], keep);
    let mut out = Vec::with_capacity(shape.iter().product());
    channels(&planes, 3, shape[0], &map, &mut out, &mut Vec::new());
    Ok(out)
}

/// The RGB planes of an image file and their [height, width]; `accept` judges the size given in the header.
pub(super) fn planes(
    path: &Path,
    accept: impl FnOnce([usize; 2]) -> Result<(), String>,
) -> Result<([usize; 2], Vec<u8>), DataError> {
    let bad = |problem: String| DataError::corrupt(path.display(), problem, "give a PNG or JPEG image");
    let file = File::open(path).map_err(DataError::io("read", path))?;
    if file.metadata().is_ok_and(|m| m.is_dir()) {
        return Err(bad("this is a folder".into()));
    }
    // The content decides, not the name: users' files are often misnamed.
    let reader = ImageReader::new(BufReader::new(file)).with_guessed_format();
    let mut reader = reader.map_err(DataError::io("read", path))?;
    if reader.format().is_none() {
        return Err(bad("this is not an image".into()));
    }
    let mut limits = Limits::default();
    limits.max_alloc = Some(1 << 30);
    reader.limits(limits);
    let mut decoder = reader.into_decoder().map_err(|e| bad(format!("not a readable image ({e})")))?;
    let (width, height) = decoder.dimensions();
    if u64::from(width) * u64::from(height) > MAX_PIXELS {
        return Err(bad(format!("{width}x{height} is over 100 megapixels")));
    }
    accept([height as usize, width as usize]).map_err(bad)?;
    let orientation = decoder.orientation().map_err(|e| bad(format!("broken image ({e})")))?;
    let mut image = DynamicImage::from_decoder(decoder).map_err(|e| bad(format!("broken image ({e})")))?;
    image.apply_orientation(orientation);
    let image = image.into_rgb8();
    let size = [image.height() as usize, image.width() as usize];
    let planes = (0..3).flat_map(|c| image.as_raw().iter().skip(c).step_by(3).copied()).collect();
    Ok((size, planes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn two_colours() -> Images {
        let image = |rgb: [u8; 3]| rgb.into_iter().flat_map(|p| [p; 4]);
        let pixels = image([255, 0, 0]).chain(image([10, 10, 10])).collect();
        Images { shape: [3, 2, 2], pixels, labels: vec![4, 5] }
    }

    #[test]
    fn slices_stop_at_the_end() {
        let images = two_colours();
        assert_eq!(images.take(9), images);
        assert_eq!(images.slice(1..9).labels, [5]);
        assert!(images.slice(7..9).is_empty());
    }

    #[test]
    fn resized_changes_size_and_channels() {
        let images = two_colours();
        assert_eq!(images.resized([3, 2, 2]), images);
        let grey = images.resized([1, 3, 5]);
        assert_eq!((grey.image(0), grey.image(1)), (&[76; 15][..], &[10; 15][..]), "255 red is 76 by BT.601");
        let rgb = grey.resized([3, 3, 5]);
        assert_eq!((rgb.image(0), &rgb.labels[..]), (&[76; 45][..], &[4, 5][..]));
    }

    #[test]
    fn decodes_png_and_jpeg_of_any_size() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["a.png", "a.jpg"] {
            let path = folder.path().join(name);
            image::RgbImage::from_pixel(90, 40, image::Rgb([200, 100, 50])).save(&path).unwrap();
            for shape in [[3, 28, 28], [3, 96, 96], [1, 28, 28]] {
                let pixels = decode(&path, shape).unwrap();
                assert_eq!(pixels.len(), shape.iter().product::<usize>());
                let first = if shape[0] == 3 { 200i32 } else { 124 };
                assert!(pixels[..shape[1] * shape[2]].iter().all(|&p| (i32::from(p) - first).abs() < 4), "{name}");
            }
        }
    }

    #[test]
    fn what_is_no_image_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let refuse = |name: &str, content: &[u8]| {
            let path = folder.path().join(name);
            std::fs::write(&path, content).unwrap();
            let message = decode(&path, [1, 28, 28]).unwrap_err().to_string();
            assert!(message.contains(name), "{message}");
            message
        };
        assert!(refuse("a.jpg", b"hello, this is text").contains("not an image"));
        let mut png = std::io::Cursor::new(Vec::new());
        image::RgbImage::new(64, 64).write_to(&mut png, image::ImageFormat::Png).unwrap();
        let mut png = png.into_inner();
        assert!(refuse("cut.png", &png[..png.len() / 2]).contains("image ("));
        // Width and height of the header; its CRC must fit to be believed.
        png[16..24].copy_from_slice(&[0, 0, 0x80, 0, 0, 0, 0x80, 0]);
        let mut crc = flate2::Crc::new();
        crc.update(&png[12..29]);
        png[29..33].copy_from_slice(&crc.sum().to_be_bytes());
        assert!(refuse("bomb.png", &png).contains("32768x32768 is over 100 megapixels"));
        assert!(decode(folder.path(), [1, 28, 28]).unwrap_err().to_string().contains("folder"));
        assert!(decode(&folder.path().join("none.png"), [1, 28, 28]).is_err());
    }
}
