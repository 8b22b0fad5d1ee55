//! The corpus of broken experiment files: `tests/corpus/NAME.toml` with the exact message in `NAME.txt` beside it.
//!
//! A first line `# --set KEY=VALUE` is an override.

use super::place::Place;
use super::snapshot::{expect_all, kept};
use std::fs;
use strata::config::{Experiment, Machine};

fn overrides(text: &str) -> Vec<String> {
    text.lines().map_while(|line| line.strip_prefix("# --set ")).map(str::to_owned).collect()
}

/// The broken files, sorted by name: file name and text.
fn broken() -> Vec<(String, String)> {
    let mut files: Vec<(String, String)> = fs::read_dir(kept("corpus"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
        .map(|path| (path.file_name().unwrap().to_str().unwrap().to_owned(), fs::read_to_string(&path).unwrap()))
        .collect();
    files.sort();
    files
}

#[test]
pub(crate) fn every_broken_file_gets_its_message() {
    let files = broken();
    assert!(files.len() >= 200, "only {} files", files.len());
    let messages: Vec<(String, String)> = files
        .iter()
        .map(|(name, text)| {
            let stem = name.trim_end_matches(".toml");
            let message = match Experiment::parse(name, text, stem, &overrides(text), Machine::default()) {
                Ok(_) => "this file is not refused\n".to_owned(),
                Err(error) => format!("{error}\n"),
            };
            (format!("corpus/{stem}.txt"), message)
        })
        .collect();
    expect_all(messages.iter().map(|(file, message)| (file.clone(), message.as_str())));
}

#[test]
fn a_refused_file_leaves_nothing_behind() {
    let place = Place::new();
    for name in ["key_train", "row_groups", "toml_open_list", "set_range", "missing_everything", "unknown_dataset"] {
        let text = fs::read_to_string(kept("corpus").join(format!("{name}.toml"))).unwrap();
        place.file(&format!("{name}.toml"), &text);
        let mut arguments = vec!["train".to_owned(), format!("{name}.toml")];
        arguments.extend(overrides(&text).into_iter().flat_map(|set| ["--set".to_owned(), set]));
        let ran = place.strata(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
        assert_eq!(ran.err, fs::read_to_string(kept("corpus").join(format!("{name}.txt"))).unwrap());
        ran.refused(&[]);
    }
    assert!(!place.path("results").exists() && !place.path("cache").exists());
}
