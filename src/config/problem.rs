//! Errors in experiment files, rendered as a compiler does: file, line, the text, what is allowed, the nearest name.

use super::nearest::nearest;
use crate::input_error::IsInputError;
use crate::named::KeyError;
use annotate_snippets::{AnnotationKind, Level, Origin, Renderer, Snippet};
use std::fmt;
use std::ops::Range;

/// An error and its location; rendered with the text by [`Source::error`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Problem {
    pub location: Location,
    pub message: String,
    pub help: Option<String>,
    /// Set for an unknown key; [`Document::error`](super::document::Document::error) adds the help, because the key
    /// may be that of another table.
    pub unknown_key: Option<Box<UnknownKey>>,
}

/// An unknown key and the allowed keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct UnknownKey {
    pub found: String,
    pub allowed: Vec<String>,
}

/// The location of a problem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Location {
    /// A range of bytes of the text.
    Span(Range<usize>),
    /// The value of a dotted key such as `train.lr` or `model.rows.3`; the longest part of it that is written is shown.
    Key(String),
    /// A dotted key itself rather than its value.
    Word(String),
}

/// A missing key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Missing {
    /// The dotted key.
    pub key: String,
    /// What requires the key, where that is not obvious.
    pub reason: Option<String>,
}

impl Missing {
    pub(super) fn new(key: impl Into<String>) -> Missing {
        Missing { key: key.into(), reason: None }
    }
}

impl Problem {
    pub(super) fn at(key: impl Into<String>, message: impl Into<String>) -> Problem {
        Problem { location: Location::Key(key.into()), message: message.into(), help: None, unknown_key: None }
    }

    /// An error about a key of `table`.
    pub(super) fn of_key(table: &str, error: KeyError) -> Problem {
        Problem::at(format!("{table}.{}", error.key), error.message)
    }

    pub(super) fn span(span: Range<usize>, message: impl Into<String>) -> Problem {
        Problem { location: Location::Span(span), message: message.into(), help: None, unknown_key: None }
    }

    /// An error about a key itself rather than its value.
    pub(super) fn word(key: impl Into<String>, message: impl Into<String>) -> Problem {
        Problem { location: Location::Word(key.into()), message: message.into(), help: None, unknown_key: None }
    }

    /// Missing required keys, shown at their table if it is the same for all.
    pub(super) fn missing(keys: &[Missing]) -> Problem {
        let quoted: Vec<String> = keys.iter().map(|missing| format!("`{}`", missing.key)).collect();
        let message = match quoted.as_slice() {
            [key] => format!("the key {key} is missing"),
            [first @ .., last] => format!("the keys {} and {last} are missing", first.join(", ")),
            [] => "nothing is missing".to_owned(),
        };
        let mut tables = keys.iter().map(|missing| missing.key.split_once('.').map_or("", |(table, _)| table));
        let table = tables.next().unwrap_or_default();
        let location = if tables.all(|other| other == table) { table } else { "" };
        let help: Vec<&str> = keys.iter().filter_map(|missing| missing.reason.as_deref()).collect();
        let help = (!help.is_empty()).then(|| help.join("; "));
        Problem { location: Location::Key(location.to_owned()), message, help, unknown_key: None }
    }

    pub(super) fn help(mut self, help: impl Into<String>) -> Problem {
        self.help = Some(help.into());
        self
    }

    /// An unknown name.
    pub(super) fn unknown(location: Location, what: &str, found: &str, allowed: &[&str]) -> Problem {
        Problem::not_one_of(location, format!("there is no {what} `{found}`"), found, allowed)
    }

    /// An unknown name, with a message.
    pub(super) fn not_one_of(location: Location, message: String, found: &str, allowed: &[&str]) -> Problem {
        let help = Some(did_you_mean(nearest(found, allowed), allowed));
        Problem { location, message, help, unknown_key: None }
    }

    /// An unknown key. It may belong to another table, or be another library's name for a key.
    pub(super) fn unknown_key(location: Location, message: String, found: &str, allowed: &[&str]) -> Problem {
        let allowed = allowed.iter().map(|&name| name.to_owned()).collect();
        Problem {
            location,
            message,
            help: None,
            unknown_key: Some(Box::new(UnknownKey { found: found.to_owned(), allowed })),
        }
    }
}

/// The help for a name that is not one of `allowed`.
pub(super) fn did_you_mean(near: Option<&str>, allowed: &[&str]) -> String {
    let list = allowed.join(", ");
    match near {
        Some(near) => format!("did you mean `{near}`? Allowed: {list}"),
        None => format!("allowed: {list}"),
    }
}

/// Translates an error of serde into the terms of experiment files, with a suggestion for an unknown name.
pub(super) fn from_serde(error: &toml::de::Error, context: &str, more_keys: &[&str]) -> Problem {
    let message = error.message();
    // What is missing in the file as a whole has an empty span: there is nothing to point at.
    let span = error.span().filter(|span| !(span.is_empty() && message.starts_with("missing field")));
    let location = span.map_or_else(|| Location::Key(context.to_owned()), Location::Span);
    for (start, is_key) in [("unknown field `", true), ("unknown variant `", false)] {
        let Some(rest) = message.strip_prefix(start) else { continue };
        let found = rest.split('`').next().unwrap_or_default();
        let mut allowed: Vec<&str> = rest.split('`').skip(2).step_by(2).collect();
        let message = match (is_key, context) {
            (false, _) => format!("unknown value `{found}`"),
            (true, "") => format!("there is no key `{found}` here"),
            (true, context) => format!("there is no key `{found}` in {context}"),
        };
        if is_key {
            allowed.extend(more_keys);
        }
        // A row's columns are those of its operation alone.
        return match is_key && !context.ends_with(" rows") {
            true => Problem::unknown_key(location, message, found, &allowed),
            false => Problem::not_one_of(location, message, found, &allowed),
        };
    }
    Problem { location, message: in_words(message), help: None, unknown_key: None }
}

