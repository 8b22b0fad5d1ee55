//! `[sweep.random]`: samples from ranges and lists, each of which goes through the whole grid.
//!
//! A number depends only on the seed, the key and the number of the draw: adding a key does not change the values of others.

use super::axes::{Axis, Value, dotted, text_of};
use crate::config::problem::{Location, Problem, from_serde};
use crate::random;
use serde::Deserialize;
use std::ops::Range;
use toml::Spanned;
use toml::de::{DeTable, DeValue, Deserializer, ValueDeserializer};

pub(super) struct Random<'a> {
    pub count: usize,
    seed: u64,
    pub span: Range<usize>,
    ranges: Vec<(String, Source<'a>)>,
}

/// The source of a key's values.
enum Source<'a> {
    /// A choice from a list.
    List(Vec<Value<'a>>),
    Range(Numbers),
}

/// A range as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RangeKeys {
    uniform: Option<[f64; 2]>,
    log_uniform: Option<[f64; 2]>,
    step: Option<f64>,
    digits: Option<usize>,
}

/// Quantised numbers between two ends.
#[derive(Clone, Debug, PartialEq)]
struct Numbers {
    low: f64,
    high: f64,
    log: bool,
    /// Distance between the values that can be drawn.
    step: Option<f64>,
    /// Significant digits where there is no step.
    digits: usize,
    whole: bool,
}

/// Significant digits of a drawn number where `digits` is not set.
const DIGITS: usize = 3;

impl<'a> Random<'a> {
    /// Takes `[sweep.random]` out of a `[sweep]` table.
    pub(super) fn take(sweep: &mut DeTable<'a>) -> Result<Option<Random<'a>>, Problem> {
        let Some(value) = sweep.remove("random") else { return Ok(None) };
        let span = value.span();
        let DeValue::Table(mut table) = value.into_inner() else {
            return Err(Problem::span(span, "`random` is a table: [sweep.random] count = 20"));
        };
        let mut number = |key: &str| {
            let value = table.remove(key);
            let read = |value| u64::deserialize(ValueDeserializer::from(value));
            value.map(read).transpose().map_err(|error| from_serde(&error, "sweep.random", &[]))
        };
        let (count, seed) = (number("count")?, number("seed")?.unwrap_or(0));
        let count = match count {
            Some(count @ 1..=10_000) => count as usize,
            Some(count) => return Err(Problem::at("sweep.random.count", format!("count is 1 to 10000, not {count}"))),
            None => return Err(Problem::span(span, "`random` needs a `count` of samples")),
        };
        let mut ranges = Vec::new();
        collect(table, "", &mut ranges)?;
        if ranges.is_empty() {
            return Err(Problem::span(span, "`random` has nothing to draw")
                .help("for example train.lr = { log_uniform = [0.001, 1.0], digits = 2 }"));
        }
        Ok(Some(Random { count, seed, span, ranges }))
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = String> {
        self.ranges.iter().map(|(key, _)| key.clone())
    }

    /// Keys with integer values only because the ends of their range are integers.
    pub(super) fn whole(&self) -> impl Iterator<Item = &str> {
        let whole = |source: &Source| matches!(source, Source::Range(Numbers { whole: true, step: None, .. }));
        self.ranges.iter().filter(move |(_, source)| whole(source)).map(|(key, _)| key.as_str())
    }

    /// The most draws before giving up.
    pub(super) fn tries(&self) -> usize {
        (50 * self.count).clamp(1000, 20_000)
    }

    /// The values of a draw as TOML texts; `None` for a value that is picked from a list.
    pub(super) fn draw(&self, number: usize) -> Vec<Option<String>> {
        let text = |(key, source): &(String, Source)| match source {
            Source::List(_) => None,
            Source::Range(numbers) => Some(numbers.text(random::uniform(self.key(key), number as u64))),
        };
        self.ranges.iter().map(text).collect()
    }

    /// The values of a sample, each with the key that it is set on.
    pub(super) fn sample<'b>(&'b self, number: usize, texts: &'b [Option<String>]) -> Vec<(&'b str, Value<'b>)> {
        let value = |((key, source), text): (&'b (String, Source<'a>), &'b Option<String>)| {
            let value = match (source, text) {
                (Source::List(values), _) => {
                    let index = random::below(self.key(key), number as u64, values.len() as u64) as usize;
                    values.get(index)?.clone()
                }
                (_, Some(text)) => Spanned::new(self.span.clone(), DeValue::parse(text).ok()?.into_inner()),
                _ => return None,
            };
            Some((key.as_str(), value))
        };
        self.ranges.iter().zip(texts).filter_map(value).collect()
    }

    fn key(&self, key: &str) -> u64 {
        random::key(self.seed, &format!("sweep {key}"), &[])
    }
}

