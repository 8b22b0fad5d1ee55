//! CIFAR-10: its binary form, or a tree of images that is packed once into that form.

use super::cifar::{CifarSet, RecordFile};
use super::{Info, Published, Source};
use serde::{Deserialize, Serialize};

const CLASSES: [&str; 10] = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"];

/// Images in a file. Few in unit tests: without optimisation the real files take half a minute.
const RECORDS: usize = if cfg!(test) { 20 } else { 10_000 };

static INFO: Info = Info {
    name: "cifar10",
    description: "CIFAR-10 (Krizhevsky 2009): 32x32 colour photographs",
    classes: 10,
    class_names: &CLASSES,
    shape: [3, 32, 32],
    train: 50_000,
    test: 10_000,
    open: false,
    mean: &[125.3 / 255.0, 123.0 / 255.0, 113.9 / 255.0],
    std: &[63.0 / 255.0, 62.1 / 255.0, 66.7 / 255.0],
};

static TRAIN: [RecordFile; 5] = [
    RecordFile { name: "data_batch_1.bin", records: RECORDS },
    RecordFile { name: "data_batch_2.bin", records: RECORDS },
    RecordFile { name: "data_batch_3.bin", records: RECORDS },
    RecordFile { name: "data_batch_4.bin", records: RECORDS },
    RecordFile { name: "data_batch_5.bin", records: RECORDS },
];

pub(super) static SET: CifarSet = CifarSet {
    info: &INFO,
    train: &TRAIN,
    test: &[RecordFile { name: "test_batch.bin", records: RECORDS }],
    archive: "cifar-10-binary.tar.gz",
    address: "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
    archive_sha256: "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
    folders: &CLASSES,
    labels: |class| vec![class],
    label: 0,
};

/// The dataset of Krizhevsky (2009).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cifar10 {}

impl Published for Cifar10 {
    fn set(&self) -> &'static dyn Source {
        &SET
    }
}
