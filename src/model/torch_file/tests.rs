//! Files of PyTorch 2.13 in tests/data, whole and damaged at every place.

use super::pickle::Pickle;
use super::*;

const TINY: &[u8] = include_bytes!("../../../tests/data/tiny.pth");
const CHECKPOINT: &[u8] = include_bytes!("../../../tests/data/checkpoint.pth");
const MODULE: &[u8] = include_bytes!("../../../tests/data/module.pth");

fn values(tensor: &Tensor) -> Vec<f64> {
    Vec::try_from(tensor.to_kind(Kind::Double).flatten(0, -1)).unwrap()
}

#[test]
fn tensors_come_as_pytorch_saved_them() {
    let tensors = read(TINY).unwrap();
    let is = |name: &str, shape: &[i64], kind: Kind, wanted: &[f64]| {
        let tensor = &tensors[name];
        assert_eq!(
            (tensor.size().as_slice(), tensor.kind(), values(tensor).as_slice()),
            (shape, kind, wanted),
            "{name}"
        );
    };
    let count: Vec<f64> = (0..24).map(f64::from).collect();
    is("conv.weight", &[2, 3, 2, 2], Kind::Float, &count);
    is("last", &[2, 3, 2, 2], Kind::Float, &count); // channels last
    is("conv.bias", &[2], Kind::Float, &[0.5, -1.5]);
    is("bn.num_batches_tracked", &[], Kind::Int64, &[7.0]);
    is("t.weight", &[3, 2], Kind::Float, &[0.0, 3.0, 1.0, 4.0, 2.0, 5.0]); // transposed
    is("half", &[2], Kind::Half, &[1.0, 2.5]);
    is("bf", &[2], Kind::BFloat16, &[1.0, -3.0]);
    is("double", &[1], Kind::Double, &[1e-3]);
    is("part", &[3], Kind::Float, &[4.0, 5.0, 6.0]);
    is("param", &[2], Kind::Float, &[1.0, 1.0]);
    assert_eq!(tensors.len(), 10);
    // One level down, with DataParallel's prefix, beside the state of an optimizer.
    let inner = read(CHECKPOINT).unwrap();
    assert!(inner.keys().eq(tensors.keys()) && inner.iter().all(|(name, tensor)| *tensor == tensors[name]));
}

#[test]
fn code_is_refused_by_its_name() {
    let error = read(MODULE).unwrap_err();
    assert!(error.contains("would call `torch.nn.modules.linear.Linear`"), "{error}");
    let error = Pickle::read(b"\x80\x02cos\nsystem\nX\x04\x00\x00\x00true\x85R.").unwrap_err();
    assert!(error.contains("would call `os.system`"), "{error}");
    for instruction in [b'i', b'o', 0x81, 0x92, 0x93, 0x82, b'0', b'2'] {
        assert!(Pickle::read(&[0x80, 2, b'N', instruction, b'.']).is_err(), "{instruction:x}");
    }
}

#[test]
fn a_small_file_does_not_fill_the_memory() {
    let view = |offset, size: &[i64], stride: &[i64]| {
        Shape::of(&TensorView { storage: 0, offset, size: size.to_vec(), stride: stride.to_vec() }, 6)
    };
    assert!(view(0, &[2, 3], &[3, 1]).is_some_and(|shape| shape.contiguous));
    assert!(view(0, &[3, 2], &[1, 3]).is_some_and(|shape| !shape.contiguous));
    assert!(view(6, &[0], &[1]).is_some());
    for (offset, size, stride) in [
        (0, &[1 << 40][..], &[0][..]),
        (1, &[6], &[1]),
        (0, &[i64::MAX, i64::MAX], &[1, 1]),
        (0, &[2], &[i64::MAX]),
        (-1, &[1], &[1]),
        (0, &[-1], &[1]),
        (0, &[2], &[-1]),
        (0, &[2], &[]),
    ] {
        assert!(view(offset, size, stride).is_none(), "{offset} {size:?} {stride:?}");
    }
    // A text that says it has 4 GB, and as many tuples as there are bytes.
    assert!(Pickle::read(b"\x80\x02X\xff\xff\xff\xff.").is_err());
    let mut deep = vec![b')'];
    deep.resize(1 << 20, 0x85);
    deep.push(b'.');
    assert!(Pickle::read(&deep).is_ok());
}

/// Every file that is cut off is refused, and so is every changed bit in an entry; elsewhere in the archive a change may be in a
/// field that nobody reads, and then the tensors are the same.
#[test]
fn damage_is_noticed() {
    let whole = read(TINY).unwrap();
    for length in 0..TINY.len() {
        assert!(read(&TINY[..length]).is_err(), "cut at {length}");
    }
    let mut file = TINY.to_vec();
    let mut refused = 0;
    for at in 0..file.len() {
        for bit in 0..8 {
            file[at] ^= 1 << bit;
            match read(&file) {
                Err(_) => refused += 1,
                Ok(tensors) => assert!(tensors == whole, "byte {at}, bit {bit}"),
            }
            file[at] ^= 1 << bit;
        }
    }
    assert!(refused > 8 * 1300, "{refused}: every bit of an entry counts");
}

/// Pickles without the checksum that guards them: any bytes are read or refused.
#[test]
fn any_pickle_is_read_or_refused() {
    for file in [TINY, CHECKPOINT] {
        let archive = Archive::read(file).unwrap();
        let mut bytes = archive.get("data.pkl").unwrap().to_vec();
        for at in 0..bytes.len() {
            for change in [1, 2, 4, 8, 16, 32, 64, 128, 0xFF] {
                bytes[at] ^= change;
                if let Ok(pickle) = Pickle::read(&bytes) {
                    for (_, view) in views(&pickle).unwrap_or_default() {
                        let _ = tensor(
                            &pickle,
                            view,
                            &|storage| archive.get(&format!("data/{}", storage.entry)),
                            &mut 10_000,
                        );
                    }
                }
                bytes[at] ^= change;
            }
        }
    }
}
