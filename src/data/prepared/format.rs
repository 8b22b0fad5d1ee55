//! How smaller copies of images are stored.

use serde::{Deserialize, Serialize};
use std::fmt;

/// How the copies are stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PreparedFormat {
    /// JPEG of quality 90: an eighth of the space of `Raw`.
    #[default]
    Jpeg,
    /// Bytes of pixels: nothing to decode.
    Raw,
}

impl fmt::Display for PreparedFormat {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(match self {
            PreparedFormat::Jpeg => "jpeg",
            PreparedFormat::Raw => "raw",
        })
    }
}
