//! Confusion matrix: which classes a network takes for which.

use crate::runs::{Table, accuracy};

/// Counts of images by true and predicted class.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Confusion {
    /// Names of the classes, by label.
    pub classes: Vec<String>,
    /// `counts[truth][predicted]`.
    pub counts: Vec<Vec<u64>>,
}

impl Confusion {
    /// An empty matrix over the `outputs` of a network; labels without a name are called `class N`.
    pub fn new(names: &[String], outputs: usize) -> Confusion {
        let name = |label: usize| names.get(label).cloned().unwrap_or_else(|| format!("class {label}"));
        Confusion { classes: (0..outputs).map(name).collect(), counts: vec![vec![0; outputs]; outputs] }
    }

    /// Counts images; labels outside the matrix are ignored.
    pub fn add(&mut self, truths: &[i64], predictions: &[i64]) {
        for (&truth, &predicted) in truths.iter().zip(predictions) {
            let cell = usize::try_from(truth).ok().zip(usize::try_from(predicted).ok());
            let cell = cell.and_then(|(truth, predicted)| self.counts.get_mut(truth)?.get_mut(predicted));
            cell.into_iter().for_each(|count| *count += 1);
        }
    }

    /// Images of a class.
    pub fn images(&self, class: usize) -> u64 {
        self.counts[class].iter().sum()
    }

    /// The fraction of a class's images that were recognised; `None` for a class without images.
    pub fn top1(&self, class: usize) -> Option<f64> {
        let images = self.images(class);
        (images > 0).then(|| self.counts[class][class] as f64 / images as f64)
    }

    /// Images recognised and all images.
    pub fn total(&self) -> (u64, u64) {
        let classes = || 0..self.classes.len();
        (classes().map(|class| self.counts[class][class]).sum(), classes().map(|class| self.images(class)).sum())
    }

    /// A row a true class: `class,images,correct,top1`, then a column of counts for each predicted class.
    pub fn table(&self) -> Table {
        let columns = ["class", "images", "correct", "top1"].map(str::to_owned).into_iter();
        let columns = columns.chain(self.classes.iter().map(|class| format!("predicted {class}"))).collect();
        let row = |class: usize| {
            let counts = &self.counts[class];
            let top1 = self.top1(class).map_or_else(String::new, accuracy);
            let first = [self.classes[class].clone(), self.images(class).to_string(), counts[class].to_string(), top1];
            first.into_iter().chain(counts.iter().map(u64::to_string)).collect()
        };
        Table { columns, rows: (0..self.classes.len()).map(row).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_counted_by_true_and_predicted_class() {
        let mut confusion = Confusion::new(&["cat".to_owned(), "dog".to_owned()], 3);
        confusion.add(&[0, 0, 1, 0, 7], &[0, 1, 1, 0, 0]);
        assert_eq!(confusion.total(), (3, 4));
        assert_eq!(
            confusion.table().to_csv(),
            "class,images,correct,top1,predicted cat,predicted dog,predicted class 2\n\
             cat,3,2,0.666667,2,1,0\n\
             dog,1,1,1.000000,0,1,0\n\
             class 2,0,0,,0,0,0\n"
        );
    }
}
