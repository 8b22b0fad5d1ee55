//! The folder of a sweep, `sweeps/<name>` in the results folder, and the record of the sweep it belongs to.

use super::error::RunError;
use super::store::Store;
use crate::config::Sweep;
use crate::files::{make_folder, write_atomic};
use crate::hex::hex;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Records the sweep that the folder belongs to.
const SOURCE: &str = "sweep.json";

/// The identity of a sweep: its file, and the keys set on the command line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SweepSource {
    /// Relative to the parent of the results folder, if the file is below that.
    pub file: PathBuf,
    /// `KEY=VALUE`, sorted, each key once.
    pub set: Vec<String>,
}

impl SweepSource {
    fn of(results: &Path, sweep: &Sweep) -> SweepSource {
        let absolute = |path: &Path| std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let (file, results) = (absolute(&sweep.file), absolute(results));
        let below = results.parent().and_then(|base| file.strip_prefix(base).ok());
        SweepSource { file: below.unwrap_or(&file).to_owned(), set: overrides(sweep) }
    }

    /// Reads the identity of a folder's sweep; `None` for folders of versions that did not record it.
    pub fn read(folder: &Path) -> Option<SweepSource> {
        serde_json::from_slice(&std::fs::read(folder.join(SOURCE)).ok()?).ok()
    }
}

/// The overrides of a sweep, sorted. The last value of a key is used.
fn overrides(sweep: &Sweep) -> Vec<String> {
    let pairs = sweep.overrides.iter().filter_map(|text| text.split_once('='));
    let last: BTreeMap<&str, &str> = pairs.map(|(key, value)| (key.trim(), value.trim())).collect();
    last.into_iter().map(|(key, value)| format!("{key}={value}")).collect()
}

/// The folder of a sweep. A sweep with keys set on the command line has a folder of its own, `NAME+KEY=VALUE`: its points would
/// replace those of the file in the tables.
pub fn sweep_folder(store: &Store, sweep: &Sweep) -> PathBuf {
    let set = overrides(sweep).join(",");
    let plain = |character: char| character.is_ascii_alphanumeric() || "._=-,+".contains(character);
    let folder = match set.as_str() {
        "" => sweep.name.clone(),
        set if set.len() <= 60 && set.chars().all(plain) => format!("{}+{set}", sweep.name),
        set => {
            let digest = Sha256::digest(set.as_bytes());
            format!("{}+{}", sweep.name, hex(&digest[..5]))
        }
    };
    store.sweeps().join(folder)
}

/// Makes the folder of a sweep and records the sweep in it.
///
/// # Errors
/// [`RunError::OtherSweep`] if the folder belongs to another sweep, whose file has the same name in another folder.
pub fn claim_sweep_folder(store: &Store, sweep: &Sweep) -> Result<PathBuf, RunError> {
    let folder = sweep_folder(store, sweep);
    make_folder(&folder).map_err(RunError::io("make", &folder))?;
    let source = SweepSource::of(store.root(), sweep);
    match SweepSource::read(&folder) {
        Some(known) if known == source => {}
        Some(known) => return Err(RunError::OtherSweep { folder, file: source.file, other: known.file }),
        None => {
            let path = folder.join(SOURCE);
            let io = |error| RunError::io("write", &path)(error);
            let text = serde_json::to_string_pretty(&source).map_err(|error| io(error.into()))? + "\n";
            write_atomic(&path, text.as_bytes()).map_err(io)?;
        }
    }
    Ok(folder)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Machine;

    const TEXT: &str = "[data]\ndataset = 'synthetic'\nvalidation = 400\n[model]\npreset = 'resnet'\nlayout = 'cifar'\n\
                        depth = 8\n[train]\nepochs = 1\n[sweep]\nseed = [0, 1]\n";

    /// Tables and pictures of one of these sweeps used to replace those of another.
    #[test]
    fn sweeps_that_differ_in_file_or_overrides_do_not_share_a_folder() {
        let base = tempfile::tempdir().unwrap();
        let results = Store::new(base.path().join("results"));
        let load = |file: &str, set: &[&str]| {
            let path = base.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, TEXT).unwrap();
            let set: Vec<String> = set.iter().map(|&text| text.to_owned()).collect();
            Sweep::load(&path, &set, Machine::default())
        };
        let folder = |file: &str, set: &[&str]| {
            let folder = claim_sweep_folder(&results, &load(file, set).unwrap()).unwrap();
            folder.file_name().unwrap().to_str().unwrap().to_owned()
        };
        assert_eq!(folder("a/s.toml", &[]), "s");
        assert_eq!(folder("a/s.toml", &["train.epochs=2", "train.lr=0.5"]), "s+train.epochs=2,train.lr=0.5");
        assert_eq!(
            folder("a/s.toml", &["train.lr=1", "train.lr=0.5", "train.epochs = 2"]),
            "s+train.epochs=2,train.lr=0.5"
        );
        let listed = folder("a/s.toml", &["sweep.seed=[0, 1, 2]"]);
        assert!(listed.len() == 12 && listed != folder("a/s.toml", &["sweep.seed=[0, 1, 3]"]), "{listed}");
        assert_eq!(folder("a/s.toml", &[]), "s", "unchanged");
        let error = claim_sweep_folder(&results, &load("b/s.toml", &[]).unwrap()).unwrap_err().to_string();
        assert!(error.contains("a/s.toml") && error.contains("b/s.toml"), "{error}");
        assert!(load("...toml", &[]).unwrap_err().to_string().contains("is not a valid name"), "results/sweeps/..");
    }
}
