//! A limit on how deep the tables and lists of a TOML text are nested, checked before it is parsed.
//!
//! The parser allows 80 parts of a dotted key, each a table in the one before it, in each of 80 brackets: 6,400 levels. Such
//! values are built, changed and dropped by recursive functions, which would overflow the stack.

use std::ops::Range;
use toml_parser::Source;
use toml_parser::lexer::TokenKind;

/// The most levels that a text may have below a table's header. Experiment files have eight at most.
pub const MAX_LEVELS: usize = 32;

/// The span at which a text exceeds [`MAX_LEVELS`], if it does.
pub fn too_deep(text: &str) -> Option<Range<usize>> {
    // Levels of the open brackets, and of the key or value that is being read.
    let (mut outer, mut levels, mut open) = (0, 0, Vec::new());
    let mut start = 0;
    for token in Source::new(text).lex() {
        let span = token.span();
        match token.kind() {
            TokenKind::Dot => levels += 1,
            TokenKind::LeftSquareBracket | TokenKind::LeftCurlyBracket => {
                open.push(levels + 1);
                outer += levels + 1;
                levels = 0;
            }
            TokenKind::RightSquareBracket | TokenKind::RightCurlyBracket => {
                levels = open.pop().unwrap_or(0);
                outer -= levels;
            }
            TokenKind::Comma | TokenKind::Newline => (levels, start) = (0, span.end()),
            _ => {}
        }
        if outer + levels > MAX_LEVELS {
            return Some(start..span.end());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_brackets_count_together_and_text_does_not() {
        let key = |parts: usize| vec!["a"; parts].join(".");
        for (text, deep) in [
            (format!("{} = 1", key(33)), false),
            (format!("{} = 1", key(34)), true),
            (format!("{} = 1", vec!["'x'"; 34].join(" . ")), true),
            (format!("[{}]\na = 1", key(34)), true),
            (format!("[{0}]\n{0} = 1\n[[{0}]]\n{0} = 2\n", key(30)), false),
            (format!("a = {}{}", "[".repeat(32), "]".repeat(32)), false),
            (format!("a = {}{}", "[".repeat(33), "]".repeat(33)), true),
            (format!("{0} = {{ {0} = [1.5, 2.5] }}", key(15)), false),
            (format!("{0} = {{ b = 1, {0} = {{\n {0} = 1 }} }}", key(15)), true),
            (format!("a = [{}]", "1.5, ".repeat(100)), false),
            (format!("a = \"{0}\" # {0}\nb = '''\n{0}'''", "...".repeat(100)), false),
            ("]]]] }} = . \" [".to_owned(), false),
        ] {
            assert_eq!(too_deep(&text).is_some(), deep, "{text}");
        }
        assert_eq!(too_deep(&format!("b = 1\n{} = 1", key(40))), Some(6..72));
    }
}
