//! Paths as people read them in a table.

use std::collections::HashSet;
use std::path::{Component, Path, PathBuf};

/// Absolute paths below `folder` as seen from there; others as their last components after `…/`, as many as distinguish them. Texts
/// that are no absolute path stay.
pub(super) fn short_paths(texts: &[String], folder: &Path) -> Vec<String> {
    let far: HashSet<&Path> =
        texts.iter().map(Path::new).filter(|path| path.is_absolute() && !path.starts_with(folder)).collect();
    let most = far.iter().map(|path| path.components().count()).max().unwrap_or(0);
    let apart = |count: &usize| far.iter().map(|path| end(path, *count)).collect::<HashSet<_>>().len() == far.len();
    let count = (1..most).find(apart).unwrap_or(most);
    let short = |text: &String| {
        let path = Path::new(text);
        match path.strip_prefix(folder) {
            _ if !path.is_absolute() => text.clone(),
            Ok(below) if below.as_os_str().is_empty() => ".".to_owned(),
            Ok(below) => below.display().to_string(),
            // The root is a component, too.
            Err(_) if path.components().count() <= count + 1 => text.clone(),
            Err(_) => format!("…/{}", end(path, count).display()),
        }
    };
    texts.iter().map(short).collect()
}

/// The last components of a path.
fn end(path: &Path, count: usize) -> PathBuf {
    let names: Vec<Component> = path.components().collect();
    names[names.len().saturating_sub(count)..].iter().collect()
}

#[cfg(test)]
#[test]
fn paths_are_relative_or_their_last_components() {
    let short = |texts: &[&str]| {
        let texts: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
        short_paths(&texts, Path::new("/home/me/strata"))
    };
    assert_eq!(short(&["/home/me/strata/data/pets", "/home/me/strata", ""]), ["data/pets", ".", ""]);
    assert_eq!(short(&["/mnt/images/pets", "/mnt/images/birds", "pets"]), ["…/pets", "…/birds", "pets"]);
    assert_eq!(short(&["/mnt/a/pets", "/mnt/b/pets", "/mnt/b/pets"]), ["…/a/pets", "…/b/pets", "…/b/pets"]);
    assert_eq!(short(&["/pets"]), ["/pets"]);
    assert_eq!(short(&["/a/pets", "/pets", "/b/c/pets"]), ["/a/pets", "/pets", "…/c/pets"]);
}
