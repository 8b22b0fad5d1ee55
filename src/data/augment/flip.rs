//! `flip`: left and right mirrored.

use super::{Augmentation, View};
use crate::random;
use serde::{Deserialize, Serialize};

/// Mirrors left and right with probability one half.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Flip(pub bool);

impl Augmentation for Flip {
    const STREAM: &'static str = "augment";

    /// Draws word 2.
    fn draw(&self, key: u64, view: &mut View) {
        view.flip = self.0 && random::word(key, 2) >> 63 == 1;
    }
}
