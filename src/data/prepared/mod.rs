//! Image files brought once to a smaller size, so that training need not decode photographs of full size every epoch:
//! `strata fetch DATASET --prepare 256`.
//!
//! The copies are in `<cache>/prepared/<digest of the images>-<size>-<form>`: `images.bin` holds one after the other, `index.txt`
//! has for each the checksum of the original, by which it is found. They change the pixels, so an experiment uses them only where
//! `data.prepared` says so, and its key and its data fingerprint change with it.

mod build;
mod format;

use super::decode::{Encoded, Region};
use super::fetch::digest;
use super::resample::Resampler;
use super::verify::{Depth, verify};
use super::{DataError, Images, sums_note};
use crate::named::KeyError;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

pub(super) use build::build;
pub use format::PreparedFormat;

const IMAGES: &str = "images.bin";
const INDEX: &str = "index.txt";
const REMEDY: &str = "remove its folder and run `strata fetch` with --prepare again";

/// The key `data.prepared`: which copies of the image files an experiment uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prepared {
    /// Pixels of the shorter side; smaller images keep their size.
    pub size: usize,
    #[serde(default)]
    pub form: PreparedFormat,
}

impl Prepared {
    /// # Errors
    /// A size out of range.
    pub fn check(self) -> Result<(), KeyError> {
        match self.size {
            32..=2048 => Ok(()),
            size => Err(KeyError::new("size", format!("the shorter side has 32 to 2048 pixels, not {size}"))),
        }
    }

    /// Where the copies of the images with these checksums are.
    fn folder(self, sums: &[[u8; 16]], cache: &Path) -> PathBuf {
        let name = digest(sums.as_flattened());
        cache.join("prepared").join(format!("{}-{}-{}", &name[..16], self.size, self.form))
    }
}

/// The checksums of all image files, sorted; `None` where there are images in memory.
fn contents(images: &[&Images]) -> Option<Vec<[u8; 16]>> {
    let mut sums: Vec<[u8; 16]> =
        images.iter().map(|images| images.contents()).collect::<Option<Vec<_>>>()?.into_iter().flatten().collect();
    sums.sort_unstable();
    sums.dedup();
    Some(sums)
}

/// A copy in `images.bin`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Record {
    offset: u64,
    bytes: usize,
    /// Height, width.
    size: [usize; 2],
}

impl Record {
    /// `<checksum of the original> <offset> <bytes> <height> <width>`
    fn parse(line: &str) -> Option<([u8; 16], Record)> {
        let words: Vec<&str> = line.split(' ').collect();
        let &[digits, offset, bytes, height, width] = words.as_slice() else { return None };
        let sum = u128::from_str_radix(digits, 16).ok().filter(|_| digits.len() == 32)?;
        let size = [height.parse().ok()?, width.parse().ok()?];
        Some((sum.to_be_bytes(), Record { offset: offset.parse().ok()?, bytes: bytes.parse().ok()?, size }))
    }

    fn line(self, sum: [u8; 16]) -> String {
        let Record { offset, bytes, size: [height, width] } = self;
        format!("{:032x} {offset} {bytes} {height} {width}\n", u128::from_be_bytes(sum))
    }
}

/// The copies of a dataset's images.
#[derive(Debug)]
pub(super) struct Cache {
    prepared: Prepared,
    path: PathBuf,
    file: File,
    records: HashMap<[u8; 16], Record>,
    /// The checksums of the two files.
    note: String,
}

impl Cache {
    /// Opens the copies of all `images`; hashes them if that was not done before.
    ///
    /// # Errors
    /// Images that are not files, copies that are missing (`fetch` is how the user names the dataset to `strata fetch`) or damaged.
    pub(super) fn open(prepared: Prepared, images: &[&Images], cache: &Path, fetch: &str) -> Result<Cache, DataError> {
        let sums = contents(images).ok_or_else(|| DataError::Unfit {
            name: fetch.to_owned(),
            problem: "data.prepared is for images that are files; these are in memory".to_owned(),
        })?;
        let Prepared { size, form } = prepared;
        let folder = prepared.folder(&sums, cache);
        let missing = || DataError::NotPrepared { folder: folder.clone(), fetch: fetch.to_owned(), size, form };
        let note = sums_note::read(&folder, "").map_err(|_| missing())?;
        let files = [IMAGES, INDEX].map(|file| sums_note::sum(&note, file).map(|sum| (file, sum)));
        let damaged = |problem: &str| DataError::corrupt(folder.display(), problem, REMEDY);
        let [Some(data), Some(index)] = files else { return Err(damaged("its note of checksums is incomplete")) };
        verify(&format!("{fetch} --prepare {size} --form {form}"), &folder, [data, index].into_iter(), Depth::Changed)?;
        let path = folder.join(IMAGES);
        let file = File::open(&path).map_err(DataError::io("read", &path))?;
        let index = fs::read_to_string(folder.join(INDEX)).map_err(DataError::io("read", &folder.join(INDEX)))?;
        let records = index.lines().map(Record::parse).collect::<Option<HashMap<_, _>>>();
        let records = records.ok_or_else(|| damaged("its index cannot be read"))?;
        match sums.iter().all(|sum| records.contains_key(sum)) {
            true => Ok(Cache { prepared, path, file, records, note }),
            false => Err(damaged("images are missing in its index")),
        }
    }

    /// What makes images with this cache differ from their originals.
    pub(super) fn digest(&self, mut feed: impl FnMut(&[u8])) {
        feed(format!("{:?}", self.prepared).as_bytes());
        feed(self.note.as_bytes());
    }

    /// The whole of a copy as it is stored.
    fn stored(&self, sum: &[u8; 16]) -> Result<Vec<u8>, DataError> {
        let record = self.record(sum)?;
        let mut bytes = vec![0; record.bytes];
        self.read(&mut bytes, record.offset)?;
        Ok(bytes)
    }

    /// The content of a copy that is a file, what errors call it, and their advice.
    pub(super) fn content(&self, sum: &[u8; 16]) -> Result<Option<Encoded>, DataError> {
        match self.prepared.form {
            PreparedFormat::Jpeg => Ok(Some((self.stored(sum)?, self.path.clone(), REMEDY))),
            PreparedFormat::Raw => Ok(None),
        }
    }

    /// Reads what is needed of a copy in raw bytes for the map that `choose` gives for its [height, width].
    pub(super) fn region(
        &self,
        sum: &[u8; 16],
        choose: impl FnOnce([usize; 2]) -> Resampler,
    ) -> Result<(Resampler, Region), DataError> {
        let Record { offset, size: [height, width], .. } = self.record(sum)?;
        let map = choose([height, width]);
        let source = map.source();
        // Rows that are needed, of each plane.
        let rows = source.height * width;
        let mut pixels = vec![0; 3 * rows];
        for (plane, part) in pixels.chunks_exact_mut(rows).enumerate() {
            self.read(part, offset + ((plane * height + source.top) * width) as u64)?;
        }
        Ok((map, Region { pixels, width, left: source.left }))
    }

    fn record(&self, sum: &[u8; 16]) -> Result<Record, DataError> {
        let record = self.records.get(sum).copied();
        record.ok_or_else(|| DataError::corrupt(self.path.display(), "an image is missing", REMEDY))
    }

    fn read(&self, bytes: &mut [u8], offset: u64) -> Result<(), DataError> {
        self.file.read_exact_at(bytes, offset).map_err(DataError::io("read", &self.path))
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
