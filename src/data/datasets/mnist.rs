//! MNIST: handwritten digits.

use super::idx_set::{self, IdxSet};
use super::{Info, Published, Source};
use crate::data::fetch::Checksum::Content;
use serde::{Deserialize, Serialize};

const CLASSES: [&str; 10] = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];

static INFO: Info = Info {
    name: "mnist",
    description: "MNIST (LeCun et al. 1998): grey 28x28 handwritten digits",
    class_names: &CLASSES,
    mean: &[0.1307],
    std: &[0.3081],
    ..idx_set::INFO
};

const SET: IdxSet = IdxSet {
    info: &INFO,
    files: &idx_set::files([
        Content("ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"),
        Content("65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"),
        Content("0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"),
        Content("ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"),
    ]),
    addresses: &["https://ossci-datasets.s3.amazonaws.com/mnist", "https://storage.googleapis.com/cvdf-datasets/mnist"],
    package: None,
};

/// The dataset of LeCun, Cortes and Burges (1998).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mnist {}

impl Published for Mnist {
    fn set(&self) -> &'static dyn Source {
        &SET
    }
}
