//! Where the time goes that one core spends on image files: for `strata bench --data`.

use super::augment::{Augment, Flip, ResizedCrop};
use super::image_files::{Files, ImageFile, Remedies, sums};
use super::{Batch, DataError, Images, Normalise, decode};
use crate::random;
use image::ExtendedColorType::Rgb8;
use image::codecs::jpeg::JpegEncoder;
use rustix::time::{ClockId, clock_gettime};
use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};

/// Processor seconds of the stages of all images, one after the other, and of batches as training fills them.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct StageSeconds {
    pub read: f64,
    /// 0 where pixels are stored.
    pub decode: f64,
    pub resize: f64,
    /// Mirrored, normalised, and written into the batch.
    pub normalise: f64,
    pub whole: f64,
}

/// Images in a batch of the last stage.
const BATCH: usize = 32;

/// Takes every image once through the stages with `RandomResizedCrop` and a flip, drawn for `epoch`, on the calling thread.
///
/// # Errors
/// Images in memory, or a file that cannot be decoded.
pub fn stage_seconds(images: &Images, norm: &Normalise, epoch: u64) -> Result<StageSeconds, DataError> {
    let augment = Augment { flip: Flip::Random, resized_crop: ResizedCrop(true), ..Augment::default() };
    let [channels, height, width] = images.shape;
    let tables: Vec<_> = (0..channels).map(|c| norm.table(c)).collect();
    let std: Vec<_> = (0..channels).map(|c| norm.std_of(c)).collect();
    let (mut seconds, mut out) = (StageSeconds::default(), vec![0f32; channels * height * width]);
    let indices: Vec<u32> = (0..images.len() as u32).collect();
    for &i in &indices {
        let view = augment.view(0, epoch, i, [height, width]);
        let choose = |size| images.map(size, ResizedCrop::window(view.resized_crop.unwrap_or_default(), size));
        let start = now();
        let content = images.content(i as usize)?;
        let read = now();
        let (map, region) = match &content {
            Some((bytes, path, remedy)) => decode::region(bytes, path, remedy, choose)?,
            None => images.needed(i as usize, choose)?,
        };
        let decoded = now();
        let pixels = region.resampled(&map, channels);
        let resized = now();
        view.draw(&pixels, &mut out, &tables, &std);
        let normalised = now();
        // Stored pixels are read only when the window is known.
        let (reading, decoding) = match content {
            Some(_) => (read - start, decoded - read),
            None => (decoded - start, 0.0),
        };
        seconds.read += reading;
        seconds.decode += decoding;
        seconds.resize += resized - decoded;
        seconds.normalise += normalised - resized;
    }
    let (start, mut batch) = (now(), Batch::default());
    for part in indices.chunks(BATCH) {
        let view = |i: usize| augment.view(0, epoch, i as u32, [height, width]);
        batch.fill(images, norm, part.iter().map(|&i| i as usize), view, 1)?;
    }
    seconds.whole = now() - start;
    Ok(seconds)
}

/// Processor time of this thread: other work on the machine counts less than in elapsed time.
fn now() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 * 1e-9
}

/// Unlabelled images of these files, to be decoded to `shape`.
///
/// # Errors
/// A file that cannot be read.
pub fn images_of(paths: &[PathBuf], shape: [usize; 3]) -> Result<Images, DataError> {
    let file = |(path, sum): (&PathBuf, _)| ImageFile { path: path.to_string_lossy().into(), sum };
    let files = paths.iter().zip(sums(paths)?).map(file).collect();
    let remedies = Remedies { changed: "run the command again", broken: "remove this file" };
    Ok(Images::of_files(shape, Files { folder: PathBuf::new(), files, remedies }, vec![0; paths.len()]))
}

/// Writes JPEG files that are like photographs to a decoder: 500x375, quality 90, noise of all scales, about 100 kB each.
///
/// # Errors
/// When they cannot be written.
pub fn write_photographs(folder: &Path, count: usize) -> Result<Vec<PathBuf>, DataError> {
    const SIZE: [usize; 2] = [375, 500];
    let photograph = |number: usize| {
        let path = folder.join(format!("{number}.jpg"));
        let pixel = |channel: usize, y: usize, x: usize| {
            // Octaves of noise between the points of a grid; colours vary less than brightness.
            let octave = |scale: usize, weight: f64, stream: usize| {
                let key = random::key(number as u64, "photograph", &[stream as u64, scale as u64]);
                let at = |y: usize, x: usize| random::uniform(key, (y * 1000 + x) as u64) - 0.5;
                let (fy, fx) = ((y % scale) as f64 / scale as f64, (x % scale) as f64 / scale as f64);
                let row = |y: usize| at(y, x / scale) * (1.0 - fx) + at(y, x / scale + 1) * fx;
                weight * (row(y / scale) * (1.0 - fy) + row(y / scale + 1) * fy)
            };
            let light = octave(128, 200.0, 0) + octave(16, 90.0, 0) + octave(4, 30.0, 0) + octave(1, 12.0, 0);
            (128.0 + light + octave(64, 80.0, 1 + channel)).clamp(0.0, 255.0) as u8
        };
        let rgb: Vec<u8> = (0..3 * SIZE[0] * SIZE[1]).map(|i| pixel(i % 3, i / 3 / SIZE[1], i / 3 % SIZE[1])).collect();
        let file = File::create(&path).map_err(DataError::io("write", &path))?;
        let encoder = JpegEncoder::new_with_quality(BufWriter::new(file), 90);
        let written = { encoder }.encode(&rgb, SIZE[1] as u32, SIZE[0] as u32, Rgb8);
        written.map_err(|error| DataError::corrupt(path.display(), error.to_string(), "choose another folder"))?;
        Ok(path)
    };
    (0..count).map(photograph).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_stage_takes_time() {
        let folder = tempfile::tempdir().unwrap();
        let paths = write_photographs(folder.path(), 2).unwrap();
        assert_eq!(super::super::image_files(folder.path()).unwrap(), paths);
        let images = images_of(&paths, [3, 64, 64]).unwrap();
        let norm = Normalise { mean: vec![0.5; 3], std: vec![0.2; 3] };
        let StageSeconds { read, decode, resize, normalise, whole } = stage_seconds(&images, &norm, 1).unwrap();
        assert!([read, decode, resize, normalise, whole].iter().all(|&seconds| seconds > 0.0));
    }
}
