//! Labelled images behind one interface: in memory as planes of bytes, or as files that are decoded when they are needed.

use std::borrow::Cow;
use std::convert::Infallible;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::DataError;
use super::decode::{self, Encoded, Region, centre, luma};
use super::image_files::Files;
use super::prepared::Cache;
use super::resample::{Resampler, Window};
use crate::workers::{share, threads};

/// Images that a thread resizes before it takes more.
const CHUNK: usize = 64;

/// Labelled images of one shape. Clones and slices share the pixels or the list of files.
#[derive(Debug, Clone)]
pub struct Images {
    /// Channels, height, width.
    pub shape: [usize; 3],
    /// N labels.
    pub labels: Vec<u16>,
    store: Store,
    /// The image of the store that is image 0 here.
    first: usize,
}

#[derive(Debug, Clone)]
enum Store {
    /// C·H·W bytes an image, planes of rows.
    Memory(Arc<Vec<u8>>),
    Files(Arc<Files>),
    /// Smaller copies of image files.
    Prepared(Arc<Files>, Arc<Cache>),
}

impl Images {
    /// Images in memory: `pixels` are N·C·H·W bytes, planes of rows, for N labels and `shape` = [C, H, W].
    pub fn new(shape: [usize; 3], pixels: Vec<u8>, labels: Vec<u16>) -> Images {
        Images { shape, labels, store: Store::Memory(Arc::new(pixels)), first: 0 }
    }

    /// Images to be decoded to `shape` when they are needed; a label for each file.
    pub(super) fn of_files(shape: [usize; 3], files: Files, labels: Vec<u16>) -> Images {
        Images { shape, labels, store: Store::Files(Arc::new(files)), first: 0 }
    }

    pub fn len(&self) -> usize {
        self.labels.len()
    }

    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// Whether images are files, so that getting at one takes milliseconds and may fail.
    pub fn are_files(&self) -> bool {
        self.files().is_some()
    }

    fn files(&self) -> Option<&Arc<Files>> {
        match &self.store {
            Store::Memory(_) => None,
            Store::Files(files) | Store::Prepared(files, _) => Some(files),
        }
    }

    /// The content of the file of image `i`, what errors call it, and their advice.
    ///
    /// # Errors
    /// A file that cannot be read, or images in memory.
    pub(super) fn file(&self, i: usize) -> Result<Encoded, DataError> {
        let files = self.files().ok_or_else(no_files)?;
        Ok((files.read(self.first + i)?, files.path(self.first + i), files.remedies.broken))
    }

    /// The checksums of the files' content; `None` for images in memory.
    pub(super) fn contents(&self) -> Option<Vec<[u8; 16]>> {
        let files = &self.files()?.files[self.first..self.first + self.len()];
        Some(files.iter().map(|file| file.sum.content()).collect())
    }

    /// These images from smaller copies of their files.
    ///
    /// # Errors
    /// Images in memory.
    pub(super) fn prepared(&self, cache: Arc<Cache>) -> Result<Images, DataError> {
        match self.files() {
            Some(files) => Ok(Images { store: Store::Prepared(Arc::clone(files), cache), ..self.clone() }),
            None => {
                Err(DataError::Unfit { name: "images in memory".to_owned(), problem: "they are not files".to_owned() })
            }
        }
    }

