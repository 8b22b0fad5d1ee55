//! Changes of a text that leave it nearly what it was: another number, another word in the place of one, a line less, a
//! line twice.

/// Where sizes, counts and fractions go wrong.
const NUMBERS: [&str; 40] = [
    "0",
    "1",
    "2",
    "3",
    "7",
    "8",
    "16",
    "31",
    "64",
    "255",
    "256",
    "1000",
    "8192",
    "8193",
    "65536",
    "100000",
    "1000001",
    "2147483647",
    "2147483648",
    "4294967295",
    "4294967296",
    "9007199254740993",
    "9223372036854775807",
    "-1",
    "-0",
    "0.0",
    "-0.0",
    "0.1",
    "0.5",
    "0.999999",
    "1.0",
    "1.5",
    "1e-9",
    "1e9",
    "1e300",
    "5e-324",
    "inf",
    "nan",
    "-inf",
    "0x10",
];

/// The text with one change that follows from the seed; `None` for what is no text, or has nothing to change.
pub fn text(data: &[u8], seed: u32) -> Option<String> {
    let text = std::str::from_utf8(data).ok()?;
    let mut state = u64::from(seed) | 1 << 40;
    let mut draw = |count: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % count.max(1)
    };
    match draw(8) {
        0 => {
            let mut lines: Vec<&str> = text.split_inclusive('\n').collect();
            let place = draw(lines.len());
            (!lines.is_empty()).then(|| lines.remove(place))?;
            Some(lines.concat())
        }
        1 => {
            let mut lines: Vec<&str> = text.split_inclusive('\n').collect();
            let (from, to) = (draw(lines.len()), draw(lines.len()));
            lines.insert(to, lines.get(from).copied()?);
            Some(lines.concat())
        }
        2 | 3 => {
            let words = words(text);
            let (place, other) = (*words.get(draw(words.len()))?, *words.get(draw(words.len()))?);
            Some(replaced(text, place, &text[other.0..other.1]))
        }
        _ => {
            let mut words = words(text);
            words.retain(|&(start, end)| text[start..end].starts_with(|c: char| c.is_ascii_digit() || c == '-'));
            Some(replaced(text, *words.get(draw(words.len()))?, NUMBERS[draw(NUMBERS.len())]))
        }
    }
}

/// Where words and numbers begin and end.
fn words(text: &str) -> Vec<(usize, usize)> {
    let mut words = Vec::new();
    let mut start = None;
    for (place, c) in text.char_indices().chain([(text.len(), ' ')]) {
        match (c.is_alphanumeric() || matches!(c, '_' | '.' | '-' | '"' | '\''), start) {
            (true, None) => start = Some(place),
            (false, Some(begin)) => {
                words.push((begin, place));
                start = None;
            }
            _ => {}
        }
    }
    words
}

fn replaced(text: &str, (start, end): (usize, usize), word: &str) -> String {
    [&text[..start], word, &text[end..]].concat()
}