/// Finds the ranges and lists in a table, recursively.
fn collect<'a>(table: DeTable<'a>, prefix: &str, ranges: &mut Vec<(String, Source<'a>)>) -> Result<(), Problem> {
    for (word, value) in table {
        let (key, span) = (dotted(prefix, word.get_ref()), value.span());
        match value.into_inner() {
            DeValue::Table(inner) if ["uniform", "log_uniform"].iter().any(|kind| inner.contains_key(*kind)) => {
                ranges.push((key.clone(), Source::Range(Numbers::read(&key, Spanned::new(span, inner))?)));
            }
            DeValue::Table(inner) => collect(inner, &key, ranges)?,
            DeValue::Array(values) if !values.is_empty() => {
                let values: Vec<Value> = values.into_iter().collect();
                let axis = Axis { keys: vec![key.clone()], steps: values.iter().map(|v| vec![v.clone()]).collect() };
                axis.check()?;
                ranges.push((key, Source::List(values)));
            }
            other => {
                let message = format!("`{key}` is drawn, so it is a range or a list, not {}", text_of(&other));
                let allowed = ["count", "seed", "uniform", "log_uniform", "step", "digits"];
                let problem = Problem::not_one_of(Location::Span(word.span()), message, word.get_ref(), &allowed);
                return Err(Problem { location: Location::Span(span), ..problem }.help(
                    "a range: { uniform = [32, 256], step = 32 } or { log_uniform = [0.001, 1.0], digits = 2 }",
                ));
            }
        }
    }
    Ok(())
}

impl Numbers {
    fn read(key: &str, table: Spanned<DeTable>) -> Result<Numbers, Problem> {
        let span = table.span();
        // A range of whole numbers gives whole numbers.
        let whole =
            ["uniform", "log_uniform", "step"].iter().filter_map(|name| table.get_ref().get(*name)).all(|value| {
                match value.get_ref() {
                    DeValue::Array(ends) => ends.iter().all(|end| end.get_ref().is_integer()),
                    value => value.is_integer(),
                }
            });
        let keys = RangeKeys::deserialize(Deserializer::from(table))
            .map_err(|error| from_serde(&error, &format!("the range of {key}"), &[]))?;
        let problem = |message: &str| Err(Problem::span(span.clone(), format!("`{key}`: {message}")));
        let ([low, high], log) = match (keys.uniform, keys.log_uniform) {
            (Some(ends), None) => (ends, false),
            (None, Some(ends)) => (ends, true),
            _ => return problem("a range is `uniform` or `log_uniform`, not both"),
        };
        if !(low < high && low.is_finite() && high.is_finite()) {
            return problem(&format!("a range goes from low to high, not from {low} to {high}"));
        }
        if log && low <= 0.0 {
            return problem("a logarithmic range begins above 0");
        }
        if keys.step.is_some() && keys.digits.is_some() {
            return problem("values are rounded to a `step` or to `digits`, not both");
        }
        if keys.step.is_some_and(|step| !(step > 0.0 && step <= high - low)) {
            return problem(&format!("a step is more than 0 and at most {}, the width of the range", high - low));
        }
        let digits = keys.digits.unwrap_or(if whole { 15 } else { DIGITS });
        if !(1..=15).contains(&digits) {
            return problem(&format!("digits is 1 to 15, not {digits}"));
        }
        Ok(Numbers { low, high, log, step: keys.step, digits, whole })
    }

    /// The value for a number that is uniform in [0, 1).
    fn text(&self, uniform: f64) -> String {
        let Numbers { low, high, log, step, digits, whole } = *self;
        let between = |low: f64, high: f64| low + (high - low) * uniform;
        let value = match step.or((whole && !log).then_some(1.0)) {
            // Every step is as likely as the next, the ends too.
            Some(step) if !log => {
                let steps = ((high - low) / step + 1e-9).floor() + 1.0;
                low + (steps * uniform).floor() * step
            }
            step => {
                let exact = between(low.ln(), high.ln()).exp();
                let exact = if log { exact } else { between(low, high) };
                match step {
                    Some(step) => low + ((exact - low) / step).round() * step,
                    None => rounded(exact, digits),
                }
            }
        };
        let value = if value > high { step.map_or(high, |step| value - step) } else { value.max(low) };
        if whole { format!("{}", value.round() as i64) } else { float(rounded(value, 12.max(digits))) }
    }
}

/// Rounds to a number of significant digits.
pub(super) fn rounded(value: f64, digits: usize) -> f64 {
    format!("{value:.*e}", digits.saturating_sub(1)).parse().unwrap_or(value)
}

/// Formats a float for TOML, with a point or an exponent.
pub(super) fn float(value: f64) -> String {
    toml::Value::Float(value).to_string()
}
