//! Fashion-MNIST: clothes in MNIST's form. The checksums are those of the unpacked files: the published ones are those of the .gz
//! files, which Debian packed anew.

use super::idx_set::{self, IdxSet};
use super::{Info, Published, Source};
use crate::data::fetch::Checksum::Content;
use serde::{Deserialize, Serialize};

const CLASSES: [&str; 10] =
    ["t-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle-boot"];

static INFO: Info = Info {
    name: "fashion-mnist",
    description: "Fashion-MNIST (Xiao et al. 2017): grey 28x28 pictures of clothes",
    class_names: &CLASSES,
    mean: &[0.2860],
    std: &[0.3530],
    ..idx_set::INFO
};

pub(super) const SET: IdxSet = IdxSet {
    info: &INFO,
    files: &idx_set::files([
        Content("c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888"),
        Content("bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9"),
        Content("5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b"),
        Content("0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34"),
    ]),
    addresses: &[
        "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion",
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com",
    ],
    package: Some("dataset-fashion-mnist"),
};

/// The dataset of Xiao, Rasul and Vollgraf (2017).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FashionMnist {}

impl Published for FashionMnist {
    fn set(&self) -> &'static dyn Source {
        &SET
    }
}
