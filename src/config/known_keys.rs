//! The key that an unknown one was meant to be, in its own table or in another.

use super::data::Data;
use super::model::SHARED;
use super::nearest::{elsewhere, nearest, translated};
use super::pretrained::Pretrained;
use super::problem::{UnknownKey, did_you_mean};
use super::train;
use crate::arch::Scaling;
use crate::data::Augment;
use crate::named::keys_of;

/// The help for a key that its table does not have.
pub(super) fn help(UnknownKey { found, allowed }: &UnknownKey) -> String {
    let allowed: Vec<&str> = allowed.iter().map(String::as_str).collect();
    did_you_mean(meant(found, &allowed).as_deref(), &allowed)
}

/// The key that a person has most likely meant by one that is none of `allowed`: one of these, or the dotted key of
/// another table.
fn meant(found: &str, allowed: &[&str]) -> Option<String> {
    let here = || translated(found, allowed).map(str::to_owned);
    // `depth` and `width` are keys of presets and rows, too.
    let other_table =
        || all().into_iter().find(|key| !key.starts_with("scaling.") && key.ends_with(&format!(".{found}")));
    let translated = || elsewhere(found).filter(|ours| ours.contains('.')).map(str::to_owned);
    here().or_else(other_table).or_else(translated).or_else(|| nearest(found, allowed).map(str::to_owned))
}

/// Every key of the tables whose keys are fixed, dotted.
fn all() -> Vec<String> {
    let (train, data) = (train::allowed(), Data::allowed());
    let tables: [(&str, &[&str]); 6] = [
        ("train", &train),
        ("data", &data),
        ("data.augment", keys_of::<Augment>()),
        ("model", SHARED),
        ("scaling", keys_of::<Scaling>()),
        ("init", keys_of::<Pretrained>()),
    ];
    let dotted = |(table, keys): (&str, &[&str])| keys.iter().map(|key| format!("{table}.{key}")).collect::<Vec<_>>();
    tables.into_iter().flat_map(dotted).chain([String::from("model.preset"), String::from("model.rows")]).collect()
}

#[cfg(test)]
mod tests {
    use super::super::nearest::ELSEWHERE;
    use super::*;

    #[test]
    fn every_translation_of_a_key_leads_to_one_that_exists() {
        let all = all();
        for (theirs, ours) in ELSEWHERE {
            assert!(!ours.contains('.') || all.iter().any(|key| key == ours), "{theirs} = {ours}");
            assert!(!all.iter().any(|key| key.rsplit('.').next() == Some(theirs)), "{theirs} is a key of ours");
        }
    }

    #[test]
    fn names_of_other_libraries_and_keys_of_other_tables_are_understood() {
        let meant = |found: &str, allowed: &[&str]| meant(found, allowed).unwrap_or_default();
        assert_eq!(meant("Learning-Rate", &["epochs", "lr"]), "lr");
        assert_eq!(meant("batch_size", &["name", "seed", "train"]), "train.batch");
        assert_eq!(meant("lr", &["name", "seed", "train"]), "train.lr");
        assert_eq!(meant("limit", &["lr"]), "data.limit");
        assert_eq!(meant("epoch", &["epochs"]), "epochs");
        assert_eq!(meant("kernel_size", &["kernel", "width"]), "kernel");
        assert_eq!(meant("wholly_other", &["lr"]), "");
        assert_eq!(nearest("val_acc", &["val_loss", "val_top1"]), Some("val_top1"));
    }
}
