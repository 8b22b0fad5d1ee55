//! Strata: experiments on deep convolutional architectures, on libtorch.
//!
//! An experiment file describes a network, data and a recipe ([`config`]); the network is plain data ([`arch`]); from it a
//! tch graph is built ([`model`]) and trained ([`train`]) on a dataset ([`data`]), by one process or several ([`ranks`]). A run is a value, too: its record and its
//! tables ([`runs`]) are compared ([`analysis`]), drawn ([`figures`]) and put on a page ([`report`]). A sweep runs many ([`sweep`]), and a
//! study looks into trained networks ([`study`]).

pub mod analysis;
pub mod arch;
pub mod config;
pub mod data;
mod emit;
pub mod export;
pub mod fault;
pub mod figures;
pub mod files;
mod hex;
mod input_error;
pub mod interrupt;
pub mod model;
pub mod named;
pub mod random;
pub mod ranks;
pub mod recipe;
pub mod report;
pub mod runs;
pub mod study;
pub mod sweep;
pub mod torch;
pub mod train;
pub mod watchdog;
mod workers;

pub use emit::{emit, emit_directly, emit_through};
pub use input_error::IsInputError;

use std::error::Error;

/// Whether the user's input is at fault; `None` for an error that does not say so itself.
pub fn is_input_error(error: &(dyn Error + 'static)) -> Option<bool> {
    fn of<T: IsInputError>(error: &(dyn Error + 'static)) -> Option<bool> {
        error.downcast_ref::<T>().map(T::is_input_error)
    }
    let types = [
        of::<analysis::collect::CollectError>,
        of::<analysis::compare::CompareError>,
        of::<config::ConfigError>,
        of::<data::DataError>,
        of::<model::WeightsError>,
        of::<export::NamesError>,
        of::<export::onnx::OnnxError>,
        of::<ranks::RanksError>,
        of::<runs::FindError>,
        of::<study::StudyError>,
        of::<torch::ThreadsError>,
        of::<train::CheckpointError>,
        of::<train::TrainError>,
    ];
    types.iter().find_map(|of| of(error))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    /// Texts of all source files below a folder.
    fn sources(folder: &Path, texts: &mut Vec<String>) {
        for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            match path.is_dir() {
                true => sources(&path, texts),
                false if path.extension().is_some_and(|end| end == "rs") => {
                    texts.push(fs::read_to_string(path).unwrap())
                }
                false => {}
            }
        }
    }

    /// A type that is not in the list would end the program with the wrong exit code.
    #[test]
    fn every_error_that_says_whose_fault_it_is_is_asked() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let list = fs::read_to_string(root.join("lib.rs")).unwrap();
        let mut texts = Vec::new();
        sources(&root, &mut texts);
        let start = "\nimpl IsInputError for ";
        let types = texts.iter().flat_map(|text| text.split(start).skip(1)).filter_map(|rest| rest.split(' ').next());
        let types: Vec<&str> = types.collect();
        assert!(types.len() >= 8, "{types:?}");
        assert!(types.iter().all(|name| list.contains(&format!("::{name}>,"))), "{types:?}");
    }
}
