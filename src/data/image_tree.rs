//! CIFAR as a tree of images, `<class>/*.jpg` or `*.png`, packed into the records of the published binary form.

use std::fs;
use std::path::{Path, PathBuf};

use super::DataError;
use super::decode::Picture;
use super::image_folder::is_image;
use crate::workers::{share, threads};

const REMEDY: &str = "give an image of 32x32 pixels";
/// Bytes of an image.
const PIXELS: usize = 3 * 32 * 32;

/// What a tree must hold.
pub(super) struct Tree<'a> {
    /// The dataset, for messages.
    pub name: &'a str,
    /// Folders, in the order of the labels.
    pub classes: &'a [&'a str],
    /// Images of each.
    pub per_class: usize,
    /// Alternatives to a tree, for error messages.
    pub archive: &'a str,
    /// The label bytes that a record of this class starts with.
    pub labels: fn(u8) -> Vec<u8>,
}

/// The records of all images of a split. The classes take turns, so that a validation set cut off the front has the
/// same number of each.
pub(super) fn pack(split: &Path, tree: &Tree) -> Result<Vec<u8>, DataError> {
    let Tree { name, classes, per_class, .. } = *tree;
    let mut sorted = Vec::new();
    for class in classes {
        let folder = split.join(class);
        let paths = image_files(&folder, tree)?;
        if paths.len() != per_class {
            let problem = format!("{} images here", paths.len());
            let remedy = format!("{name} has {per_class} a class in this split");
            return Err(DataError::corrupt(folder.display(), problem, remedy));
        }
        sorted.push(paths);
    }
    let labels = (tree.labels)(0).len();
    let mut records = vec![0; per_class * classes.len() * (labels + PIXELS)];
    share(threads(), records.chunks_exact_mut(labels + PIXELS).enumerate(), |(i, record)| {
        let (rank, class) = (i / classes.len(), i % classes.len());
        let path = &sorted[class][rank];
        let picture = Picture::read(path, REMEDY)?;
        if picture.size != [32, 32] {
            let problem = format!("the image is {}x{}, not 32x32", picture.size[1], picture.size[0]);
            return Err(DataError::corrupt(path.display(), problem, REMEDY));
        }
        record[..labels].copy_from_slice(&(tree.labels)(class as u8));
        record[labels..].iter_mut().zip(picture.planes()).for_each(|(byte, p)| *byte = p);
        Ok(())
    })?;
    Ok(records)
}

/// The images of a folder, by name.
fn image_files(folder: &Path, tree: &Tree) -> Result<Vec<PathBuf>, DataError> {
    let Tree { archive, classes, .. } = tree;
    let remedy =
        format!("the folder must hold {archive}, or train/<class>/ and test/<class>/ for {}", classes.join(" "));
    let entries = fs::read_dir(folder).map_err(|e| DataError::corrupt(folder.display(), e.to_string(), remedy))?;
    let mut paths: Vec<_> = entries.flatten().map(|e| e.path()).filter(|path| is_image(path)).collect();
    paths.sort();
    Ok(paths)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A split with `count` plain images a class whose red is 10 * class + rank.
    pub(crate) fn make(split: &Path, classes: &[&str], count: usize) {
        for (c, class) in classes.iter().enumerate() {
            fs::create_dir_all(split.join(class)).unwrap();
            for rank in 0..count {
                let image = image::RgbImage::from_pixel(32, 32, image::Rgb([(10 * c + rank) as u8, 1, 2]));
                image.save(split.join(class).join(format!("{rank}.png"))).unwrap();
            }
        }
    }

    #[test]
    fn a_tree_that_is_not_cifar10_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let classes = ["airplane", "ship"];
        let tree = |per_class| Tree {
            name: "cifar10",
            classes: &classes,
            per_class,
            archive: "it.tar.gz",
            labels: |class| vec![class],
        };
        let message = pack(folder.path(), &tree(2)).unwrap_err().to_string();
        assert!(message.contains("airplane") && message.contains("must hold"), "{message}");
        make(folder.path(), &classes, 2);
        assert!(pack(folder.path(), &tree(3)).unwrap_err().to_string().contains("2 images here; cifar10 has 3"));
        image::RgbImage::new(8, 32).save(folder.path().join("ship/1.png")).unwrap();
        let message = pack(folder.path(), &tree(2)).unwrap_err().to_string();
        assert!(message.contains("ship/1.png: the image is 8x32, not 32x32"), "{message}");
        fs::write(folder.path().join("ship/1.png"), b"no").unwrap();
        assert!(pack(folder.path(), &tree(2)).is_err());
    }
}
