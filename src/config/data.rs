//! The `[data]` table.

use super::problem::{Location, Problem, from_serde};
use crate::data::{Augment, DATASETS, DataSource, DatasetName, Normalise, Prepared};
use crate::named::{Named, keys_of};
use serde::{Deserialize, Serialize};
use toml::Spanned;
use toml::de::{DeTable, DeValue, Deserializer, ValueDeserializer};

/// The `[data]` table with its defaults filled in.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Data {
    pub dataset: String,
    /// Number of training images held out for validation, taken from the start. By default a tenth of the images that are used,
    /// at most 5,000.
    pub validation: usize,
    /// Number of the remaining training images to use, taken from the start; 0 for all.
    pub limit: usize,
    /// Names of the classes to use; their labels are 0, 1, … in this order. Empty for all classes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub classes: Vec<String>,
    pub normalise: Scale,
    pub augment: Augment,
    /// Test-time augmentation: average the probabilities of each image and of its mirror image.
    #[serde(skip_serializing_if = "is_false")]
    pub test_flip: bool,
    /// The smaller copies of image files to use. Not written when absent, so that keys of existing experiments do not change.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prepared: Option<Prepared>,
    /// The dataset with the keys that it adds.
    #[serde(flatten)]
    pub source: DataSource,
}

/// The keys that every dataset has.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Keys {
    dataset: String,
    validation: Option<usize>,
    #[serde(default)]
    limit: usize,
    #[serde(default)]
    classes: Vec<String>,
    #[serde(default)]
    normalise: Scale,
    #[serde(default)]
    augment: Augment,
    #[serde(default)]
    test_flip: bool,
    prepared: Option<Prepared>,
}

fn is_false(value: &bool) -> bool {
    !value
}

/// How bytes of pixels are normalised.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scale {
    /// Subtract the dataset's mean and divide by its standard deviation, per channel.
    #[default]
    Standard,
    /// Scale to [0, 1].
    Unit,
    /// Scale to [-1, 1].
    Centred,
}

/// The largest default of `validation`.
const MAX_DEFAULT_VALIDATION: usize = 5000;

impl Data {
    /// Reads and checks `[data]`: the keys of every dataset, and those that the named one adds.
    pub(super) fn read(table: &Spanned<DeValue>) -> Result<Data, Problem> {
        let span = table.span();
        let (common, own) = match table.get_ref().clone() {
            DeValue::Table(table) => {
                let name = table.get("dataset").and_then(|name| DatasetName::parse(name.get_ref().as_str()?));
                let added = name.map_or(&[][..], DatasetName::keys);
                let (own, common): (DeTable, DeTable) =
                    table.into_iter().partition(|(key, _)| added.contains(&&**key.get_ref()));
                (DeValue::Table(common), own)
            }
            other => (other, DeTable::new()),
        };
        check_foreign(&common)?;
        let keys = Keys::deserialize(ValueDeserializer::from(Spanned::new(span.clone(), common)));
        let keys = keys.map_err(|error| from_serde(&error, "", &[]))?;
        let location = || Location::Key("data.dataset".to_owned());
        let unknown = || Problem::unknown(location(), "dataset", &keys.dataset, DATASETS);
        let name = DatasetName::parse(&keys.dataset).ok_or_else(unknown)?;
        let source = name.read(Deserializer::from(Spanned::new(span, own)));
        let mut source = source.map_err(|error| from_serde(&error, "", &[]))?;
        source.complete().map_err(|error| Problem::at(format!("data.{}", error.key), error.message))?;
        let Keys { dataset, validation, limit, classes, normalise, augment, test_flip, prepared } = keys;
        check_classes(&classes, source.info().class_names)?;
        // As many images as there would be if all classes had the same number.
        let images = match classes.len() {
            0 => source.info().train,
            chosen => source.info().train * chosen / source.classes().max(chosen),
        };
        let validation = validation.unwrap_or_else(|| default_validation(images, limit));
        let data = Data { dataset, validation, limit, classes, normalise, augment, test_flip, prepared, source };
        data.check()?;
        Ok(data)
    }

