//! CIFAR-10 in its published binary form: files of records, each a label byte and 3·32·32 pixel bytes in planes. A
//! tree of JPEG or PNG files is packed once into the same form.

use std::fs::{self, File};
use std::io::{BufReader, Read};
use std::path::Path;

use flate2::read::GzDecoder;

use super::{Info, Source};
use crate::data::fetch::{self, Transport};
use crate::data::image_tree::{self, Tree};
use crate::data::verify::{Depth, verify};
use crate::data::{DataError, Dataset, Images};
use serde::{Deserialize, Serialize};

const NAME: &str = "cifar10";
const CLASSES: [&str; 10] = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"];
const TRAIN: [&str; 5] =
    ["data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin", "data_batch_5.bin"];
const TEST: [&str; 1] = ["test_batch.bin"];

/// Bytes of an image.
const PIXELS: usize = 3 * 32 * 32;
/// Images in a file. Few in unit tests: without optimisation the real files take half a minute.
const RECORDS: usize = if cfg!(test) { 20 } else { 10_000 };
const FILE_BYTES: u64 = (RECORDS * (1 + PIXELS)) as u64;

const ARCHIVE: &str = "cifar-10-binary.tar.gz";
const ADDRESS: &str = "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz";
const ARCHIVE_SHA256: &str = "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd";
const ARCHIVE_LIMIT: u64 = 200_000_000;

/// Written last: the checksums of the other files, as `sha256sum -c` reads them, under a comment line that is the
/// name to print beside results.
const NOTE: &str = "SHA256SUMS";
const JPEG_COPY: &str = "cifar10 (JPEG copy)";

fn files() -> impl Iterator<Item = &'static str> {
    TRAIN.into_iter().chain(TEST)
}

/// The dataset of Krizhevsky (2009).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cifar10 {}

static INFO: Info = Info {
    name: NAME,
    description: "CIFAR-10 (Krizhevsky 2009): 32x32 colour photographs",
    classes: 10,
    class_names: &CLASSES,
    shape: [3, 32, 32],
    train: 50_000,
    test: 10_000,
    open: false,
    mean: &[125.3 / 255.0, 123.0 / 255.0, 113.9 / 255.0],
    std: &[63.0 / 255.0, 62.1 / 255.0, 66.7 / 255.0],
};

impl Source for Cifar10 {
    fn info(&self) -> &'static Info {
        &INFO
    }

    fn present(&self, folder: &Path) -> bool {
        let full = |name| fs::metadata(folder.join(name)).is_ok_and(|m| m.len() == FILE_BYTES);
        folder.join(NOTE).is_file() && files().all(full)
    }

    fn check(&self, folder: &Path, depth: Depth) -> Result<(), DataError> {
        let note = note(folder)?;
        for name in files() {
            let path = folder.join(name);
            let length = fs::metadata(&path).map_err(DataError::io("read", &path))?.len();
            if length != FILE_BYTES {
                let problem = format!("it has {length} bytes and should have {FILE_BYTES}");
                return Err(DataError::damaged(&path, problem, NAME));
            }
        }
        let known = files().map(|name| Some((name, sum_in(&note, name)?))).collect::<Option<Vec<_>>>();
        let incomplete = || DataError::damaged(&folder.join(NOTE), "it has not the sums of all files", NAME);
        verify(NAME, folder, known.ok_or_else(incomplete)?.into_iter(), depth)
    }

    fn load(&self, folder: &Path) -> Result<Dataset, DataError> {
        self.check(folder, Depth::Changed)?;
        let note = note(folder)?;
        let name = note.lines().next().and_then(|line| line.strip_prefix("# ")).unwrap_or(NAME);
        Ok(Dataset {
            name: name.into(),
            classes: CLASSES.map(String::from).to_vec(),
            train: read(folder, &TRAIN)?,
            test: read(folder, &TEST)?,
        })
    }

    fn fetch(&self, cache: &Path, from: Option<&Path>) -> Result<(), DataError> {
        fetch::install(
            NAME,
            cache,
            |folder| from.is_none() && self.check(folder, Depth::Whole).is_ok(),
            |new, temporary| match from.map(|path| (path, path.join(ARCHIVE))) {
                None => download(new, temporary, &fetch::http),
                Some((folder, archive)) if archive.is_file() => from_archive(&archive, folder, new, temporary),
                Some((file, _)) if file.is_file() => from_archive(file, file, new, temporary),
                Some((folder, _)) => from_tree(folder, new),
            },
        )
    }
}

fn note(folder: &Path) -> Result<String, DataError> {
    let missing = |_| DataError::Missing { name: NAME.into(), folder: folder.to_owned() };
    fs::read_to_string(folder.join(NOTE)).map_err(missing)
}

