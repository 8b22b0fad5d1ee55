//! Datasets: what there is, fetching it into the cache, loading it, and turning images into batches.
//!
//! Nothing here knows a tensor: a [`Batch`] is plain memory that the training loop wraps.

mod augment;
mod batch;
mod cifar10;
mod dataset;
mod decode;
mod error;
mod fashion_mnist;
mod fetch;
mod fingerprint;
mod idx;
mod image_files;
mod image_folder;
mod image_tree;
mod imagenet;
mod images;
mod normalise;
mod prefetch;
mod registry;
mod resample;
mod synthetic;
mod verify;
mod workers;

use std::path::{Path, PathBuf};

pub use augment::Augment;
pub use batch::{Batch, eval_batch, order, train_batch};
pub use dataset::Dataset;
pub use decode::decode;
pub use error::DataError;
pub use fingerprint::fingerprint;
pub use idx::read_from as read_idx;
pub use images::Images;
pub use normalise::Normalise;
pub use prefetch::prefetch;
pub use registry::{DATASETS, Info, info, known};
pub use verify::Depth;

/// `$XDG_CACHE_HOME/strata`, else `~/.cache/strata`. A relative path is ignored, as the XDG specification asks.
///
/// # Errors
/// [`DataError::NoCacheFolder`] when neither variable holds an absolute path.
pub fn cache_dir() -> Result<PathBuf, DataError> {
    let absolute = |variable| std::env::var_os(variable).map(PathBuf::from).filter(|p| p.is_absolute());
    let cache = absolute("XDG_CACHE_HOME").or_else(|| absolute("HOME").map(|home| home.join(".cache")));
    Ok(cache.ok_or(DataError::NoCacheFolder)?.join("strata"))
}

/// Where the dataset's files lie: `<cache>/datasets/<name>`.
pub fn folder(name: &str, cache: &Path) -> PathBuf {
    cache.join("datasets").join(name)
}

/// Whether the dataset was fetched: all its files are there with their full sizes. Reads no content.
pub fn present(name: &str, cache: &Path) -> bool {
    match name {
        fashion_mnist::NAME => fashion_mnist::present(&folder(name, cache)),
        cifar10::NAME => cifar10::present(&folder(name, cache)),
        imagenet::NAME => imagenet::present(&folder(name, cache)),
        name => name == synthetic::NAME,
    }
}

/// Checks that the content of a dataset is that which was fetched.
///
/// # Errors
/// As [`load`], which checks the files that changed since they were last hashed.
pub fn check(name: &str, cache: &Path, depth: Depth) -> Result<(), DataError> {
    let folder = folder(known(name)?.name, cache);
    match name {
        fashion_mnist::NAME => fashion_mnist::check(&folder, depth),
        cifar10::NAME => cifar10::check(&folder, depth),
        imagenet::NAME => imagenet::check(&folder, depth),
        _ => Ok(()),
    }
}

/// Loads a dataset from the cache; downloads nothing. The images of `imagenet` stay files.
///
/// # Errors
/// Unknown name, dataset not fetched, or a file that is not what was fetched.
pub fn load(name: &str, cache: &Path) -> Result<Dataset, DataError> {
    let folder = folder(known(name)?.name, cache);
    match name {
        fashion_mnist::NAME => fashion_mnist::load(&folder),
        cifar10::NAME => cifar10::load(&folder),
        imagenet::NAME => imagenet::load(&folder),
        _ => Ok(synthetic::make()),
    }
}

/// Brings a dataset into the cache, checked; replaces files there that are broken. With `from` it takes the files
/// that the user has: for `fashion-mnist` a folder of the four IDX files (plain or .gz), for `cifar10` a folder with
/// `cifar-10-binary.tar.gz` or with images as `train/<class>/*.jpg` and `test/<class>/*.jpg`. For `imagenet` it lists
/// the files of a folder with images as `train/<class>/*.JPEG` and `val/<class>/*.JPEG`, which must stay there.
///
/// # Errors
/// What was tried, why each way failed, and what to do by hand. The cache is then as it was before.
pub fn fetch(name: &str, cache: &Path, from: Option<&Path>) -> Result<(), DataError> {
    match known(name)?.name {
        fashion_mnist::NAME => fashion_mnist::fetch(cache, from),
        cifar10::NAME => cifar10::fetch(cache, from),
        imagenet::NAME => imagenet::fetch(cache, from),
        _ => {
            tracing::info!("{name} is made by formula: nothing to fetch");
            Ok(())
        }
    }
}

/// [`fetch`]es the dataset unless it is [`present`].
///
/// # Errors
/// As [`fetch`].
pub fn ensure(name: &str, cache: &Path) -> Result<(), DataError> {
    if present(name, cache) { Ok(()) } else { fetch(name, cache, None) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dataset_not_fetched_says_how_to() {
        let cache = tempfile::tempdir().unwrap();
        for name in ["fashion-mnist", "cifar10", "imagenet"] {
            assert!(!present(name, cache.path()));
            let message = load(name, cache.path()).unwrap_err().to_string();
            assert!(message.contains(&format!("run `strata fetch {name}`")), "{message}");
        }
        assert!(matches!(load("mnits", cache.path()), Err(DataError::Unknown { .. })));
        assert!(matches!(fetch("mnits", cache.path(), None), Err(DataError::Unknown { .. })));
    }

    #[test]
    fn synthetic_needs_no_files_and_is_as_registered() {
        let nowhere = Path::new("/nonexistent");
        ensure("synthetic", nowhere).unwrap();
        let (data, info) = (load("synthetic", nowhere).unwrap(), info("synthetic").unwrap());
        assert_eq!((data.train.len(), data.test.len()), (info.train, info.test));
        assert_eq!((data.train.shape, data.classes.len()), (info.shape, info.classes));
    }
}