    /// Every key that `[data]` can have.
    pub(super) fn allowed() -> Vec<&'static str> {
        let own = DatasetName::ALL.iter().flat_map(|name| name.keys());
        keys_of::<Keys>().iter().chain(own).copied().collect()
    }

    /// Whether only the name of the dataset is missing.
    pub(super) fn lacks_dataset(value: &Spanned<DeValue>) -> bool {
        let DeValue::Table(table) = value.get_ref() else { return false };
        !table.contains_key("dataset") && table.keys().all(|key| keys_of::<Keys>().contains(&&**key.get_ref()))
    }

    /// Number of classes: of the dataset, or of `classes` where it is set.
    pub(super) fn class_count(&self) -> usize {
        if self.classes.is_empty() { self.source.classes() } else { self.classes.len() }
    }

    /// The normalisation for images with `channels` channels.
    pub fn normalisation(&self, channels: usize) -> Normalise {
        let all = |mean, std| Normalise { mean: vec![mean; channels], std: vec![std; channels] };
        match self.normalise {
            Scale::Standard => self.source.info().normalise(channels),
            Scale::Unit => all(0.0, 1.0),
            Scale::Centred => all(0.5, 0.5),
        }
    }

    fn check(&self) -> Result<(), Problem> {
        if let Some(Err(error)) = self.prepared.map(Prepared::check) {
            return Err(Problem::at(format!("data.prepared.{}", error.key), error.message));
        }
        let info = self.source.info();
        if info.train == 0 || !self.classes.is_empty() {
            return Ok(()); // the images are counted when they are loaded
        }
        if self.validation == 0 || self.validation >= info.train {
            let message =
                format!("`validation` is between 1 and {}: there are {} training images", info.train - 1, info.train);
            return Err(Problem::at("data.validation", message));
        }
        let left = info.train - self.validation;
        if self.limit > left {
            let message = format!("there are {left} training images besides validation, fewer than {}", self.limit);
            return Err(Problem::at("data.limit", message));
        }
        Ok(())
    }

    /// # Errors
    /// For an augmentation that cannot be applied to images of these channels, height and width.
    pub(super) fn check_augment(&self, shape: [usize; 3]) -> Result<(), Problem> {
        self.augment.check(shape).map_err(|error| Problem::at(format!("data.augment.{}", error.key), error.message))
    }
}

/// Rejects unknown class names, where the dataset's are known, and a list of a single class.
fn check_classes(names: &[String], known: &[&str]) -> Result<(), Problem> {
    if names.len() == 1 {
        return Err(Problem::at("data.classes", "a network needs at least two classes"));
    }
    match names.iter().find(|name| !known.is_empty() && !known.contains(&name.as_str())) {
        Some(name) => Err(Problem::unknown(Location::Key("data.classes".to_owned()), "class", name, known)),
        None => Ok(()),
    }
}

/// Rejects a key of another dataset.
fn check_foreign(table: &DeValue) -> Result<(), Problem> {
    let named = table.get("dataset").and_then(|name| name.get_ref().as_str()).unwrap_or_default();
    for other in DatasetName::ALL {
        if let Some(key) = other.keys().iter().find(|key| table.get(key).is_some()) {
            let message = format!("`{key}` is not a key of dataset = \"{named}\"");
            return Err(
                Problem::word(format!("data.{key}"), message).help(format!("dataset = \"{}\" has it", other.text()))
            );
        }
    }
    Ok(())
}

/// The default of `validation`. It follows `limit`, so that a run on few images does not spend its time on validation. 0 where
/// images are counted when they are loaded: the dataset then makes the split.
fn default_validation(images: usize, limit: usize) -> usize {
    let (used, left) = match limit {
        0 => (images, images),
        limit => (limit, images.saturating_sub(limit)),
    };
    if images == 0 { 0 } else { (used / 10).min(MAX_DEFAULT_VALIDATION).min(left).max(1) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use toml::de::DeTable;

    #[test]
    fn validation_is_a_tenth_of_what_is_used() {
        let validation = |dataset: &str, limit: usize| {
            let text = format!("dataset = '{dataset}'\nlimit = {limit}");
            let table = DeTable::parse(&text).unwrap();
            Data::read(&Spanned::new(table.span(), DeValue::Table(table.into_inner()))).unwrap().validation
        };
        let all = ["fashion-mnist", "cifar10", "imagenet", "synthetic"].map(|dataset| validation(dataset, 0));
        assert_eq!(all, [5000, 5000, 5000, 200]);
        assert_eq!([1, 1000, 20_000, 55_000].map(|limit| validation("fashion-mnist", limit)), [1, 100, 2000, 5000]);
        assert_eq!(validation("synthetic", 1900), 100, "no more than the limit leaves");
        let read = |classes: &str| {
            let text = format!("dataset = 'cifar10'\nclasses = {classes}");
            let table = DeTable::parse(&text).unwrap();
            Data::read(&Spanned::new(table.span(), DeValue::Table(table.into_inner())))
        };
        let two = read("['ship', 'dog']").unwrap();
        assert_eq!((two.class_count(), two.validation), (2, 1000));
        assert!(read("['ship', 'doge']").unwrap_err().help.unwrap().contains("did you mean `dog`?"));
        assert!(read("['ship']").is_err() && read("[]").unwrap().class_count() == 10);
    }
}
