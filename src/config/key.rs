//! The hash that identifies an experiment.

use crate::hex::hex;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fmt;

/// Number of digits of the short form.
const SHORT: usize = 10;

/// The SHA-256 of everything that determines an experiment's result: the seed is included, the name is not.
///
/// It is shown, and names folders, by its first ten digits. Ten digits are 40 bits, which two experiments can share, so a key
/// is compared as a whole.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Key(String);

impl Key {
    pub(super) fn of(text: &str) -> Key {
        Key(hex(&Sha256::digest(text.as_bytes())))
    }

    /// The first ten digits.
    pub fn short(&self) -> &str {
        self.0.get(..SHORT).unwrap_or(&self.0)
    }

    /// All 64 digits.
    pub fn sha256(&self) -> &str {
        &self.0
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a stored key is this one. Earlier versions stored the short form only.
    pub fn is_written(&self, written: &str) -> bool {
        if written.len() > SHORT { written == self.0 } else { written == self.short() }
    }
}

/// Reads a stored key.
impl From<&str> for Key {
    fn from(written: &str) -> Key {
        Key(written.to_owned())
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.pad(self.short())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_compared_whole_and_shown_short() {
        let [one, other] = ["", "x"].map(Key::of);
        assert_eq!((one.short(), format!("{one:>12}")), ("e3b0c44298", "  e3b0c44298".to_owned()));
        assert_eq!(one.sha256().len(), 64);
        assert!(one.is_written(one.sha256()) && one.is_written(one.short()) && !one.is_written(other.short()));
        let near = Key(format!("{}{}", one.short(), &other.sha256()[SHORT..]));
        assert!(near != one && !one.is_written(near.sha256()) && near.short() == one.short());
    }
}
