//! A user's own set in MNIST's form: images and labels of a training and a test split, in four IDX files of any size and number
//! of classes, such as SVHN or EMNIST.

use super::{Info, Source};
use crate::data::fetch::digest;
use crate::data::{DataError, Dataset, Depth, Images, idx};
use crate::hex::hex;
use crate::named::KeyError;
use flate2::read::MultiGzDecoder;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{LazyLock, Mutex, PoisonError};

const NAME: &str = "idx";
/// Bytes of a file, unpacked: more than any such set has.
const MOST: u64 = 1 << 34;
const LAYOUT: &str = "data.path names a folder with train-images*, train-labels*, test-images* and test-labels* (or t10k-*), IDX \
                      files of bytes, plain or .gz";

static INFO: Info = Info {
    name: NAME,
    description: "your own images in IDX files: dataset = \"idx\", path = \"FOLDER\"",
    classes: 0,
    class_names: &[],
    shape: [3, 32, 32],
    train: 0,
    test: 0,
    open: false,
    // SVHN's.
    mean: &[0.4377, 0.4438, 0.4728],
    std: &[0.1980, 0.2010, 0.1970],
};

/// Four IDX files.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Idx {
    /// The folder of the files.
    path: PathBuf,
    /// The checksum of their content. Where it is missing it is worked out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    fingerprint: Option<String>,
    /// How many classes there are; 0 where the files are not there.
    #[serde(skip)]
    classes: usize,
}

/// What is known of a folder.
#[derive(Clone)]
struct Known {
    fingerprint: String,
    classes: Vec<String>,
}

/// The four files' content: images and labels of training, then of testing.
struct Files([(PathBuf, Vec<u8>); 4]);

impl Files {
    fn read(folder: &Path) -> Result<Files, DataError> {
        let entries = fs::read_dir(folder).and_then(Iterator::collect::<Result<Vec<_>, _>>);
        let entries = entries.map_err(|_| DataError::corrupt(folder.display(), "there is no such folder", LAYOUT))?;
        let mut paths: Vec<PathBuf> =
            entries.into_iter().map(|entry| entry.path()).filter(|path| path.is_file()).collect();
        paths.sort();
        let find = |splits: &[&str], what: &str| {
            let is = |path: &&PathBuf| {
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                splits.iter().any(|split| name.starts_with(&format!("{split}-{what}")))
            };
            let missing =
                || DataError::corrupt(folder.display(), format!("there is no {}-{what}* in it", splits[0]), LAYOUT);
            let path = paths.iter().find(is).ok_or_else(missing)?;
            Ok((path.clone(), content(path)?))
        };
        let test = ["test", "t10k"];
        let (images, labels) = (find(&["train"], "images")?, find(&["train"], "labels")?);
        Ok(Files([images, labels, find(&test, "images")?, find(&test, "labels")?]))
    }

    fn fingerprint(&self) -> String {
        let mut hash = Sha256::new();
        self.0.iter().for_each(|(_, content)| hash.update(digest(content)));
        hex(&hash.finalize()[..16])
    }

    /// The labels that there are, sorted: their places are the classes.
    fn labels(&self) -> Result<Vec<u8>, DataError> {
        let mut all = BTreeSet::new();
        for (path, content) in [&self.0[1], &self.0[3]] {
            all.extend(numbers::<1>(path, content)?.1);
        }
        Ok(all.into_iter().collect())
    }

    fn split(&self, images: usize, labels: &[u8]) -> Result<Images, DataError> {
        let (path, content) = &self.0[images];
        let (shape, pixels) = planes(path, content)?;
        let (path, content) = &self.0[images + 1];
        let ([count], values) = numbers::<1>(path, content)?;
        if pixels.len() != count * shape.iter().product::<usize>() {
            let problem =
                format!("{count} labels for {} images", pixels.len() / shape.iter().product::<usize>().max(1));
            return Err(DataError::corrupt(path.display(), problem, LAYOUT));
        }
        let class = |label: &u8| labels.binary_search(label).map(|class| class as u16).unwrap_or_default();
        Ok(Images::new(shape, pixels, values.iter().map(class).collect()))
    }
}

