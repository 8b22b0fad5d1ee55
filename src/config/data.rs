//! The `[data]` table.

use super::problem::{Place, Problem, from_serde};
use crate::data::{Augment, DATASETS, DataSource, Normalise};
use serde::{Deserialize, Serialize};
use toml::Spanned;
use toml::de::{DeTable, DeValue, Deserializer, ValueDeserializer};

/// What is trained on.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Data {
    pub dataset: String,
    /// So many training images, the first ones, are set aside for validation.
    pub validation: usize,
    /// Train on the first so many of the rest only; 0 for all of them.
    pub limit: usize,
    pub normalise: Scale,
    pub augment: Augment,
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
    normalise: Scale,
    #[serde(default)]
    augment: Augment,
}

/// How pixels become numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scale {
    /// Minus the dataset's mean, divided by its standard deviation, channel by channel.
    #[default]
    Standard,
    /// 0 to 1
    Unit,
    /// -1 to 1
    Centred,
}

impl Data {
    /// Reads the table: the keys of every dataset, and those that the named one adds.
    pub(super) fn read(table: Spanned<DeValue>) -> Result<Data, Problem> {
        let span = table.span();
        let (common, own) = match table.into_inner() {
            DeValue::Table(table) => {
                let added =
                    table.get("dataset").and_then(|name| name.get_ref().as_str()).map_or(&[][..], DataSource::keys);
                let (own, common): (DeTable, DeTable) =
                    table.into_iter().partition(|(key, _)| added.contains(&&**key.get_ref()));
                (DeValue::Table(common), own)
            }
            other => (other, DeTable::new()),
        };
        let keys = Keys::deserialize(ValueDeserializer::from(Spanned::new(span.clone(), common)));
        let keys = keys.map_err(|error| from_serde(&error, "", &[]))?;
        let place = || Place::Key("data.dataset".to_owned());
        let unknown = || Problem::unknown(place(), "dataset", &keys.dataset, DATASETS);
        let source =
            DataSource::read(&keys.dataset, Deserializer::from(Spanned::new(span, own))).ok_or_else(unknown)?;
        let mut source = source.map_err(|error| from_serde(&error, "", &[]))?;
        source.complete().map_err(|error| Problem::at(format!("data.{}", error.key), error.message))?;
        let Keys { dataset, validation, limit, normalise, augment } = keys;
        let validation = validation.unwrap_or_else(|| source.validation());
        Ok(Data { dataset, validation, limit, normalise, augment, source })
    }

    /// The normalisation for images of so many channels.
    pub fn normalisation(&self, channels: usize) -> Normalise {
        let all = |mean, std| Normalise { mean: vec![mean; channels], std: vec![std; channels] };
        match self.normalise {
            Scale::Standard => self.source.info().normalise(channels),
            Scale::Unit => all(0.0, 1.0),
            Scale::Centred => all(0.5, 0.5),
        }
    }

    pub(super) fn check(&self) -> Result<(), Problem> {
        let info = self.source.info();
        if info.train == 0 {
            return Ok(()); // counted when they are loaded
        }
        if self.validation == 0 || self.validation >= info.train {
            let message = format!("validation takes 1 to {} of the {} training images", info.train - 1, info.train);
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
    /// For an augmentation that makes no sense for images of this height and width.
    pub(super) fn check_augment(&self, size: [usize; 2]) -> Result<(), Problem> {
        self.augment.check(size).map_err(|error| Problem::at(format!("data.augment.{}", error.key), error.message))
    }
}
