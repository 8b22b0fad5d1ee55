//! Texts that are kept beside the tests. With `STRATA_BLESS=1` a text that differs is written there; read what git shows as changed
//! before you commit it.

use std::fs;
use std::path::{Path, PathBuf};

/// A file below `tests/`.
pub(crate) fn kept(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(file)
}

/// Compares texts with the files below `tests/` that keep them, or writes those.
pub(crate) fn expect_all<'a>(texts: impl IntoIterator<Item = (String, &'a str)>) {
    let bless = std::env::var_os("STRATA_BLESS").is_some();
    let mut changed = Vec::new();
    for (file, text) in texts {
        let known = fs::read_to_string(kept(&file)).unwrap_or_default();
        if known != text && bless {
            fs::write(kept(&file), text).unwrap();
        } else if known != text {
            changed.push(format!("tests/{file}, {}", difference(&known, text)));
        }
    }
    assert!(
        changed.is_empty(),
        "{} kept texts changed. If that is meant, STRATA_BLESS=1 in front of the command writes them.\n\n{}",
        changed.len(),
        changed.join("\n")
    );
}

pub(crate) fn expect(file: &str, text: &str) {
    expect_all([(file.to_owned(), text)]);
}

/// The lines between those that both begin and end with, `-` before and `+` after, ten of each at most.
fn difference(before: &str, after: &str) -> String {
    let (before, after): (Vec<&str>, Vec<&str>) = (before.lines().collect(), after.lines().collect());
    let head = before.iter().zip(&after).take_while(|(a, b)| a == b).count();
    let ends = before[head..].iter().rev().zip(after[head..].iter().rev());
    let tail = ends.take_while(|(a, b)| a == b).count();
    let lines = |sign: char, all: &[&str]| {
        let changed = &all[head..all.len() - tail];
        let more = changed.len().saturating_sub(10);
        let shown: String = changed.iter().take(10).map(|line| format!("{sign} {line}\n")).collect();
        if more > 0 { format!("{shown}{sign} … and {more} more\n") } else { shown }
    };
    format!("line {}:\n{}{}", head + 1, lines('-', &before), lines('+', &after))
}

#[test]
fn a_difference_shows_the_lines_that_differ() {
    assert_eq!(difference("a\nb\nc\n", "a\nx\ny\nc\n"), "line 2:\n- b\n+ x\n+ y\n");
    assert_eq!(difference("", &"z\n".repeat(12)).lines().last(), Some("+ … and 2 more"));
}
