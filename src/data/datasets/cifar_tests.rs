//! Tests of CIFAR's form with small files: packed from trees, unpacked from archives, damaged.

use super::super::cifar10::SET;
use super::super::cifar100::{COARSE_SET, FINE_SET};
use super::*;
use crate::files::sha256;

#[test]
fn packs_a_tree_with_the_classes_taking_turns() {
    let (folder, cache) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    image_tree::tests::make(&folder.path().join("train"), SET.folders, 10);
    image_tree::tests::make(&folder.path().join("test"), SET.folders, 2);
    SET.fetch(cache.path(), Some(folder.path())).unwrap();
    let installed = crate::data::folder(SET.name(), cache.path());
    assert!(SET.present(&installed) && SET.check(&installed, Depth::Whole).is_ok());
    let data = SET.load(&installed).unwrap();
    assert_eq!((data.name.as_str(), data.train.len(), data.test.len()), ("cifar10 (JPEG copy)", 100, 20));
    for i in 0..100 {
        let (class, rank, image) = (i % 10, i / 10, data.train.image(i).unwrap());
        assert_eq!((usize::from(data.train.labels[i]), usize::from(image[1023])), (class, 10 * class + rank));
        assert_eq!((image[1024], image[3071]), (1, 2));
    }
}

#[test]
fn a_wrong_archive_is_not_unpacked() {
    let folder = tempfile::tempdir().unwrap();
    let error = SET.download(folder.path(), folder.path(), &|_| Ok(Box::new(&b"<html>"[..]))).unwrap_err();
    let message = error.to_string();
    assert!(message.contains("SHA-256") && message.contains("strata fetch cifar10 --from"), "{message}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "only what was downloaded");
}

/// An archive of the right form: the six files are taken, and the note makes them verifiable.
#[test]
fn untars_loads_and_notices_damage() {
    let (folder, new) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let archive = folder.path().join("a.tar.gz");
    let packed = flate2::write::GzEncoder::new(File::create(&archive).unwrap(), flate2::Compression::fast());
    let mut tar = tar::Builder::new(packed);
    for file in SET.files() {
        let mut header = tar::Header::new_ustar();
        header.set_size(SET.bytes(file));
        let path = format!("cifar-10-batches-bin/{}", file.name);
        tar.append_data(&mut header, path, std::io::repeat(3).take(SET.bytes(file))).unwrap();
    }
    tar.into_inner().unwrap().finish().unwrap();
    SET.untar(&archive, "there", new.path()).unwrap();
    assert!(SET.present(new.path()) && SET.check(new.path(), Depth::Whole).is_ok());
    let data = SET.load(new.path()).unwrap();
    assert_eq!((data.name.as_str(), data.train.len(), data.test.labels[19]), (SET.name(), 100, 3));

    let damaged = new.path().join("data_batch_2.bin");
    let mut bytes = fs::read(&damaged).unwrap();
    bytes[1 + PIXELS] = 10;
    fs::write(&damaged, &bytes).unwrap();
    assert!(SET.present(new.path()) && SET.check(new.path(), Depth::Whole).is_err());
    assert!(SET.load(new.path()).unwrap_err().to_string().contains("data_batch_2.bin: its content has changed"));
    // Noted anew it is not damaged, and still no CIFAR-10.
    let sums: Vec<_> = SET.files().map(|file| (file.name, sha256(&new.path().join(file.name)).unwrap())).collect();
    sums_note::write(new.path(), SET.name(), &sums).unwrap();
    assert!(SET.load(new.path()).unwrap_err().to_string().contains("data_batch_2.bin: a label is 10"));
    fs::write(&damaged, &bytes[..100]).unwrap();
    assert!(!SET.present(new.path()));
    assert!(SET.load(new.path()).unwrap_err().to_string().contains("it has 100 bytes"));
}

/// Records with two labels: a tree of the classes has both.
#[test]
fn cifar100_has_classes_and_superclasses() {
    let (folder, cache) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    image_tree::tests::make(&folder.path().join("train"), FINE_SET.folders, 2);
    image_tree::tests::make(&folder.path().join("test"), FINE_SET.folders, 1);
    FINE_SET.fetch(cache.path(), Some(folder.path())).unwrap();
    let installed = crate::data::folder("cifar100", cache.path());
    assert!(FINE_SET.present(&installed) && FINE_SET.check(&installed, Depth::Whole).is_ok());
    assert_eq!(fs::metadata(installed.join("train.bin")).unwrap().len(), 200 * (2 + 3072));
    let [fine, coarse] = [&FINE_SET, &COARSE_SET].map(|set| set.load(&installed).unwrap());
    assert_eq!((fine.classes.len(), coarse.classes.len(), fine.train.len(), coarse.test.len()), (100, 20, 200, 100));
    for (class, superclass) in
        [("apple", "fruit_and_vegetables"), ("train", "vehicles_1"), ("worm", "non-insect_invertebrates")]
    {
        let at = fine.classes.iter().position(|name| name == class).unwrap();
        assert_eq!(usize::from(fine.train.labels[at]), at);
        assert_eq!(coarse.classes[usize::from(coarse.train.labels[at])], superclass);
    }
    for superclass in 0..20 {
        assert_eq!(coarse.test.labels.iter().filter(|&&label| label == superclass).count(), 5);
    }
}
