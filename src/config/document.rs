//! An experiment file as TOML with the location of every value, and overrides merged into it.

use super::known_keys;
use super::nesting::{MAX_LEVELS, too_deep};
use super::pretrained::is_file_name;
use super::problem::{ConfigError, Location, Problem, Source, from_serde};
use std::ops::Range;
use std::path::{Path, PathBuf};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A parsed text; the locations in it are those of the source.
#[derive(Clone, Debug)]
pub(super) struct Document<'a> {
    pub source: &'a Source,
    pub root: DeTable<'a>,
}

impl<'a> Document<'a> {
    /// Parses the source's text and applies its overrides.
    ///
    /// # Errors
    /// For TOML that cannot be read or is nested too deep, and for an override that does not fit what is there.
    pub(super) fn parse(source: &'a Source) -> Result<Document<'a>, ConfigError> {
        let parse = |text: &'a str, offset: usize| {
            if let Some(deep) = too_deep(text) {
                let message = format!("tables and lists are nested at most {MAX_LEVELS} levels deep");
                let span = deep.start + offset..deep.end + offset;
                return Err(source.error(&Problem::span(span.clone(), message), Some(span), Vec::new()));
            }
            DeTable::parse(text).map(Spanned::into_inner).map_err(|error| {
                let mut problem = from_serde(&error, "", &[]);
                problem.message.insert_str(0, "invalid TOML: ");
                if let Location::Span(span) = &mut problem.location {
                    *span = span.start + offset..span.end + offset;
                }
                source.error(&problem, span(&problem), Vec::new())
            })
        };
        let mut document = Document { source, root: parse(source.file_text(), 0)? };
        let folder = Path::new(source.name()).parent().unwrap_or(Path::new(""));
        anchor(&mut document.root, folder);
        for (start, line) in source.overrides() {
            let mut table = shift(parse(line, start)?, start);
            anchor(&mut table, Path::new("")); // as the shell completes it
            merge(&mut document.root, table, parts_of_key(line)).map_err(|problem| document.error(&problem))?;
        }
        Ok(document)
    }

    /// The error that shows a problem in this document.
    pub(super) fn error(&self, problem: &Problem) -> ConfigError {
        let span = match &problem.location {
            Location::Span(span) => Some(span.clone()),
            Location::Key(key) => self.find(key).map(|(word, value)| value.unwrap_or(word)),
            Location::Word(key) => self.find(key).map(|(word, _)| word),
        };
        let others =
            known_keys::unknown(&self.root).into_iter().filter(|(other, _)| Some(other) != span.as_ref()).collect();
        match &problem.unknown_key {
            Some(unknown) => self.source.error(&problem.clone().help(known_keys::help(unknown)), span, others),
            None => self.source.error(problem, span, others),
        }
    }

    /// The spans of a dotted key, or of the longest prefix of it that is present, and of its value. The span of a table with a
    /// header is that header.
    fn find(&self, key: &str) -> Option<(Range<usize>, Option<Range<usize>>)> {
        let mut parts = key.split('.').filter(|part| !part.is_empty());
        let (written, mut value) = self.root.get_key_value(parts.next()?)?;
        let mut locations = (written.span(), (!value.get_ref().is_table()).then(|| value.span()));
        for part in parts {
            let next = match value.get_ref() {
                DeValue::Table(table) => table.get_key_value(part).map(|(key, value)| (key.span(), value)),
                DeValue::Array(array) => {
                    part.parse().ok().and_then(|index: usize| array.get(index)).map(|item| (item.span(), item))
                }
                _ => None,
            };
            let Some((word, next)) = next else { break };
            (locations, value) = ((word, Some(next.span())), next);
        }
        Some(locations)
    }
}

