//! Runs a study: resumes from an incomplete table, and writes table and picture.

use super::rows::{Observer, Rows};
use super::{Study, StudyError, Subject};
use crate::files::{make_folder, sha256, write_atomic};
use crate::hex::hex;
use crate::interrupt;
use crate::named::Named;
use crate::runs::{RunError, Table, cut};
use crate::torch::catch;
use sha2::{Digest, Sha256};
use std::fs;
use std::path::{Path, PathBuf};

/// Digits of a study's key in file names.
const SHORT: usize = 10;
/// Longest list of run names in a file name, in characters.
const LONGEST: usize = 60;

/// The files of a finished study.
#[derive(Clone, Debug)]
pub struct Conducted {
    pub table: PathBuf,
    pub picture: PathBuf,
    pub svg: String,
    /// Whether the table existed already.
    pub skipped: bool,
}

/// Runs a study in the folder `results`, or redraws a finished one. `command` is written beside the table.
///
/// # Errors
/// When the study does not apply to these runs, when a file cannot be written, and [`StudyError::Stopped`] after a signal.
pub fn conduct(
    study: &Study,
    subjects: &[Subject],
    results: &Path,
    command: &str,
    force: bool,
    observer: &mut dyn Observer,
) -> Result<Conducted, StudyError> {
    study.check()?;
    let (name, wanted) = (study.kind().text(), study.runs());
    if !wanted.contains(&subjects.len()) {
        let [low, high] = [wanted.start(), wanted.end()];
        let range = if low == high { format!("{low}") } else { format!("{low} to {high}") };
        return Err(StudyError::Unfit(format!("`{name}` takes {range} runs, not {}", subjects.len())));
    }
    let identity = identity(study, subjects)?;
    let key = hex(&Sha256::digest(identity.to_string().as_bytes()));
    let names: Vec<&str> = subjects.iter().map(|subject| subject.name.as_str()).collect();
    let plain = |c: char| if c.is_alphanumeric() || "-_.".contains(c) { c } else { '+' };
    let names: String = cut(&names.join("+"), LONGEST).chars().map(plain).collect();
    let label = format!("{names}-{}", &key[..SHORT]);
    let folder = results.join("studies").join(name);
    make_folder(&folder).map_err(RunError::io("make", &folder))?;
    let file = |ending: &str| folder.join(format!("{label}.{ending}"));
    let (path, journal) = (file("csv"), folder.join(format!(".{label}.rows")));
    if force {
        [&path, &journal].into_iter().for_each(|path| drop(fs::remove_file(path)));
    }

    let finished = if path.exists() { Table::read(&path).ok() } else { None };
    let skipped = finished.is_some();
    let table = match finished {
        Some(table) => table,
        None => {
            let _deferred = interrupt::defer();
            let mut rows = Rows::open(&journal, observer)?;
            rows.picture = Some(file("svg"));
            catch(|| study.run(subjects, &mut rows))??;
            let table = rows.table();
            let mut text = toml::Table::from_iter([("command".to_owned(), command.into())]);
            text.extend(identity);
            let (note, text) = (file("toml"), text.to_string());
            write_atomic(&note, text.as_bytes()).map_err(RunError::io("write", &note))?;
            table.write(&path)?;
            let _ = fs::remove_file(&journal); // harmless if it stays
            // What is read back is what a later command draws.
            Table::read(&path).map_err(RunError::from)?
        }
    };
    let svg = catch(|| study.picture(subjects, &table))??;
    let picture = file("svg");
    write_atomic(&picture, svg.as_bytes()).map_err(RunError::io("write", &picture))?;
    Ok(Conducted { table: path, picture, svg, skipped })
}

/// Everything that determines the table.
///
/// # Errors
/// When a file that it depends on cannot be read.
fn identity(study: &Study, subjects: &[Subject]) -> Result<toml::Table, StudyError> {
    let options = toml::Table::try_from(study).unwrap_or_default();
    let runs = subjects.iter().map(|subject| toml::Value::Table(subject.identity().clone())).collect();
    let mut table = toml::Table::new();
    table.insert("study".to_owned(), study.kind().text().into());
    table.insert("options".to_owned(), options.into());
    table.insert("runs".to_owned(), toml::Value::Array(runs));
    let mut files = toml::Table::new();
    for path in study.files(subjects)? {
        let sum = sha256(&path).map_err(RunError::io("read", &path))?;
        files.insert(path.display().to_string(), sum.into());
    }
    if !files.is_empty() {
        table.insert("files".to_owned(), files.into());
    }
    Ok(table)
}