/// Replaces serde's wording, which names Rust types, by the terms of experiment files.
fn in_words(message: &str) -> String {
    if let Some(key) = message.strip_prefix("missing field ") {
        return format!("the key {key} is missing");
    }
    // Said by toml where one of several names is wanted.
    if message == "wanted string or table" {
        return "wrong type, expected a name in quotes".to_owned();
    }
    let rest = message.strip_prefix("invalid ").unwrap_or_default();
    let ours = ["type: ", "value: ", "length "].iter().any(|start| rest.starts_with(start));
    let Some((found, wanted)) = rest.split_once(", expected ").filter(|_| ours) else {
        return message.to_owned();
    };
    let wanted = match wanted {
        "usize" | "u64" => "a non-negative integer",
        "f64" => "a number",
        "a boolean" => "true or false",
        "a string" => "a string in quotes",
        "a sequence" => "a list",
        "a map" => "a table",
        "an array of length 3" => "a list of three",
        wanted if wanted.starts_with("struct ") => "a table",
        wanted => wanted,
    };
    let Some((kind, found)) = found.split_once(": ") else {
        return format!("wrong length, expected {wanted}");
    };
    let found = match found {
        "map" => "a table",
        "sequence" => "a list",
        found => found.strip_suffix(" as i128").unwrap_or(found),
    };
    let names = [("string ", "the string "), ("integer ", ""), ("floating point ", ""), ("boolean ", "")];
    let found = names
        .iter()
        .find_map(|(name, word)| Some(format!("{word}{}", found.strip_prefix(name)?)))
        .unwrap_or_else(|| found.to_owned());
    format!("wrong {kind}: {found}, expected {wanted}")
}

/// A text and its name: an experiment file, followed by the `--set` overrides, one per line.
#[derive(Clone, Debug)]
pub(super) struct Source {
    name: String,
    text: String,
    /// Length of the file's own text.
    file_end: usize,
    overrides: Vec<Range<usize>>,
}

impl Source {
    pub(super) fn new(name: impl Into<String>, text: impl Into<String>) -> Source {
        let text = text.into();
        Source { name: name.into(), file_end: text.len(), text, overrides: Vec::new() }
    }

    /// The name of the file in errors: its path.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The file's own text.
    pub(super) fn file_text(&self) -> &str {
        &self.text[..self.file_end]
    }

    /// Appends an override.
    pub(super) fn push_override(&mut self, line: &str) {
        self.text.push('\n');
        let start = self.text.len();
        self.text.push_str(line);
        self.overrides.push(start..self.text.len());
    }

    /// The overrides, each with its offset.
    pub(super) fn overrides(&self) -> impl Iterator<Item = (usize, &str)> {
        self.overrides.iter().map(|range| (range.start, &self.text[range.clone()]))
    }

    /// Renders a problem in this text, together with other locations in the same part of it, each with a note.
    pub(super) fn error(
        &self,
        problem: &Problem,
        span: Option<Range<usize>>,
        others: Vec<(Range<usize>, String)>,
    ) -> ConfigError {
        let title = Level::ERROR.primary_title(problem.message.as_str());
        let (name, text, inside) = self.part(span);
        let in_file = std::ptr::eq(text, self.file_text());
        let others = others.into_iter().filter(|(other, _)| in_file && other.end <= self.file_end);
        let notes: Vec<_> = others.map(|(other, note)| AnnotationKind::Context.span(other).label(note)).collect();
        let mut group = match inside {
            None if notes.is_empty() => title.element(Origin::path(name)),
            inside => {
                let location = inside.map(|span| AnnotationKind::Primary.span(span));
                title.element(Snippet::source(text).path(name).annotations(location.into_iter().chain(notes)))
            }
        };
        if let Some(help) = &problem.help {
            group = group.element(Level::HELP.message(help.as_str()));
        }
        ConfigError { message: problem.message.clone(), rendered: Renderer::plain().render(&[group]) }
    }

    /// The part of the text that contains a span: the file, or one override.
    fn part(&self, span: Option<Range<usize>>) -> (&str, &str, Option<Range<usize>>) {
        let line = span
            .as_ref()
            .and_then(|span| self.overrides.iter().find(|line| (line.start..=line.end).contains(&span.start)).cloned());
        match span {
            Some(span) if line.is_some() => {
                let line = line.unwrap_or_default();
                let inside = |at: usize| at.clamp(line.start, line.end) - line.start;
                ("--set", &self.text[line.clone()], Some(inside(span.start)..inside(span.end)))
            }
            Some(span) => {
                let end = span.end.min(self.file_end);
                (&self.name, self.file_text(), Some(span.start.min(end)..end))
            }
            None => (&self.name, self.file_text(), None),
        }
    }
}

/// An experiment that cannot be read, with the text that shows why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// One line.
    pub message: String,
    /// Several lines: the message, the location in the file, and help.
    pub rendered: String,
}

impl IsInputError for ConfigError {}

impl ConfigError {
    /// An error about a file as a whole.
    pub fn file(message: impl Into<String>) -> ConfigError {
        let message = message.into();
        ConfigError { rendered: format!("error: {message}"), message }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.rendered)
    }
}

impl std::error::Error for ConfigError {}