fn sum_in<'a>(note: &'a str, name: &str) -> Option<&'a str> {
    note.lines().find_map(|line| line.strip_suffix(name)).map(str::trim)
}

fn read(folder: &Path, names: &[&str]) -> Result<Images, DataError> {
    let count = names.len() * RECORDS;
    let (mut pixels, mut labels) = (vec![0; count * PIXELS], Vec::with_capacity(count));
    for (name, pixels) in names.iter().zip(pixels.chunks_exact_mut(RECORDS * PIXELS)) {
        let path = folder.join(name);
        let io = |e| DataError::io("read", &path)(e);
        let mut file = BufReader::with_capacity(1 << 20, File::open(&path).map_err(io)?);
        for record in pixels.chunks_exact_mut(PIXELS) {
            let mut label = [0];
            file.read_exact(&mut label).map_err(io)?;
            file.read_exact(record).map_err(io)?;
            if usize::from(label[0]) >= CLASSES.len() {
                let problem = format!("a label is {}, but there are {} classes", label[0], CLASSES.len());
                return Err(DataError::damaged(&path, problem, NAME));
            }
            labels.push(label[0].into());
        }
    }
    Ok(Images::new([3, 32, 32], pixels, labels))
}

fn download(new: &Path, temporary: &Path, transport: Transport) -> Result<(), DataError> {
    let archive = temporary.join("downloaded");
    transport(ADDRESS)
        .and_then(|reader| checked_archive(reader, ADDRESS, &archive).map_err(|e| e.to_string()))
        .and_then(|()| untar(&archive, ADDRESS, new).map_err(|e| e.to_string()))
        .map_err(|reason| DataError::Fetch {
            name: NAME.into(),
            attempts: vec![format!("{ADDRESS}: {reason}")],
            remedy: format!(
                "By hand: put {ARCHIVE} in a folder, or pictures as train/<class>/*.jpg and test/<class>/*.jpg, and \
                 run `strata fetch {NAME} --from FOLDER`."
            ),
        })
}

fn from_archive(archive: &Path, source: &Path, new: &Path, temporary: &Path) -> Result<(), DataError> {
    let reader = File::open(archive).map_err(DataError::io("read", archive))?;
    let copy = temporary.join("copy");
    checked_archive(reader, &source.display().to_string(), &copy)?;
    untar(&copy, &source.display().to_string(), new)
}

/// Copies the archive and checks the copy, so that what is unpacked is what was checked.
fn checked_archive(reader: impl Read, source: &str, to: &Path) -> Result<(), DataError> {
    let (bytes, sha256) = fetch::copy_hashed(reader, to, ARCHIVE_LIMIT, source)?;
    match sha256 == ARCHIVE_SHA256 {
        true => Ok(()),
        false => {
            let problem = format!("the SHA-256 of its {bytes} bytes is {sha256}, not {ARCHIVE_SHA256}");
            Err(DataError::corrupt(source, problem, "this file is not used"))
        }
    }
}

/// Takes the six data files out of the archive, by their names alone: no path in it is followed.
fn untar(archive: &Path, source: &str, new: &Path) -> Result<(), DataError> {
    let bad = |problem: String| DataError::corrupt(source, problem, "this file is not used");
    let packed = File::open(archive).map_err(DataError::io("read", archive))?;
    let unpacked = GzDecoder::new(BufReader::new(packed)).take(8 * FILE_BYTES);
    let mut tar = tar::Archive::new(unpacked);
    let mut sums = Vec::new();
    for entry in tar.entries().map_err(|e| bad(e.to_string()))? {
        let mut entry = entry.map_err(|e| bad(e.to_string()))?;
        let path = entry.path().map_err(|e| bad(e.to_string()))?.into_owned();
        let Some(name) = files().find(|name| path.file_name().is_some_and(|f| f == *name)) else { continue };
        let (bytes, sha256) = fetch::copy_hashed(&mut entry, &new.join(name), FILE_BYTES + 1, source)?;
        if bytes != FILE_BYTES {
            return Err(bad(format!("{name} in it has not {FILE_BYTES} bytes")));
        }
        sums.push((name, sha256));
    }
    if let Some(missing) = files().find(|name| sums.iter().all(|(found, _)| found != name)) {
        return Err(bad(format!("there is no {missing} in it")));
    }
    write_note(new, NAME, &sums)
}

fn write_note(folder: &Path, name: &str, sums: &[(&str, String)]) -> Result<(), DataError> {
    let lines: String = sums.iter().map(|(file, sum)| format!("{sum}  {file}\n")).collect();
    let path = folder.join(NOTE);
    fetch::copy_hashed(format!("# {name}\n{lines}").as_bytes(), &path, 1 << 16, NOTE).map(|_| ())
}

