//! Tests of folders and CSV files: their splits, labels and fingerprints, and what is refused.

use super::*;
use std::fs;

/// Writes plain images of a grey that is the number of the file.
fn images(root: &Path, files: &[&str]) {
    for (grey, file) in files.iter().enumerate() {
        let path = root.join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        image::RgbImage::from_pixel(8, 8, image::Rgb([grey as u8; 3])).save(path).unwrap();
    }
}

fn classes(root: &Path, counts: &[(&str, usize)]) {
    for (class, count) in counts {
        let files: Vec<String> = (0..*count).map(|i| format!("{class}/{i:02}.png")).collect();
        images(root, &files.iter().map(String::as_str).collect::<Vec<_>>());
    }
}

fn divided(listing: &Listing, fractions: [f64; 3], seed: u64) -> [Vec<&str>; 3] {
    divide(listing, &Fractions(fractions), seed).map(|split| split.iter().map(|entry| entry.path.as_str()).collect())
}

#[test]
fn a_tree_of_classes_is_divided_class_by_class() {
    let folder = tempfile::tempdir().unwrap();
    classes(folder.path(), &[("cat", 20), ("dog", 10), ("a bird", 3)]);
    let listing = Listing::read(folder.path(), None).unwrap();
    assert_eq!(listing.classes, ["a bird", "cat", "dog"]);
    let splits = divided(&listing, [0.8, 0.1, 0.1], 0);
    assert_eq!(splits.each_ref().map(Vec::len), [16 + 8 + 1, 2 + 1 + 1, 2 + 1 + 1]);
    let mut all = splits.concat();
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), 33, "each image is in one split");
    assert!(splits[0][0].starts_with("a bird") && splits[0][1].starts_with("cat") && splits[0][2].starts_with("dog"));
    assert_eq!(divided(&listing, [0.8, 0.1, 0.1], 0), splits);
    assert_ne!(divided(&listing, [0.8, 0.1, 0.1], 1), splits);
}

#[test]
fn folders_of_parts_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    for split in ["train", "valid", "test"] {
        classes(&folder.path().join(split), &[("cat", 10), ("dog", 10)]);
    }
    let read = || Listing::read(folder.path(), None).unwrap();
    let listing = read();
    let [train, validation, test] = divided(&listing, [0.8, 0.1, 0.1], 0);
    for (split, name) in [(train, "train/"), (validation, "valid/"), (test, "test/")] {
        assert!(split.len() == 20 && split.iter().all(|path| path.starts_with(name)), "{split:?}");
    }
    // One folder beside train/ is the test set, whatever it is called; validation is taken from the training images.
    fs::remove_dir_all(folder.path().join("test")).unwrap();
    let listing = read();
    let [train, validation, test] = divided(&listing, [0.8, 0.1, 0.1], 0);
    assert!(test.len() == 20 && test.iter().all(|path| path.starts_with("valid/")), "{test:?}");
    assert_eq!((train.len(), validation.len()), (18, 2), "a ninth of each class");
}

#[test]
fn a_class_may_be_called_train() {
    let folder = tempfile::tempdir().unwrap();
    classes(folder.path(), &[("train", 4), ("test", 4), ("plane", 4)]);
    assert_eq!(Listing::read(folder.path(), None).unwrap().classes, ["plane", "test", "train"]);
}

#[test]
fn a_csv_names_files_labels_and_parts() {
    let folder = tempfile::tempdir().unwrap();
    images(folder.path(), &["x/1.png", "x/2.png", "3.png", "4.png"]);
    let csv = folder.path().join("labels.csv");
    fs::write(&csv, "Label,File,split\n10,x/1.png,train\n9,x/2.png,train\n9,3.png,val\n10,4.png,test\n").unwrap();
    let listing = Listing::read(&csv, None).unwrap();
    assert_eq!(listing.classes, ["9", "10"], "numbers are sorted as numbers");
    assert_eq!(divided(&listing, [0.8, 0.1, 0.1], 0), [vec!["x/2.png", "x/1.png"], vec!["3.png"], vec!["4.png"]]);
    for (text, problem) in [
        ("name,label\n", "these columns are not in its first line"),
        ("file,label\n", "there is no image in it"),
        ("file,label\n3.png,\n", "line 2 needs a file and a label"),
        ("file,label,split\n3.png,a,extra\n", "line 2 has the split `extra`"),
        ("file,label\n3.png,a\nnone.png,b\n", "none.png"),
        ("file,label\n3.png,a\n4.png,a\n", "there are 1 classes in it"),
    ] {
        fs::write(&csv, text).unwrap();
        let message = Listing::read(&csv, None).unwrap_err().to_string();
        assert!(message.contains(problem), "{message}");
    }
}

