//! Looking through a tree of images, `<split>/<class>/<file>`, as torchvision's `ImageFolder` does.

use std::ffi::OsStr;
use std::fs::{self, DirEntry};
use std::path::{Path, PathBuf};

use super::DataError;

/// The images of a split.
pub(super) struct Split {
    /// Class names, sorted: their positions are the labels.
    pub classes: Vec<String>,
    /// By label the names of the class's images, sorted; no class is without.
    pub images: Vec<Vec<String>>,
    /// Entries that are no images of a class.
    pub ignored: usize,
}

impl Split {
    pub(super) fn len(&self) -> usize {
        self.images.iter().map(Vec::len).sum()
    }

    /// (label, name) of each image. The classes take turns, so that a validation set cut off the front has the same
    /// number of each.
    pub(super) fn in_turns(&self) -> Vec<(usize, &str)> {
        let mut order = Vec::with_capacity(self.len());
        let mut classes: Vec<_> = self.images.iter().map(|names| names.iter()).enumerate().collect();
        while !classes.is_empty() {
            classes.retain_mut(|(label, names)| names.next().map(|name| order.push((*label, name.as_str()))).is_some());
        }
        order
    }
}

/// Whether a name promises an image file. Hidden files do not count: some systems leave a `._x.jpg` beside `x.jpg`.
pub(super) fn is_image(path: &Path) -> bool {
    let extension = path.extension().map(|e| e.to_string_lossy().to_ascii_lowercase());
    !is_hidden(path.file_name())
        && extension.is_some_and(|e| ["jpg", "jpeg", "png", "webp", "bmp"].contains(&e.as_str()))
}

fn is_hidden(name: Option<&OsStr>) -> bool {
    name.is_some_and(|name| name.as_encoded_bytes().starts_with(b"."))
}

/// The class folders of a split, sorted, and how many other entries there are; `layout` says in errors what there should be.
///
/// # Errors
/// A folder that is not there or cannot be read, no class in it, or a name that a line of text cannot hold.
pub(super) fn classes(split: &Path, layout: &str) -> Result<(Vec<String>, usize), DataError> {
    let wrong = |problem: &str| DataError::corrupt(split.display(), problem, layout);
    if !split.is_dir() {
        return Err(wrong("there is no such folder"));
    }
    let (mut classes, mut ignored) = (Vec::new(), 0);
    for entry in entries(split)? {
        match is_folder(&entry) && !is_hidden(Some(&entry.file_name())) {
            true => classes.push(name(&entry)?),
            false => ignored += 1,
        }
    }
    if classes.is_empty() {
        return Err(wrong("there is no class folder in it"));
    }
    classes.sort();
    Ok((classes, ignored))
}

/// Lists the images of a split; opens none.
///
/// # Errors
/// As [`classes`], and a class without an image.
pub(super) fn scan(split: &Path, layout: &str) -> Result<Split, DataError> {
    let (classes, mut ignored) = classes(split, layout)?;
    let mut images = Vec::with_capacity(classes.len());
    for class in &classes {
        let folder = split.join(class);
        let mut names = Vec::new();
        for entry in entries(&folder)? {
            match is_image(&entry.path()) && !is_folder(&entry) {
                true => names.push(name(&entry)?),
                false => ignored += 1,
            }
        }
        if names.is_empty() {
            return Err(DataError::corrupt(folder.display(), "there is no image in it", layout));
        }
        names.sort();
        images.push(names);
    }
    Ok(Split { classes, images, ignored })
}

/// All image files in a folder and in the folders below it, sorted by path; hidden ones do not count.
///
/// # Errors
/// A folder that cannot be listed.
pub fn image_files(folder: &Path) -> Result<Vec<PathBuf>, DataError> {
    let mut found = Vec::new();
    for entry in entries(folder)?.iter().filter(|entry| !is_hidden(Some(&entry.file_name()))) {
        let path = entry.path();
        match is_folder(entry) {
            // A link to a folder above would be followed without end.
            true if path.is_symlink() && leads_above(&path) => {}
            true => found.extend(image_files(&path)?),
            false if is_image(&path) => found.push(path),
            false => {}
        }
    }
    found.sort();
    Ok(found)
}

fn leads_above(link: &Path) -> bool {
    let [link, folder] = [Some(link), link.parent()].map(|path| path.and_then(|path| path.canonicalize().ok()));
    link.zip(folder).is_none_or(|(link, folder)| folder.starts_with(link))
}