fn from_tree(folder: &Path, new: &Path) -> Result<(), DataError> {
    let mut sums = Vec::new();
    for (split, names) in [("train", &TRAIN[..]), ("test", &TEST[..])] {
        tracing::info!("decoding the images of {}", folder.join(split).display());
        let per_class = names.len() * RECORDS / CLASSES.len();
        let tree = Tree { name: NAME, classes: &CLASSES, per_class, archive: ARCHIVE };
        let records = image_tree::pack(&folder.join(split), &tree)?;
        for (name, bytes) in names.iter().zip(records.chunks_exact(FILE_BYTES as usize)) {
            let (_, sum) = fetch::copy_hashed(bytes, &new.join(name), FILE_BYTES, name)?;
            sums.push((*name, sum));
        }
    }
    write_note(new, JPEG_COPY, &sums)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packs_a_tree_with_the_classes_taking_turns() {
        let (folder, cache) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        image_tree::tests::make(&folder.path().join("train"), &CLASSES, 10);
        image_tree::tests::make(&folder.path().join("test"), &CLASSES, 2);
        Cifar10 {}.fetch(cache.path(), Some(folder.path())).unwrap();
        let installed = crate::data::folder(NAME, cache.path());
        assert!(Cifar10 {}.present(&installed) && Cifar10 {}.check(&installed, Depth::Whole).is_ok());
        let data = Cifar10 {}.load(&installed).unwrap();
        assert_eq!((data.name.as_str(), data.train.len(), data.test.len()), (JPEG_COPY, 100, 20));
        for i in 0..100 {
            let (class, rank, image) = (i % 10, i / 10, data.train.image(i).unwrap());
            assert_eq!((usize::from(data.train.labels[i]), usize::from(image[1023])), (class, 10 * class + rank));
            assert_eq!((image[1024], image[3071]), (1, 2));
        }
    }

    #[test]
    fn a_wrong_archive_is_not_unpacked() {
        let folder = tempfile::tempdir().unwrap();
        let error = download(folder.path(), folder.path(), &|_| Ok(Box::new(&b"<html>"[..]))).unwrap_err();
        let message = error.to_string();
        assert!(message.contains("SHA-256") && message.contains("strata fetch cifar10 --from"), "{message}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "only what was downloaded");
    }

    /// An archive of the right form: the six files are taken, and the note makes them verifiable.
    #[test]
    fn untars_loads_and_notices_damage() {
        let (folder, new) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let archive = folder.path().join("a.tar.gz");
        let packed = flate2::write::GzEncoder::new(File::create(&archive).unwrap(), flate2::Compression::fast());
        let mut tar = tar::Builder::new(packed);
        for name in files() {
            let mut header = tar::Header::new_ustar();
            header.set_size(FILE_BYTES);
            let path = format!("cifar-10-batches-bin/{name}");
            tar.append_data(&mut header, path, std::io::repeat(3).take(FILE_BYTES)).unwrap();
        }
        tar.into_inner().unwrap().finish().unwrap();
        untar(&archive, "there", new.path()).unwrap();
        assert!(Cifar10 {}.present(new.path()) && Cifar10 {}.check(new.path(), Depth::Whole).is_ok());
        let data = Cifar10 {}.load(new.path()).unwrap();
        assert_eq!((data.name.as_str(), data.train.len(), data.test.labels[RECORDS - 1]), (NAME, 5 * RECORDS, 3));

        let damaged = new.path().join("data_batch_2.bin");
        let mut bytes = fs::read(&damaged).unwrap();
        bytes[1 + PIXELS] = 10;
        fs::write(&damaged, &bytes).unwrap();
        assert!(Cifar10 {}.present(new.path()) && Cifar10 {}.check(new.path(), Depth::Whole).is_err());
        assert!(
            Cifar10 {}.load(new.path()).unwrap_err().to_string().contains("data_batch_2.bin: its content has changed")
        );
        // Noted anew it is not damaged, and still no CIFAR-10.
        let sums: Vec<_> = files().map(|name| (name, fetch::sha256(&new.path().join(name)).unwrap())).collect();
        write_note(new.path(), NAME, &sums).unwrap();
        assert!(Cifar10 {}.load(new.path()).unwrap_err().to_string().contains("data_batch_2.bin: a label is 10"));
        fs::write(&damaged, &bytes[..100]).unwrap();
        assert!(!Cifar10 {}.present(new.path()));
        assert!(Cifar10 {}.load(new.path()).unwrap_err().to_string().contains("it has 100 bytes"));
    }
}