    /// The C·H·W bytes of image `i`; of a file its centre, as [`decode`](super::decode()) gives it.
    ///
    /// # Errors
    /// A file that cannot be read or decoded; never for images in memory.
    ///
    /// # Panics
    /// When there is no image `i`, as indexing does.
    pub fn image(&self, i: usize) -> Result<Cow<'_, [u8]>, DataError> {
        match &self.store {
            Store::Memory(pixels) => Ok(Cow::Borrowed(self.in_memory(pixels, i))),
            _ => {
                let (map, region) = self.needed(i, |size| centre(size, self.shape))?;
                Ok(Cow::Owned(region.resampled(&map, self.shape[0])))
            }
        }
    }

    /// The [height, width] of image `i` before it is resized; of a file as it was photographed. Errors and panics as [`Images::image`].
    pub fn own_size(&self, i: usize) -> Result<[usize; 2], DataError> {
        let mut own = [self.shape[1], self.shape[2]];
        if self.are_files() {
            self.needed(i, |size| {
                own = size;
                centre(size, self.shape)
            })?;
        }
        Ok(own)
    }

    /// The window of image `i` that `choose` gives for its [height, width] (of a file: as it was photographed), resampled
    /// to C·H·W bytes. Errors and panics as [`Images::image`].
    pub(super) fn window(&self, i: usize, choose: impl FnOnce([usize; 2]) -> Window) -> Result<Vec<u8>, DataError> {
        let [channels, height, width] = self.shape;
        let map = |size| self.map(size, choose(size));
        match &self.store {
            Store::Files(_) | Store::Prepared(..) => {
                let (map, region) = self.needed(i, map)?;
                Ok(region.resampled(&map, channels))
            }
            Store::Memory(pixels) => {
                let (map, mut out) = (map([height, width]), Vec::with_capacity(channels * height * width));
                resample_planes(self.in_memory(pixels, i), channels, channels, &map, &mut out, &mut Vec::new());
                Ok(out)
            }
        }
    }

    fn in_memory<'a>(&self, pixels: &'a [u8], i: usize) -> &'a [u8] {
        let size = self.shape.iter().product::<usize>();
        &pixels[(self.first + i) * size..(self.first + i + 1) * size]
    }

    /// Decodes what is needed of the file of image `i` for the map that `choose` gives for its [height, width].
    pub(super) fn needed(
        &self,
        i: usize,
        choose: impl FnOnce([usize; 2]) -> Resampler,
    ) -> Result<(Resampler, Region), DataError> {
        match (self.content(i)?, &self.store) {
            (Some((content, path, remedy)), _) => decode::region(&content, &path, remedy, choose),
            (None, Store::Prepared(files, cache)) => cache.region(&files.files[self.first + i].sum.content(), choose),
            (None, _) => Err(no_files()),
        }
    }

    /// The file to decode for image `i`, what errors call it, and their advice; `None` for stored pixels.
    ///
    /// # Errors
    /// A file that cannot be read, or images in memory.
    pub(super) fn content(&self, i: usize) -> Result<Option<Encoded>, DataError> {
        match &self.store {
            Store::Prepared(files, cache) => cache.content(&files.files[self.first + i].sum.content()),
            _ => self.file(i).map(Some),
        }
    }

    /// Files with the same content as the images, for other programs, and what they are: the originals, or those of prepared
    /// JPEG copies, which are written to `folder`.
    ///
    /// # Errors
    /// Images in memory, or a file that cannot be written.
    pub fn as_files(&self, folder: &Path) -> Result<(Vec<PathBuf>, String), DataError> {
        let mut paths = Vec::with_capacity(self.len());
        let mut kind = "the originals".to_owned();
        for i in 0..self.len() {
            let path = match (&self.store, self.content(i)?) {
                (Store::Prepared(..), Some((content, ..))) => {
                    kind = "their prepared JPEG copies on both sides".to_owned();
                    let path = folder.join(format!("{i}.jpg"));
                    fs::write(&path, content).map_err(DataError::io("write", &path))?;
                    path
                }
                (Store::Prepared(..), None) => {
                    kind = "prepared raw copies against the originals".to_owned();
                    self.file(i)?.1
                }
                (_, content) => content.map(|(_, path, _)| path).unwrap_or_default(),
            };
            paths.push(path);
        }
        Ok((paths, kind))
    }

    /// The map from a window of an image of `size` = [height, width] to the shape.
    pub(super) fn map(&self, size: [usize; 2], window: Window) -> Resampler {
        Resampler::window(size, window, [self.shape[1], self.shape[2]])
    }

    /// Feeds a hash with the shape, the labels and the pixels; for files, with their names and the checksums of their content.
    pub(super) fn digest(&self, mut feed: impl FnMut(&[u8])) {
        for number in self.shape.iter().chain([&self.len()]) {
            feed(&(*number as u64).to_le_bytes());
        }
        self.labels.iter().for_each(|label| feed(&label.to_le_bytes()));
        let range = self.first..self.first + self.len();
        match &self.store {
            Store::Memory(pixels) => {
                let size = self.shape.iter().product::<usize>();
                feed(pixels.get(range.start * size..range.end * size).unwrap_or_default());
            }
            Store::Files(files) | Store::Prepared(files, _) => {
                files.files.get(range).unwrap_or_default().iter().for_each(|file| {
                    feed(file.path.as_bytes());
                    feed(&[0]);
                    feed(&file.sum.content());
                });
                if let Store::Prepared(_, cache) = &self.store {
                    cache.digest(feed);
                }
            }
        }
    }

    /// Checks that all image files, of the store as a whole, have the content that was listed.
    ///
    /// # Errors
    /// Names a file that has not; never for images in memory.
    pub(super) fn check_files(&self) -> Result<(), DataError> {
        match &self.store {
            Store::Memory(_) => Ok(()),
            Store::Files(files) | Store::Prepared(files, _) => files.check_all(),
        }
    }

    /// The images in `range`, up to as many as there are.
    pub fn slice(&self, range: Range<usize>) -> Images {
        let end = range.end.min(self.len());
        let start = range.start.min(end);
        let labels = self.labels[start..end].to_vec();
        Images { shape: self.shape, labels, store: self.store.clone(), first: self.first + start }
    }

    /// The first `n` images, or all when there are fewer.
    pub fn take(&self, n: usize) -> Images {
        self.slice(0..n)
    }

    /// The images whose label `relabel` gives a new one, in their order. Images in memory are copied.
    pub(super) fn relabelled(&self, relabel: impl Fn(u16) -> Option<u16>) -> Images {
        let chosen = self.labels.iter().enumerate().filter_map(|(i, &label)| Some((i, relabel(label)?)));
        let (indices, labels): (Vec<usize>, Vec<u16>) = chosen.unzip();
        if let Some(files) = self.files() {
            let chosen = indices.iter().map(|i| files.files[self.first + i].clone()).collect();
            let files = Arc::new(Files { folder: files.folder.clone(), files: chosen, remedies: files.remedies });
            let store = match &self.store {
                Store::Prepared(_, cache) => Store::Prepared(files, Arc::clone(cache)),
                _ => Store::Files(files),
            };
            return Images { shape: self.shape, labels, store, first: 0 };
        }
        // Images in memory are read without errors.
        let pixels = indices.iter().flat_map(|&i| self.image(i).unwrap_or_default().into_owned()).collect();
        Images::new(self.shape, pixels, labels)
    }

    /// The images brought to `shape` = [C, H, W]. Grey becomes RGB by repetition, RGB becomes grey by luma; between
    /// other channel counts, channel c shows channel c mod the old count.
    ///
    /// In memory they are copied and stretched, bilinear with antialias, on all cores; the result does not depend on how
    /// many there are. Files are decoded to the new shape from now on.
    pub fn resized(&self, shape: [usize; 3]) -> Images {
        let pixels = match &self.store {
            Store::Memory(pixels) if shape != self.shape && !self.is_empty() => pixels,
            _ => return Images { shape, ..self.clone() },
        };
        let map = Resampler::stretch([self.shape[1], self.shape[2]], [shape[1], shape[2]]);
        let size = shape.iter().product::<usize>();
        let mut resized = vec![0; self.len() * size];
        let chunks = resized.chunks_mut((CHUNK * size).max(1)).enumerate();
        let resize = |(chunk, out): (usize, &mut [u8])| {
            let (mut image, mut scratch) = (Vec::new(), Vec::new());
            for (i, out) in out.chunks_exact_mut(size).enumerate() {
                image.clear();
                let source = self.in_memory(pixels, chunk * CHUNK + i);
                resample_planes(source, self.shape[0], shape[0], &map, &mut image, &mut scratch);
                out.copy_from_slice(&image);
            }
            Ok::<(), Infallible>(())
        };
        let Ok(()) = share(threads(), chunks, resize);
        Images::new(shape, resized, self.labels.clone())
    }
}

