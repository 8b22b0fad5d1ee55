//! `flip`: left and right mirrored.

use super::{Augmentation, View};
use crate::random;
use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

/// How images are mirrored left and right.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Flip {
    #[default]
    Off,
    /// With probability one half in every epoch.
    Random,
    /// At random in the first epoch; from then on flipped and unflipped epochs alternate, so that two consecutive ones show each
    /// image both ways (Jordan 2024, section 3.6).
    Alternating,
}

const ALTERNATING: &str = "alternating";

impl Augmentation for Flip {
    const STREAM: &'static str = "augment";

    /// Draws word 2.
    fn draw(&self, key: u64, view: &mut View) {
        view.flip = *self != Flip::Off && random::word(key, 2) >> 63 == 1;
    }

    fn draw_image(&self, seed: u64, [epoch, index]: [u64; 2], view: &mut View) {
        let drawn = if *self == Flip::Alternating { 0 } else { epoch };
        self.draw(random::key(seed, Self::STREAM, &[drawn, index]), view);
        view.flip ^= *self == Flip::Alternating && epoch % 2 == 1;
    }
}

impl Serialize for Flip {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Flip::Off => serializer.serialize_bool(false),
            Flip::Random => serializer.serialize_bool(true),
            Flip::Alternating => serializer.serialize_str(ALTERNATING),
        }
    }
}

impl<'de> Deserialize<'de> for Flip {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Flip, D::Error> {
        struct Value;

        impl Visitor<'_> for Value {
            type Value = Flip;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "true, false or \"{ALTERNATING}\"")
            }

            fn visit_bool<E: Error>(self, on: bool) -> Result<Flip, E> {
                Ok(if on { Flip::Random } else { Flip::Off })
            }

            fn visit_str<E: Error>(self, word: &str) -> Result<Flip, E> {
                match word {
                    ALTERNATING => Ok(Flip::Alternating),
                    _ => Err(E::unknown_variant(word, &["true", "false", ALTERNATING])),
                }
            }
        }

        deserializer.deserialize_any(Value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn consecutive_epochs_show_both_sides() {
        let flipped = |flip: Flip, epoch, index| {
            let mut view = View::whole([8, 8]);
            flip.draw_image(1, [epoch, index], &mut view);
            view.flip
        };
        let sides = |flip: Flip, epoch| (0..1000).map(|index| flipped(flip, epoch, index)).collect::<Vec<_>>();
        let first = sides(Flip::Alternating, 4);
        assert!((450..550).contains(&first.iter().filter(|&&side| side).count()));
        for epoch in [5, 7] {
            assert!(first.iter().zip(sides(Flip::Alternating, epoch)).all(|(&a, b)| a != b));
        }
        assert_eq!(first, sides(Flip::Alternating, 6));
        let same = sides(Flip::Random, 4).iter().zip(sides(Flip::Random, 5)).filter(|(a, b)| **a == *b).count();
        assert!((450..550).contains(&same), "{same}");
        assert!(!sides(Flip::Off, 5).contains(&true));
    }

    #[test]
    fn a_flip_is_a_bool_or_a_word() {
        for (text, flip) in [("false", Flip::Off), ("true", Flip::Random), (r#""alternating""#, Flip::Alternating)] {
            assert_eq!(serde_json::from_str::<Flip>(text).unwrap(), flip);
            assert_eq!(serde_json::to_string(&flip).unwrap(), text);
        }
        let error = serde_json::from_str::<Flip>(r#""alternate""#).unwrap_err().to_string();
        assert!(
            error.contains("unknown variant `alternate`, expected one of `true`, `false`, `alternating`"),
            "{error}"
        );
    }
}
