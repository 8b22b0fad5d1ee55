//! `position.json`, the manifest of a checkpoint: the training state, and a SHA-256 of everything that a resume reads.
//!
//! It is written after the files that it covers are synced, by an atomic rename, so that a folder with a manifest is complete.
//! A kill while the tensors are written leaves a folder without one, which no resume takes for a checkpoint.

use super::state::TrainState;
use super::{AVERAGES, CheckpointError, EPOCHS, MANIFEST, OPTIMIZER, WEIGHTS};
use crate::config::Key;
use crate::files::{make_folder, sha256, write_atomic};
use crate::hex::hex;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

#[derive(Serialize, Deserialize)]
struct Manifest {
    /// Called `position` in the files of all versions.
    #[serde(rename = "position")]
    state: TrainState,
    /// SHA-256 by file name: of the tensors, of the state (under this file's own name), and of the rows of `epochs.csv` that
    /// belong to the epochs done.
    sha256: BTreeMap<String, String>,
}

/// Writes the manifest of a checkpoint whose tensor `files` are written; `rows` is the digest of the rows of `epochs.csv`.
pub(super) fn write(
    folder: &Path,
    state: &TrainState,
    files: &[&str],
    rows: Option<String>,
) -> Result<(), CheckpointError> {
    let digests = files.iter().map(|file| Ok(((*file).to_owned(), file_digest(&folder.join(file))?)));
    let mut sha256 = digests.collect::<Result<BTreeMap<_, _>, CheckpointError>>()?;
    sha256.insert(MANIFEST.to_owned(), state_digest(state));
    sha256.extend(rows.map(|digest| (EPOCHS.to_owned(), digest)));
    let manifest = Manifest { state: state.clone(), sha256 };
    let path = folder.join(MANIFEST);
    let text =
        serde_json::to_string_pretty(&manifest).map_err(|error| CheckpointError::io("write", &path)(error.into()))?;
    write_atomic(&path, text.as_bytes()).map_err(CheckpointError::io("write", &path))
}

/// A checkpoint all of whose files have the SHA-256 that its manifest records. Files that the manifest does not cover cannot
/// be read through it.
pub(super) struct VerifiedCheckpoint {
    folder: PathBuf,
    pub state: TrainState,
    sha256: BTreeMap<String, String>,
}

impl VerifiedCheckpoint {
    /// Reads the manifest of a folder and verifies the digest of every file.
    ///
    /// # Errors
    /// When a file cannot be read, or its digest differs from the recorded one.
    pub(super) fn read(folder: &Path) -> Result<VerifiedCheckpoint, CheckpointError> {
        let path = folder.join(MANIFEST);
        let text = fs::read_to_string(&path).map_err(CheckpointError::io("read", &path))?;
        let manifest: Manifest = serde_json::from_str(&text)
            .map_err(|error| CheckpointError::Damaged { path: path.clone(), problem: error.to_string() })?;
        let Manifest { state, sha256 } = manifest;
        let checkpoint = VerifiedCheckpoint { folder: folder.to_owned(), state, sha256 };
        // Without a digest of the state nothing would vouch for it.
        checkpoint.digest(MANIFEST)?;
        for (file, recorded) in &checkpoint.sha256 {
            let path = folder.join(file);
            let found = match file.as_str() {
                WEIGHTS | OPTIMIZER | AVERAGES => file_digest(&path)?,
                MANIFEST => state_digest(&checkpoint.state),
                // A file of the run, not of this folder: verified when the run is resumed.
                EPOCHS => continue,
                _ => return Err(checkpoint.damaged(format!("`{}` is not a file of a checkpoint", file.escape_debug()))),
            };
            if found != *recorded {
                let problem = "its content is not what was written (SHA-256 differs)".to_owned();
                return Err(CheckpointError::Damaged { path, problem });
            }
        }
        Ok(checkpoint)
    }

    /// The recorded digest of a file.
    ///
    /// # Errors
    /// [`CheckpointError::Damaged`] when the manifest has none.
    pub(super) fn digest(&self, file: &str) -> Result<&str, CheckpointError> {
        let digest = self.sha256.get(file).map(String::as_str);
        digest.ok_or_else(|| self.damaged(format!("it has no SHA-256 of {file}")))
    }

    /// Checks that the checkpoint belongs to the experiment with this key. A checkpoint copied from another experiment, perhaps
    /// to train it for more epochs, was trained on another schedule. Checkpoints of earlier versions have no key and pass.
    ///
    /// # Errors
    /// [`CheckpointError::OfAnother`] with `hint` as its remedy.
    pub(super) fn check_key(&self, key: &Key, hint: &'static str) -> Result<(), CheckpointError> {
        let found = &self.state.key;
        if found.is_empty() || key.is_written(found.sha256()) {
            return Ok(());
        }
        Err(CheckpointError::OfAnother { path: self.folder.clone(), found: found.clone(), hint })
    }

    /// Copies the checkpoint into a folder of another experiment, whose key replaces its own.
    pub(super) fn copy_to(&self, folder: &Path, key: &Key) -> Result<(), CheckpointError> {
        make_folder(folder).map_err(CheckpointError::io("make", folder))?;
        let files: Vec<&str> =
            self.sha256.keys().map(String::as_str).filter(|file| ![MANIFEST, EPOCHS].contains(file)).collect();
        for file in &files {
            let copy = folder.join(file);
            let copied = fs::copy(self.folder.join(file), &copy).and_then(|_| fs::File::open(&copy)?.sync_all());
            copied.map_err(CheckpointError::io("write", &copy))?;
        }
        let state = TrainState { key: key.clone(), ..self.state.clone() };
        write(folder, &state, &files, self.sha256.get(EPOCHS).cloned())
    }

    /// The path of a file of the checkpoint.
    ///
    /// # Errors
    /// [`CheckpointError::Damaged`] when the manifest has no digest of it.
    pub(super) fn file(&self, name: &str) -> Result<PathBuf, CheckpointError> {
        self.digest(name).map(|_| self.folder.join(name))
    }

    fn damaged(&self, problem: String) -> CheckpointError {
        CheckpointError::Damaged { path: self.folder.join(MANIFEST), problem }
    }
}

fn state_digest(state: &TrainState) -> String {
    // Serialization of this type cannot fail. If it did, writer and reader would both hash an empty text.
    hex(&Sha256::digest(serde_json::to_vec(state).unwrap_or_default()))
}

/// SHA-256 of the first `count` lines of a file, read line by line so that a long table is never in memory as one; `None` where
/// there are fewer lines.
pub(super) fn line_digest(path: &Path, count: usize) -> Option<String> {
    let mut file = BufReader::new(fs::File::open(path).ok()?);
    let (mut hasher, mut line) = (Sha256::new(), Vec::new());
    for _ in 0..count {
        line.clear();
        file.read_until(b'\n', &mut line).ok()?;
        line.ends_with(b"\n").then(|| hasher.update(&line))?;
    }
    Some(hex(&hasher.finalize()))
}

fn file_digest(path: &Path) -> Result<String, CheckpointError> {
    sha256(path).map_err(CheckpointError::io("read", path))
}
