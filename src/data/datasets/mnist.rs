//! MNIST: handwritten digits.

use super::idx_set::IdxSet;
use super::{Info, source_of_set};
use crate::data::fetch::{Checksum::Content, Expected};
use serde::{Deserialize, Serialize};

const CLASSES: [&str; 10] = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];

static INFO: Info = Info {
    name: "mnist",
    description: "MNIST (LeCun et al. 1998): grey 28x28 handwritten digits",
    classes: 10,
    class_names: &CLASSES,
    shape: [1, 28, 28],
    train: 60_000,
    test: 10_000,
    open: false,
    mean: &[0.1307],
    std: &[0.3081],
};

const SET: IdxSet = IdxSet {
    info: &INFO,
    files: &[
        Expected {
            name: "train-images-idx3-ubyte",
            bytes: 47_040_016,
            sha256: Content("ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"),
        },
        Expected {
            name: "train-labels-idx1-ubyte",
            bytes: 60_008,
            sha256: Content("65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"),
        },
        Expected {
            name: "t10k-images-idx3-ubyte",
            bytes: 7_840_016,
            sha256: Content("0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"),
        },
        Expected {
            name: "t10k-labels-idx1-ubyte",
            bytes: 10_008,
            sha256: Content("ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"),
        },
    ],
    addresses: &["https://ossci-datasets.s3.amazonaws.com/mnist", "https://storage.googleapis.com/cvdf-datasets/mnist"],
    package: None,
};

/// The dataset of LeCun, Cortes and Burges (1998).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mnist {}

source_of_set!(Mnist, SET);
