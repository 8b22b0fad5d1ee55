//! A checksum of the images that a run uses, to notice that they changed.

use super::Images;
use crate::hex::hex;
use sha2::{Digest, Sha256};

/// The first half of a SHA-256 over shapes, labels and pixels of some splits, in hex. For image files, their names
/// and the checksums of their content represent the pixels.
pub fn fingerprint(splits: &[&Images]) -> String {
    let mut hasher = Sha256::new();
    splits.iter().for_each(|images| images.digest(|bytes| hasher.update(bytes)));
    hex(&hasher.finalize()[..16])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_changes_with_pixels_labels_and_shape_and_nothing_else() {
        let images = |shape, pixels: &[u8], labels: &[u16]| Images::new(shape, pixels.to_vec(), labels.to_vec());
        let one = images([1, 1, 2], &[1, 2, 3, 4], &[0, 1]);
        let mark = fingerprint(&[&one]);
        assert_eq!(mark.len(), 32);
        assert_eq!(fingerprint(&[&one.clone()]), mark);
        assert_ne!(fingerprint(&[&images([1, 1, 2], &[1, 2, 3, 5], &[0, 1])]), mark);
        assert_ne!(fingerprint(&[&images([1, 1, 2], &[1, 2, 3, 4], &[0, 2])]), mark);
        assert_ne!(fingerprint(&[&images([1, 2, 1], &[1, 2, 3, 4], &[0, 1])]), mark);
        assert_ne!(fingerprint(&[&one.slice(0..1), &one.slice(1..2)]), mark);
        // A slice is identified by its own images, not by their position.
        assert_eq!(fingerprint(&[&one.slice(1..2)]), fingerprint(&[&images([1, 1, 2], &[3, 4], &[1])]));
    }
}
