//! Comparing runs: rows in, a table for people or for programs out.
//!
//! Every step is a function of tables: conditions choose rows ([`filter`]), functions over epochs add columns
//! ([`epochs`]), rows that differ in the seed alone become groups ([`group`]), differences are paired at equal seeds
//! ([`difference`]), published values are held beside ours ([`expected`]), and [`view`] writes it all down
//! in the columns that [`columns`] chose.

mod columns;
mod difference;
mod expected;
mod filter;
mod functions;
mod group;
mod order;
mod view;

#[cfg(test)]
mod tests;

pub use filter::Where;
pub use group::Group;

use crate::IsInputError;
use crate::analysis::collect::Collection;
use crate::config::nearest;
use crate::runs::RunError;
use crate::runs::Table;
use crate::runs::roles::{Kind, kinds};
use difference::against;

/// Why a comparison cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum CompareError {
    #[error("there is no column `{column}`: {hint}")]
    Column { column: String, hint: String },
    #[error("`{text}`: {hint}")]
    Function { text: String, hint: String },
    #[error("`{0}` is no condition: a column, one of = != < <= > >= ~ (contains), and a value, as in train.lr=0.1")]
    Condition(String),
    #[error("no row is left: `{column}` is one of {values}")]
    Nothing { column: String, values: String },
    #[error("nothing here is the baseline `{baseline}`: {hint}")]
    NoBaseline { baseline: String, hint: String },
    #[error(
        "the baseline `{baseline}` is {count} experiments, and the others cannot be paired with them: \
         give more conditions (--baseline KEY=VALUE, repeatably)"
    )]
    SeveralBaselines { baseline: String, count: usize },
    #[error("there is no result to compare: none of the columns holds one; --metric COLUMN names it")]
    NoMetric,
    #[error("--sort delta is by the difference from a baseline, and there is none: --baseline NAME or KEY=VALUE")]
    NoDelta,
    #[error(transparent)]
    Epochs(#[from] RunError),
}

impl IsInputError for CompareError {}

/// What is to be shown, and how.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// All must hold.
    pub conditions: Vec<Where>,
    /// These and no others, functions over epochs among them.
    pub columns: Option<Vec<String>>,
    /// Columns that do not differ, too.
    pub all: bool,
    /// Every run on a line of its own.
    pub runs: bool,
    /// Groups rows by these columns instead of everything but the seed.
    pub by: Option<Vec<String>>,
    /// A name, or conditions; empty for none.
    pub baseline: Vec<String>,
    /// The result that differences are taken of, and the order goes by.
    pub metric: Option<String>,
    /// A column and whether it falls.
    pub sort: Option<(String, bool)>,
    pub top: Option<usize>,
    /// For programs: means and deviations in columns of their own, every text in full.
    pub plain: bool,
}

/// A comparison, ready to be shown.
#[derive(Clone, Debug, Default)]
pub struct Comparison {
    pub table: Table,
    /// The runs of each line of the table, as rows of the collection.
    pub groups: Vec<Group>,
    /// What each line is called where a word has to do: its name and what else tells it apart.
    pub labels: Vec<String>,
    /// What a reader has to know beside the table.
    pub notes: Vec<String>,
}

/// Compares the rows of a collection.
///
/// # Errors
/// For columns that are not there, conditions that nothing satisfies, and a baseline that is not one.
pub fn compare(collection: &mut Collection, request: &Request) -> Result<Comparison, CompareError> {
    let asked = request.columns.iter().chain(&request.by).flatten().map(String::as_str);
    let asked = asked
        .chain(request.conditions.iter().map(|condition| condition.column.as_str()))
        .chain(request.metric.as_deref())
        .chain(request.sort.iter().map(|(column, _)| column.as_str()).filter(|column| *column != order::DELTA));
    functions::add_columns(collection, asked)?;
    let collection = &*collection;
    let table = &collection.table;
    let kinds = kinds(table);
    let rows = filter::select(table, &request.conditions)?;
    let by: Option<Vec<usize>> =
        request.by.as_ref().map(|by| by.iter().filter_map(|column| table.column(column)).collect());
    let groups = match request.runs {
        true => rows.iter().map(|&row| Group { rows: vec![row] }).collect(),
        false => group::groups(collection, &kinds, &rows, by.as_deref()),
    };
    let metric = metric(table, &kinds, request);
    let mut lines = view::lines(table, groups);
    if !request.baseline.is_empty() {
        let metric = metric.ok_or(CompareError::NoMetric)?;
        let groups: Vec<Group> = lines.iter().map(|line| line.group.clone()).collect();
        let against = against(collection, &kinds, &groups, &request.baseline)?;
        for (line, against) in lines.iter_mut().zip(against) {
            line.difference = match against {
                difference::Against::Group(base) => difference::difference(table, &line.group, &groups[base], metric),
                _ => None,
            };
            line.against = Some(against);
        }
    }
    order::sort(table, &kinds, &mut lines, request, metric)?;
    if let Some(top) = request.top {
        lines.truncate(top);
    }
    Ok(view::view(collection, &kinds, lines, &rows, request, metric))
}

/// The result that counts: what was asked for, else Top-1 on the validation images, which chose nothing but the epoch.
fn metric(table: &Table, kinds: &[Kind], request: &Request) -> Option<usize> {
    if let Some(metric) = &request.metric {
        return table.column(metric);
    }
    let holds = |column: &usize| table.rows.iter().any(|row| !row[*column].is_empty());
    let known = ["val_top1", "val_top1_mean", "test_top1", "test_top1_mean"]
        .into_iter()
        .filter_map(|column| table.column(column))
        .find(holds);
    known.or_else(|| (0..kinds.len()).filter(|&column| kinds[column] == Kind::Result).find(holds))
}

/// Says which columns there are.
fn unknown_column(table: &Table, column: &str) -> CompareError {
    let columns: Vec<&str> = table.columns.iter().map(String::as_str).collect();
    let ends: Vec<&str> = columns.iter().copied().filter(|known| known.rsplit('.').next() == Some(column)).collect();
    let hint = match (nearest(column, &columns), ends.as_slice()) {
        (_, [end]) => format!("did you mean `{end}`?"),
        (Some(near), _) => format!("did you mean `{near}`?"),
        _ if columns.len() > 40 => format!("there are {}, …; --all shows them", columns[..40].join(", ")),
        _ => format!("there are {}", columns.join(", ")),
    };
    CompareError::Column { column: column.to_owned(), hint }
}
