//! The datasets by name. Each is a struct in a file of its own, with what is known of it, and a line in the list below.

mod cifar;
mod cifar10;
mod cifar100;
mod fashion_mnist;
mod folder;
mod idx;
mod idx_set;
mod imagenet;
mod info;
mod kmnist;
mod mnist;
mod synthetic;

use super::{DataError, Dataset, Depth};
use crate::named::{KeyError, Named, named};
use std::fmt::Debug;
use std::path::Path;

pub use info::Info;

/// A dataset; its fields are the keys that it adds to `[data]`. `folder` is where the cache keeps its files.
pub trait Source: Debug {
    fn info(&self) -> &'static Info;

    /// Number of classes.
    fn classes(&self) -> usize {
        self.info().classes
    }

    /// Checks the keys, and fills in those that the files decide.
    ///
    /// # Errors
    /// A key that is out of range, or names files that cannot be used.
    fn complete(&mut self) -> Result<(), KeyError> {
        Ok(())
    }

    /// Whether it was fetched: all its files are there with their full sizes. Reads no content.
    fn present(&self, folder: &Path) -> bool;

    /// Checks that the content is that which was fetched.
    ///
    /// # Errors
    /// As [`Source::load`], which checks the files that changed since they were last hashed.
    fn check(&self, folder: &Path, depth: Depth) -> Result<(), DataError>;

    /// Loads it; downloads nothing.
    ///
    /// # Errors
    /// Dataset not fetched, or a file that is not what was fetched.
    fn load(&self, folder: &Path) -> Result<Dataset, DataError>;

    /// Brings it into the cache, checked; replaces files there that are broken. With `from` it takes the files that the user
    /// has.
    ///
    /// # Errors
    /// What was tried, why each way failed, and what to do by hand. The cache is then as it was before.
    fn fetch(&self, cache: &Path, from: Option<&Path>) -> Result<(), DataError>;

    /// How the user names it to `strata fetch`.
    fn fetch_arguments(&self) -> String {
        self.info().name.to_owned()
    }

    /// Class names by label, as far as they are known; loads no images.
    fn class_names(&self, _folder: &Path) -> Vec<String> {
        self.info().class_names.iter().map(|&name| name.to_owned()).collect()
    }
}

/// A dataset that is published as a set of files, or as several to choose from.
trait Published: Debug {
    fn set(&self) -> &'static dyn Source;
}

impl<P: Published> Source for P {
    fn info(&self) -> &'static Info {
        self.set().info()
    }

    fn present(&self, folder: &Path) -> bool {
        self.set().present(folder)
    }

    fn check(&self, folder: &Path, depth: Depth) -> Result<(), DataError> {
        self.set().check(folder, depth)
    }

    fn load(&self, folder: &Path) -> Result<Dataset, DataError> {
        self.set().load(folder)
    }

    fn fetch(&self, cache: &Path, from: Option<&Path>) -> Result<(), DataError> {
        self.set().fetch(cache, from)
    }
}

named! {
    /// One of the datasets, with its own keys.
    #[serde(untagged)]
    DataSource: Source,
    /// The name of a dataset, as in `data.dataset`.
    DatasetName {
        "fashion-mnist" => FashionMnist(fashion_mnist::FashionMnist),
        "mnist" => Mnist(mnist::Mnist),
        "kmnist" => Kmnist(kmnist::Kmnist),
        "cifar10" => Cifar10(cifar10::Cifar10),
        "cifar100" => Cifar100(cifar100::Cifar100),
        "imagenet" => Imagenet(imagenet::Imagenet),
        "folder" => Folder(folder::Folder),
        "idx" => Idx(idx::Idx),
        "synthetic" => Synthetic(synthetic::Synthetic),
    }
}

/// The names that `data.dataset` can have.
pub const DATASETS: &[&str] = DatasetName::TEXTS;

/// The dataset `name` with its keys at their defaults.
fn named(name: &str) -> Option<DataSource> {
    match DatasetName::parse(name)? {
        // These have no default for the path.
        DatasetName::Folder => Some(folder::Folder::default().into()),
        DatasetName::Idx => Some(idx::Idx::default().into()),
        published => published.read(toml::Table::new()).ok(),
    }
}

/// The dataset `name` with its keys at their defaults.
///
/// # Errors
/// Says which names there are and which is nearest.
pub fn source(name: &str) -> Result<DataSource, DataError> {
    named(name).ok_or_else(|| {
        let nearest = DATASETS.iter().map(|known| (strsim::damerau_levenshtein(known, name), known)).min();
        let hint = match nearest {
            Some((distance, near)) if distance <= near.len() / 2 => format!(" (did you mean '{near}'?)"),
            _ => String::new(),
        };
        DataError::Unknown { name: name.to_owned(), hint, known: DATASETS.join(", ") }
    })
}

/// The dataset `folder` of the images at `path`.
pub fn folder_at(path: &Path) -> DataSource {
    DataSource::Folder(folder::Folder::at(path))
}

/// The facts of the dataset `name`.
pub fn info(name: &str) -> Option<&'static Info> {
    named(name).map(|source| source.info())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typo_gets_the_nearest_name() {
        let message = source("fashon-mnist").unwrap_err().to_string();
        assert!(message.contains("did you mean 'fashion-mnist'?") && message.contains("cifar10"), "{message}");
        assert!(!source("imagenet-21k-winter").unwrap_err().to_string().contains("did you mean"));
    }

    #[test]
    fn each_is_found_by_the_name_that_it_gives() {
        for name in DATASETS {
            assert_eq!(info(name).map(|info| info.name), Some(*name));
        }
    }

    #[test]
    fn normalisation_fits_the_channels() {
        assert_eq!(info("fashion-mnist").unwrap().normalise(3).mean, [0.2860; 3]);
        assert_eq!(info("cifar10").unwrap().normalise(1).std.len(), 1);
    }
}
