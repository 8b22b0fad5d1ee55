//! Tests of folders of images: indexed, loaded, damaged, moved.

use super::*;

/// A tree with two training images and one validation image of each class.
fn tree(folder: &Path, classes: &[&str]) {
    for class in classes {
        for file in ["train/@/1.png", "train/@/2.png", "val/@/3.png"] {
            let path = folder.join(file.replace('@', class));
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            image::RgbImage::from_pixel(9, 7, image::Rgb([class.len() as u8, 2, 3])).save(path).unwrap();
        }
    }
}

fn installed(cache: &Path) -> PathBuf {
    crate::data::folder(NAME, cache)
}

#[test]
fn a_folder_is_indexed_and_loaded() {
    let (folder, cache) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    tree(folder.path(), &["dog", "a cat", "bird"]);
    fs::write(folder.path().join("train/dog/note.txt"), b"no image").unwrap();
    Imagenet {}.fetch(cache.path(), Some(folder.path())).unwrap();
    assert!(Imagenet {}.present(&installed(cache.path())));
    let data = Imagenet {}.load(&installed(cache.path())).unwrap();
    assert!(data.name.starts_with("imagenet (another folder: 6 + 3 images, 3 classes, list "), "{}", data.name);
    assert_eq!(data.classes, ["a cat", "bird", "dog"]);
    assert_eq!((&data.train.labels[..], &data.test.labels[..]), (&[0, 1, 2, 0, 1, 2][..], &[0, 1, 2][..]));
    assert_eq!(data.train.shape, [3, 224, 224]);
    for (images, i) in [(&data.train, 3), (&data.test, 0)] {
        assert_eq!(images.resized([3, 2, 2]).image(i).unwrap()[..4], [5; 4], "a cat has 5 letters");
    }
    Imagenet {}.fetch(cache.path(), None).unwrap();
    // Again, from another folder: its list replaces the first.
    let other = tempfile::tempdir().unwrap();
    tree(other.path(), &["x"]);
    Imagenet {}.fetch(cache.path(), Some(other.path())).unwrap();
    assert_eq!(Imagenet {}.load(&installed(cache.path())).unwrap().classes, ["x"]);
}

#[test]
fn without_a_folder_it_says_why_and_how() {
    let cache = tempfile::tempdir().unwrap();
    let message = Imagenet {}.fetch(cache.path(), None).unwrap_err().to_string();
    for part in ["cannot be downloaded", "licence", "FOLDER/val/<class>/*.JPEG", "strata fetch imagenet --from FOLDER"]
    {
        assert!(message.contains(part), "{message}");
    }
}

#[test]
fn splits_must_have_the_same_classes() {
    let (folder, cache) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    tree(folder.path(), &["a", "b", "c"]);
    fs::remove_dir_all(folder.path().join("val/b")).unwrap();
    let refuse = || Imagenet {}.fetch(cache.path(), Some(folder.path())).unwrap_err().to_string();
    assert!(refuse().contains("train/ has the class b, val/ has not"), "{}", refuse());
    tree(folder.path(), &["b"]);
    fs::remove_dir_all(folder.path().join("train/a")).unwrap();
    fs::remove_dir_all(folder.path().join("train/b")).unwrap();
    assert!(refuse().contains("val/ has the class a and 1 more, train/ has not"), "{}", refuse());
    fs::remove_dir_all(folder.path().join("val")).unwrap();
    assert!(refuse().contains("val: there is no such folder"), "{}", refuse());
    assert!(!Imagenet {}.present(&installed(cache.path())), "nothing was written");
}

#[test]
fn damage_and_moves_are_noticed() {
    let (folder, cache) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let images = folder.path().join("images");
    tree(&images, &["a", "b"]);
    Imagenet {}.fetch(cache.path(), Some(&images)).unwrap();
    let (path, again) = (installed(cache.path()).join(INDEX), "strata fetch imagenet --from FOLDER");
    let text = fs::read_to_string(&path).unwrap();
    let refuse = |problem: &str| {
        let message = Imagenet {}.load(&installed(cache.path())).unwrap_err().to_string();
        assert!(message.contains(problem) && message.contains(again), "{message}");
    };
    for (damaged, problem) in [
        (text.replace("train/b/2.png", "train/b/1.png"), "SHA-256"),
        (text[..text.len() - 5].to_owned(), "SHA-256"),
        (text.replace("train 4", "train 5"), "counts"),
        (text.replace("classes 2", "classes 1"), "counts"),
        (text.replace("folder 2", "folder 1"), "another version"),
        (text.replace("val 2", "val many"), "another version"),
        (String::new(), "no index"),
    ] {
        assert_ne!(damaged, text);
        fs::write(&path, damaged).unwrap();
        refuse(problem);
    }
    fs::write(&path, b"\xff\xfe").unwrap();
    refuse("not text");
    fs::write(&path, text).unwrap();
    assert_eq!(Imagenet {}.load(&installed(cache.path())).unwrap().train.len(), 4);
    fs::rename(&images, folder.path().join("elsewhere")).unwrap();
    refuse("images/train: the images were in this folder, which no longer exists");
}
