//! An axis: its range, its ticks, and the position of a value.

use crate::runs::format::significant;

/// How an axis is labelled and divided.
#[derive(Clone, Debug)]
pub struct Axis {
    /// With the unit: "operations (10⁹ multiply-adds)".
    pub label: String,
    pub scale: Scale,
    /// Lowest and highest value; without it, what the data take with round ends.
    pub range: Option<[f64; 2]>,
    /// Room at both ends beyond the data, as a fraction of what they span: large marks need it. 0 ends at round values.
    pub padding: f64,
    pub unit: Unit,
    /// Names at 0, 1, 2, … instead of numbers; empty for a numeric axis.
    pub names: Vec<String>,
    /// Positions of the ticks if only a few values occur; empty for ticks at round numbers.
    pub at: Vec<f64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    Linear,
    /// Values that are not above 0 are left out.
    Log,
}

/// Numbers further from 1 are slips; the ratio of two of them, and what is worked out with it, would be infinite.
const FURTHEST: f64 = 1e150;

impl Scale {
    /// Whether the axis can show a value.
    fn bears(self, value: f64) -> bool {
        match self {
            Scale::Linear => value.abs() <= FURTHEST,
            Scale::Log => (1.0 / FURTHEST..=FURTHEST).contains(&value),
        }
    }
}

/// How a tick's value is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    Plain,
    /// A fraction, written in per cent.
    Percent,
    /// Epochs or steps: there are no ticks between them.
    Count,
}

/// A line across the chart; only those with a label are numbered.
#[derive(Clone, Debug, PartialEq)]
pub struct Tick {
    pub value: f64,
    pub label: String,
}

/// An axis laid over its data.
#[derive(Clone, Debug)]
pub struct Span {
    pub low: f64,
    pub high: f64,
    pub ticks: Vec<Tick>,
    scale: Scale,
}

impl Axis {
    pub fn new(label: &str) -> Axis {
        Axis {
            label: label.to_owned(),
            scale: Scale::Linear,
            range: None,
            padding: 0.0,
            unit: Unit::Plain,
            names: Vec::new(),
            at: Vec::new(),
        }
    }

    /// An axis of named items, the first at 0.
    pub fn of_names(label: &str, names: Vec<String>) -> Axis {
        Axis { names, ..Axis::new(label) }
    }

    pub fn log(mut self) -> Axis {
        self.scale = Scale::Log;
        self
    }

    pub fn percent(mut self) -> Axis {
        self.unit = Unit::Percent;
        self
    }

    pub fn at(mut self, values: Vec<f64>) -> Axis {
        self.at = values;
        self
    }

    pub fn count(mut self) -> Axis {
        self.unit = Unit::Count;
        self
    }

    pub fn range(mut self, low: f64, high: f64) -> Axis {
        self.range = Some([low, high]);
        self
    }

    pub fn padding(mut self, padding: f64) -> Axis {
        self.padding = padding;
        self
    }

    /// Whether values on two axes can be compared by their position, so that axes side by side should have one scale.
    pub(super) fn is_like(&self, other: &Axis) -> bool {
        let of_same = self.unit == Unit::Percent || self.label == other.label;
        of_same && self.unit == other.unit && self.scale == other.scale && self.names.is_empty()
    }

    /// Fits the axis to values; those that it cannot show are left out.
    pub fn span(&self, values: impl Iterator<Item = f64>) -> Span {
        if !self.names.is_empty() {
            let ticks = self.names.iter().enumerate();
            let ticks = ticks.map(|(index, name)| Tick { value: index as f64, label: name.clone() }).collect();
            return Span { low: -0.6, high: self.names.len() as f64 - 0.4, ticks, scale: Scale::Linear };
        }
        let [low, high] = self.range.unwrap_or_else(|| {
            let bounds = values
                .filter(|&value| self.scale.bears(value))
                .fold([f64::INFINITY, f64::NEG_INFINITY], |[low, high], value| [low.min(value), high.max(value)]);
            if bounds[0] > bounds[1] { [1.0, 2.0] } else { bounds }
        });
        let mut span = match self.scale {
            Scale::Linear => self.linear(low, high),
            Scale::Log => self.log_span(low, high),
        };
        if !self.at.is_empty() {
            span.ticks = self.at.iter().map(|&value| Tick { value, label: significant(value) }).collect();
        }
        span
    }

