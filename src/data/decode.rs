//! Reading an image file: JPEG, PNG, WebP or BMP, as Pillow reads it with `exif_transpose` and `convert("RGB")`.

use std::fs::{File, Metadata};
use std::io::{Cursor, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits, RgbImage};

use super::DataError;
use super::jpeg::Jpeg;
use super::resample::{Resampler, Window};

/// Counts the changes of the pixels that image files give, which the fingerprint of their content does not see: 2 since baseline JPEG
/// files are decoded bit for bit as Pillow does. It is no part of a run's key, but a run that was begun with another is not resumed.
pub const DECODER: u32 = 2;

/// An image file to decode, what errors call it, and their advice.
pub(super) type Encoded = (Vec<u8>, PathBuf, &'static str);

/// No photograph is larger; more is an attack or a mistake.
const MAX_PIXELS: u64 = 100_000_000;
/// Largest file: more than the largest picture takes uncompressed.
const MAX_BYTES: u64 = 1 << 29;
/// Bytes that a decoder may keep besides the pixels: colour profiles and texts, which a PNG may have compressed a thousandfold,
/// and a row of pixels.
const MAX_ASIDE: u64 = 1 << 26;

/// Reads an image file of any size as C·H·W bytes for a network whose input is `shape` = [C, H, W]: turned upright by
/// its EXIF note, then the centre, aspect kept. For H of 64 and more as ImageNet is evaluated (the crop takes 0.875 of
/// the resized shorter side), below that the crop takes all of the shorter side. C = 1 gives luma, 3 gives RGB.
///
/// # Errors
/// A file that cannot be read, is of another format, is broken, is 16-bit grey (which Pillow reads as white), has more than 100 megapixels (seen in its header,
/// before memory is taken) or more than 64 MiB of texts. Colour profiles are ignored, whatever their size.
pub fn decode(path: &Path, shape: [usize; 3]) -> Result<Vec<u8>, DataError> {
    let remedy = "give a JPEG, PNG, WebP or BMP image";
    let (bytes, _) = read_file(path, remedy)?;
    resampled(&bytes, path, remedy, shape[0], |size| centre(size, shape))
}

/// The part of an image of `size` = [height, width] that [`decode`] describes.
pub(super) fn centre(size: [usize; 2], [_, height, width]: [usize; 3]) -> Resampler {
    Resampler::centre(size, [height, width], if height >= 64 { 0.875 } else { 1.0 })
}

/// The planes of a picture under the map that `choose` gives for its [height, width]: luma for one channel; channel c is that of
/// red, green and blue at c mod 3 for other counts. `bytes` are the content of the file, `path` is what errors call it.
///
/// # Errors
/// As [`decode`].
pub(super) fn resampled(
    bytes: &[u8],
    path: &Path,
    remedy: &str,
    channels: usize,
    choose: impl FnOnce([usize; 2]) -> Resampler,
) -> Result<Vec<u8>, DataError> {
    let (map, region) = region(bytes, path, remedy, choose)?;
    Ok(region.resampled(&map, channels))
}

/// Decodes what the map needs of a picture: the first half of [`resampled`].
pub(super) fn region(
    bytes: &[u8],
    path: &Path,
    remedy: &str,
    choose: impl FnOnce([usize; 2]) -> Resampler,
) -> Result<(Resampler, Region), DataError> {
    let Some(jpeg) = Jpeg::new(bytes).filter(|_| !is_cut_off(bytes)) else {
        let picture = Picture::decode(bytes, path, remedy)?;
        let map = choose(picture.size);
        let region = picture.region(map.source());
        return Ok((map, region));
    };
    let map = choose(jpeg.size());
    let source = map.source();
    let region = match jpeg.window(source) {
        Some(pixels) => Region { pixels, width: source.width, left: 0 },
        // Broken in a way that the general decoder may forgive.
        None => Picture::decode(bytes, path, remedy)?.region(source),
    };
    Ok((map, region))
}

/// The region of a picture that a resampling map reads, as one plane of luma or three of colours.
pub(super) struct Region {
    pub pixels: Vec<u8>,
    /// Bytes of a row.
    pub width: usize,
    /// The first column that the map needs.
    pub left: usize,
}

impl Region {
    pub(super) fn resampled(mut self, map: &Resampler, channels: usize) -> Vec<u8> {
        let plane = map.source().height * self.width;
        if channels == 1 && self.pixels.len() > plane {
            let [red, green, blue] = [0, 1, 2].map(|c| &self.pixels[c * plane..(c + 1) * plane]);
            self.pixels = red.iter().zip(green).zip(blue).map(|((&r, &g), &b)| luma(r, g, b)).collect();
        }
        let (mut out, mut room) = (Vec::new(), Vec::new());
        let planes = self.pixels.chunks_exact(plane).take(channels);
        let made = planes.len();
        planes.for_each(|plane| map.apply_rows(&plane[self.left..], self.width, &mut out, &mut room));
        let size = out.len() / made;
        (made..channels).for_each(|c| out.extend_from_within((c - made) * size..(c - made + 1) * size));
        out
    }
}

/// The content of a file of at most 512 MiB, and its metadata. A pipe, which could be waited for without end, is refused.
pub(super) fn read_file(path: &Path, remedy: &str) -> Result<(Vec<u8>, Metadata), DataError> {
    let bad = |problem: &str| DataError::corrupt(path.display(), problem, remedy);
    let io = |error| DataError::io("read", path)(error);
    let file = File::options().read(true).custom_flags(libc::O_NONBLOCK).open(path).map_err(io)?;
    let metadata = file.metadata().map_err(io)?;
    match metadata.file_type() {
        kind if kind.is_file() => {}
        kind if kind.is_dir() => return Err(bad("this is a folder")),
        _ => return Err(bad("this is a pipe or a device, not a file")),
    }
    let mut bytes = Vec::with_capacity(metadata.len().min(MAX_BYTES) as usize);
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(io)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(bad("it has over 512 MiB"));
    }
    Ok((bytes, metadata))
}

