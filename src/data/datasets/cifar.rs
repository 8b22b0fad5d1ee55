//! Datasets in the published binary form of CIFAR: files of records, each one or two label bytes and 3·32·32 pixel bytes in
//! planes. A tree of images is packed once into the same form.

use std::fs::{self, File};
use std::io::{BufReader, Read};
use std::path::Path;

use flate2::read::GzDecoder;

use super::{Info, Source};
use crate::data::fetch::{self, Transport};
use crate::data::image_tree::{self, Tree};
use crate::data::sums_note::{self, NOTE};
use crate::data::verify::{Depth, verify};
use crate::data::{DataError, Dataset, Images};

/// Bytes of an image.
const PIXELS: usize = 3 * 32 * 32;
const ARCHIVE_LIMIT: u64 = 200_000_000;

/// A file and how many records it has.
#[derive(Debug)]
pub(super) struct RecordFile {
    pub name: &'static str,
    pub records: usize,
}

/// A dataset in CIFAR's binary format, as published.
#[derive(Debug)]
pub(super) struct CifarSet {
    pub info: &'static Info,
    pub train: &'static [RecordFile],
    pub test: &'static [RecordFile],
    pub archive: &'static str,
    pub address: &'static str,
    pub archive_sha256: &'static str,
    /// The folders of a tree, by label.
    pub folders: &'static [&'static str],
    /// The label bytes of a record whose image is in the folder of this label.
    pub labels: fn(u8) -> Vec<u8>,
    /// The label byte that counts.
    pub label: usize,
}

impl Source for CifarSet {
    fn info(&self) -> &'static Info {
        self.info
    }

    fn present(&self, folder: &Path) -> bool {
        let full = |file: &RecordFile| fs::metadata(folder.join(file.name)).is_ok_and(|m| m.len() == self.bytes(file));
        folder.join(NOTE).is_file() && self.files().all(full)
    }

    fn check(&self, folder: &Path, depth: Depth) -> Result<(), DataError> {
        let note = sums_note::read(folder, self.name())?;
        for file in self.files() {
            let path = folder.join(file.name);
            let length = fs::metadata(&path).map_err(DataError::io("read", &path))?.len();
            let expected = self.bytes(file);
            if length != expected {
                let problem = format!("it has {length} bytes and should have {expected}");
                return Err(DataError::damaged(&path, problem, self.name()));
            }
        }
        let known = self.files().map(|file| Some((file.name, sums_note::sum(&note, file.name)?)));
        let known = known.collect::<Option<Vec<_>>>().ok_or_else(|| sums_note::incomplete(folder, self.name()))?;
        verify(self.name(), folder, known.into_iter(), depth)
    }

    fn load(&self, folder: &Path) -> Result<Dataset, DataError> {
        self.check(folder, Depth::Changed)?;
        let note = sums_note::read(folder, self.name())?;
        Ok(Dataset {
            name: sums_note::name(&note).unwrap_or(self.name()).into(),
            classes: self.info.class_names.iter().map(|&name| name.to_owned()).collect(),
            train: self.read(folder, self.train)?,
            validation: None,
            test: self.read(folder, self.test)?,
        })
    }

    fn fetch(&self, cache: &Path, from: Option<&Path>) -> Result<(), DataError> {
        fetch::install(
            self.name(),
            cache,
            |folder| from.is_none() && self.check(folder, Depth::Whole).is_ok(),
            |new, temporary| match from.map(|path| (path, path.join(self.archive))) {
                None => self.download(new, temporary, &fetch::http),
                Some((folder, archive)) if archive.is_file() => self.unpack_archive(&archive, folder, new, temporary),
                Some((file, _)) if file.is_file() => self.unpack_archive(file, file, new, temporary),
                Some((folder, _)) => self.pack_tree(folder, new),
            },
        )
    }
}

