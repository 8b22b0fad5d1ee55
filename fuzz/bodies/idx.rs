//! IDX files of images and of labels.

use std::path::Path;
use strata::data::{DataError, read_idx};

pub(crate) fn read(data: &[u8]) {
    labels_and_images::<1>(data);
    labels_and_images::<2>(data);
    labels_and_images::<3>(data);
    // A file may shrink or grow between the look at its length and the reading.
    let length = data.len() as u64;
    for said in [length.saturating_sub(1), length + 1] {
        let _ = read_idx::<3>(data, said, Path::new("x-ubyte"), "fashion-mnist");
    }
}

fn labels_and_images<const D: usize>(data: &[u8]) {
    match read_idx::<D>(data, data.len() as u64, Path::new("x-ubyte"), "fashion-mnist") {
        Ok((dims, bytes)) => {
            assert_eq!(dims.iter().product::<usize>(), bytes.len());
            let mut written = vec![0, 0, 8, D as u8];
            dims.iter().for_each(|&dim| written.extend((dim as u32).to_be_bytes()));
            written.extend(bytes);
            assert_eq!(written, data, "what was read is the file");
        }
        Err(error @ DataError::Corrupt { .. }) => {
            let text = error.to_string();
            assert!(text.contains("x-ubyte") && text.contains("strata fetch fashion-mnist"), "{text}");
        }
        Err(error) => panic!("bytes in memory are read without the system: {error}"),
    }
}
