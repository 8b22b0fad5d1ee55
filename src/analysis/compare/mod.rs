//! Compares runs: [`Records`] in, a table for people or for programs out.
//!
//! Functions over epochs add columns ([`functions`]), conditions select rows ([`filter`]), rows that differ in the seed alone
//! are grouped ([`group`]), differences are paired at equal seeds ([`difference`]) and published values are checked
//! ([`expected`]). [`view`] writes the result in the columns that [`columns`] selects and the order of [`order`].

mod columns;
mod difference;
mod epochs;
mod expected;
mod filter;
mod functions;
mod group;
mod order;
mod paths;
mod view;

#[cfg(test)]
mod tests;

pub use epochs::epochs;
pub use filter::Where;

use crate::config::nearest;
use crate::input_error::IsInputError;
use crate::runs::{Column, ColumnRole, Records, RunError, Table};
use difference::against;

/// Why a comparison cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum CompareError {
    #[error("there is no column `{column}`: {hint}")]
    Column { column: String, hint: String },
    #[error("`{text}`: {hint}")]
    Function { text: String, hint: String },
    #[error("`{0}` is not a condition: a column, one of = != < <= > >= ~ (contains), and a value, as in train.lr=0.1")]
    Condition(String),
    #[error("no row matches: `{column}` is one of {values}")]
    Nothing { column: String, values: String },
    #[error("no run is the baseline `{baseline}`: {hint}")]
    NoBaseline { baseline: String, hint: String },
    #[error(
        "the baseline `{baseline}` is {count} experiments, and the others cannot be paired with them: \
         add conditions (--baseline KEY=VALUE can be given more than once)"
    )]
    SeveralBaselines { baseline: String, count: usize },
    #[error("there is no result to compare; --metric COLUMN selects a column")]
    NoMetric,
    #[error("--sort delta sorts by the difference from a baseline: give --baseline NAME or KEY=VALUE")]
    NoDelta,
    #[error(transparent)]
    Epochs(#[from] RunError),
}

impl IsInputError for CompareError {}

/// What to show, and how.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// All must hold.
    pub conditions: Vec<Where>,
    /// Show these columns only; may be functions over epochs.
    pub columns: Option<Vec<String>>,
    /// Show columns that do not differ, too.
    pub all: bool,
    /// One line for each run.
    pub runs: bool,
    /// Group rows by these columns, instead of all settings but the seed.
    pub by: Option<Vec<String>>,
    /// A name, or conditions; empty for none.
    pub baseline: Vec<String>,
    /// The result to compare and sort by.
    pub metric: Option<String>,
    /// A column, and whether to sort in descending order.
    pub sort: Option<(String, bool)>,
    pub top: Option<usize>,
    /// For programs: means and deviations in separate columns, texts in full.
    pub plain: bool,
}

/// The result of a comparison.
#[derive(Clone, Debug, Default)]
pub struct Comparison {
    pub table: Table,
    /// The rows of the records behind each line of the table.
    pub groups: Vec<Vec<usize>>,
    /// A label for each line: its name and what distinguishes it from other lines of that name.
    pub labels: Vec<String>,
    /// The columns of the records that distinguish lines.
    pub settings: Vec<usize>,
    /// The column of the records that is the result to compare.
    pub metric: Option<usize>,
    /// Notes for the reader.
    pub notes: Vec<String>,
}