impl CifarSet {
    fn name(&self) -> &'static str {
        self.info.name
    }

    fn files(&self) -> impl Iterator<Item = &'static RecordFile> {
        self.train.iter().chain(self.test)
    }

    fn record(&self) -> usize {
        (self.labels)(0).len() + PIXELS
    }

    fn bytes(&self, file: &RecordFile) -> u64 {
        (file.records * self.record()) as u64
    }

    fn read(&self, folder: &Path, files: &[RecordFile]) -> Result<Images, DataError> {
        let count = files.iter().map(|file| file.records).sum::<usize>();
        let (mut pixels, mut labels) = (vec![0; count * PIXELS], Vec::with_capacity(count));
        let mut rest = pixels.as_mut_slice();
        for file in files {
            let path = folder.join(file.name);
            let io = |e| DataError::io("read", &path)(e);
            let mut reader = BufReader::with_capacity(1 << 20, File::open(&path).map_err(io)?);
            let (images, others) = rest.split_at_mut(file.records * PIXELS);
            rest = others;
            let mut label_bytes = (self.labels)(0);
            for image in images.chunks_exact_mut(PIXELS) {
                reader.read_exact(&mut label_bytes).map_err(io)?;
                reader.read_exact(image).map_err(io)?;
                let label = label_bytes[self.label];
                if usize::from(label) >= self.info.classes {
                    let problem = format!("a label is {label}, but there are {} classes", self.info.classes);
                    return Err(DataError::damaged(&path, problem, self.name()));
                }
                labels.push(label.into());
            }
        }
        Ok(Images::new([3, 32, 32], pixels, labels))
    }

    fn download(&self, new: &Path, temporary: &Path, transport: Transport) -> Result<(), DataError> {
        let (archive, address, name) = (temporary.join("downloaded"), self.address, self.name());
        transport(address)
            .and_then(|reader| self.checked_archive(reader, address, &archive).map_err(|e| e.to_string()))
            .and_then(|()| self.untar(&archive, address, new).map_err(|e| e.to_string()))
            .map_err(|reason| DataError::Fetch {
                name: name.into(),
                attempts: vec![format!("{address}: {reason}")],
                remedy: format!(
                    "By hand: put {} in a folder, or pictures as train/<class>/*.jpg and test/<class>/*.jpg, and \
                     run `strata fetch {name} --from FOLDER`.",
                    self.archive
                ),
            })
    }

    fn unpack_archive(&self, archive: &Path, source: &Path, new: &Path, temporary: &Path) -> Result<(), DataError> {
        let reader = File::open(archive).map_err(DataError::io("read", archive))?;
        let copy = temporary.join("copy");
        self.checked_archive(reader, &source.display().to_string(), &copy)?;
        self.untar(&copy, &source.display().to_string(), new)
    }

    /// Copies the archive and checks the copy, so that what is unpacked is what was checked.
    fn checked_archive(&self, reader: impl Read, source: &str, to: &Path) -> Result<(), DataError> {
        let (bytes, sha256) = fetch::copy_hashed(reader, to, ARCHIVE_LIMIT, source)?;
        match sha256 == self.archive_sha256 {
            true => Ok(()),
            false => {
                let problem = format!("the SHA-256 of its {bytes} bytes is {sha256}, not {}", self.archive_sha256);
                Err(DataError::corrupt(source, problem, "this file is not used"))
            }
        }
    }

    /// Takes the data files out of the archive, by their names alone: no path in it is followed.
    fn untar(&self, archive: &Path, source: &str, new: &Path) -> Result<(), DataError> {
        let bad = |problem: String| DataError::corrupt(source, problem, "this file is not used");
        let packed = File::open(archive).map_err(DataError::io("read", archive))?;
        let limit = 2 * self.files().map(|file| self.bytes(file)).sum::<u64>();
        let mut tar = tar::Archive::new(GzDecoder::new(BufReader::new(packed)).take(limit));
        let mut sums: Vec<(&str, String)> = Vec::new();
        for entry in tar.entries().map_err(|e| bad(e.to_string()))? {
            let mut entry = entry.map_err(|e| bad(e.to_string()))?;
            let path = entry.path().map_err(|e| bad(e.to_string()))?.into_owned();
            let Some(file) = self.files().find(|file| path.file_name().is_some_and(|f| f == file.name)) else {
                continue;
            };
            let (name, expected) = (file.name, self.bytes(file));
            let (bytes, sha256) = fetch::copy_hashed(&mut entry, &new.join(name), expected + 1, source)?;
            if bytes != expected {
                return Err(bad(format!("{name} in it has not {expected} bytes")));
            }
            sums.push((name, sha256));
        }
        if let Some(missing) = self.files().find(|file| sums.iter().all(|(found, _)| *found != file.name)) {
            return Err(bad(format!("there is no {} in it", missing.name)));
        }
        sums_note::write(new, self.name(), &sums)
    }

    fn pack_tree(&self, folder: &Path, new: &Path) -> Result<(), DataError> {
        let mut sums = Vec::new();
        for (split, files) in [("train", self.train), ("test", self.test)] {
            tracing::info!("decoding the images of {}", folder.join(split).display());
            let per_class = files.iter().map(|file| file.records).sum::<usize>() / self.folders.len();
            let tree = Tree {
                name: self.name(),
                classes: self.folders,
                per_class,
                archive: self.archive,
                labels: self.labels,
            };
            let records = image_tree::pack(&folder.join(split), &tree)?;
            let mut rest = records.as_slice();
            for file in files {
                let bytes = self.bytes(file);
                let (content, others) = rest.split_at(bytes as usize);
                rest = others;
                let (_, sum) = fetch::copy_hashed(content, &new.join(file.name), bytes, file.name)?;
                sums.push((file.name, sum));
            }
        }
        // Images of a tree may have been compressed with losses: results on them say so.
        sums_note::write(new, &format!("{} (JPEG copy)", self.name()), &sums)
    }
}

#[cfg(test)]
#[path = "cifar_tests.rs"]
mod tests;
