//! A CSV file of image files and labels.

use super::scanned::{Scanned, SplitName};
use crate::data::{DataError, image_folder};
use csv::StringRecord;
use std::path::Path;

const FORM: &str =
    "a CSV of images has a header with the columns `file` and `label`, and may have `split` (train, val or test)";

/// Columns by their usual names.
struct Columns {
    file: usize,
    label: usize,
    split: Option<usize>,
}

impl Columns {
    fn find(header: &StringRecord) -> Option<Columns> {
        let find = |names: &[&str]| {
            header.iter().position(|column| names.contains(&column.trim().to_ascii_lowercase().as_str()))
        };
        Some(Columns {
            file: find(&["file", "path", "image", "filename"])?,
            label: find(&["label", "class"])?,
            split: find(&["split"]),
        })
    }
}

/// Reads the rows; the files are named from the folder of the CSV on. Labels that are all whole numbers are sorted as numbers,
/// others as texts.
///
/// # Errors
/// Names the line that cannot be used.
pub(super) fn scan(path: &Path) -> Result<Scanned, DataError> {
    let bad = |problem: String| DataError::corrupt(path.display(), problem, FORM);
    let mut reader = csv::Reader::from_path(path).map_err(|error| bad(error.to_string()))?;
    let header = reader.headers().map_err(|error| bad(error.to_string()))?;
    let columns = Columns::find(header).ok_or_else(|| bad("these columns are not in its first line".to_owned()))?;
    let mut rows = Vec::new();
    for record in reader.records() {
        let record = record.map_err(|error| bad(error.to_string()))?;
        let line = record.position().map_or(0, csv::Position::line);
        let text = |column: usize| record.get(column).unwrap_or_default().trim().to_owned();
        let (file, label) = (text(columns.file), text(columns.label));
        if file.is_empty() || label.is_empty() || [&file, &label].iter().any(|text| text.contains(['\n', '\r'])) {
            return Err(bad(format!("line {line} needs a file and a label, without line breaks")));
        }
        let split = match columns.split.map(|column| text(column).to_ascii_lowercase()).as_deref() {
            None => None,
            Some("train" | "training") => Some(SplitName::Train),
            Some("val" | "valid" | "validation") => Some(SplitName::Validation),
            Some("test") => Some(SplitName::Test),
            Some(other) => return Err(bad(format!("line {line} has the split `{other}`"))),
        };
        rows.push((split, label, file));
    }
    if rows.is_empty() {
        return Err(bad("there is no image in it".to_owned()));
    }
    let mut classes: Vec<String> = rows.iter().map(|(_, label, _)| label.clone()).collect();
    let number = |label: &String| label.parse::<u64>();
    if classes.iter().all(|label| number(label).is_ok()) {
        classes.sort_by_key(|label| (number(label).unwrap_or(0), label.clone()));
    } else {
        classes.sort();
    }
    classes.dedup();
    let label_of: std::collections::HashMap<&str, usize> =
        classes.iter().enumerate().map(|(label, class)| (class.as_str(), label)).collect();
    let files = rows.iter().map(|(split, class, file)| (*split, label_of[class.as_str()], file.clone())).collect();
    let root = path.parent().unwrap_or(Path::new("")).to_owned();
    image_folder::line(path, path.as_os_str())?;
    Ok(Scanned { root, files, classes })
}
