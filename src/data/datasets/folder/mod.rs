//! Any images that the user has: a tree of folders, or a CSV file of files and labels. They stay where they are.
//!
//! An experiment holds the checksum of the images, not only their path, so that its key changes with the images and does not
//! change when they move.

mod divide;
mod labels;
mod listing;
mod scanned;
mod sums;
mod tree;

use super::{Info, Source};
use crate::data::image_files::{Files, ImageFile, Remedies};
use crate::data::{DataError, Dataset, Depth, Images, cache_dir};
use crate::named::KeyError;
use divide::{Fractions, divide};
use listing::{Entry, Listing, listed};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use sums::NAME;

static INFO: Info = Info {
    name: NAME,
    description: "your own images: dataset = \"folder\", path = \"FOLDER or FILE.csv\"",
    classes: 0,
    class_names: &[],
    shape: [3, 224, 224],
    train: 0,
    test: 0,
    open: false,
    // ImageNet's, as is usual for photographs.
    mean: &[0.485, 0.456, 0.406],
    std: &[0.229, 0.224, 0.225],
};

/// A tree of images or a CSV file.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Folder {
    /// `<class>/*`, or `train/<class>/*` beside `val/` or `test/` or both, or a CSV file with the columns `file` and `label`.
    path: PathBuf,
    /// Fractions of the images for training, validation and test, where folders or a `split` column do not say.
    #[serde(default)]
    split: Fractions,
    /// The seed of that division. It is not the experiment's seed, so that runs with other seeds have the same test images.
    #[serde(default)]
    split_seed: u64,
    /// The checksum of the images: of their names, labels and content. Where it is missing it is worked out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    fingerprint: Option<String>,
    /// How many classes there are; 0 where the images are not there.
    #[serde(skip)]
    classes: usize,
}

impl Folder {
    pub(super) fn at(path: &Path) -> Folder {
        Folder { path: path.to_owned(), ..Folder::default() }
    }

    /// The files, with the checksum that the experiment has.
    fn listing(&self) -> Result<Arc<Listing>, DataError> {
        let listing = listed(&self.path, cache_dir().ok().as_deref())?;
        match &self.fingerprint {
            Some(expected) if *expected != listing.fingerprint => Err(DataError::Unfit {
                name: self.path.display().to_string(),
                problem: format!(
                    "the images have changed: their fingerprint is {}, and the experiment has {expected}. Bring the images \
                     back, or remove data.fingerprint to use them as they are now",
                    listing.fingerprint
                ),
            }),
            _ => Ok(listing),
        }
    }

    fn images(&self, listing: &Listing, entries: &[&Entry]) -> Images {
        let file = |entry: &&Entry| ImageFile { path: entry.path.as_str().into(), sum: entry.sum };
        let files = Files {
            folder: listing.root.clone(),
            files: entries.iter().map(file).collect(),
            remedies: Remedies {
                changed: "bring the file back as it was, or start again to use the images as they are now",
                broken: "replace this file, or remove it",
            },
        };
        Images::of_files(INFO.shape, files, entries.iter().map(|entry| entry.label).collect())
    }
}

impl Source for Folder {
    fn info(&self) -> &'static Info {
        &INFO
    }

    fn classes(&self) -> usize {
        self.classes
    }

    fn complete(&mut self) -> Result<(), KeyError> {
        self.split.check().map_err(|message| KeyError::new("split", message))?;
        if self.fingerprint.is_some() {
            // An experiment of an earlier run: it can be read where the images are not.
            self.classes = listing::class_names(&self.path).map_or(0, |names| names.len());
            return Ok(());
        }
        let listing = self.listing().map_err(|error| KeyError::new("path", error.to_string()))?;
        self.fingerprint = Some(listing.fingerprint.clone());
        self.classes = listing.classes.len();
        Ok(())
    }

    fn present(&self, _: &Path) -> bool {
        self.path.exists()
    }

    fn check(&self, _: &Path, _: Depth) -> Result<(), DataError> {
        self.listing().map(|_| ())
    }

    fn load(&self, _: &Path) -> Result<Dataset, DataError> {
        let listing = self.listing()?;
        let splits = divide(&listing, &self.split, self.split_seed);
        let counts = splits.each_ref().map(Vec::len);
        if counts[2] == 0 {
            let problem = format!("of its {} images data.split leaves none to test with", listing.entries.len());
            return Err(DataError::Unfit { name: self.path.display().to_string(), problem });
        }
        let [train, validation, test] = counts;
        let mark = listing.fingerprint.get(..12).unwrap_or_default();
        let name = self.path.file_name().unwrap_or(self.path.as_os_str()).to_string_lossy();
        let [training, validating, testing] = splits.each_ref().map(|split| self.images(&listing, split));
        Ok(Dataset {
            name: format!("{NAME} {name} ({train} + {validation} + {test} images, fingerprint {mark})"),
            classes: listing.classes.clone(),
            train: training,
            validation: Some(validating).filter(|images| !images.is_empty()),
            test: testing,
        })
    }

    fn fetch(&self, _: &Path, _: Option<&Path>) -> Result<(), DataError> {
        if self.path.as_os_str().is_empty() {
            tracing::info!("{NAME} needs no fetching: an experiment names its images by data.path");
            return Ok(());
        }
        Err(DataError::corrupt(self.path.display(), "there is no such folder or file", "data.path names the images"))
    }

    fn fetch_arguments(&self) -> String {
        format!("{NAME} --from {}", self.path.display())
    }

    fn class_names(&self, _: &Path) -> Vec<String> {
        listing::class_names(&self.path).unwrap_or_default()
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
