//! The IDX format of MNIST and its successors: `0 0 8 d`, then d big-endian u32 dimensions, then the bytes.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use super::DataError;

/// Reads an IDX file of unsigned bytes with `D` dimensions.
///
/// # Errors
/// As [`read_from`].
pub(super) fn read<const D: usize>(path: &Path, dataset: &str) -> Result<([usize; D], Vec<u8>), DataError> {
    let file = File::open(path).map_err(DataError::io("read", path))?;
    let length = file.metadata().map_err(DataError::io("read", path))?.len();
    read_from(file, length, path, dataset)
}

/// Reads IDX of unsigned bytes with `D` dimensions from a source of known length; errors name `path` and `dataset`. The header
/// is compared with the length before memory is allocated, so a wrong header costs nothing.
///
/// # Errors
/// Not IDX, another number of dimensions, or a length that does not fit the header or the source.
pub fn read_from<const D: usize>(
    mut file: impl Read,
    length: u64,
    path: &Path,
    dataset: &str,
) -> Result<([usize; D], Vec<u8>), DataError> {
    let io = |e| DataError::io("read", path)(e);
    let mut header = vec![0; 4 + 4 * D];
    if length < header.len() as u64 {
        return Err(DataError::damaged(path, format!("truncated: only {length} bytes"), dataset));
    }
    file.read_exact(&mut header).map_err(io)?;
    let (magic, sizes) = header.split_at(4);
    if magic != [0, 0, 8, D as u8] {
        let problem = format!("not an IDX file of bytes in {D} dimensions (it starts with {magic:02x?})");
        return Err(DataError::damaged(path, problem, dataset));
    }
    let mut dims = [0; D];
    for (dim, size) in dims.iter_mut().zip(sizes.chunks_exact(4)) {
        *dim = size.iter().fold(0, |n, &byte| n << 8 | usize::from(byte));
    }
    let count = dims.iter().try_fold(1u64, |n, &d| n.checked_mul(d as u64));
    let body = length - header.len() as u64;
    if count != Some(body) {
        let problem = format!("its header says {dims:?} but {body} bytes follow it");
        return Err(DataError::damaged(path, problem, dataset));
    }
    let mut bytes = vec![0; body as usize];
    file.read_exact(&mut bytes).map_err(io)?;
    Ok((dims, bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_bytes<const D: usize>(bytes: &[u8]) -> Result<([usize; D], Vec<u8>), String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        let result = read::<D>(file.path(), "fashion-mnist").map_err(|e| e.to_string());
        if let Err(message) = &result {
            assert!(message.contains(file.path().to_str().unwrap()) && message.contains("strata fetch"), "{message}");
        }
        result
    }

    #[test]
    fn reads_dimensions_and_bytes() {
        assert_eq!(read_bytes(&[0, 0, 8, 2, 0, 0, 0, 1, 0, 0, 0, 3, 7, 8, 9]), Ok(([1, 3], vec![7, 8, 9])));
    }

    #[test]
    fn refuses_what_does_not_fit() {
        let truncated = read_bytes::<1>(&[0, 0, 8, 1, 0, 0, 0, 3, 7]).unwrap_err();
        assert!(truncated.contains("[3] but 1 bytes"), "{truncated}");
        assert!(read_bytes::<1>(&[0, 0, 8]).unwrap_err().contains("only 3 bytes"));
        assert!(read_bytes::<1>(b"<html>...").unwrap_err().contains("not an IDX file"));
        // Dimensions whose product overflows must neither panic nor take memory.
        let mut lying = vec![0, 0, 8, 3];
        lying.extend([0xff; 12]);
        assert!(read_bytes::<3>(&lying).unwrap_err().contains("0 bytes follow"));
    }

    /// Each broken file of the corpus with its exact message; `STRATA_BLESS=1` writes them anew.
    #[test]
    fn broken_files_get_their_message() {
        let head = |rank: u8, sizes: &[u32]| {
            let mut bytes = vec![0, 0, 8, rank];
            sizes.iter().for_each(|size| bytes.extend(size.to_be_bytes()));
            bytes
        };
        let with = |mut head: Vec<u8>, body: usize| {
            head.resize(head.len() + body, 7);
            head
        };
        let mut little = vec![0, 0, 8, 3];
        [2u32, 2, 2].iter().for_each(|size| little.extend(size.to_le_bytes()));
        let kind = |kind: u8, body| with([&[0, 0, kind, 3][..], &head(3, &[2, 2, 2])[4..]].concat(), body);
        let cases: Vec<(&str, Vec<u8>)> = vec![
            ("empty", vec![]),
            ("one byte", vec![0]),
            ("magic only", vec![0, 0, 8, 3]),
            ("header cut", head(3, &[2, 2])),
            ("header alone", head(3, &[2, 2, 2])),
            ("body short by one", with(head(3, &[2, 2, 2]), 7)),
            ("body long by one", with(head(3, &[2, 2, 2]), 9)),
            ("two dimensions", with(head(2, &[2, 4, 0]), 8)),
            ("four dimensions", with(head(4, &[2, 2, 2, 1]), 8)),
            ("no dimensions", with(head(0, &[]), 20)),
            ("255 dimensions", with(head(255, &[2, 2, 2]), 8)),
            ("signed bytes", kind(9, 8)),
            ("shorts", kind(0x0b, 16)),
            ("integers", kind(0x0c, 32)),
            ("floats", kind(0x0d, 32)),
            ("doubles", kind(0x0e, 64)),
            ("little endian", with(little, 8)),
            ("gigabytes promised", with(head(3, &[u32::MAX, 1, 1]), 8)),
            ("exabytes promised", with(head(3, &[u32::MAX, u32::MAX, 1]), 8)),
            ("product past 64 bits", with(head(3, &[u32::MAX, u32::MAX, u32::MAX]), 8)),
            ("product that wraps to 0", head(3, &[1 << 31, 1 << 31, 4])),
            ("zero images of much", with(head(3, &[0, 2, 2]), 8)),
            ("gzip", with(vec![0x1f, 0x8b, 8, 0], 60)),
            ("html", b"<html><body>404 Not Found</body></html>".to_vec()),
            ("zeros", vec![0; 64]),
        ];
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x-ubyte");
        let mut messages = String::new();
        for (name, bytes) in cases {
            std::fs::write(&path, bytes).unwrap();
            let message =
                read::<3>(&path, "fashion-mnist").map_or_else(|error| error.to_string(), |_| "NOT REFUSED".to_owned());
            messages += &format!("{name}: {}\n", message.replace(&path.display().to_string(), "x-ubyte"));
        }
        if std::env::var_os("STRATA_BLESS").is_some() {
            std::fs::write(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/corpus/idx.txt"), &messages).unwrap();
        }
        let expected = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/corpus/idx.txt"));
        assert_eq!(messages, expected.unwrap_or_default());
        assert!(!messages.contains("NOT REFUSED"), "{messages}");
    }
}
