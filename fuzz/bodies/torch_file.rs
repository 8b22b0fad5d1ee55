//! Files of `torch.save`: a zip archive with a pickle in it.
//!
//! An input is an archive, or without one the pickle itself and then the values of `data/0`, `data/1`, …, with [`BETWEEN`] between
//! them: so that a change of a byte is one of an instruction, not of a checksum.

use std::collections::BTreeMap;
use std::path::Path;
use strata::model::{parse_tensors, tensor_bytes};
use tch::Tensor;

const BETWEEN: &[u8] = b"\n<-->\n";
/// Begins a header of a zip archive's directory, whose checksum is 16 bytes behind.
const HEADER: &[u8] = b"PK\x01\x02";

pub(crate) fn read(data: &[u8]) {
    tensors(data);
}

/// As [`read`]; how many tensors the input holds, 0 if it is refused.
pub(crate) fn tensors(data: &[u8]) -> usize {
    if !data.starts_with(b"PK\x03\x04") {
        return parsed(&archive(data));
    }
    let unchecked = parsed(&without_checksums(data));
    let checked = parsed(data);
    assert!(checked == 0 || checked == unchecked, "a checksum refuses a file or changes nothing");
    unchecked
}

fn parsed(file: &[u8]) -> usize {
    match parse_tensors(file, Path::new("w.pth")) {
        Ok(tensors) => {
            let bytes: usize = tensors.values().map(|tensor| tensor.numel() * tensor.kind().elt_size_in_bytes()).sum();
            assert!(bytes <= 4 * file.len(), "{bytes} bytes of tensors from {} of a file", file.len());
            round_trip(tensors)
        }
        Err(error) => {
            let text = error.to_string();
            assert!(text.contains("w.pth") && text.len() < 4000, "{text}");
            0
        }
    }
}

/// What was read is what a safetensors file of it holds; `__metadata__` is no tensor there.
fn round_trip(mut tensors: BTreeMap<String, Tensor>) -> usize {
    let count = tensors.len();
    tensors.remove("__metadata__");
    let bytes = |tensors: BTreeMap<String, Tensor>| tensor_bytes(&tensors.into_iter().collect::<Vec<_>>());
    let written = bytes(tensors).expect("tensors are written");
    let again = parse_tensors(&written, Path::new("w.safetensors")).expect("and read again");
    assert_eq!(bytes(again).expect("and written again"), written);
    count
}

/// The archive with 0 for every checksum, which PyTorch writes where it computes none.
fn without_checksums(data: &[u8]) -> Vec<u8> {
    let mut file = data.to_vec();
    for at in 0..file.len().saturating_sub(HEADER.len() + 16) {
        if file[at..].starts_with(HEADER) {
            file[at + 16..at + 20].fill(0);
        }
    }
    file
}

/// An archive of a pickle and values, as `torch.save` writes it but for the checksums.
fn archive(data: &[u8]) -> Vec<u8> {
    let (mut file, mut directory, mut count) = (Vec::new(), Vec::new(), 0u16);
    let mut rest = Some(data);
    while let Some(left) = rest {
        let end = left.windows(BETWEEN.len()).position(|window| window == BETWEEN);
        let content = &left[..end.unwrap_or(left.len())];
        rest = end.map(|end| &left[end + BETWEEN.len()..]);
        let name = if count == 0 { "a/data.pkl".to_owned() } else { format!("a/data/{}", count - 1) };
        let offset = file.len() as u32;
        let common = |record: &mut Vec<u8>| {
            record.extend([0; 12]); // flags, stored, time, no checksum
            let size = content.len() as u32;
            record.extend([size.to_le_bytes(), size.to_le_bytes()].concat());
            record.extend((name.len() as u16).to_le_bytes());
            record.extend([0; 2]);
        };
        file.extend(b"PK\x03\x04");
        file.extend([0; 2]);
        common(&mut file);
        file.extend([name.as_bytes(), content].concat());
        directory.extend([HEADER, &[0; 4]].concat());
        common(&mut directory);
        directory.extend([0; 10]); // comment, disk, attributes
        directory.extend(offset.to_le_bytes());
        directory.extend(name.as_bytes());
        count += 1;
        if count == 1000 {
            break;
        }
    }
    let start = file.len() as u32;
    let size = directory.len() as u32;
    file.extend(directory);
    file.extend([b"PK\x05\x06", &[0; 4][..]].concat());
    file.extend([count.to_le_bytes(), count.to_le_bytes()].concat());
    file.extend([size.to_le_bytes(), start.to_le_bytes()].concat());
    file.extend([0; 2]);
    file
}
