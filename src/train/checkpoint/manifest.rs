//! `position.json`: where the run stood, and a SHA-256 of everything that a resume reads. It is written last, so that a folder
//! with one is complete.

use super::position::Position;
use super::{AVERAGES, CheckpointError, EPOCHS, OPTIMIZER, POSITION, WEIGHTS};
use crate::config::Key;
use crate::files::write_atomic;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};

#[derive(Serialize, Deserialize)]
struct Manifest {
    position: Position,
    /// Of the files beside this one, of the position itself, and of the rows that the run's table had.
    sha256: BTreeMap<String, String>,
}

/// Writes the manifest of a checkpoint whose other `files` are there; `rows` is the sum of the table's rows.
///
/// # Errors
/// When a file cannot be read, or the manifest cannot be written.
pub fn write(folder: &Path, position: &Position, files: &[&str], rows: Option<String>) -> Result<(), CheckpointError> {
    let sums = files.iter().map(|file| Ok(((*file).to_owned(), of_file(&folder.join(file))?)));
    let mut sha256 = sums.collect::<Result<BTreeMap<_, _>, CheckpointError>>()?;
    sha256.insert(POSITION.to_owned(), of_position(position));
    sha256.extend(rows.map(|sum| (EPOCHS.to_owned(), sum)));
    let manifest = Manifest { position: position.clone(), sha256 };
    let path = folder.join(POSITION);
    let text =
        serde_json::to_string_pretty(&manifest).map_err(|error| CheckpointError::io("write", &path)(error.into()))?;
    write_atomic(&path, text.as_bytes()).map_err(CheckpointError::io("write", &path))
}

/// A checkpoint whose content is that which was written. What no sum covers cannot be taken from it.
pub struct Whole {
    folder: PathBuf,
    pub position: Position,
    sha256: BTreeMap<String, String>,
}

impl Whole {
    /// Reads the manifest of a folder and holds every file against its sum.
    ///
    /// # Errors
    /// When a file cannot be read, or is not the one that was written.
    pub fn read(folder: &Path) -> Result<Whole, CheckpointError> {
        let path = folder.join(POSITION);
        let text = fs::read_to_string(&path).map_err(CheckpointError::io("read", &path))?;
        let manifest: Manifest = serde_json::from_str(&text)
            .map_err(|error| CheckpointError::Damaged { path: path.clone(), problem: error.to_string() })?;
        let Manifest { position, sha256 } = manifest;
        let whole = Whole { folder: folder.to_owned(), position, sha256 };
        whole.sum(POSITION)?;
        for (file, wanted) in &whole.sha256 {
            let path = folder.join(file);
            let found = match file.as_str() {
                WEIGHTS | OPTIMIZER | AVERAGES => of_file(&path)?,
                POSITION => of_position(&whole.position),
                // Of the run, not of the folder: judged where the run is taken up.
                EPOCHS => continue,
                _ => return Err(whole.damaged(format!("`{}` is not a file of a checkpoint", file.escape_debug()))),
            };
            if found != *wanted {
                let problem = "its content is not what was written (SHA-256 differs)".to_owned();
                return Err(CheckpointError::Damaged { path, problem });
            }
        }
        Ok(whole)
    }

    /// The sum that stands here for a file.
    ///
    /// # Errors
    /// When there is none.
    pub fn sum(&self, file: &str) -> Result<&str, CheckpointError> {
        let sum = self.sha256.get(file).map(String::as_str);
        sum.ok_or_else(|| self.damaged(format!("it has no SHA-256 of {file}")))
    }

    /// Copied to another experiment, perhaps to train on for more epochs, the schedule and all that came before would be
    /// another's. Checkpoints of earlier versions do not say whose they are.
    ///
    /// # Errors
    /// When the checkpoint is that of an experiment with another key; `hint` says what to do then.
    pub fn check_key(&self, key: &Key, hint: &'static str) -> Result<(), CheckpointError> {
        let found = &self.position.key;
        if found.is_empty() || key.is_written(found.sha256()) {
            return Ok(());
        }
        Err(CheckpointError::OfAnother { path: self.folder.clone(), found: found.clone(), hint })
    }

    /// Where a file of the checkpoint lies.
    ///
    /// # Errors
    /// When no sum covers it.
    pub fn file(&self, name: &str) -> Result<PathBuf, CheckpointError> {
        self.sum(name).map(|_| self.folder.join(name))
    }

    fn damaged(&self, problem: String) -> CheckpointError {
        CheckpointError::Damaged { path: self.folder.join(POSITION), problem }
    }
}

fn of_position(position: &Position) -> String {
    // A position always turns into JSON; were it not so, an empty text would stand for it on both sides.
    hex(&Sha256::digest(serde_json::to_vec(position).unwrap_or_default()))
}

/// Of the first lines of a file, line by line: a long run's table is not held in memory for it. `None` where there are fewer.
pub fn of_lines(path: &Path, count: usize) -> Option<String> {
    let mut file = BufReader::new(fs::File::open(path).ok()?);
    let (mut hasher, mut line) = (Sha256::new(), Vec::new());
    for _ in 0..count {
        line.clear();
        file.read_until(b'\n', &mut line).ok()?;
        line.ends_with(b"\n").then(|| hasher.update(&line))?;
    }
    Some(hex(&hasher.finalize()))
}

fn of_file(path: &Path) -> Result<String, CheckpointError> {
    let mut file = fs::File::open(path).map_err(CheckpointError::io("read", path))?;
    let mut hasher = Sha256::new();
    io::copy(&mut file, &mut HashWriter(&mut hasher)).map_err(CheckpointError::io("read", path))?;
    Ok(hex(&hasher.finalize()))
}

fn hex(digest: &[u8]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

struct HashWriter<'a>(&'a mut Sha256);

impl io::Write for HashWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