    fn linear(&self, low: f64, high: f64) -> Span {
        // One value alone gets room on both sides.
        let several = high - low > 1.0 / FURTHEST;
        let room = if several { (high - low) * self.padding } else { (low.abs() * 0.1).max(0.5) };
        let room = if self.range.is_some() && several { 0.0 } else { room };
        let (mut low, mut high) = (low - room, high + room);
        let step = match self.unit {
            Unit::Count => whole((high - low) / 7.0),
            Unit::Plain | Unit::Percent => nice((high - low) / 7.0),
        };
        if self.unit != Unit::Count && self.range.is_none() && self.padding == 0.0 {
            (low, high) = ((low / step + 1e-9).floor() * step, (high / step - 1e-9).ceil() * step);
        }
        let digits = match self.unit {
            Unit::Plain | Unit::Count => decimals(step),
            Unit::Percent => decimals(step * 100.0),
        };
        let first = (low / step - 1e-9).ceil() as i64;
        let last = (high / step + 1e-9).floor() as i64;
        let ticks = (first..=last).map(|index| {
            let value = index as f64 * step;
            let label = match self.unit {
                Unit::Plain | Unit::Count => format!("{value:.digits$}"),
                Unit::Percent => format!("{:.digits$} %", value * 100.0),
            };
            Tick { value, label }
        });
        Span { low, high, ticks: ticks.collect(), scale: Scale::Linear }
    }

    fn log_span(&self, low: f64, high: f64) -> Span {
        let (low, high) = match self.range {
            Some(_) => (low, high),
            // A little room, so that no point is on the frame.
            None => {
                let room = (high / low).powf(self.padding).max(1.25);
                (low / room, high * room)
            }
        };
        let decades = (high / low).log10();
        // Labels of many decades would overlap.
        let every = (decades / 8.0).ceil().max(1.0) as i32;
        let numbered = |digit: u32| digit == 1 || decades < 4.0 && matches!(digit, 2 | 5);
        let mut ticks = Vec::new();
        for exponent in (low.log10().floor() as i32)..=(high.log10().ceil() as i32) {
            for digit in 1..10 {
                let value = f64::from(digit) * 10f64.powi(exponent);
                if value < low * (1.0 - 1e-9)
                    || value > high * (1.0 + 1e-9)
                    || decades > 8.0 && (digit > 1 || exponent % every != 0)
                {
                    continue;
                }
                let label = if numbered(digit) { self.log_label(value, exponent) } else { String::new() };
                ticks.push(Tick { value, label });
            }
        }
        Span { low, high, ticks, scale: Scale::Log }
    }

    fn log_label(&self, value: f64, exponent: i32) -> String {
        let (value, exponent, unit) = match self.unit {
            Unit::Plain | Unit::Count => (value, exponent, ""),
            Unit::Percent => (value * 100.0, exponent + 2, " %"),
        };
        if !(-3..6).contains(&exponent) {
            return format!("{value:.0e}{unit}");
        }
        let digits = (-exponent).max(0) as usize;
        format!("{value:.digits$}{unit}")
    }
}

impl Span {
    /// The position of a value: 0 at the low end, 1 at the high one. `None` if the axis cannot show it.
    pub fn place(&self, value: f64) -> Option<f64> {
        let part = match self.scale {
            _ if !self.scale.bears(value) => return None,
            Scale::Linear => (value - self.low) / (self.high - self.low),
            Scale::Log => (value / self.low).ln() / (self.high / self.low).ln(),
        };
        part.is_finite().then_some(part)
    }
}

/// Whether values belong on a logarithmic axis: all above 0, the largest at least ten times the smallest, and either further
/// apart than 20 times or with steps of about the same ratio, as learning rates and batch sizes are chosen.
pub(crate) fn suits_log(values: &[f64]) -> bool {
    /// Steps such as 1, 3, 10 count as even, and so do 1, 2, 5, 10.
    const EVEN: f64 = 1.6;
    let mut values: Vec<f64> = values.iter().copied().filter(|value| value.is_finite()).collect();
    values.sort_by(f64::total_cmp);
    values.dedup();
    let (Some(&low), Some(&high)) = (values.first(), values.last()) else { return false };
    if low <= 0.0 || high / low < 10.0 {
        return false;
    }
    let ratios = || values.windows(2).map(|pair| (pair[1] / pair[0]).ln());
    let (least, most) = (ratios().fold(f64::INFINITY, f64::min), ratios().fold(0.0, f64::max));
    high / low > 20.0 || most / least <= EVEN
}

/// The nearest of 1, 2, 2.5, 5 times a power of ten that is not below a step.
fn nice(step: f64) -> f64 {
    let power = 10f64.powf(step.log10().floor());
    [1.0, 2.0, 2.5, 5.0, 10.0].into_iter().map(|digit| digit * power).find(|&s| s >= step * 0.999).unwrap_or(step)
}

/// The nearest of 1, 2, 5 times a power of ten that is a whole number and not below a step.
fn whole(step: f64) -> f64 {
    match nice(step.max(1.0)) {
        step if step.fract() > 0.0 => 5.0,
        step => step,
    }
}

/// Decimals that a step needs.
fn decimals(step: f64) -> usize {
    (0..10)
        .find(|&digits| {
            let scaled = step * 10f64.powi(digits);
            (scaled - scaled.round()).abs() < 1e-6 * scaled
        })
        .unwrap_or(0) as usize
}