/// Whether there are folders in a folder.
pub(super) fn has_folders(folder: &Path) -> bool {
    entries(folder)
        .is_ok_and(|entries| entries.iter().any(|entry| is_folder(entry) && !is_hidden(Some(&entry.file_name()))))
}

fn entries(folder: &Path) -> Result<Vec<DirEntry>, DataError> {
    let entries = fs::read_dir(folder).and_then(Iterator::collect);
    entries.map_err(DataError::io("list", folder))
}

/// A link counts as what it leads to; only links are followed, since that takes a call each.
fn is_folder(entry: &DirEntry) -> bool {
    entry.file_type().is_ok_and(|kind| if kind.is_symlink() { entry.path().is_dir() } else { kind.is_dir() })
}

fn name(entry: &DirEntry) -> Result<String, DataError> {
    line(entry.path().as_path(), &entry.file_name())
}

/// `name` as a piece of a line of text.
pub(super) fn line(path: &Path, name: &OsStr) -> Result<String, DataError> {
    match name.to_str() {
        Some(name) if !name.contains(['\n', '\r']) => Ok(name.to_owned()),
        Some(_) => Err(DataError::corrupt(path.display(), "there is a line break in its name", "rename it")),
        None => Err(DataError::corrupt(path.display(), "its name is not valid UTF-8", "rename it")),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStrExt;

    use super::*;

    fn touch(path: &Path) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, b"").unwrap();
    }

    #[test]
    fn labels_are_the_order_of_the_class_names() {
        let folder = tempfile::tempdir().unwrap();
        let files =
            ["b/2.JPEG", "b/1.png", "b/3.jpg", "a/x.jpeg", "C/y.JPG", "C/z.txt", "C/._y.JPG", "LICENCE", ".git/k.png"];
        files.iter().for_each(|file| touch(&folder.path().join(file)));
        let split = scan(folder.path(), "").unwrap();
        assert_eq!((split.len(), split.ignored), (5, 4));
        assert_eq!(split.classes, ["C", "a", "b"]);
        let turns = [(0, "y.JPG"), (1, "x.jpeg"), (2, "1.png"), (2, "2.JPEG"), (2, "3.jpg")];
        assert_eq!(split.in_turns(), turns);
    }

    #[test]
    fn images_below_a_folder_are_found_once() {
        let folder = tempfile::tempdir().unwrap();
        let files = ["b/2.JPEG", "a.png", "b/c/1.webp", "b/note.txt", ".git/k.png", "._a.png", "z.bmp"];
        files.iter().for_each(|file| touch(&folder.path().join(file)));
        std::os::unix::fs::symlink(folder.path(), folder.path().join("b/loop")).unwrap();
        std::os::unix::fs::symlink(folder.path().join("b/c"), folder.path().join("link")).unwrap();
        let found = image_files(folder.path()).unwrap();
        let names: Vec<_> = found.iter().map(|path| path.strip_prefix(folder.path()).unwrap()).collect();
        assert_eq!(names, ["a.png", "b/2.JPEG", "b/c/1.webp", "link/1.webp", "z.bmp"].map(Path::new));
        assert!(image_files(&folder.path().join("none")).is_err());
    }

    #[test]
    fn what_is_missing_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let refuse = |part: &str| {
            let message = scan(&folder.path().join("train"), "as train/<class>/*.JPEG").err().unwrap().to_string();
            assert!(message.contains(part) && message.contains("train/<class>/*.JPEG"), "{message}");
        };
        refuse("train: there is no such folder");
        fs::create_dir(folder.path().join("train")).unwrap();
        refuse("train: there is no class folder");
        touch(&folder.path().join("train/cat/readme.txt"));
        refuse("train/cat: there is no image");
    }

    #[test]
    fn names_that_an_index_cannot_hold_are_refused() {
        for (bytes, problem) in [(&b"\xff.png"[..], "UTF-8"), (b"a\nb.png", "line break")] {
            let folder = tempfile::tempdir().unwrap();
            touch(&folder.path().join("cat").join(OsStr::from_bytes(bytes)));
            let message = scan(folder.path(), "").err().unwrap().to_string();
            assert!(message.contains(problem) && message.contains("cat"), "{message}");
        }
    }
}