/// A picture in RGB.
pub(super) struct Picture {
    /// Height, width.
    pub size: [usize; 2],
    /// Rows of interleaved pixels.
    rgb: Vec<u8>,
}

impl Picture {
    /// `remedy` is what the error message asks for where the file is no good.
    pub(super) fn read(path: &Path, remedy: &str) -> Result<Picture, DataError> {
        let (bytes, _) = read_file(path, remedy)?;
        Picture::decode(&bytes, path, remedy)
    }

    /// The picture in the content of a file; `path` is what errors call it.
    pub(super) fn decode(bytes: &[u8], path: &Path, remedy: &str) -> Result<Picture, DataError> {
        let bad = |problem: String| DataError::corrupt(path.display(), problem, remedy);
        // The content decides, not the name: users' files are often misnamed, and one of ImageNet's is.
        let reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format();
        let mut reader = reader.map_err(DataError::io("read", path))?;
        match reader.format() {
            None => return Err(bad("this is not an image".into())),
            Some(ImageFormat::Jpeg) if is_cut_off(bytes) => return Err(bad("broken image (it is cut off)".into())),
            Some(_) => {}
        }
        let mut limits = Limits::default();
        limits.max_alloc = Some(MAX_ASIDE);
        reader.limits(limits);
        let mut decoder = reader.into_decoder().map_err(|e| bad(format!("not a readable image ({e})")))?;
        let (width, height) = decoder.dimensions();
        if u64::from(width) * u64::from(height) > MAX_PIXELS {
            return Err(bad(format!("{width}x{height} is over 100 megapixels")));
        }
        let orientation = decoder.orientation().map_err(|e| bad(format!("broken image ({e})")))?;
        let mut image = DynamicImage::from_decoder(decoder).map_err(|e| bad(format!("broken image ({e})")))?;
        image.apply_orientation(orientation);
        let image = rgb8(image).map_err(|problem| bad(problem.to_owned()))?;
        Ok(Picture { size: [image.height() as usize, image.width() as usize], rgb: image.into_raw() })
    }

