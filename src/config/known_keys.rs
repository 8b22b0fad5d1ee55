//! Suggestions for unknown keys: a key of the same table or of another.

use super::data::Data;
use super::model::SHARED;
use super::nearest::{elsewhere, nearest, translated};
use super::pretrained::Pretrained;
use super::problem::{UnknownKey, did_you_mean};
use super::top_level::TopLevel;
use super::train;
use crate::arch::Scaling;
use crate::arch::presets::PresetName;
use crate::data::Augment;
use crate::named::{Named, keys_of};
use std::ops::Range;
use toml::Spanned;
use toml::de::{DeString, DeTable};

/// The help text for an unknown key.
pub(super) fn help(UnknownKey { found, allowed }: &UnknownKey) -> String {
    let allowed: Vec<&str> = allowed.iter().map(String::as_str).collect();
    did_you_mean(suggestion(found, &allowed).as_deref(), &allowed)
}

/// The most likely intended key for one that is not in `allowed`: one of these, or the dotted key of another table.
fn suggestion(found: &str, allowed: &[&str]) -> Option<String> {
    let here = || translated(found, allowed).map(str::to_owned);
    // `depth` and `width` are keys of presets and rows, too.
    let other_table =
        || all().into_iter().find(|key| !key.starts_with("scaling.") && key.ends_with(&format!(".{found}")));
    let translated = || elsewhere(found).filter(|ours| ours.contains('.')).map(str::to_owned);
    // In [model] itself such a key is one that the preset does not have.
    let outside = allowed.is_empty() || allowed.contains(&"model");
    let of_preset = || (outside && PresetName::all_keys().contains(&found)).then(|| format!("model.{found}"));
    let at_the_top = || keys_of::<TopLevel>().contains(&found).then(|| found.to_owned());
    here()
        .or_else(at_the_top)
        .or_else(other_table)
        .or_else(of_preset)
        .or_else(translated)
        .or_else(|| nearest(found, allowed).map(str::to_owned))
}

/// The dotted key that a word refers to: by the last part of the key, or by another library's name for it.
pub fn key_of_word(word: &str) -> Option<String> {
    suggestion(word, &[]).filter(|key| key.contains('.') || matches!(key.as_str(), "name" | "seed" | "title"))
}

/// All unknown keys of a file in tables with fixed keys, each with a suggestion. They are listed below an error about something
/// else.
pub(super) fn unknown(root: &DeTable) -> Vec<(Range<usize>, String)> {
    let mut found = misspelt(root, keys_of::<TopLevel>());
    for (name, allowed) in tables() {
        if let Some(table) = root.get(name).and_then(|value| value.get_ref().as_table()) {
            found.extend(match name {
                // Presets have keys of their own.
                "model" => translations(table),
                _ => misspelt(table, &allowed),
            });
        }
    }
    found
}

fn misspelt(table: &DeTable, allowed: &[&str]) -> Vec<(Range<usize>, String)> {
    let keys = table.keys().filter(|key| !allowed.contains(&&**key.get_ref()));
    keys.map(|key| (key.span(), question(suggestion(key.get_ref(), allowed).as_deref()))).collect()
}

/// Keys that are names from other libraries.
fn translations(table: &DeTable) -> Vec<(Range<usize>, String)> {
    let ours = |key: &Spanned<DeString>| Some((key.span(), question(Some(elsewhere(key.get_ref())?))));
    table.keys().filter_map(ours).collect()
}

fn question(key: Option<&str>) -> String {
    match key {
        Some(key) => format!("there is no such key: did you mean `{key}`?"),
        None => "there is no such key".to_owned(),
    }
}

/// The tables whose keys are fixed.
fn tables() -> [(&'static str, Vec<&'static str>); 5] {
    [
        ("train", train::allowed()),
        ("data", Data::allowed()),
        ("model", SHARED.to_vec()),
        ("scaling", keys_of::<Scaling>().to_vec()),
        ("init", keys_of::<Pretrained>().to_vec()),
    ]
}

/// Every key of the tables whose keys are fixed, dotted.
fn all() -> Vec<String> {
    let tables = tables().into_iter().chain([("data.augment", keys_of::<Augment>().to_vec())]);
    let dotted = |(table, keys): (&str, Vec<&str>)| keys.iter().map(|key| format!("{table}.{key}")).collect::<Vec<_>>();
    tables.flat_map(dotted).chain([String::from("model.preset"), String::from("model.rows")]).collect()
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
        let suggestion = |found: &str, allowed: &[&str]| suggestion(found, allowed).unwrap_or_default();
        assert_eq!(suggestion("Learning-Rate", &["epochs", "lr"]), "lr");
        assert_eq!(suggestion("batch_size", &["name", "seed", "train"]), "train.batch");
        assert_eq!(suggestion("lr", &["name", "seed", "train"]), "train.lr");
        assert_eq!(suggestion("limit", &["lr"]), "data.limit");
        assert_eq!(suggestion("epoch", &["epochs"]), "epochs");
        assert_eq!(suggestion("kernel_size", &["kernel", "width"]), "kernel");
        assert_eq!(suggestion("wholly_other", &["lr"]), "");
        assert_eq!(nearest("val_acc", &["val_loss", "val_top1"]), Some("val_top1"));
    }
}
