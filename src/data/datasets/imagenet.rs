//! ImageNet, or any other folder of images: the cache holds an index of the user's files, which stay where they are.
//!
//! The index is lines of text: a head with the folder, the counts and the SHA-256 of the rest; then the class names; then
//! `<label> <bytes> <time> <SHA-256> <path from the folder on>` of the training and the validation images.

use std::fmt::Write;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::{Info, Source};
use crate::data::fetch::{copy_hashed, digest, install};
use crate::data::image_files::{Files, ImageFile, Remedies, sums};
use crate::data::image_folder::{self, Split};
use crate::data::verify::Depth;
use crate::data::{DataError, Dataset, Images};
use serde::{Deserialize, Serialize};

const NAME: &str = "imagenet";
const LAYOUT: &str = "expected train/<class>/*.JPEG and val/<class>/*.JPEG (or .jpg, .jpeg, .png)";
const INDEX: &str = "index.txt";
const FORMAT: &str = "# strata image folder 2";
const REINDEX: &str = "run `strata fetch imagenet --from FOLDER` to list the images again";

/// ILSVRC 2012, or any other folder of images in its form.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Imagenet {}

static INFO: Info = Info {
    name: NAME,
    description: "ImageNet (ILSVRC 2012): photographs as files, decoded as they are needed",
    classes: 1000,
    class_names: &[],
    shape: [3, 224, 224],
    train: 1_281_167,
    test: 50_000,
    open: true,
    mean: &[0.485, 0.456, 0.406],
    std: &[0.229, 0.224, 0.225],
};

impl Source for Imagenet {
    fn info(&self) -> &'static Info {
        &INFO
    }

    fn present(&self, folder: &Path) -> bool {
        folder.join(INDEX).is_file()
    }

    fn check(&self, folder: &Path, depth: Depth) -> Result<(), DataError> {
        let data = self.load(folder)?;
        if depth == Depth::Whole {
            data.train.check_files()?;
            data.test.check_files()?;
        }
        Ok(())
    }

    fn load(&self, folder: &Path) -> Result<Dataset, DataError> {
        let path = folder.join(INDEX);
        let text = fs::read_to_string(&path).map_err(|reason| match reason.kind() {
            ErrorKind::NotFound => DataError::Missing { name: NAME.into(), folder: folder.to_owned() },
            ErrorKind::InvalidData => DataError::corrupt(path.display(), "it is not text", REINDEX),
            _ => DataError::io("read", &path)(reason),
        })?;
        let damaged = |problem: &str| DataError::corrupt(path.display(), problem, REINDEX);
        let head = Head::read(&text).ok_or_else(|| damaged("this is no index of images, or one of another version"))?;
        if digest(head.list.as_bytes()) != head.sha256 {
            return Err(damaged("its list of images has not the SHA-256 that its head gives"));
        }
        for split in ["train", "val"] {
            let there = head.folder.join(split);
            if !there.is_dir() {
                return Err(DataError::corrupt(
                    there.display(),
                    "the images were in this folder, which no longer exists",
                    REINDEX,
                ));
            }
        }
        head.dataset().ok_or_else(|| damaged("its list of images does not fit the counts in its head"))
    }

    fn fetch(&self, cache: &Path, from: Option<&Path>) -> Result<(), DataError> {
        let installed = crate::data::folder(NAME, cache);
        match from {
            Some(folder) => {
                let text = index(folder)?;
                install(
                    NAME,
                    cache,
                    |_| false,
                    |new, _| copy_hashed(text.as_bytes(), &new.join(INDEX), u64::MAX, INDEX).map(|_| ()),
                )
            }
            None if self.present(&installed) => {
                self.load(&installed).map(|data| tracing::info!("{} is complete", data.name))
            }
            None => Err(DataError::Licence {
                name: NAME.into(),
                remedy: format!(
                    "get them from https://image-net.org/download-images, unpack them as FOLDER/train/<class>/*.JPEG and \
                     FOLDER/val/<class>/*.JPEG, and run `strata fetch {NAME} --from FOLDER`. They are not copied, and \
                     another folder of images in this form will do as well"
                ),
            }),
        }
    }

    fn class_names(&self, folder: &Path) -> Vec<String> {
        self.load(folder).map_or_else(|_| Vec::new(), |data| data.classes)
    }
}

