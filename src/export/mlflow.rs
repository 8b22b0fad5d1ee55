//! MLflow's file store: a folder an experiment, a folder a run, a file a metric with a line a value.
//!
//! MLflow 3 reads it with `MLFLOW_ALLOW_FILE_STORE=true`, and `mlflow migrate-filestore` turns it into a database.

use super::error::ExportError;
use super::run::ExportedRun;
use crate::files::{make_folder, write_atomic};
use crate::hex::hex;
use crate::runs::Status;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};

/// Writes `EXPERIMENT/RUN/`, the experiment being that of the run's name.
pub(super) fn write(run: &ExportedRun, folder: &Path) -> Result<PathBuf, ExportError> {
    make_folder(folder).map_err(ExportError::write(folder))?;
    let root = folder.canonicalize().map_err(ExportError::write(folder))?;
    let (experiment, id) = (experiment_id(&run.name), run_id(run));
    let experiment_folder = root.join(&experiment);
    let run_folder = experiment_folder.join(&id);
    for part in ["metrics", "params", "tags", "artifacts"] {
        let part = run_folder.join(part);
        make_folder(&part).map_err(ExportError::write(&part))?;
    }
    let write = |path: PathBuf, text: &str| write_atomic(&path, text.as_bytes()).map_err(ExportError::write(&path));
    for (name, lines) in metrics(run) {
        write(run_folder.join("metrics").join(name), &lines)?;
    }
    for (name, value) in &run.settings {
        write(run_folder.join("params").join(name), value)?;
    }
    write(run_folder.join("tags/mlflow.runName"), &run.label())?;
    write(run_folder.join("meta.yaml"), &run_meta(run, &experiment, &id, &run_folder))?;
    write(experiment_folder.join("meta.yaml"), &experiment_meta(run, &experiment, &experiment_folder))?;
    Ok(run_folder)
}

/// Lines `milliseconds value step`; results are metrics named `result_*`.
fn metrics(run: &ExportedRun) -> BTreeMap<String, String> {
    let mut files: BTreeMap<String, String> = BTreeMap::new();
    let mut push = |name: String, time: i64, value: f64, step: i64| {
        let _ = writeln!(files.entry(name).or_default(), "{time} {value} {step}");
    };
    for epoch in &run.epochs {
        for &(name, value) in &epoch.values {
            push(name.to_owned(), epoch.ended.as_millisecond(), value, epoch.step);
        }
    }
    let step = run.epochs.last().map_or(0, |epoch| epoch.step);
    for &(name, value) in &run.results {
        push(format!("result_{name}"), run.ended().as_millisecond(), value, step);
    }
    files
}

fn run_meta(run: &ExportedRun, experiment: &str, id: &str, folder: &Path) -> String {
    // mlflow.entities.RunStatus
    let status = match run.status {
        Status::Running => 1,
        Status::Done => 3,
        Status::Failed | Status::Diverged => 4,
        Status::Interrupted => 5,
    };
    format!(
        "artifact_uri: {artifacts}\nend_time: {end}\nentry_point_name: ''\nexperiment_id: '{experiment}'\n\
         lifecycle_stage: active\nrun_id: {id}\nrun_name: {name}\nsource_name: ''\nsource_type: 4\nsource_version: ''\n\
         start_time: {start}\nstatus: {status}\ntags: []\nuser_id: strata\n",
        artifacts = quoted(&format!("file://{}/artifacts", folder.display())),
        name = quoted(&run.label()),
        end = run.ended().as_millisecond(),
        start = run.started.as_millisecond(),
    )
}

fn experiment_meta(run: &ExportedRun, id: &str, folder: &Path) -> String {
    format!(
        "artifact_location: {location}\ncreation_time: {time}\nexperiment_id: '{id}'\nlast_update_time: {time}\n\
         lifecycle_stage: active\nname: {name}\n",
        location = quoted(&format!("file://{}", folder.display())),
        name = quoted(&run.name),
        time = run.started.as_millisecond(),
    )
}

/// A YAML string in single quotes.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// MLflow's own are numbers of 18 digits; this one is the same whenever the name is.
fn experiment_id(name: &str) -> String {
    let digest = Sha256::digest(name);
    let number = digest[..8].iter().fold(0u64, |number, &byte| number << 8 | u64::from(byte));
    (100_000_000_000_000_000 + number % 900_000_000_000_000_000).to_string()
}

/// 32 hex digits, the same whenever the run is exported.
fn run_id(run: &ExportedRun) -> String {
    hex(&Sha256::digest(run.label())[..16])
}

#[cfg(test)]
mod tests {
    use super::super::run::example;
    use super::*;
    use std::fs;

    #[test]
    fn a_run_is_written_to_the_same_folder_each_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = write(&example(), folder.path()).unwrap();
        assert_eq!(write(&example(), folder.path()).unwrap(), path);
        let read = |file: &str| fs::read_to_string(path.join(file)).unwrap();
        assert_eq!(read("metrics/train_loss"), "1769860802500 2 100\n1769860805000 1 200\n");
        assert_eq!(read("metrics/result_test_top1"), "1769860805000 0.375 200\n");
        assert_eq!(read("params/train.lr"), "0.1");
        assert!(read("meta.yaml").contains("status: 3\n"));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