    fn region(&self, Window { top, left, height, width }: Window) -> Region {
        let row = |y: usize| &self.rgb[3 * (y * self.size[1] + left)..][..3 * width];
        let plane = |c: usize| (top..top + height).flat_map(move |y| row(y).iter().skip(c).step_by(3).copied());
        Region { pixels: (0..3).flat_map(plane).collect(), width, left: 0 }
    }

    /// All of it, plane after plane.
    pub(super) fn planes(&self) -> impl Iterator<Item = u8> {
        (0..3).flat_map(|c| self.rgb.iter().skip(c).step_by(3).copied())
    }
}

/// The colours in 8 bits: of 16 bits the upper ones, and without the alpha channel, as Pillow converts them.
fn rgb8(image: DynamicImage) -> Result<RgbImage, &'static str> {
    let high = |value: &u16| (value >> 8) as u8;
    Ok(match image {
        DynamicImage::ImageLuma16(_) => return Err("it is grey in 16 bits; save it in 8 bits"),
        DynamicImage::ImageRgb32F(_) | DynamicImage::ImageRgba32F(_) => {
            return Err("its pixels are floating-point numbers");
        }
        DynamicImage::ImageLumaA16(pixels) => {
            convert(pixels.width(), pixels.height(), pixels.pixels().map(|pixel| [high(&pixel.0[0]); 3]))
        }
        DynamicImage::ImageRgb16(pixels) => {
            convert(pixels.width(), pixels.height(), pixels.pixels().map(|pixel| pixel.0.each_ref().map(high)))
        }
        DynamicImage::ImageRgba16(pixels) => {
            let colours = pixels.pixels().map(|pixel| [0, 1, 2].map(|channel| high(&pixel.0[channel])));
            convert(pixels.width(), pixels.height(), colours)
        }
        other => other.into_rgb8(),
    })
}

fn convert(width: u32, height: u32, pixels: impl Iterator<Item = [u8; 3]>) -> RgbImage {
    let mut image = RgbImage::new(width, height);
    image.pixels_mut().zip(pixels).for_each(|(to, from)| to.0 = from);
    image
}

/// Whether a JPEG lacks its end, which decoders paint grey without a word: a data set copied in part would be trained
/// on. Neither the mark of a scan's start nor that of the end can be inside of a scan.
fn is_cut_off(jpeg: &[u8]) -> bool {
    const START_OF_SCAN: u8 = 0xda;
    const END: u8 = 0xd9;
    let last = jpeg.windows(2).rfind(|pair| pair[0] == 0xff && matches!(pair[1], START_OF_SCAN | END));
    last.is_none_or(|mark| mark[1] != END)
}

/// ITU-R BT.601 luma, in the 16-bit fixed point of Pillow's `convert("L")`.
pub(super) fn luma(r: u8, g: u8, b: u8) -> u8 {
    ((u32::from(r) * 19595 + u32::from(g) * 38470 + u32::from(b) * 7471 + 0x8000) >> 16) as u8
}

#[cfg(test)]
mod tests {
    use super::*;
    use sha2::{Digest, Sha256};

