//! The most confident mistakes of a network, as pictures.

use super::table::Selection;
use super::{Protocol, Rows, Split, StudyError, Subject};
use crate::figures::thumbnails::{Thumbnail, thumbnails};
use crate::model::float;
use crate::named::{KeyError, check_range};
use crate::runs::{Table, significant};
use serde::{Deserialize, Serialize};
use std::ops::RangeInclusive;
use tch::{Kind, Tensor};

/// Options of the study `errors`: the test images that a run misclassifies with the highest probability.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Errors {
    /// Number of mistakes to show.
    pub count: usize,
    /// Test images; 0 for all.
    pub images: usize,
    pub batch: usize,
}

impl Default for Errors {
    fn default() -> Errors {
        Errors { count: 16, images: 0, batch: 500 }
    }
}

const COLUMNS: [&str; 7] = ["run", "rank", "image", "class", "predicted", "probability", "probability_of_class"];

impl Protocol for Errors {
    fn about(&self) -> &'static str {
        "the most confident mistakes as pictures"
    }

    fn runs(&self) -> RangeInclusive<usize> {
        1..=1
    }

    fn check(&self) -> Result<(), KeyError> {
        check_range("count", self.count as f64, 1.0, 1000.0)?;
        check_range("batch", self.batch as f64, 1.0, 1e5)
    }

    fn run(&self, subjects: &[Subject], rows: &mut Rows) -> Result<(), StudyError> {
        let Some(subject) = subjects.first() else { return Ok(()) };
        let mistakes = self.mistakes(subject)?;
        rows.begin(&COLUMNS, mistakes.len());
        for (rank, mistake) in mistakes.iter().enumerate() {
            rows.row(rank, &subject.name, || {
                let [probability, own] = mistake.probabilities.map(significant);
                let first = [subject.name.clone(), (rank + 1).to_string(), mistake.image.to_string()];
                let [truth, predicted] = [mistake.truth, mistake.predicted].map(|class| subject.class(class));
                let last = [truth, predicted, probability, own];
                Ok(first.into_iter().chain(last).collect())
            })?;
        }
        Ok(())
    }

    fn picture(&self, subjects: &[Subject], table: &Table) -> Result<String, StudyError> {
        let view = Selection::new(table);
        let mut shown = Vec::new();
        for subject in subjects {
            let images = subject.images(Split::Test);
            for row in view.each(|row| row) {
                let percent = |column| format!("{:.1} %", 100.0 * row.number(column));
                let lines = vec![
                    format!("{} {}", row.text("predicted"), percent("probability")),
                    // No decimals: names of classes are long.
                    format!("is {} {:.0} %", row.text("class"), 100.0 * row.number("probability_of_class")),
                ];
                let image = row.number("image");
                if image >= 0.0 && (image as usize) < images.len() {
                    let pixels = images.image(image as usize)?.into_owned();
                    shown.push(Thumbnail { shape: images.shape, pixels, lines });
                }
            }
        }
        let note = "Test images of the highest probability for a wrong class: prediction, then the true class.";
        let title = format!("The most confident mistakes of {}", view.text("run"));
        Ok(thumbnails(&title, note, &shown, 8))
    }
}

struct Mistake {
    image: usize,
    truth: i64,
    predicted: i64,
    /// Probabilities of the predicted and of the true class.
    probabilities: [f64; 2],
}

impl Errors {
    /// The mistakes by descending confidence; ties are broken by the order of images.
    fn mistakes(&self, subject: &Subject) -> Result<Vec<Mistake>, StudyError> {
        let _no_grad = tch::no_grad_guard();
        let parts = subject.parts()?;
        let mut mistakes = Vec::new();
        let mut first = 0;
        for (x, labels) in subject.batches(Split::Test, self.images, self.batch)? {
            let logits = {
                let _autocast = subject.autocast();
                parts.forward_from(0, &x)
            };
            let p = float(logits).softmax(1, Kind::Double);
            let own = p.gather(1, &labels.unsqueeze(1), false).squeeze_dim(1);
            let (most, predicted) = p.max_dim(1, false);
            let numbers = |tensor: Tensor| Vec::<f64>::try_from(tensor).unwrap_or_default();
            let classes = |tensor: &Tensor| Vec::<i64>::try_from(tensor).unwrap_or_default();
            let (most, own) = (numbers(most), numbers(own));
            for (index, (truth, predicted)) in classes(&labels).into_iter().zip(classes(&predicted)).enumerate() {
                if truth != predicted {
                    let probabilities = [most[index], own[index]];
                    mistakes.push(Mistake { image: first + index, truth, predicted, probabilities });
                }
            }
            first += labels.numel();
        }
        // A stable sort.
        mistakes.sort_by(|a, b| b.probabilities[0].total_cmp(&a.probabilities[0]));
        mistakes.truncate(self.count);
        Ok(mistakes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arch::golden::network;
    use crate::study::rows::Unseen;

    #[test]
    fn mistakes_are_sorted_and_drawn() {
        let keys = "preset = 'resnet'\nlayout = 'cifar'\ndepth = 8";
        let subjects = [Subject::example(network(keys, [3, 32, 32], 4), 20)];
        let study = Errors { count: 5, batch: 7, ..Errors::default() };
        let (folder, mut unseen) = (tempfile::tempdir().unwrap(), Unseen);
        let mut rows = Rows::open(&folder.path().join("rows"), &mut unseen).unwrap();
        study.run(&subjects, &mut rows).unwrap();
        let table = rows.table();
        assert_eq!(table.rows.len(), 5);
        let numbers: Vec<f64> = table.rows.iter().map(|row| row[5].parse().unwrap()).collect();
        assert!(numbers.is_sorted_by(|a, b| a >= b) && table.rows.iter().all(|row| row[3] != row[4]));
        // Image i has the class i mod 4.
        assert!(table.rows.iter().all(|row| row[3] == format!("class {}", row[2].parse::<usize>().unwrap() % 4)));
        assert!(study.picture(&subjects, &table).unwrap().contains("The most confident mistakes of example"));
    }
}
