//! Conditions on rows: `train.lr=0.1`, `macs<4e7`, `name~resnet`.

use super::{CompareError, unknown_column};
use crate::runs::Table;
use std::cmp::Ordering;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    Equal,
    Unequal,
    Below,
    AtMost,
    Above,
    AtLeast,
    Contains,
}

/// A condition on the cell of a column.
#[derive(Clone, Debug, PartialEq)]
pub struct Where {
    /// A column, or a function over epochs.
    pub column: String,
    operator: Operator,
    value: String,
}

impl Where {
    /// Parses `COLUMN OPERATOR VALUE`; operators are = != < <= > >= and ~ for "contains".
    ///
    /// # Errors
    /// When the operator or the column is missing.
    pub fn parse(text: &str) -> Result<Where, CompareError> {
        let wrong = || CompareError::Condition(text.to_owned());
        let start = text.find(['=', '!', '<', '>', '~']).ok_or_else(wrong)?;
        let (column, rest) = text.split_at(start);
        let operators = [
            ("!=", Operator::Unequal),
            ("<=", Operator::AtMost),
            (">=", Operator::AtLeast),
            ("==", Operator::Equal),
            ("=", Operator::Equal),
            ("<", Operator::Below),
            (">", Operator::Above),
            ("~", Operator::Contains),
        ];
        let found = operators.iter().find_map(|&(sign, operator)| Some((operator, rest.strip_prefix(sign)?)));
        let (operator, value) = found.ok_or_else(wrong)?;
        if column.trim().is_empty() {
            return Err(wrong());
        }
        Ok(Where { column: column.trim().to_owned(), operator, value: value.trim().to_owned() })
    }

    /// The condition that a column has this text.
    pub fn equal(column: &str, value: &str) -> Where {
        Where { column: column.to_owned(), operator: Operator::Equal, value: value.to_owned() }
    }

    /// Whether a cell satisfies the condition. Numbers are compared as numbers: `0.1` equals `1e-1`. Any other cell is neither
    /// above nor below a number.
    pub fn holds(&self, cell: &str) -> bool {
        let numbers = cell.parse::<f64>().ok().zip(self.value.parse::<f64>().ok());
        let order = match numbers {
            Some((cell, value)) => cell.partial_cmp(&value),
            None => Some(cell.cmp(&self.value)).filter(|_| !cell.is_empty() && self.value.parse::<f64>().is_err()),
        };
        let equal = order == Some(Ordering::Equal) || cell == self.value;
        match self.operator {
            Operator::Equal => equal,
            Operator::Unequal => !equal,
            Operator::Below => order == Some(Ordering::Less),
            Operator::AtMost => matches!(order, Some(Ordering::Less | Ordering::Equal)),
            Operator::Above => order == Some(Ordering::Greater),
            Operator::AtLeast => matches!(order, Some(Ordering::Greater | Ordering::Equal)),
            Operator::Contains => cell.to_lowercase().contains(&self.value.to_lowercase()),
        }
    }
}

/// The rows that satisfy all conditions.
///
/// # Errors
/// When a column does not exist, or no row is left; the message lists existing values.
pub(super) fn select(table: &Table, conditions: &[Where]) -> Result<Vec<usize>, CompareError> {
    let mut rows: Vec<usize> = (0..table.rows.len()).collect();
    for condition in conditions {
        let column = table.column(&condition.column).ok_or_else(|| unknown_column(table, &condition.column))?;
        let left: Vec<usize> = rows.iter().copied().filter(|&row| condition.holds(&table.rows[row][column])).collect();
        if left.is_empty() {
            let mut values: Vec<&str> = rows.iter().map(|&row| table.rows[row][column].as_str()).collect();
            values.sort_unstable();
            values.dedup();
            let more = if values.len() > 8 { ", …" } else { "" };
            values.truncate(8);
            let values = format!("{}{more}", values.join(", "));
            return Err(CompareError::Nothing { column: condition.column.clone(), values });
        }
        rows = left;
    }
    Ok(rows)
}