/// The text of the index of a folder.
fn index(folder: &Path) -> Result<String, DataError> {
    let folder = std::path::absolute(folder).map_err(DataError::io("find", folder))?;
    let name = image_folder::line(&folder, folder.as_os_str())?;
    let splits = [("train", scan(&folder, "train")?), ("val", scan(&folder, "val")?)];
    let [(_, train), (_, val)] = &splits;
    check_classes(&folder, train, val)?;

    let mut list = String::new();
    train.classes.iter().for_each(|class| list.extend([class, "\n"]));
    let entry = |(split, content): &(&str, Split), (label, file): (usize, &str)| {
        (label, format!("{split}/{}/{file}", content.classes[label]))
    };
    let images: Vec<(usize, String)> =
        splits.iter().flat_map(|split| split.1.in_turns().into_iter().map(move |image| entry(split, image))).collect();
    let paths: Vec<PathBuf> = images.iter().map(|(_, path)| folder.join(path)).collect();
    for ((label, path), sum) in images.iter().zip(sums(&paths)?) {
        // Writing to a String does not fail.
        let _ = writeln!(list, "{label} {sum} {path}");
    }
    let (classes, sum) = (train.classes.len(), digest(list.as_bytes()));
    tracing::info!("{} training and {} validation images of {classes} classes", train.len(), val.len());
    if let ignored @ 1.. = train.ignored + val.ignored {
        tracing::info!("{ignored} other files and folders there are ignored");
    }
    let counts = format!("classes {classes}\ntrain {}\nval {}", train.len(), val.len());
    Ok(format!("{FORMAT}\nfolder {name}\n{counts}\nsha256 {sum}\n{list}"))
}

fn scan(folder: &Path, split: &str) -> Result<Split, DataError> {
    tracing::info!("listing the images of {}", folder.join(split).display());
    image_folder::scan(&folder.join(split), LAYOUT)
}

fn check_classes(folder: &Path, train: &Split, val: &Split) -> Result<(), DataError> {
    let wrong = |problem: String, remedy: &str| Err(DataError::corrupt(folder.display(), problem, remedy));
    for (here, there, [has, lacks]) in [(train, val, ["train", "val"]), (val, train, ["val", "train"])] {
        let mut alone = here.classes.iter().filter(|class| there.classes.binary_search(class).is_err());
        if let Some(class) = alone.next() {
            let more = match alone.count() {
                0 => String::new(),
                count => format!(" and {count} more"),
            };
            let problem = format!("{has}/ has the class {class}{more}, {lacks}/ has not");
            return wrong(problem, "both must have the same classes");
        }
    }
    match train.classes.len() {
        ..=65_536 => Ok(()),
        count => wrong(format!("{count} classes"), "labels have room for 65536"),
    }
}

/// The head of an index, and what follows it.
struct Head<'a> {
    folder: PathBuf,
    classes: usize,
    train: usize,
    val: usize,
    sha256: &'a str,
    list: &'a str,
}

impl Head<'_> {
    fn read(text: &str) -> Option<Head<'_>> {
        let mut list = text.strip_prefix(FORMAT)?.strip_prefix('\n')?;
        let mut value = |key: &str| {
            let (line, rest) = list.split_once('\n')?;
            list = rest;
            line.strip_prefix(key)?.strip_prefix(' ')
        };
        let folder = value("folder")?.into();
        let [classes, train, val] = ["classes", "train", "val"].map(|key| value(key)?.parse().ok());
        let sha256 = value("sha256")?;
        Some(Head { folder, classes: classes?, train: train?, val: val?, sha256, list })
    }

    fn dataset(&self) -> Option<Dataset> {
        let mut lines = self.list.lines();
        let classes: Vec<String> = lines.by_ref().take(self.classes).map(str::to_owned).collect();
        let train = self.images(lines.by_ref().take(self.train), self.train)?;
        let test = self.images(lines.by_ref().take(self.val), self.val)?;
        let name = match (self.classes, self.train, self.val) == (INFO.classes, INFO.train, INFO.test) {
            true => NAME.to_owned(),
            // The start of the checksum distinguishes folders in results.
            false => format!(
                "{NAME} (another folder: {} + {} images, {} classes, list {})",
                self.train,
                self.val,
                self.classes,
                self.sha256.get(..12)?
            ),
        };
        (classes.len() == self.classes && lines.next().is_none()).then_some(Dataset {
            name,
            classes,
            train,
            validation: None,
            test,
        })
    }

    fn images<'a>(&self, lines: impl Iterator<Item = &'a str>, count: usize) -> Option<Images> {
        let (mut labels, mut files) = (Vec::new(), Vec::new());
        for line in lines {
            let (label, rest) = line.split_once(' ')?;
            let label: u16 = label.parse().ok().filter(|&label| usize::from(label) < self.classes)?;
            let (end, _) = rest.match_indices(' ').nth(2)?;
            labels.push(label);
            files.push(ImageFile { path: rest[end + 1..].into(), sum: rest[..end].parse().ok()? });
        }
        let remedies = Remedies {
            changed: "bring the former file back, or run `strata fetch` with --from again to list the images as they are now",
            broken: "replace this file, or remove it, and run `strata fetch` with --from again",
        };
        let files = Files { folder: self.folder.clone(), files, remedies };
        (labels.len() == count).then(|| Images::of_files(INFO.shape, files, labels))
    }
}

#[cfg(test)]
#[path = "imagenet_tests.rs"]
mod tests;