    #[test]
    fn decodes_png_and_jpeg_of_any_size() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["a.png", "a.jpg"] {
            let path = folder.path().join(name);
            image::RgbImage::from_pixel(90, 40, image::Rgb([200, 100, 50])).save(&path).unwrap();
            for shape in [[3, 28, 28], [3, 96, 96], [1, 28, 28], [2, 9, 9], [5, 9, 9]] {
                let pixels = decode(&path, shape).unwrap();
                let plane = shape[1] * shape[2];
                assert_eq!(pixels.len(), shape[0] * plane);
                let colours = if shape[0] == 1 { vec![124i32] } else { vec![200, 100, 50, 200, 100] };
                for (plane, colour) in pixels.chunks_exact(plane).zip(colours) {
                    assert!(plane.iter().all(|&p| (i32::from(p) - colour).abs() < 4), "{name} {shape:?}");
                }
            }
        }
    }

    /// Files that Pillow 13 wrote, or that it reads though it cannot write them, beside what it reads: `tests/formats/pillow.txt`
    /// has a line `<file> <width> <height> <RGB in hex>` for each. Without losses the bytes are the same; JPEG's and WebP's decoders
    /// round differently.
    #[test]
    fn images_are_read_as_pillow_reads_them() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/formats");
        let list = std::fs::read_to_string(folder.join("pillow.txt")).unwrap();
        let mut wrong = Vec::new();
        for line in list.lines() {
            let [file, width, height, hex] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
            if file == "grey16.png" || Jpeg::new(&std::fs::read(folder.join(file)).unwrap()).is_some() {
                continue; // Pillow clips it: see below. Baseline JPEG has a decoder and a test of its own.
            }
            let expected: Vec<u8> =
                (0..hex.len() / 2).map(|i| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).unwrap()).collect();
            let picture = Picture::read(&folder.join(file), "").unwrap();
            assert_eq!(picture.size, [height, width].map(|side| side.parse::<usize>().unwrap()), "{file}");
            let far = picture.rgb.iter().zip(&expected).map(|(&a, &b)| a.abs_diff(b)).max().unwrap();
            let allowed = if file.ends_with("jpg") || file == "lossy.webp" { 4 } else { 0 };
            if far > allowed {
                wrong.push(format!("{file}: {far}"));
            }
        }
        assert!(wrong.is_empty(), "{wrong:?}");
        let message = Picture::read(&folder.join("grey16.png"), "").err().unwrap().to_string();
        assert!(message.contains("it is grey in 16 bits"), "{message}");
    }

    #[test]
    fn other_pixels_are_another_version_of_the_decoder() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/formats");
        let mut hash = Sha256::new();
        let mut count = 0;
        for path in crate::data::image_files(&folder).unwrap() {
            for shape in [[3, 7, 9], [1, 64, 64]] {
                let Ok(pixels) = decode(&path, shape) else { continue };
                hash.update(pixels);
                count += 1;
            }
        }
        assert!(count > 40, "{count}");
        let hash = crate::hex::hex(&hash.finalize()[..8]);
        assert_eq!((DECODER, hash.as_str()), (2, "95896ae8198bede2"), "raise DECODER where pixels change on purpose");
    }

    /// torchvision's `Resize(256)`, `CenterCrop(224)`: of 512 columns and 256 rows, the middle 224 of each.
    #[test]
    fn the_centre_of_224_is_that_of_256() {
        let rgb = (0..256 * 512).flat_map(|i| [(i % 512 / 2) as u8, (i / 512) as u8, 7]).collect();
        let map = centre([256, 512], [3, 224, 224]);
        let pixels = Picture { size: [256, 512], rgb }.region(map.source()).resampled(&map, 3);
        let (columns, rows) = (&pixels[..224], pixels[224 * 224..2 * 224 * 224].iter().step_by(224));
        assert!(columns.iter().enumerate().all(|(x, &p)| usize::from(p) == (x + 144) / 2), "{columns:?}");
        assert!(rows.enumerate().all(|(y, &p)| usize::from(p) == y + 16));
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
        let mut jpeg = std::io::Cursor::new(Vec::new());
        image::RgbImage::new(64, 64).write_to(&mut jpeg, image::ImageFormat::Jpeg).unwrap();
        let jpeg = jpeg.into_inner();
        for length in [jpeg.len() - 2, jpeg.len() - 20, 40] {
            assert!(refuse("cut.jpg", &jpeg[..length]).contains("broken image (it is cut off)"));
        }
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