/// The content of a file, unpacked.
fn content(path: &Path) -> Result<Vec<u8>, DataError> {
    let io = |error| DataError::io("read", path)(error);
    let packed = fs::read(path).map_err(io)?;
    if !packed.starts_with(&[0x1f, 0x8b]) {
        return Ok(packed);
    }
    let mut out = Vec::new();
    MultiGzDecoder::new(packed.as_slice()).take(MOST).read_to_end(&mut out).map_err(io)?;
    Ok(out)
}

fn numbers<const D: usize>(path: &Path, content: &[u8]) -> Result<([usize; D], Vec<u8>), DataError> {
    idx::read_from(content, content.len() as u64, path, NAME).map_err(|error| match error {
        DataError::Corrupt { file, problem, .. } => DataError::corrupt(file, problem, LAYOUT),
        other => other,
    })
}

/// [channels, height, width] and the planes: of grey images [N, H, W], or of colours [N, C, H, W] or [N, H, W, C].
fn planes(path: &Path, content: &[u8]) -> Result<([usize; 3], Vec<u8>), DataError> {
    let wrong = |problem: String| DataError::corrupt(path.display(), problem, LAYOUT);
    if content.get(3) != Some(&4) {
        let ([_, height, width], pixels) = numbers::<3>(path, content)?;
        return check([1, height, width]).map(|shape| (shape, pixels)).map_err(wrong);
    }
    match numbers::<4>(path, content)? {
        ([_, channels @ (1 | 3), height, width], pixels) => {
            Ok((check([channels, height, width]).map_err(wrong)?, pixels))
        }
        ([_, height, width, channels @ (1 | 3)], pixels) => {
            let shape = check([channels, height, width]).map_err(wrong)?;
            let plane = |image: &[u8], c: usize| image.iter().skip(c).step_by(channels).copied().collect::<Vec<u8>>();
            let planes = pixels
                .chunks_exact(channels * height * width)
                .flat_map(|image| (0..channels).flat_map(move |c| plane(image, c)));
            Ok((shape, planes.collect()))
        }
        (sizes, _) => {
            Err(wrong(format!("images of {sizes:?}: neither the second nor the last size is 1 or 3 channels")))
        }
    }
}

fn check(shape: [usize; 3]) -> Result<[usize; 3], String> {
    match shape.iter().all(|side| (1..=8192).contains(side)) {
        true => Ok(shape),
        false => Err(format!("images of {shape:?}")),
    }
}

impl Idx {
    /// What the files say, read once a process: the points of a sweep share their data.
    fn known(&self) -> Result<Known, DataError> {
        static KNOWN: LazyLock<Mutex<HashMap<PathBuf, Known>>> = LazyLock::new(Mutex::default);
        let mut all = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = all.get(&self.path) {
            return Ok(known.clone());
        }
        let files = Files::read(&self.path)?;
        let classes = files.labels()?.iter().map(u8::to_string).collect();
        let known = Known { fingerprint: files.fingerprint(), classes };
        all.insert(self.path.clone(), known.clone());
        Ok(known)
    }

    fn check_fingerprint(&self, found: &str) -> Result<(), DataError> {
        match &self.fingerprint {
            Some(expected) if expected != found => Err(DataError::Unfit {
                name: self.path.display().to_string(),
                problem: format!(
                    "the files have changed: their fingerprint is {found}, and the experiment has {expected}. Bring them back, or \
                     remove data.fingerprint to use them as they are now"
                ),
            }),
            _ => Ok(()),
        }
    }
}

