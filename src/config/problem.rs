//! Errors in experiment files, rendered as a compiler does: file, line, the text, what is allowed, the nearest name.

use super::nearest::nearest;
use crate::input_error::IsInputError;
use crate::named::KeyError;
use annotate_snippets::{AnnotationKind, Level, Origin, Renderer, Snippet};
use std::fmt;
use std::ops::Range;

/// What is wrong, and where; rendered with the text by [`Source::error`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Problem {
    pub place: Place,
    pub message: String,
    pub help: Option<String>,
    /// For a key that its table does not have; [`Document::error`](super::document::Document::error) adds the help, because the key
    /// may be that of another table.
    pub unknown_key: Option<Box<UnknownKey>>,
}

/// A key that was found, and those that are allowed in its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct UnknownKey {
    pub found: String,
    pub allowed: Vec<String>,
}

/// Where a problem is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Bytes of the text.
    Span(Range<usize>),
    /// The value of a dotted key such as `train.lr` or `model.rows.3`; the longest part of it that is written is shown.
    Key(String),
    /// A dotted key itself, where its value is not what is wrong.
    Word(String),
}

/// A key that a file lacks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Missing {
    /// Dotted.
    pub key: String,
    /// What needs it, where that is not plain.
    pub reason: Option<String>,
}

impl Missing {
    pub(super) fn new(key: impl Into<String>) -> Missing {
        Missing { key: key.into(), reason: None }
    }
}

impl Problem {
    pub(super) fn at(key: impl Into<String>, message: impl Into<String>) -> Problem {
        Problem { place: Place::Key(key.into()), message: message.into(), help: None, unknown_key: None }
    }

    /// What is wrong with a key of `table`.
    pub(super) fn of_key(table: &str, error: KeyError) -> Problem {
        Problem::at(format!("{table}.{}", error.key), error.message)
    }

    pub(super) fn span(span: Range<usize>, message: impl Into<String>) -> Problem {
        Problem { place: Place::Span(span), message: message.into(), help: None, unknown_key: None }
    }

    /// A key that is itself what is wrong, and not its value.
    pub(super) fn word(key: impl Into<String>, message: impl Into<String>) -> Problem {
        Problem { place: Place::Word(key.into()), message: message.into(), help: None, unknown_key: None }
    }

    /// Required keys that are missing, shown at the table that lacks all of them, if it is one.
    pub(super) fn missing(keys: &[Missing]) -> Problem {
        let quoted: Vec<String> = keys.iter().map(|missing| format!("`{}`", missing.key)).collect();
        let message = match quoted.as_slice() {
            [key] => format!("the key {key} is missing"),
            [first @ .., last] => format!("the keys {} and {last} are missing", first.join(", ")),
            [] => "nothing is missing".to_owned(),
        };
        let mut tables = keys.iter().map(|missing| missing.key.split_once('.').map_or("", |(table, _)| table));
        let table = tables.next().unwrap_or_default();
        let place = if tables.all(|other| other == table) { table } else { "" };
        let help: Vec<&str> = keys.iter().filter_map(|missing| missing.reason.as_deref()).collect();
        let help = (!help.is_empty()).then(|| help.join("; "));
        Problem { place: Place::Key(place.to_owned()), message, help, unknown_key: None }
    }

    pub(super) fn help(mut self, help: impl Into<String>) -> Problem {
        self.help = Some(help.into());
        self
    }

    /// A name that is not one of a list.
    pub(super) fn unknown(place: Place, what: &str, found: &str, allowed: &[&str]) -> Problem {
        Problem::not_one_of(place, format!("there is no {what} `{found}`"), found, allowed)
    }

    /// A name that is not one of a list, with a message that says so.
    pub(super) fn not_one_of(place: Place, message: String, found: &str, allowed: &[&str]) -> Problem {
        let help = Some(did_you_mean(nearest(found, allowed), allowed));
        Problem { place, message, help, unknown_key: None }
    }

    /// A key that a table does not have. It may be one of another table, or another library's name for one of ours.
    pub(super) fn unknown_key(place: Place, message: String, found: &str, allowed: &[&str]) -> Problem {
        let allowed = allowed.iter().map(|&name| name.to_owned()).collect();
        Problem {
            place,
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

/// Turns serde's error into a problem in the words of a file, with the nearest name for an unknown one.
pub(super) fn from_serde(error: &toml::de::Error, context: &str, more_keys: &[&str]) -> Problem {
    let message = error.message();
    // What is missing in the file as a whole has an empty span: there is nothing to point at.
    let span = error.span().filter(|span| !(span.is_empty() && message.starts_with("missing field")));
    let place = span.map_or_else(|| Place::Key(context.to_owned()), Place::Span);
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
            true => Problem::unknown_key(place, message, found, &allowed),
            false => Problem::not_one_of(place, message, found, &allowed),
        };
    }
    Problem { place, message: in_words(message), help: None, unknown_key: None }
}

/// serde's wording, which speaks of Rust's types, in the words of a file.
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

/// A text and what it is called: an experiment file with the `--set` overrides behind it, one a line.
#[derive(Clone, Debug)]
pub(super) struct Source {
    name: String,
    text: String,
    /// Where the file's own text ends.
    file_end: usize,
    overrides: Vec<Range<usize>>,
}

impl Source {
    pub(super) fn new(name: impl Into<String>, text: impl Into<String>) -> Source {
        let text = text.into();
        Source { name: name.into(), file_end: text.len(), text, overrides: Vec::new() }
    }

    /// What errors call the file: its path.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The file's own text.
    pub(super) fn file_text(&self) -> &str {
        &self.text[..self.file_end]
    }

    /// Adds a line behind the file's text.
    pub(super) fn push_override(&mut self, line: &str) {
        self.text.push('\n');
        let start = self.text.len();
        self.text.push_str(line);
        self.overrides.push(start..self.text.len());
    }

    /// The lines behind the file's text, each with where it starts.
    pub(super) fn overrides(&self) -> impl Iterator<Item = (usize, &str)> {
        self.overrides.iter().map(|range| (range.start, &self.text[range.clone()]))
    }

    /// The error that shows a problem in this text, and with it other places in the same piece of text, each with a note.
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
                let place = inside.map(|span| AnnotationKind::Primary.span(span));
                title.element(Snippet::source(text).path(name).annotations(place.into_iter().chain(notes)))
            }
        };
        if let Some(help) = &problem.help {
            group = group.element(Level::HELP.message(help.as_str()));
        }
        ConfigError { message: problem.message.clone(), rendered: Renderer::plain().render(&[group]) }
    }

    /// The piece of text that a span lies in: the file, or one override.
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
    /// Several lines: the message, the place in the file, help.
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
