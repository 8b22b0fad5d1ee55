//! Kuzushiji-MNIST: cursive Japanese characters in MNIST's form. Its published checksums are those of the .gz files.

use super::idx_set::{self, IdxSet};
use super::{Info, Published, Source};
use crate::data::fetch::Checksum::Packed;
use serde::{Deserialize, Serialize};

/// The modern hiragana, transliterated.
const CLASSES: [&str; 10] = ["o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"];

static INFO: Info = Info {
    name: "kmnist",
    description: "Kuzushiji-MNIST (Clanuwat et al. 2018): grey 28x28 cursive Japanese",
    class_names: &CLASSES,
    mean: &[0.1918],
    std: &[0.3483],
    ..idx_set::INFO
};

pub(super) const SET: IdxSet = IdxSet {
    info: &INFO,
    files: &idx_set::files([
        Packed("51467d22d8cc72929e2a028a0428f2086b092bb31cfb79c69cc0a90ce135fde4"),
        Packed("e38f9ebcd0f3ebcdec7fc8eabdcdaef93bb0df8ea12bee65224341c8183d8e17"),
        Packed("edd7a857845ad6bb1d0ba43fe7e794d164fe2dce499a1694695a792adfac43c5"),
        Packed("20bb9a0ef54c7db3efc55a92eef5582c109615df22683c380526788f98e42a1c"),
    ]),
    addresses: &["http://codh.rois.ac.jp/kmnist/dataset/kmnist"],
    package: None,
};

/// The dataset of Clanuwat et al. (2018).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kmnist {}

impl Published for Kmnist {
    fn set(&self) -> &'static dyn Source {
        &SET
    }
}
