//! Studies of trained networks: lesions, gradient paths, gates, loss surfaces, ensembles, and others.
//!
//! Each study is an entry of [`Study`], a struct of its options in a file of its own. [`conduct`] writes its table row by row and
//! draws its picture: `results/studies/<study>/<runs>-<key>.csv` and `.svg`, and a `.toml` with everything that determines the
//! numbers.

mod attention;
mod conduct;
mod ensemble;
mod error;
mod errors;
mod gates;
mod gradients;
mod labels;
mod landscape;
mod lesion;
mod objective;
mod paths;
mod reorder;
mod rows;
mod scaling;
mod score;
mod sharpness;
mod similarity;
mod subject;
mod table;

pub use attention::Attention;
pub use conduct::{Conducted, conduct};
pub use ensemble::Ensemble;
pub use error::StudyError;
pub use errors::Errors;
pub use gates::Gates;
pub use gradients::{GradientForm, Gradients};
pub use landscape::{Directions, Landscape, LandscapeForm};
pub use lesion::Lesion;
pub use paths::Paths;
pub use rows::{Observer, Rows};
pub use scaling::{Measure, Scaling};
pub use sharpness::Sharpness;
pub use similarity::Similarity;
pub use subject::{Split, Subject};

use crate::named::{KeyError, named};
use crate::runs::Table;
use std::ops::RangeInclusive;
use std::path::PathBuf;

/// The table and the picture of a study.
pub trait Protocol {
    /// One line for the list of studies.
    fn about(&self) -> &'static str;

    /// The number of runs that it takes.
    fn runs(&self) -> RangeInclusive<usize> {
        1..=16
    }

    /// Whether it needs weights or images; otherwise it reads only the files of finished runs.
    fn needs_weights(&self) -> bool {
        true
    }

    /// # Errors
    /// For an option that is out of range.
    fn check(&self) -> Result<(), KeyError>;

    /// Files that it reads besides weights and images of the runs; their content determines the table, too.
    ///
    /// # Errors
    /// When they cannot be listed.
    fn files(&self, _subjects: &[Subject]) -> Result<Vec<PathBuf>, StudyError> {
        Ok(Vec::new())
    }

    /// Computes the rows of the table, in an order that depends only on options and runs.
    ///
    /// # Errors
    /// When the study does not apply to these runs, or is interrupted.
    fn run(&self, subjects: &[Subject], rows: &mut Rows) -> Result<(), StudyError>;

    /// The picture of a table, as SVG.
    ///
    /// # Errors
    /// When images that it shows cannot be read.
    fn picture(&self, subjects: &[Subject], table: &Table) -> Result<String, StudyError>;
}

named! {
    /// A study with its options.
    #[serde(untagged)]
    Study: Protocol,
    /// The name of a study on the command line.
    StudyName {
        "lesion" => Lesion(Lesion),
        "paths" => Paths(Paths),
        "gates" => Gates(Gates),
        "ensemble" => Ensemble(Ensemble),
        "gradients" => Gradients(Gradients),
        "landscape" => Landscape(Landscape),
        "sharpness" => Sharpness(Sharpness),
        "similarity" => Similarity(Similarity),
        "errors" => Errors(Errors),
        "attention" => Attention(Attention),
        "scaling" => Scaling(Scaling),
    }
}
