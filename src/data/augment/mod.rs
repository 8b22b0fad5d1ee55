//! What is done at random to training images, each draw a function of (seed, epoch, index of the image).
//!
//! An augmentation is a key of `[data.augment]` with a file of its own and a line in the list below. Those of pairs of images,
//! mixup and CutMix, are in `pairs.rs`.

mod crop;
mod cutmix;
mod flip;
mod mixup;
mod pairs;
mod resized_crop;
mod view;

use crate::named::KeyError;
use crate::random;
use serde::{Deserialize, Serialize};

pub use crop::Crop;
pub use cutmix::CutMix;
pub use flip::Flip;
pub use mixup::Mixup;
pub(super) use pairs::Pairing;
pub use resized_crop::ResizedCrop;
pub(super) use view::View;

/// One kind of augmentation; its default is off.
trait Augmentation: Default + PartialEq {
    /// Names the sequence of random numbers that is drawn from: `augment` and the key, so that a new augmentation changes no
    /// draw of the others. The oldest three share `augment`, each at words of its own, because results rely on it.
    const STREAM: &'static str;

    /// Whether it takes so long that images are worth a thread each.
    const HEAVY: bool = false;

    /// Draws what is done to one image from the sequence `key`.
    fn draw(&self, key: u64, view: &mut View);

    fn is_off(&self) -> bool {
        *self == Self::default()
    }

    /// # Errors
    /// When it makes no sense for images of this height and width.
    fn check(&self, _size: [usize; 2]) -> Result<(), KeyError> {
        Ok(())
    }
}

macro_rules! augmentations {
    (always written { $($written:ident: $written_keys:ty,)* } written when on { $($key:ident: $keys:ty,)* }) => {
        /// What is done at random to training images: the table `[data.augment]`.
        #[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
        #[serde(default, deny_unknown_fields)]
        pub struct Augment {
            $(pub $written: $written_keys,)*
            $(#[serde(skip_serializing_if = "Augmentation::is_off")] pub $key: $keys,)*
            #[serde(skip_serializing_if = "Option::is_none")]
            pub mixup: Option<Mixup>,
            #[serde(skip_serializing_if = "Option::is_none")]
            pub cutmix: Option<CutMix>,
        }

        impl Augment {
            /// How the image `index` is seen in an epoch.
            pub(super) fn view(&self, seed: u64, epoch: u64, index: u32) -> View {
                let mut view = View::WHOLE;
                let counters = [epoch, u64::from(index)];
                $(self.$written.draw(random::key(seed, <$written_keys>::STREAM, &counters), &mut view);)*
                $(self.$key.draw(random::key(seed, <$keys>::STREAM, &counters), &mut view);)*
                view
            }

            /// Whether images in memory, too, are worth a thread each.
            pub(super) fn is_heavy(&self) -> bool {
                false $(|| <$written_keys>::HEAVY && !self.$written.is_off())* $(|| <$keys>::HEAVY && !self.$key.is_off())*
            }

            /// # Errors
            /// Names the key that makes no sense for images of this height and width.
            pub(crate) fn check(&self, size: [usize; 2]) -> Result<(), KeyError> {
                $(self.$written.check(size)?;)*
                $(self.$key.check(size)?;)*
                self.mixup.map_or(Ok(()), |mixup| mixup.check())?;
                self.cutmix.map_or(Ok(()), |cutmix| cutmix.check())
            }
        }
    };
}

// A key that is written when on alone can be added without changing the keys of experiments that do not use it.
augmentations! {
    always written {
        crop: Crop,
        flip: Flip,
    }
    written when on {
        resized_crop: ResizedCrop,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn augment_is_read_strictly() {
        let read = serde_json::from_str::<Augment>;
        assert_eq!(read(r#"{"crop": 4}"#).unwrap(), Augment { crop: Crop(4), ..Augment::default() });
        assert!(read(r#"{"corp": 4}"#).is_err());
    }

    /// Keys of experiments are hashes of what is written.
    #[test]
    fn what_is_off_is_not_written() {
        let write = |augment| serde_json::to_string(&augment).unwrap();
        assert_eq!(write(Augment::default()), r#"{"crop":0,"flip":false}"#);
        let on = Augment { resized_crop: ResizedCrop(true), ..Augment::default() };
        assert_eq!(write(on), r#"{"crop":0,"flip":false,"resized_crop":true}"#);
    }

    /// Results that were published depend on these draws.
    #[test]
    fn the_draws_are_those_of_earlier_versions() {
        let all = Augment { crop: Crop(4), flip: Flip(true), resized_crop: ResizedCrop(true), ..Augment::default() };
        let key = random::key(3, "augment", &[5, 7]);
        let view = all.view(3, 5, 7);
        let offset = |word| random::below(key, word, 9) as isize - 4;
        assert_eq!((view.down, view.right, view.resized_crop), (offset(0), offset(1), Some(key)));
        assert_eq!(view.flip, random::word(key, 2) >> 63 == 1);
        assert_eq!(Augment::default().view(3, 5, 7), View::WHOLE);
    }
}