/// Compares runs.
///
/// # Errors
/// When a column does not exist, or no row satisfies the conditions or is the baseline.
pub fn compare(records: &mut Records, request: &Request) -> Result<Comparison, CompareError> {
    let asked = request.columns.iter().chain(&request.by).flatten().map(String::as_str);
    let asked = asked
        .chain(request.conditions.iter().map(|condition| condition.column.as_str()))
        .chain(request.metric.as_deref())
        .chain(request.sort.iter().map(|(column, _)| column.as_str()).filter(|column| *column != order::DELTA));
    functions::add_columns(records, asked)?;
    let records = &*records;
    let rows = filter::select(records, &request.conditions)?;
    let by: Option<Vec<usize>> =
        request.by.as_ref().map(|by| by.iter().filter_map(|column| records.column(column)).collect());
    let groups = match request.runs {
        true => rows.iter().map(|&row| vec![row]).collect(),
        false => group::groups(records, &rows, by.as_deref()),
    };
    let metric = metric(records, request);
    let mut lines = view::lines(records, &groups);
    if !request.baseline.is_empty() {
        let metric = metric.ok_or(CompareError::NoMetric)?;
        for (line, against) in lines.iter_mut().zip(against(records, &groups, &request.baseline)?) {
            line.difference = match against {
                difference::Against::Group(base) => difference::difference(records, &line.rows, &groups[base], metric),
                _ => None,
            };
            line.against = Some(against);
        }
    }
    order::sort(records, &mut lines, request, metric)?;
    if let Some(top) = request.top {
        lines.truncate(top);
    }
    Ok(view::view(records, lines, &rows, request, metric))
}

/// The result to compare: the requested one, else validation Top-1, which unlike test Top-1 may be looked at often.
fn metric(records: &Records, request: &Request) -> Option<usize> {
    if let Some(metric) = &request.metric {
        return records.column(metric);
    }
    let has_cells = |column: &usize| records.rows.iter().any(|row| !row[*column].is_empty());
    let known = [Column::ValTop1, Column::TestTop1].map(Column::name).into_iter();
    let known = known.flat_map(|name| [name.to_owned(), format!("{name}_mean")]);
    known.filter_map(|name| records.column(&name)).find(has_cells).or_else(|| {
        (0..records.columns.len()).filter(|&column| records.role(column) == ColumnRole::Result).find(has_cells)
    })
}

/// Longer lists of columns are cut.
const LISTED: usize = 12;

/// The error for a column that does not exist, with the nearest name.
fn unknown_column(table: &Table, column: &str) -> CompareError {
    let columns: Vec<&str> = table.columns.iter().map(String::as_str).collect();
    let ends: Vec<&str> = columns.iter().copied().filter(|known| known.rsplit('.').next() == Some(column)).collect();
    let hint = match (suggested(column, &columns), ends.as_slice()) {
        (_, [end]) => format!("did you mean `{end}`?"),
        (Some(near), _) => format!("did you mean `{near}`?"),
        _ if columns.len() > LISTED => {
            // Keys of experiments are many, and known from their files.
            let plain: Vec<&str> = columns.iter().copied().filter(|name| !name.contains('.')).take(LISTED).collect();
            format!("there are {}, …; --all shows them", plain.join(", "))
        }
        _ => format!("there are {}", columns.join(", ")),
    };
    CompareError::Column { column: column.to_owned(), hint }
}

/// The column that a name refers to: by the name that PyTorch, timm or Keras give an accuracy, such as `val_acc`, or the nearest.
fn suggested<'a>(column: &str, columns: &[&'a str]) -> Option<&'a str> {
    let word = column.to_lowercase().replace(['/', '-', ' ', '@'], "_");
    let (split, rest) = match word.split_once('_') {
        Some(("train" | "test", rest)) => (&word[..word.len() - rest.len() - 1], rest),
        Some(("val" | "valid" | "validation" | "eval", rest)) => ("val", rest),
        _ => ("val", word.as_str()),
    };
    let result = match rest {
        "acc" | "accuracy" | "acc1" | "acc_1" | "top1" | "top_1" | "top1_acc" | "acc_top1" => "top1",
        "categorical_accuracy" | "sparse_categorical_accuracy" | "top1_accuracy" => "top1",
        "acc5" | "acc_5" | "top5" | "top_5" | "top5_acc" | "acc_top5" | "top5_accuracy" => "top5",
        "loss" => "loss",
        _ => return nearest(column, columns),
    };
    let ours = format!("{split}_{result}");
    columns.iter().copied().find(|known| *known == ours).or_else(|| nearest(column, columns))
}
