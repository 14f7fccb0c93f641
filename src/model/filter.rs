//! Equality filters: a column and the values that pass. Text columns compare as text. Measures compare as numbers, so
//! that `5.0` and `5` are the same float; the empty value stands for a missing number. Rows are filtered on their way into
//! the line, and what a measure takes of them is filtered in the same words.

use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type};

use super::ColumnType;

/// Rows pass whose column has one of the values.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Filter {
    /// Any column of the records, also one that does not go on.
    pub column: String,
    /// The values.
    pub values: Vec<String>,
}

/// A filter that no row can be compared with.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("filter on `{column}`: `{value}` is not {wanted}, as the values of this measure are")]
pub struct FilterError {
    column: String,
    value: String,
    wanted: &'static str,
}

/// A batch whose column is not of the type that a filter was made for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("column `{0}` is not of the type asked for")]
pub struct WrongColumn(String);

/// A filter on one column of the batch.
#[derive(Clone, Debug)]
pub struct Check {
    column: String,
    at: usize,
    values: Values,
}

/// Values as the column has them; a missing number is none.
#[derive(Clone, Debug)]
enum Values {
    Text(Vec<String>),
    Integer(Vec<Option<i64>>),
    Float(Vec<Option<f64>>),
}

impl Check {
    /// The filter for the column at index `at`, which is of type `kind`.
    ///
    /// # Errors
    /// When the column is numeric and a value is no number.
    pub fn new(filter: &Filter, at: usize, kind: ColumnType) -> Result<Check, FilterError> {
        let values = match kind {
            ColumnType::Text => Values::Text(filter.values.clone()),
            ColumnType::Integer => Values::Integer(numbers(filter, "an integer")?),
            ColumnType::Float => Values::Float(numbers(filter, "a number")?),
        };
        Ok(Check { column: filter.column.clone(), at, values })
    }

    /// Clears the mark of each row that does not pass.
    ///
    /// # Errors
    /// When the batch does not have the column, or it is of another type.
    pub fn apply(&self, batch: &RecordBatch, keep: &mut [bool]) -> Result<(), WrongColumn> {
        let wrong = || WrongColumn(self.column.clone());
        let column = batch.columns().get(self.at).ok_or_else(wrong)?;
        match &self.values {
            Values::Text(values) => {
                let column = column.as_string_opt::<i32>().ok_or_else(wrong)?;
                mark(keep, column.iter(), |text| values.iter().any(|value| value == text.unwrap_or_default()));
            }
            Values::Integer(values) => {
                let column = column.as_primitive_opt::<Int64Type>().ok_or_else(wrong)?;
                mark(keep, column.iter(), |number| values.contains(&number));
            }
            Values::Float(values) => {
                let column = column.as_primitive_opt::<Float64Type>().ok_or_else(wrong)?;
                mark(keep, column.iter(), |number| values.contains(&number));
            }
        }
        Ok(())
    }
}

fn mark<T>(keep: &mut [bool], values: impl Iterator<Item = T>, passes: impl Fn(T) -> bool) {
    for (keep, value) in keep.iter_mut().zip(values) {
        *keep = *keep && passes(value);
    }
}

fn numbers<T: std::str::FromStr>(filter: &Filter, wanted: &'static str) -> Result<Vec<Option<T>>, FilterError> {
    let number = |value: &String| match value.trim() {
        "" => Ok(None),
        text => text.parse().map(Some).map_err(|_| FilterError {
            column: filter.column.clone(),
            value: value.clone(),
            wanted,
        }),
    };
    filter.values.iter().map(number).collect()
}