/// Resolves paths, which are relative to `folder`: each `data.path` becomes absolute, and each file in `init.from` relative to
/// the working directory. Values of a sweep are resolved, too.
fn anchor(table: &mut DeTable<'_>, folder: &Path) {
    for (key, value) in table.iter_mut() {
        let (is_data, is_init) = (key.get_ref() == "data", key.get_ref() == "init");
        match value.get_mut() {
            DeValue::Table(inner) => {
                if let Some(path) = inner.get_mut("path").filter(|_| is_data) {
                    anchor_path(path.get_mut(), folder, absolute);
                }
                if let Some(from) = inner.get_mut("from").filter(|_| is_init) {
                    anchor_path(from.get_mut(), folder, seen_from_here);
                }
                anchor(inner, folder);
            }
            DeValue::Array(items) => items.iter_mut().for_each(|item| {
                if let DeValue::Table(inner) = item.get_mut() {
                    anchor(inner, folder);
                }
            }),
            _ => {}
        }
    }
}

/// Resolves a path relative to a folder; `None` leaves it unchanged.
type Anchor = fn(&str, &Path) -> Option<PathBuf>;

fn absolute(path: &str, folder: &Path) -> Option<PathBuf> {
    std::path::absolute(folder.join(path)).ok()
}

/// A file of weights, relative to the working directory if it is below it. This path is written to tables and to the files of
/// runs, and stays valid when the whole tree is copied. The files of runs are in other folders, so a path that does not exist
/// beside the experiment file is looked up in the working directory.
fn seen_from_here(path: &str, folder: &Path) -> Option<PathBuf> {
    if !is_file_name(path) {
        return None;
    }
    let beside = folder.join(path);
    let found = if !beside.exists() && Path::new(path).exists() { PathBuf::from(path) } else { beside };
    let (found, here) = (std::path::absolute(found).ok()?, std::env::current_dir().ok()?);
    Some(found.strip_prefix(here).map(Path::to_owned).unwrap_or(found))
}

fn anchor_path(value: &mut DeValue<'_>, folder: &Path, anchor: Anchor) {
    match value {
        DeValue::String(path) => {
            if let Some(anchored) = anchor(path, folder) {
                *path = anchored.to_string_lossy().into_owned().into();
            }
        }
        DeValue::Array(items) => {
            items.iter_mut().for_each(|item| anchor_path(item.get_mut(), folder, anchor));
        }
        _ => {}
    }
}

fn span(problem: &Problem) -> Option<Range<usize>> {
    match &problem.location {
        Location::Span(span) => Some(span.clone()),
        Location::Key(_) | Location::Word(_) => None,
    }
}

/// A text with overrides such as `train.epochs=3`; `file` is what errors call it.
///
/// # Errors
/// For an override without `=`.
pub(super) fn overridden(file: &str, text: &str, overrides: &[String]) -> Result<Source, ConfigError> {
    let mut source = Source::new(file, text);
    for text in overrides {
        source.push_override(&override_line(text)?);
    }
    Ok(source)
}

/// `train.lr=0.1` as a line of TOML. A value that is not TOML is taken as a string, which saves a second pair of quotes in the
/// shell.
///
/// # Errors
/// If there is no `=`.
fn override_line(text: &str) -> Result<String, ConfigError> {
    let Some((key, value)) = text.split_once('=') else {
        return Err(ConfigError::file(format!(
            "--set takes KEY=VALUE, for example --set train.epochs=3, not `{text}`"
        )));
    };
    let (key, value) = (key.trim(), value.trim());
    // Nesting that is too deep is reported with its location when the line is parsed.
    if too_deep(value).is_some() {
        return Ok(format!("{key} = {value}"));
    }
    match DeValue::parse(value) {
        Ok(_) if !value.is_empty() => Ok(format!("{key} = {value}")),
        _ => Ok(format!("{key} = {}", toml::Value::String(value.to_owned()))),
    }
}

