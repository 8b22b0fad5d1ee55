//! Tests of datasets in MNIST's form.

use std::io::Read;

use super::super::fashion_mnist::SET;
use super::super::kmnist;
use super::*;

const HELLO: IdxSet = IdxSet {
    files: &[Expected {
        name: "hello",
        bytes: 5,
        sha256: Checksum::Content("2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"),
    }],
    ..SET
};

fn no_debian(_: &str, _: &Path) -> Result<(), String> {
    Err("there is no apt-get here".into())
}

#[test]
fn a_bad_address_is_followed_by_the_next() {
    let new = tempfile::tempdir().unwrap();
    let transport = |address: &str| -> Result<Box<dyn Read>, String> {
        Ok(if address.contains("github") { Box::new(&b"<html>"[..]) } else { Box::new(&b"hello"[..]) })
    };
    HELLO.download(new.path(), &no_debian, &transport).unwrap();
    assert_eq!(fs::read(new.path().join("hello")).unwrap(), b"hello");
}

#[test]
fn total_failure_lists_every_way_and_the_remedy() {
    let new = tempfile::tempdir().unwrap();
    let error = HELLO.download(new.path(), &no_debian, &|_| Err("host not found".into())).unwrap_err();
    let message = error.to_string();
    for part in ["no apt-get", "github.com", "amazonaws", "host not found", "strata fetch fashion-mnist --from"] {
        assert!(message.contains(part), "{message}");
    }
}

#[test]
fn a_folder_of_the_user_is_checked() {
    let (folder, cache) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let message = SET.fetch(cache.path(), Some(folder.path())).unwrap_err().to_string();
    assert!(message.contains("no train-images-idx3-ubyte here"), "{message}");
    fs::write(folder.path().join("train-images-idx3-ubyte"), b"short").unwrap();
    let message = SET.fetch(cache.path(), Some(folder.path())).unwrap_err().to_string();
    assert!(message.contains("ends after 5 of 47040016 bytes"), "{message}");
    assert!(!SET.present(&crate::data::folder("fashion-mnist", cache.path())));
}

#[test]
fn a_truncated_file_in_the_cache_is_named() {
    let folder = tempfile::tempdir().unwrap();
    for file in SET.files {
        File::create(folder.path().join(file.name)).unwrap().set_len(file.bytes).unwrap();
    }
    // Full length and nothing but zeros.
    let message = SET.load(folder.path()).unwrap_err().to_string();
    assert!(message.contains("train-images-idx3-ubyte: its content has changed"), "{message}");
    File::create(folder.path().join(SET.files[2].name)).unwrap().set_len(1000).unwrap();
    assert!(!SET.present(folder.path()));
    let message = SET.load(folder.path()).unwrap_err().to_string();
    assert!(message.contains("t10k-images-idx3-ubyte: it has 1000 bytes"), "{message}");
    assert!(message.contains("run `strata fetch fashion-mnist`"), "{message}");
}

#[test]
fn a_label_beyond_the_classes_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (images, labels) = (folder.path().join("images"), folder.path().join("labels"));
    let header = [0, 0, 8, 3, 0, 0, 0, 1, 0, 0, 0, 28, 0, 0, 0, 28];
    fs::write(&images, [&header[..], &[0; 784]].concat()).unwrap();
    fs::write(&labels, [0, 0, 8, 1, 0, 0, 0, 1, 10]).unwrap();
    let message = SET.split(&images, &labels).unwrap_err().to_string();
    assert!(message.contains("label 0 is 10"), "{message}");
    fs::write(&labels, [0, 0, 8, 1, 0, 0, 0, 2, 1, 1]).unwrap();
    assert!(SET.split(&images, &labels).unwrap_err().to_string().contains("2 labels for 1 images"));
}

/// Checksums of the .gz files alone are published for KMNIST, so what was unpacked is noted.
#[test]
fn what_was_unpacked_is_noted_where_only_packed_files_are_known() {
    let packed = |content: &[u8]| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        std::io::Write::write_all(&mut encoder, content).unwrap();
        encoder.finish().unwrap()
    };
    let images = [&[0, 0, 8, 3, 0, 0, 0, 1, 0, 0, 0, 28, 0, 0, 0, 28][..], &[7; 784]].concat();
    let labels = vec![0, 0, 8, 1, 0, 0, 0, 1, 4];
    let (folder, cache) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let files: Vec<Expected> = kmnist::SET
        .files
        .iter()
        .zip([&images, &labels, &images, &labels])
        .map(|(file, content)| {
            let packed = packed(content);
            fs::write(folder.path().join(format!("{}.gz", file.name)), &packed).unwrap();
            let sum = Checksum::Packed(fetch::digest(&packed).leak());
            Expected { name: file.name, bytes: content.len() as u64, sha256: sum }
        })
        .collect();
    let set = IdxSet { files: files.leak(), ..kmnist::SET };
    set.fetch(cache.path(), Some(folder.path())).unwrap();
    let installed = crate::data::folder("kmnist", cache.path());
    let data = set.load(&installed).unwrap();
    assert_eq!((data.train.labels[0], &*data.classes[4], data.test.image(0).unwrap()[0]), (4, "na", 7));
    fs::write(installed.join(files_of(&set)), [&labels[..8], &[5]].concat()).unwrap();
    assert!(set.load(&installed).unwrap_err().to_string().contains("its content has changed"));
    fs::write(folder.path().join(files_of(&set)), &labels).unwrap();
    fs::remove_file(folder.path().join(format!("{}.gz", files_of(&set)))).unwrap();
    let message = set.fetch(cache.path(), Some(folder.path())).unwrap_err().to_string();
    assert!(message.contains("each as the .gz that was published"), "{message}");
}

fn files_of(set: &IdxSet) -> &'static str {
    set.files[1].name
}