fn no_files() -> DataError {
    DataError::Unfit { name: "images in memory".to_owned(), problem: "they are not files".to_owned() }
}

/// Resamples the planes of one image, changing the channel count.
fn resample_planes(source: &[u8], from: usize, to: usize, map: &Resampler, out: &mut Vec<u8>, scratch: &mut Vec<f32>) {
    let planes: Vec<&[u8]> = source.chunks_exact((source.len() / from.max(1)).max(1)).collect();
    if let ([r, g, b], 1) = (&planes[..], to) {
        let grey: Vec<u8> = r.iter().zip(*g).zip(*b).map(|((&r, &g), &b)| luma(r, g, b)).collect();
        return map.apply(&grey, out, scratch);
    }
    for c in 0..to {
        match c.checked_sub(planes.len()) {
            None => map.apply(planes[c], out, scratch),
            // Repeated: copy what was already made.
            Some(earlier) => out.extend_from_within(earlier * out.len() / c..(earlier + 1) * out.len() / c),
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::data::image_files::{ImageFile, Remedies, sums};

    fn two_colours() -> Images {
        let image = |rgb: [u8; 3]| rgb.into_iter().flat_map(|p| [p; 4]);
        let pixels = image([255, 0, 0]).chain(image([10, 10, 10])).collect();
        Images::new([3, 2, 2], pixels, vec![4, 5])
    }

    /// PNG files of the given [width, height], in a ramp of greens and blues; the red of image i is i.
    pub(crate) fn files(folder: &std::path::Path, shape: [usize; 3], sizes: &[[u32; 2]]) -> Images {
        for (i, &[width, height]) in sizes.iter().enumerate() {
            let pixel = |x, y| image::Rgb([i as u8, (x * 255 / width) as u8, (y * 255 / height) as u8]);
            image::RgbImage::from_fn(width, height, pixel).save(folder.join(format!("{i}.png"))).unwrap();
        }
        listed(folder, shape, sizes.len())
    }

    /// The files `0.png` and on of a folder as they are now.
    pub(crate) fn listed(folder: &std::path::Path, shape: [usize; 3], count: usize) -> Images {
        let names: Vec<String> = (0..count).map(|i| format!("{i}.png")).collect();
        let sums = sums(&names.iter().map(|name| folder.join(name)).collect::<Vec<_>>()).unwrap();
        let files = names.into_iter().zip(sums).map(|(name, sum)| ImageFile { path: name.into(), sum }).collect();
        Images::of_files(
            shape,
            Files { folder: folder.to_owned(), files, remedies: Remedies { changed: "", broken: "replace this file" } },
            (0..count as u16).collect(),
        )
    }

    #[test]
    fn slices_stop_at_the_end() {
        let folder = tempfile::tempdir().unwrap();
        for images in [two_colours(), files(folder.path(), [3, 4, 4], &[[8, 8], [9, 5]])] {
            assert_eq!((images.take(9).len(), images.slice(7..9).len()), (2, 0));
            let second = images.slice(1..9);
            assert_eq!((&second.labels[..], second.image(0).unwrap()), (&images.labels[1..], images.image(1).unwrap()));
            assert!(second.slice(1..2).is_empty());
        }
    }

    #[test]
    fn resized_changes_size_and_channels() {
        let images = two_colours();
        assert_eq!(images.resized([3, 2, 2]).image(1).unwrap(), images.image(1).unwrap());
        let grey = images.resized([1, 3, 5]);
        assert_eq!(grey.image(0).unwrap(), &[76; 15][..], "255 red is 76 by BT.601");
        assert_eq!(images.slice(1..2).resized([1, 3, 5]).image(0).unwrap(), &[10; 15][..]);
        let rgb = grey.resized([3, 3, 5]);
        assert_eq!((rgb.image(0).unwrap().as_ref(), &rgb.labels[..]), (&[76; 45][..], &[4, 5][..]));
    }

    #[test]
    fn files_are_decoded_to_the_shape_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        let images = files(folder.path(), [3, 4, 4], &[[8, 8], [9, 5]]);
        assert!(images.are_files() && !two_colours().are_files());
        for shape in [[3, 4, 4], [1, 70, 80], [3, 3, 5]] {
            let expected = super::super::decode(&folder.path().join("1.png"), shape).unwrap();
            assert_eq!(images.resized(shape).image(1).unwrap(), expected);
        }
    }

    #[test]
    fn a_part_is_resized_to_the_whole() {
        let folder = tempfile::tempdir().unwrap();
        let right = |[height, width]: [usize; 2]| Window { top: 0, left: width / 2, height, width: width - width / 2 };
        let of_file = files(folder.path(), [3, 2, 2], &[[80, 40]]).window(0, right).unwrap();
        assert!(of_file[4..8].iter().all(|&green| green > 127), "only the right half: {of_file:?}");
        let memory = Images::new([1, 1, 4], vec![1, 2, 50, 60], vec![0]);
        assert_eq!(memory.window(0, right).unwrap(), [50, 53, 58, 60]);
    }
}