/// Moves every span in a table by `offset`.
fn shift(table: DeTable<'_>, offset: usize) -> DeTable<'_> {
    fn value(old: Spanned<DeValue<'_>>, offset: usize) -> Spanned<DeValue<'_>> {
        let span = old.span();
        let new = match old.into_inner() {
            DeValue::Array(array) => DeValue::Array(array.into_iter().map(|item| value(item, offset)).collect()),
            DeValue::Table(table) => DeValue::Table(shift(table, offset)),
            other => other,
        };
        Spanned::new(span.start + offset..span.end + offset, new)
    }
    table
        .into_iter()
        .map(|(key, old)| {
            let span = key.span();
            (Spanned::new(span.start + offset..span.end + offset, key.into_inner()), value(old, offset))
        })
        .collect()
}

/// How many parts the dotted key of an override's line has: 2 in `train.lr = 0.1`.
fn parts_of_key(line: &str) -> usize {
    let key = line.split_once('=').map_or(line, |(key, _)| key);
    let text = format!("{key} = 0");
    let Ok(table) = DeTable::parse(&text) else { return 1 };
    let (mut parts, mut table) = (1, table.get_ref());
    while let Some(DeValue::Table(inner)) = table.iter().next().map(|(_, value)| value.get_ref()) {
        (parts, table) = (parts + 1, inner);
    }
    parts
}

/// Copies the single value of `from`, under a dotted key of `parts` parts, to `into`. Tables and lists on the path are kept,
/// lists are indexed by number, and the value at the key is replaced as a whole.
fn merge<'a>(into: &mut DeTable<'a>, from: DeTable<'a>, parts: usize) -> Result<(), Problem> {
    for (key, value) in from {
        match into.get_mut(key.get_ref().as_ref()) {
            Some(old) if parts > 1 && (old.get_ref().is_table() || old.get_ref().is_array()) => {
                enter(old, value, parts - 1)?;
            }
            _ => {
                into.insert(key, value);
            }
        }
    }
    Ok(())
}

fn enter<'a>(old: &mut Spanned<DeValue<'a>>, new: Spanned<DeValue<'a>>, parts: usize) -> Result<(), Problem> {
    match (old.get_mut(), new.get_ref()) {
        (DeValue::Table(into), DeValue::Table(_)) => {
            if let DeValue::Table(from) = new.into_inner() {
                return merge(into, from, parts);
            }
        }
        (DeValue::Array(items), DeValue::Table(_)) => {
            let DeValue::Table(from) = new.into_inner() else { return Ok(()) };
            let count = items.len();
            for (key, value) in from {
                let index = key.get_ref().parse::<usize>().ok().filter(|&index| index < count);
                let Some(item) = index.and_then(|index| items.get_mut(index)) else {
                    let message = format!("the list has items 0 to {}, not `{}`", count.max(1) - 1, key.get_ref());
                    return Err(Problem::span(key.span(), message));
                };
                if parts > 1 { enter(item, value, parts - 1)? } else { *item = value }
            }
        }
        _ => *old = new,
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A path in a file is relative to the file, one of `--set` to the working directory, also where a sweep varies it.
    #[test]
    fn paths_of_images_become_absolute() {
        let text = "path = 'not data'\n[data]\npath = 'pets'\n[sweep]\ndata.path = ['a', '/b']\nzip = [{ data.path = ['c'] }]\n";
        let source = overridden("/x/y/z.toml", text, &["sweep.data.path=['d']".to_owned()]).unwrap();
        let show = |document: &Document| format!("{:?}", document.root);
        let root = show(&Document::parse(&source).unwrap());
        let here = std::env::current_dir().unwrap().join("d").display().to_string();
        for part in ["\"/x/y/pets\"", "\"/x/y/c\"", "\"not data\"", &here] {
            assert!(root.contains(part), "{part} is missing in {root}");
        }
        let root = show(&Document::parse(&overridden("/x/y/z.toml", text, &[]).unwrap()).unwrap());
        assert!(root.contains("\"/x/y/a\"") && root.contains("\"/b\""), "{root}");
    }
}
