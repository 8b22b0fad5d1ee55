//! A loaded dataset and how it is divided.

use super::prepared::Cache;
use super::{DataError, Images};
use std::sync::Arc;

/// A loaded dataset.
#[derive(Debug, Clone)]
pub struct Dataset {
    /// The name to print with results; it shows when the data is a copy that differs from the published one.
    pub name: String,
    /// Class names, by label.
    pub classes: Vec<String>,
    pub train: Images,
    /// The validation images of a dataset that comes with some.
    pub validation: Option<Images>,
    pub test: Images,
}

impl Dataset {
    /// The images of all parts.
    pub(super) fn parts(&self) -> Vec<&Images> {
        [Some(&self.train), self.validation.as_ref(), Some(&self.test)].into_iter().flatten().collect()
    }

    /// The dataset with smaller copies of its files.
    ///
    /// # Errors
    /// Images in memory.
    pub(super) fn prepared(self, cache: Arc<Cache>) -> Result<Dataset, DataError> {
        let part = |images: &Images| images.prepared(Arc::clone(&cache));
        let validation = self.validation.as_ref().map(part).transpose()?;
        Ok(Dataset { train: part(&self.train)?, validation, test: part(&self.test)?, ..self })
    }

    /// The first `validation` of the training images, for validation, and the next `limit` of them (all the rest when
    /// it is 0), to train on. Where `validation` is 0, the validation images are those that the dataset comes with. Folders of
    /// images come in all sizes, so only a loaded dataset knows whether it has so many.
    ///
    /// # Errors
    /// When there are fewer images, or none to train on would be left.
    pub fn split(&self, validation: usize, limit: usize) -> Result<(Images, Images), DataError> {
        let unfit = |problem| Err(DataError::Unfit { name: self.name.clone(), problem });
        let count = self.train.len();
        let own = match (&self.validation, validation) {
            (Some(own), 0) => Some(own),
            (Some(_), _) => {
                let problem = format!(
                    "its validation images are decided by its folders or by data.split: remove data.validation = {validation}"
                );
                return unfit(problem);
            }
            (None, 0) => {
                return unfit(format!(
                    "it has no validation images: data.validation takes some of its {count} training images"
                ));
            }
            (None, _) => None,
        };
        if count < validation {
            return unfit(format!("it holds {count} training images, fewer than data.validation = {validation}"));
        }
        let left = count - validation;
        if left == 0 {
            return unfit(format!(
                "data.validation = {validation} takes all {count} training images and leaves none to train on"
            ));
        }
        if limit > left {
            return unfit(format!(
                "of its {count} training images data.validation = {validation} leaves {left}, fewer than data.limit = \
                 {limit}"
            ));
        }
        let end = if limit == 0 { count } else { validation + limit };
        let first = || self.train.slice(0..validation);
        Ok((own.cloned().unwrap_or_else(first), self.train.slice(validation..end)))
    }

    /// The images of the classes with these names, which get the labels 0, 1, … in this order.
    ///
    /// # Errors
    /// A name that is none of the classes', or is there twice.
    pub fn only(&self, names: &[String]) -> Result<Dataset, DataError> {
        let unfit = |problem| DataError::Unfit { name: self.name.clone(), problem };
        let mut labels: Vec<Option<u16>> = vec![None; self.classes.len()];
        for (new, name) in (0..).zip(names) {
            let old = self.classes.iter().position(|class| class == name);
            let old = old.ok_or_else(|| unfit(format!("it has no class `{name}`: {}", self.classes.join(", "))))?;
            if labels[old].replace(new).is_some() {
                return Err(unfit(format!("data.classes has `{name}` twice")));
            }
        }
        let chosen = |images: &Images| images.relabelled(|label| labels.get(usize::from(label)).copied().flatten());
        Ok(Dataset {
            name: format!("{}, {} of its {} classes", self.name, names.len(), self.classes.len()),
            classes: names.to_vec(),
            train: chosen(&self.train),
            validation: self.validation.as_ref().map(chosen),
            test: chosen(&self.test),
        })
    }

    /// # Errors
    /// When there are more classes than the `classes` outputs of a network.
    pub fn check_classes(&self, classes: usize) -> Result<(), DataError> {
        if self.classes.len() <= classes {
            return Ok(());
        }
        let problem = format!("it has {} classes, but model.classes = {classes}", self.classes.len());
        Err(DataError::Unfit { name: self.name.clone(), problem })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_need_enough_images() {
        let images = Images::new([1, 1, 1], vec![0; 10], (0..10).collect());
        let classes = (0..10).map(|class| class.to_string()).collect();
        let data = Dataset { name: "ten".into(), classes, train: images.clone(), validation: None, test: images };
        for (validation, limit, train) in [(3, 0, 3..10), (3, 2, 3..5), (9, 1, 9..10)] {
            let (first, second) = data.split(validation, limit).unwrap();
            assert_eq!(first.labels, (0..validation as u16).collect::<Vec<_>>());
            assert_eq!(second.labels, train.collect::<Vec<_>>());
        }
        for (validation, limit, problem) in [
            (11, 0, "ten: it holds 10 training images, fewer than data.validation = 11"),
            (10, 0, "leaves none to train on"),
            (8, 3, "leaves 2, fewer than data.limit = 3"),
        ] {
            let message = data.split(validation, limit).unwrap_err().to_string();
            assert!(message.contains(problem), "{message}");
        }
        let odd = data.only(&["7".to_owned(), "3".to_owned()]).unwrap();
        assert_eq!((odd.train.labels.as_slice(), odd.name.as_str()), (&[1, 0][..], "ten, 2 of its 10 classes"));
        assert!(data.only(&["11".to_owned()]).unwrap_err().to_string().contains("it has no class `11`"));
        assert!(data.only(&["1".to_owned(), "1".to_owned()]).is_err());
        assert!(data.check_classes(10).is_ok());
        let message = data.check_classes(9).unwrap_err().to_string();
        assert!(message.contains("it has 10 classes, but model.classes = 9"), "{message}");
    }
}
