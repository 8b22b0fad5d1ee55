//! Tests of prepared copies on a few small files.

use super::*;
use crate::data::images::tests::files;
use crate::data::resample::Window;

const SIZES: [[u32; 2]; 3] = [[80, 40], [33, 90], [20, 20]];

#[test]
fn copies_are_made_found_and_used() {
    let (folder, cache) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let images = files(folder.path(), [3, 16, 16], &SIZES);
    for form in [PreparedFormat::Raw, PreparedFormat::Jpeg] {
        let prepared = Prepared { size: 32, form };
        let open = || Cache::open(prepared, &[&images], cache.path(), "pets");
        let message = open().unwrap_err().to_string();
        assert!(message.contains(&format!("strata fetch pets --prepare 32 --form {form}")), "{message}");
        assert_eq!(build(32, Some(form), &[&images], cache.path(), "pets").unwrap(), prepared);
        let copies = images.clone().prepared(open().unwrap().into()).unwrap();
        for i in 0..3 {
            let (original, copy) = (images.image(i).unwrap(), copies.image(i).unwrap());
            let far = original.iter().zip(copy.iter()).map(|(&a, &b)| a.abs_diff(b)).max().unwrap();
            assert!(far < if form == PreparedFormat::Raw { 6 } else { 40 }, "{form} {i}: {far}");
            let right = |[height, width]: [usize; 2]| {
                assert_eq!([height, width], [[32, 64], [87, 32], [20, 20]][i]);
                Window { top: 1, left: width / 2, height: height - 1, width: width - width / 2 }
            };
            assert_eq!(copies.window(i, right).unwrap().len(), 3 * 16 * 16);
        }
        assert_ne!(crate::data::fingerprint(&[&copies]), crate::data::fingerprint(&[&images]));
    }
    // Without a form that which is there.
    assert_eq!(build(32, None, &[&images], cache.path(), "pets").unwrap().form, PreparedFormat::Raw);
}

#[test]
fn a_build_that_was_killed_goes_on() {
    let (folder, cache) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let images = files(folder.path(), [3, 16, 16], &SIZES);
    let prepared = build(24, Some(PreparedFormat::Raw), &[&images], cache.path(), "pets").unwrap();
    let at = prepared.folder(&contents(&[&images]).unwrap(), cache.path());
    let whole = [IMAGES, INDEX].map(|file| fs::read(at.join(file)).unwrap());
    for (cut, more) in [(0, 7), (10, 0), (whole[1].len() / 2, 1000)] {
        fs::remove_file(at.join(sums_note::NOTE)).unwrap();
        fs::write(at.join(INDEX), &whole[1][..cut]).unwrap();
        fs::write(at.join(IMAGES), [&whole[0][..], &vec![1; more]].concat()).unwrap();
        assert!(Cache::open(prepared, &[&images], cache.path(), "pets").is_err());
        build(24, Some(PreparedFormat::Raw), &[&images], cache.path(), "pets").unwrap();
        assert_eq!([IMAGES, INDEX].map(|file| fs::read(at.join(file)).unwrap()), whole);
    }
    fs::write(at.join(IMAGES), &whole[0][1..]).unwrap();
    let message = Cache::open(prepared, &[&images], cache.path(), "pets").unwrap_err().to_string();
    assert!(message.contains("images.bin: its content has changed"), "{message}");
}

#[test]
fn the_shorter_side_decides() {
    for (from, to) in [([375, 500], [256, 341]), ([500, 333], [384, 256]), ([200, 900], [200, 900])] {
        assert_eq!(build::shrunk(from, 256), to);
    }
    assert!(Prepared { size: 8, form: PreparedFormat::Raw }.check().is_err());
}
