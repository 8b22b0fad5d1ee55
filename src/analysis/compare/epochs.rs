//! A long table of the epochs of all compared runs: a row for each run and epoch, as data frames take it.

use super::{CompareError, Comparison};
use crate::runs::roles::is_accuracy;
use crate::runs::{Column, EpochRow, Epochs, Records, Table};

/// The epochs of the runs of a comparison, line by line: name, key, seed, what differs, and the columns of `epochs.csv`.
/// Accuracies are fractions if `plain`, else in percent. Runs without epochs have no row.
///
/// # Errors
/// When the `epochs.csv` of a run cannot be read.
pub fn epochs(records: &Records, comparison: &Comparison, plain: bool) -> Result<Table, CompareError> {
    let identity = [Column::Name, Column::Key, Column::Seed];
    let is_free = |column: &usize| {
        let name = records.columns[*column].as_str();
        !EpochRow::COLUMNS.contains(&name) && identity.iter().all(|known| known.name() != name)
    };
    let settings: Vec<usize> = comparison.settings.iter().copied().filter(is_free).collect();
    let in_percent = |column: &str| !plain && is_accuracy(column);
    let header = |column: &&str| if in_percent(column) { format!("{column} (%)") } else { (*column).to_owned() };
    let mut table = Table::new(&identity.map(Column::name));
    table.columns.extend(settings.iter().map(|&column| records.columns[column].clone()));
    table.columns.extend(EpochRow::COLUMNS.iter().map(header));
    for &row in comparison.groups.iter().flatten() {
        let folder = records.origin(row).folder.as_deref();
        let Some(epochs) = folder.map_or(Ok(None), Epochs::find)? else { continue };
        let known = identity.map(|column| records.text(row, column).to_owned()).into_iter();
        let known: Vec<String> =
            known.chain(settings.iter().map(|&column| records.cell(row, column).to_owned())).collect();
        for epoch in epochs.iter() {
            let line = epoch.line();
            let cells = EpochRow::COLUMNS.iter().zip(line.trim_end().split(','));
            let cell = |(column, text): (&&str, &str)| match epoch.get(column) {
                Some(fraction) if in_percent(column) => format!("{:.2}", 100.0 * fraction),
                _ => text.to_owned(),
            };
            table.rows.push(known.iter().cloned().chain(cells.map(cell)).collect());
        }
    }
    Ok(table)
}
