//! Experiment files by path or by name.

use super::Usage;
use anyhow::{Result, bail};
use std::path::{Path, PathBuf};
use strata::config::nearest;

const EXPERIMENTS: &str = "experiments";
/// Most names that an error lists.
const LISTED: usize = 40;

/// The experiment file that a path or a name stands for.
pub(crate) fn locate(file: impl AsRef<Path>) -> Result<PathBuf> {
    let path = file.as_ref();
    if path.is_file() {
        return Ok(path.to_owned());
    }
    let file = &*path.to_string_lossy();
    for named in [format!("{file}.toml"), file.to_owned()].map(|name| Path::new(EXPERIMENTS).join(name)) {
        if named.is_file() {
            return Ok(named);
        }
    }
    // `mine` for ./mine.toml, also beside a folder of this name, such as that of its images.
    let beside = PathBuf::from(format!("{}.toml", file.trim_end_matches('/')));
    if beside.is_file() {
        return Ok(beside);
    }
    if let Some(folder) = [path.to_owned(), Path::new(EXPERIMENTS).join(path)].iter().find(|path| path.is_dir()) {
        bail!(Usage(format!("`{file}` is a folder; {}", in_folder(folder))));
    }
    if file.contains('=') {
        bail!(Usage(format!("`{file}` is not an experiment file; a key is changed with --set {file}")));
    }
    let known = names();
    let hint = match near(file, &known) {
        Some(near) => format!("did you mean `{near}`?"),
        None if known.is_empty() => format!("there is no folder {EXPERIMENTS}/ here"),
        None => top_level(&known),
    };
    bail!(Usage(format!("there is no experiment file `{file}`; {hint}")))
}

/// The names of all files in experiments/, sorted.
pub(super) fn names() -> Vec<String> {
    let mut names = Vec::new();
    list(Path::new(EXPERIMENTS), "", &mut names);
    names
}

/// What to give instead of a folder.
fn in_folder(folder: &Path) -> String {
    let of_run = folder.join("experiment.toml");
    if of_run.is_file() {
        return format!("its experiment is {}", of_run.display());
    }
    let mut names = Vec::new();
    list(folder, "", &mut names);
    match names.iter().find(|name| !name.contains('/')).or_else(|| names.first()) {
        Some(name) => {
            let path = folder.join(format!("{name}.toml"));
            let (path, folder) = (path.display(), folder.display());
            format!("name experiment files, such as {path}, or all of them: {folder}/*.toml")
        }
        None => "there is no .toml file below it".to_owned(),
    }
}

/// The names directly in experiments/, and its folders.
fn top_level(known: &[String]) -> String {
    let mut folders: Vec<String> =
        known.iter().filter_map(|name| Some(format!("{}/", name.split_once('/')?.0))).collect();
    folders.dedup();
    let names: Vec<&str> = known.iter().map(String::as_str).filter(|name| !name.contains('/')).collect();
    let shown: Vec<&str> = names.iter().take(LISTED).copied().chain(folders.iter().map(String::as_str)).collect();
    let hidden = if names.len() > LISTED { format!("; `ls {EXPERIMENTS}` lists all") } else { String::new() };
    format!("{EXPERIMENTS}/ has {}{hidden}", shown.join(", "))
}

/// The known name nearest to a misspelt one.
fn near<'a>(file: &str, known: &'a [String]) -> Option<&'a str> {
    let known: Vec<&str> = known.iter().map(String::as_str).collect();
    let name = file.strip_prefix("experiments/").unwrap_or(file);
    // The ending too may be misspelt.
    let name = Path::new(name).with_extension("").display().to_string();
    // Folders below experiments/ are easily forgotten.
    let lasts: Vec<&str> = known.iter().map(|name| name.rsplit('/').next().unwrap_or_default()).collect();
    let below = |word: &str| lasts.iter().position(|last| *last == word).map(|place| known[place]);
    below(&name).or_else(|| nearest(&name, &known)).or_else(|| below(nearest(&name, &lasts)?))
}

/// Adds the names of all experiment files below a folder, sorted.
fn list(folder: &Path, prefix: &str, names: &mut Vec<String>) {
    let mut entries: Vec<_> = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|e| e.path()).collect();
    entries.sort();
    for path in entries {
        let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() {
            list(&path, &format!("{prefix}{stem}/"), names);
        } else if path.extension().is_some_and(|extension| extension == "toml") {
            names.push(format!("{prefix}{stem}"));
        }
    }
}
