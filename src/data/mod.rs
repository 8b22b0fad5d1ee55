//! Datasets: the list of them, fetching them into the cache, loading them, and turning images into batches.
//!
//! Nothing here knows a tensor: a [`Batch`] is plain memory that the training loop wraps.

mod augment;
mod batch;
mod dataset;
mod datasets;
mod decode;
mod error;
mod fetch;
mod fingerprint;
mod idx;
mod image_files;
mod image_folder;
mod image_tree;
mod images;
mod jpeg;
mod normalise;
mod prefetch;
mod prepared;
mod resample;
mod stages;
mod sums_note;
mod verify;

use std::path::{Path, PathBuf};

pub use augment::{
    Augment, AutoAugment, ColorJitter, Crop, CutMix, Cutout, Erasing, Flip, Lighting, Mixup, RandAugment, Repeats,
    ResizedCrop, TrivialAugment,
};
#[cfg(test)]
pub(crate) use batch::train_batch;
pub use batch::{Batch, Mixed, eval_batch, order, part_of};
pub use dataset::Dataset;
pub use datasets::{DATASETS, DataSource, DatasetName, Info, Source, folder_at, info, source};
pub use decode::{DECODER, decode};
pub use error::DataError;
pub use fingerprint::fingerprint;
pub use idx::read_from as read_idx;
pub use image_folder::image_files;
pub use images::Images;
pub use normalise::Normalise;
pub use prefetch::prefetch;
pub use prepared::{Prepared, PreparedFormat};
pub use stages::{StageSeconds, images_of, stage_seconds, write_photographs};
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

/// The folder of the dataset's files: `<cache>/datasets/<name>`.
pub fn folder(name: &str, cache: &Path) -> PathBuf {
    cache.join("datasets").join(name)
}

/// Whether the dataset was fetched: all its files are there with their full sizes. Reads no content.
pub fn present(source: &DataSource, cache: &Path) -> bool {
    source.present(&folder(source.info().name, cache))
}

/// Checks that the content of a dataset is that which was fetched.
///
/// # Errors
/// As [`load`], which checks the files that changed since they were last hashed.
pub fn check(source: &DataSource, cache: &Path, depth: Depth) -> Result<(), DataError> {
    source.check(&folder(source.info().name, cache), depth)
}

/// Loads a dataset from the cache; downloads nothing. The images of `imagenet` stay files.
///
/// # Errors
/// Dataset not fetched, or a file that is not what was fetched.
pub fn load(source: &DataSource, cache: &Path) -> Result<Dataset, DataError> {
    source.load(&folder(source.info().name, cache))
}

/// Makes smaller copies of the images of a dataset that consists of files, once: those that `data.prepared` names. Without a form
/// the free disk space decides it.
///
/// # Errors
/// As [`load`]; images in memory; a file that cannot be decoded; a full disk.
pub fn prepare(
    source: &DataSource,
    size: usize,
    form: Option<PreparedFormat>,
    cache: &Path,
) -> Result<Prepared, DataError> {
    let set = load(source, cache)?;
    prepared::build(size, form, &set.parts(), cache, &source.fetch_arguments())
}

/// The dataset with smaller copies of its files.
///
/// # Errors
/// [`DataError::NotPrepared`] where there are none; copies that are damaged.
pub fn with_prepared(
    set: Dataset,
    source: &DataSource,
    prepared: Prepared,
    cache: &Path,
) -> Result<Dataset, DataError> {
    let copies = prepared::Cache::open(prepared, &set.parts(), cache, &source.fetch_arguments())?;
    set.prepared(std::sync::Arc::new(copies))
}

/// Fetches the dataset unless it is [`present`].
///
/// # Errors
/// As [`Source::fetch`].
pub fn ensure(source: &DataSource, cache: &Path) -> Result<(), DataError> {
    if present(source, cache) { Ok(()) } else { source.fetch(cache, None) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dataset_not_fetched_says_how_to() {
        let cache = tempfile::tempdir().unwrap();
        for name in ["fashion-mnist", "cifar10", "imagenet"] {
            let source = source(name).unwrap();
            assert!(!present(&source, cache.path()));
            let message = load(&source, cache.path()).unwrap_err().to_string();
            assert!(message.contains(&format!("run `strata fetch {name}`")), "{message}");
        }
        assert!(matches!(source("mnits"), Err(DataError::Unknown { .. })));
    }

    #[test]
    fn synthetic_needs_no_files_and_is_as_registered() {
        let (nowhere, source) = (Path::new("/nonexistent"), source("synthetic").unwrap());
        ensure(&source, nowhere).unwrap();
        let (data, info) = (load(&source, nowhere).unwrap(), source.info());
        assert_eq!((data.train.len(), data.test.len()), (info.train, info.test));
        assert_eq!((data.train.shape, data.classes.len()), (info.shape, info.classes));
        assert_eq!(data.classes, source.class_names(nowhere));
    }
}