impl Source for Idx {
    fn info(&self) -> &'static Info {
        &INFO
    }

    fn classes(&self) -> usize {
        self.classes
    }

    fn complete(&mut self) -> Result<(), KeyError> {
        match self.known() {
            Ok(known) => {
                self.fingerprint.get_or_insert(known.fingerprint);
                self.classes = known.classes.len();
                Ok(())
            }
            // An experiment of an earlier run: it can be read where the files are not.
            Err(_) if self.fingerprint.is_some() => Ok(()),
            Err(error) => Err(KeyError::new("path", error.to_string())),
        }
    }

    fn present(&self, _: &Path) -> bool {
        self.path.exists()
    }

    fn check(&self, folder: &Path, _: Depth) -> Result<(), DataError> {
        self.load(folder).map(|_| ())
    }

    fn load(&self, _: &Path) -> Result<Dataset, DataError> {
        let files = Files::read(&self.path)?;
        self.check_fingerprint(&files.fingerprint())?;
        let labels = files.labels()?;
        Ok(Dataset {
            name: self.path.display().to_string(),
            classes: labels.iter().map(u8::to_string).collect(),
            train: files.split(0, &labels)?,
            validation: None,
            test: files.split(2, &labels)?,
        })
    }

    fn fetch(&self, _: &Path, _: Option<&Path>) -> Result<(), DataError> {
        tracing::info!("{NAME} needs no fetching: an experiment names its files by data.path");
        Ok(())
    }

    fn class_names(&self, _: &Path) -> Vec<String> {
        self.known().map(|known| known.classes).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn file(folder: &Path, name: &str, sizes: &[u32], values: &[u8]) {
        let mut bytes = vec![0, 0, 8, sizes.len() as u8];
        sizes.iter().for_each(|size| bytes.extend(size.to_be_bytes()));
        bytes.extend(values);
        if name.ends_with(".gz") {
            let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            packed.write_all(&bytes).unwrap();
            bytes = packed.finish().unwrap();
        }
        fs::write(folder.join(name), bytes).unwrap();
    }

    /// SVHN's labels are 1 to 10, its pixels interleaved.
    #[test]
    fn colours_and_labels_of_any_kind() {
        let folder = tempfile::tempdir().unwrap();
        let rgb: Vec<u8> = (0..24).collect();
        file(folder.path(), "train-images.idx", &[2, 2, 2, 3], &rgb);
        file(folder.path(), "train-labels.idx.gz", &[2], &[10, 1]);
        file(folder.path(), "t10k-images-idx4-ubyte", &[1, 3, 2, 2], &[9, 9, 9, 9, 8, 8, 8, 8, 7, 7, 7, 7]);
        let mut source = Idx { path: folder.path().to_owned(), ..Idx::default() };
        assert!(source.complete().unwrap_err().message.contains("there is no test-labels* in it"));
        file(folder.path(), "t10k-labels", &[1], &[10]);
        source.complete().unwrap();
        assert_eq!((source.classes(), source.class_names(Path::new(""))), (2, vec!["1".to_owned(), "10".to_owned()]));
        let data = source.load(Path::new("")).unwrap();
        assert_eq!(
            (data.train.shape, &data.train.labels[..], &data.test.labels[..]),
            ([3, 2, 2], &[1, 0][..], &[1][..])
        );
        assert_eq!(data.train.image(1).unwrap(), &[12, 15, 18, 21, 13, 16, 19, 22, 14, 17, 20, 23][..]);
        assert_eq!(data.test.image(0).unwrap(), &[9, 9, 9, 9, 8, 8, 8, 8, 7, 7, 7, 7][..]);

        file(folder.path(), "t10k-labels", &[1], &[1]);
        assert!(source.load(Path::new("")).unwrap_err().to_string().contains("the files have changed"));
        file(folder.path(), "t10k-labels", &[2], &[1, 1]);
        source.fingerprint = None;
        assert!(source.load(Path::new("")).unwrap_err().to_string().contains("2 labels for 1 images"));
    }
}
