//! CIFAR-100 in its binary form, whose records have a superclass and a class; or a tree of the 100 classes.

use super::cifar::{CifarSet, RecordFile};
use super::{Info, Published, Source};
use crate::named::is_default;
use serde::{Deserialize, Serialize};

#[rustfmt::skip]
const FINE: [&str; 100] = [
    "apple", "aquarium_fish", "baby", "bear", "beaver", "bed", "bee", "beetle", "bicycle", "bottle", "bowl", "boy", "bridge", "bus", "butterfly", "camel", "can", "castle", "caterpillar", "cattle", "chair", "chimpanzee", "clock", "cloud", "cockroach", "couch", "crab", "crocodile", "cup", "dinosaur", "dolphin", "elephant", "flatfish", "forest", "fox", "girl", "hamster", "house", "kangaroo", "keyboard", "lamp", "lawn_mower", "leopard", "lion", "lizard", "lobster", "man", "maple_tree", "motorcycle", "mountain", "mouse", "mushroom", "oak_tree", "orange", "orchid", "otter", "palm_tree", "pear", "pickup_truck", "pine_tree", "plain", "plate", "poppy", "porcupine", "possum", "rabbit", "raccoon", "ray", "road", "rocket", "rose", "sea", "seal", "shark", "shrew", "skunk", "skyscraper", "snail", "snake", "spider", "squirrel", "streetcar", "sunflower", "sweet_pepper", "table", "tank", "telephone", "television", "tiger", "tractor", "train", "trout", "tulip", "turtle", "wardrobe", "whale", "willow_tree", "wolf", "woman", "worm",
];

#[rustfmt::skip]
const COARSE: [&str; 20] = [
    "aquatic_mammals", "fish", "flowers", "food_containers", "fruit_and_vegetables", "household_electrical_devices", "household_furniture", "insects", "large_carnivores", "large_man-made_outdoor_things", "large_natural_outdoor_scenes", "large_omnivores_and_herbivores", "medium_mammals", "non-insect_invertebrates", "people", "reptiles", "small_mammals", "trees", "vehicles_1", "vehicles_2",
];

/// The superclass of each class.
#[rustfmt::skip]
const SUPERCLASS: [u8; 100] = [
    4, 1, 14, 8, 0, 6, 7, 7, 18, 3, 3, 14, 9, 18, 7, 11, 3, 9, 7, 11, 6, 11, 5, 10, 7, 6, 13, 15, 3, 15, 0, 11, 1, 10, 12, 14, 16, 9, 11, 5, 5, 19, 8, 8, 15, 13, 14, 17, 18, 10, 16, 4, 17, 4, 2, 0, 17, 4, 18, 17, 10, 3, 2, 12, 12, 16, 12, 1, 9, 19, 2, 10, 0, 1, 16, 12, 9, 13, 15, 13, 16, 19, 2, 4, 6, 19, 5, 5, 8, 19, 18, 1, 2, 15, 6, 0, 17, 8, 14, 13,
];

/// Images in the files. Few in unit tests: without optimisation the real files take half a minute.
const TRAIN: usize = if cfg!(test) { 200 } else { 50_000 };
const TEST: usize = if cfg!(test) { 100 } else { 10_000 };

const INFO: Info = Info {
    name: "cifar100",
    description: "CIFAR-100 (Krizhevsky 2009): 32x32 colour photographs, 100 classes or 20 superclasses",
    classes: 100,
    class_names: &FINE,
    shape: [3, 32, 32],
    train: 50_000,
    test: 10_000,
    open: false,
    mean: &[0.5071, 0.4865, 0.4409],
    std: &[0.2673, 0.2564, 0.2762],
};

const SET: CifarSet = CifarSet {
    info: &INFO,
    train: &[RecordFile { name: "train.bin", records: TRAIN }],
    test: &[RecordFile { name: "test.bin", records: TEST }],
    archive: "cifar-100-binary.tar.gz",
    address: "https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz",
    archive_sha256: "58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec",
    folders: &FINE,
    labels: |fine| vec![SUPERCLASS[usize::from(fine)], fine],
    label: 1,
};

pub(super) static FINE_SET: CifarSet = SET;

pub(super) static COARSE_SET: CifarSet =
    CifarSet { info: &Info { classes: 20, class_names: &COARSE, ..INFO }, label: 0, ..SET };

/// The dataset of Krizhevsky (2009).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Cifar100 {
    #[serde(skip_serializing_if = "is_default")]
    labels: Labels,
}

/// Which of the two labels of an image counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Labels {
    /// The 100 classes.
    #[default]
    Fine,
    /// The 20 superclasses.
    Coarse,
}

impl Published for Cifar100 {
    fn set(&self) -> &'static dyn Source {
        match self.labels {
            Labels::Fine => &FINE_SET,
            Labels::Coarse => &COARSE_SET,
        }
    }
}
