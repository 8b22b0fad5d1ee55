//! CIFAR-10 as a tree of pictures, `<class>/*.jpg` or `*.png`, packed into the records of the published binary form.

use std::fs;
use std::path::{Path, PathBuf};

use super::DataError;
use super::cifar10::{ARCHIVE, CLASSES, NAME, PIXELS};
use super::decode::Picture;
use super::image_folder::is_image;
use super::workers::{share, threads};

const REMEDY: &str = "give a PNG or JPEG image of 32x32 pixels";

/// The records of all images of a split. The classes take turns, so that a validation set cut off the front has the
/// same number of each.
pub(super) fn pack(split: &Path, per_class: usize) -> Result<Vec<u8>, DataError> {
    let mut sorted = Vec::new();
    for class in CLASSES {
        let folder = split.join(class);
        let paths = image_files(&folder)?;
        if paths.len() != per_class {
            let problem = format!("{} JPEG or PNG files here", paths.len());
            let remedy = format!("{NAME} has {per_class} a class in this split");
            return Err(DataError::corrupt(folder.display(), problem, remedy));
        }
        sorted.push(paths);
    }
    let mut records = vec![0; per_class * CLASSES.len() * (1 + PIXELS)];
    share(threads(), records.chunks_exact_mut(1 + PIXELS).enumerate(), |(i, record)| {
        let (rank, class) = (i / CLASSES.len(), i % CLASSES.len());
        let path = &sorted[class][rank];
        let picture = Picture::read(path, REMEDY)?;
        if picture.size != [32, 32] {
            let problem = format!("the image is {}x{}, not 32x32", picture.size[1], picture.size[0]);
            return Err(DataError::corrupt(path.display(), problem, REMEDY));
        }
        record[0] = class as u8;
        record[1..].iter_mut().zip(picture.planes()).for_each(|(byte, p)| *byte = p);
        Ok(())
    })?;
    Ok(records)
}

/// The images of a folder, by name.
fn image_files(folder: &Path) -> Result<Vec<PathBuf>, DataError> {
    let remedy =
        format!("the folder must hold {ARCHIVE}, or train/<class>/ and test/<class>/ for {}", CLASSES.join(" "));
    let entries = fs::read_dir(folder).map_err(|e| DataError::corrupt(folder.display(), e.to_string(), remedy))?;
    let mut paths: Vec<_> = entries.flatten().map(|e| e.path()).filter(|path| is_image(path)).collect();
    paths.sort();
    Ok(paths)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A split with `count` plain images a class whose red is 10 * class + rank.
    pub fn tree(split: &Path, count: usize) {
        for (c, class) in CLASSES.iter().enumerate() {
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
        let message = pack(folder.path(), 2).unwrap_err().to_string();
        assert!(message.contains("airplane") && message.contains("must hold"), "{message}");
        tree(folder.path(), 2);
        assert!(pack(folder.path(), 3).unwrap_err().to_string().contains("2 JPEG or PNG files here; cifar10 has 3"));
        image::RgbImage::new(8, 32).save(folder.path().join("ship/1.png")).unwrap();
        let message = pack(folder.path(), 2).unwrap_err().to_string();
        assert!(message.contains("ship/1.png: the image is 8x32, not 32x32"), "{message}");
        fs::write(folder.path().join("ship/1.png"), b"no").unwrap();
        assert!(pack(folder.path(), 2).is_err());
    }
}
