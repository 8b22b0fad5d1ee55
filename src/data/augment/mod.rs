//! What is done at random to training images, each draw a function of (seed, epoch, index of the image).
//!
//! An augmentation is a key of `[data.augment]` with a file of its own and a line in the list below. Those of pairs of images,
//! mixup and CutMix, are in `pairs.rs`.

mod auto_augment;
mod color_jitter;
mod crop;
mod cutmix;
mod cutout;
mod erasing;
mod flip;
mod lighting;
mod mixup;
mod ops;
mod pairs;
mod patch;
mod policies;
mod rand_augment;
mod repeats;
mod resized_crop;
mod strength;
mod trivial_augment;
mod view;

use crate::named::KeyError;
use crate::random;
use serde::{Deserialize, Serialize};

pub use auto_augment::AutoAugment;
pub use color_jitter::ColorJitter;
pub use crop::Crop;
pub use cutmix::CutMix;
pub use cutout::Cutout;
pub use erasing::Erasing;
pub use flip::Flip;
pub use lighting::Lighting;
pub use mixup::Mixup;
pub(super) use pairs::Pairing;
pub use rand_augment::RandAugment;
pub use repeats::Repeats;
pub use resized_crop::ResizedCrop;
pub use trivial_augment::TrivialAugment;
pub(super) use view::View;

/// One kind of augmentation; as a key of its own its default is off, as a table it is off where it is not written.
trait Augmentation: Default + PartialEq {
    /// Names the sequence of random numbers that is drawn from: `augment` and the key, so that a new augmentation changes no
    /// draw of the others. The oldest three share `augment`, each at words of its own, because results rely on it.
    const STREAM: &'static str;

    /// Whether it takes so long that images are worth a thread each.
    const HEAVY: bool = false;

    /// Draws what is done to one image from the sequence `key`.
    fn draw(&self, key: u64, view: &mut View);

    /// Draws what is done to an image: `counters` are the epoch and the index of the image.
    fn draw_image(&self, seed: u64, counters: [u64; 2], view: &mut View) {
        self.draw(random::key(seed, Self::STREAM, &counters), view);
    }

    fn is_off(&self) -> bool {
        *self == Self::default()
    }

    /// # Errors
    /// When a key is out of range, or makes no sense for images of these channels, height and width.
    fn check(&self, _shape: [usize; 3]) -> Result<(), KeyError> {
        Ok(())
    }
}

macro_rules! augmentations {
    (
        always written { $($written:ident: $written_keys:ty,)* }
        written when on { $($key:ident: $keys:ty,)* }
        tables { $($table:ident: $table_keys:ty,)* }
    ) => {
        /// What is done at random to training images: the table `[data.augment]`.
        #[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
        #[serde(default, deny_unknown_fields)]
        pub struct Augment {
            $(pub $written: $written_keys,)*
            $(#[serde(skip_serializing_if = "Augmentation::is_off")] pub $key: $keys,)*
            $(#[serde(skip_serializing_if = "Option::is_none")] pub $table: Option<$table_keys>,)*
            #[serde(skip_serializing_if = "Option::is_none")]
            pub mixup: Option<Mixup>,
            #[serde(skip_serializing_if = "Option::is_none")]
            pub cutmix: Option<CutMix>,
        }

        impl Augment {
            /// How the image `index` of this height and width is seen in an epoch.
            pub(super) fn view(&self, seed: u64, epoch: u64, index: u32, size: [usize; 2]) -> View {
                let mut view = View::whole(size);
                let counters = [epoch, u64::from(index)];
                $(self.$written.draw_image(seed, counters, &mut view);)*
                $(self.$key.draw_image(seed, counters, &mut view);)*
                $(if let Some(table) = &self.$table {
                    table.draw_image(seed, counters, &mut view);
                })*
                view
            }

            /// Whether images in memory, too, are worth a thread each.
            pub(super) fn is_heavy(&self) -> bool {
                false
                    $(|| <$written_keys>::HEAVY && !self.$written.is_off())*
                    $(|| <$keys>::HEAVY && !self.$key.is_off())*
                    $(|| <$table_keys>::HEAVY && self.$table.is_some())*
            }

            /// # Errors
            /// Names the key that is out of range, or makes no sense for images of these channels, height and width.
            pub(crate) fn check(&self, shape: [usize; 3]) -> Result<(), KeyError> {
                $(self.$written.check(shape)?;)*
                $(self.$key.check(shape)?;)*
                $(self.$table.as_ref().map_or(Ok(()), |table| table.check(shape))?;)*
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
        lighting: Lighting,
        repeats: Repeats,
    }
    tables {
        color_jitter: ColorJitter,
        auto_augment: AutoAugment,
        rand_augment: RandAugment,
        trivial_augment: TrivialAugment,
        erasing: Erasing,
        cutout: Cutout,
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
        let all = Augment { crop: Crop(4), flip: Flip::Random, resized_crop: ResizedCrop(true), ..Augment::default() };
        let key = random::key(3, "augment", &[5, 7]);
        let view = all.view(3, 5, 7, [32, 32]);
        let offset = |word| random::below(key, word, 9) as isize - 4;
        assert_eq!((view.down, view.right, view.resized_crop), (offset(0), offset(1), Some(key)));
        assert_eq!(view.flip, random::word(key, 2) >> 63 == 1);
        assert_eq!(Augment::default().view(3, 5, 7, [32, 32]), View::whole([32, 32]));
    }
}
