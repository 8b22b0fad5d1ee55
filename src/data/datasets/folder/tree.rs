//! A tree of images: `<class>/*`, or `train/<class>/*` with `val/` and `test/` beside it.

use super::scanned::{Scanned, SplitName};
use crate::data::DataError;
use crate::data::image_folder::{self, Split};
use std::path::{Path, PathBuf};

const LAYOUT: &str = "expected <class>/*, or train/<class>/*, val/<class>/* and test/<class>/* (JPEG, PNG, \
                      WebP or BMP)";

/// What a validation folder may be called.
const VALIDATION: [&str; 3] = ["val", "valid", "validation"];

/// The folders of the splits; a tree without a `train/` of folders is one folder of classes.
fn splits(root: &Path) -> Vec<(Option<SplitName>, PathBuf)> {
    // A class may be called `train`, as in a set of vehicles: its folder holds images.
    let is_split = |folder: &Path| folder.is_dir() && image_folder::has_folders(folder);
    let train = root.join("train");
    if !is_split(&train) {
        return vec![(None, root.to_owned())];
    }
    let validation = VALIDATION.map(|name| root.join(name)).into_iter().find(|folder| is_split(folder));
    let test = Some(root.join("test")).filter(|folder| is_split(folder));
    let mut splits = vec![(Some(SplitName::Train), train)];
    match (validation, test) {
        (Some(validation), Some(test)) => {
            splits.extend([(Some(SplitName::Validation), validation), (Some(SplitName::Test), test)]);
        }
        // One set beside the training images is what the result is reported on, as for ImageNet.
        (Some(only), None) | (None, Some(only)) => splits.push((Some(SplitName::Test), only)),
        (None, None) => {}
    }
    splits
}

/// The class names alone: quick.
pub(super) fn class_names(root: &Path) -> Result<Vec<String>, DataError> {
    let (_, folder) = splits(root).swap_remove(0);
    image_folder::classes(&folder, LAYOUT).map(|(classes, _)| classes)
}

/// Lists a tree; opens no image.
///
/// # Errors
/// No class, a class without images, or a class that the training images do not have.
pub(super) fn scan(root: &Path) -> Result<Scanned, DataError> {
    let mut found = Scanned { root: root.to_owned(), classes: Vec::new(), files: Vec::new() };
    let mut ignored = 0;
    for (split, folder) in splits(root) {
        let Split { classes, images, ignored: others } = image_folder::scan(&folder, LAYOUT)?;
        ignored += others;
        if found.classes.is_empty() {
            found.classes.clone_from(&classes);
        }
        let prefix = folder.strip_prefix(root).unwrap_or(Path::new("")).to_string_lossy().into_owned();
        for (class, names) in classes.iter().zip(images) {
            let label = found.classes.binary_search(class).map_err(|_| {
                let problem = format!("the training images have no class {class}");
                DataError::corrupt(folder.join(class).display(), problem, "name it as in train/, or remove it")
            })?;
            let path = |name: String| Path::new(&prefix).join(class).join(name).to_string_lossy().into_owned();
            found.files.extend(names.into_iter().map(|name| (split, label, path(name))));
        }
    }
    if ignored > 0 {
        tracing::info!("{}: {ignored} other files and folders are ignored", root.display());
    }
    Ok(found)
}