#[test]
fn the_fingerprint_is_of_names_labels_and_content() {
    let (folder, other, cache) =
        (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    for root in [folder.path(), other.path()] {
        classes(root, &[("cat", 3), ("dog", 3)]);
    }
    let of = |root: &Path| Listing::read(root, Some(cache.path())).unwrap().fingerprint;
    let before = of(folder.path());
    assert_eq!(before.len(), 32);
    assert_eq!(of(folder.path()), before, "from the checksums in the cache");
    assert_eq!(of(other.path()), before, "where they lie does not matter");
    let image = folder.path().join("cat/00.png");
    image::RgbImage::from_pixel(8, 8, image::Rgb([99; 3])).save(&image).unwrap();
    let changed = of(folder.path());
    assert_ne!(changed, before, "content");
    fs::rename(other.path().join("cat/00.png"), other.path().join("cat/x.png")).unwrap();
    assert!(![before, changed].contains(&of(other.path())), "names");
}

/// A cache of checksums is a hint: what is in it for a file of another time or size is not believed.
#[test]
fn checksums_are_kept_until_a_file_changes() {
    let (folder, cache) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    classes(folder.path(), &[("cat", 1), ("dog", 1)]);
    let old = |file: &str| {
        let file = fs::File::options().write(true).open(folder.path().join(file)).unwrap();
        file.set_modified(std::time::SystemTime::now() - std::time::Duration::from_secs(3600)).unwrap();
    };
    old("cat/00.png");
    let of = || Listing::read(folder.path(), Some(cache.path())).unwrap().fingerprint;
    let before = of();
    let record = fs::read_dir(cache.path().join("datasets/folder")).unwrap().next().unwrap().unwrap().path();
    let text = fs::read_to_string(&record).unwrap();
    assert!(
        text.lines().count() == 1 && text.trim_end().ends_with(" cat/00.png"),
        "the new file is not settled: {text}"
    );
    let digits = text.split(' ').nth(2).unwrap();
    fs::write(&record, text.replace(digits, &"0".repeat(32))).unwrap();
    assert_ne!(of(), before, "it was not read again");
    fs::write(&record, "no checksums\n").unwrap();
    assert_eq!(of(), before);
}

#[test]
fn what_is_no_set_of_images_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let refuse = |problem: &str| {
        let message = Listing::read(folder.path(), None).unwrap_err().to_string();
        assert!(message.contains(problem), "{message}");
    };
    refuse("there is no class folder in it");
    classes(folder.path(), &[("cat", 1)]);
    refuse("there are 1 classes in it");
    fs::create_dir(folder.path().join("dog")).unwrap();
    refuse("dog: there is no image in it");
    fs::remove_dir(folder.path().join("dog")).unwrap();
    classes(&folder.path().join("train"), &[("cat", 1), ("dog", 1)]);
    classes(&folder.path().join("test"), &[("cow", 1)]);
    refuse("the training images have no class cow");
    let message = Listing::read(&folder.path().join("none"), None).unwrap_err().to_string();
    assert!(message.contains("there is no such folder or file; data.path names"), "{message}");
}

#[test]
fn an_experiment_of_other_images_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    classes(folder.path(), &[("cat", 10), ("dog", 10)]);
    let mut source =
        Folder { path: folder.path().to_owned(), split: Fractions([0.5, 0.25, 0.25]), ..Folder::default() };
    source.complete().unwrap();
    assert_eq!((source.classes(), source.class_names(Path::new(""))), (2, vec!["cat".to_owned(), "dog".to_owned()]));
    let data = source.load(Path::new("")).unwrap();
    let counts = [&data.train, data.validation.as_ref().unwrap(), &data.test].map(Images::len);
    assert_eq!((counts, &data.train.labels[..4]), ([8, 6, 6], &[0, 1, 0, 1][..]));
    source.fingerprint = Some("0".repeat(32));
    let message = source.load(Path::new("")).unwrap_err().to_string();
    assert!(message.contains("the images have changed") && message.contains("remove data.fingerprint"), "{message}");
    let mut bad = Folder { split: Fractions([0.8, 0.1, 0.2]), ..source };
    assert!(bad.complete().unwrap_err().message.contains("add up to 1"));
}
