//! Which rows stay, and which of their columns go on. A row stays when each filtered column has one of its values. Rows
//! that do not stay are marked and not removed, because their event times still move the watermark. Before that, rows may
//! be given more columns: see [`Joiner`].

mod reference;

use arrow_array::RecordBatch;
use arrow_schema::ArrowError;

use crate::model::{Batch, Check, Chunk, ColumnType, Columns, Decoded, RowsError, WrongColumn};

pub use self::reference::{Joiner, Missing, Reference, Table, TableError};
pub use crate::model::{Filter, FilterError};

/// What to keep.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The columns that go on.
    pub columns: Columns,
    /// All of them must hold.
    pub filters: Vec<Filter>,
}

impl Settings {
    /// What decode must give: the columns that go on, in order, then those that only a filter needs, as text.
    pub fn decode_columns(&self) -> Vec<(String, ColumnType)> {
        let mut columns: Vec<(String, ColumnType)> =
            self.columns.fields().map(|(name, kind)| (name.to_owned(), kind)).collect();
        for filter in &self.filters {
            if !columns.iter().any(|(name, _)| *name == filter.column) {
                columns.push((filter.column.clone(), ColumnType::Text));
            }
        }
        columns
    }
}

/// Why rows cannot be selected: a mistake in this program, since decode gives what [`Settings::decode_columns`] asks for.
#[derive(Debug, thiserror::Error)]
pub enum SelectError {
    /// The batch does not have the columns.
    #[error("decoded columns are not those asked for: {0}")]
    Columns(#[from] ArrowError),
    /// Rows do not fit together.
    #[error("selected rows do not fit together: {0}")]
    Rows(#[from] RowsError),
    /// A column is of another type.
    #[error("decoded {0}")]
    Type(#[from] WrongColumn),
    /// A column is not there.
    #[error("decoded columns have no `{0}` that can be joined on")]
    Missing(String),
}

/// Selects rows.
#[derive(Debug)]
pub struct Selector {
    /// How many columns go on: the first of the batch.
    projection: Vec<usize>,
    checks: Vec<Check>,
}

impl Selector {
    /// Prepares the filters.
    ///
    /// # Errors
    /// When a filter on a numeric column has a value that is no number.
    pub fn new(settings: &Settings) -> Result<Selector, FilterError> {
        let decoded = settings.decode_columns();
        let check = |filter: &Filter| {
            let at = decoded.iter().position(|(name, _)| *name == filter.column);
            let at = at.unwrap_or(decoded.len());
            let kind = decoded.get(at).map_or(ColumnType::Text, |(_, kind)| *kind);
            Check::new(filter, at, kind)
        };
        Ok(Selector {
            projection: (0..settings.columns.fields().count()).collect(),
            checks: settings.filters.iter().map(check).collect::<Result<_, _>>()?,
        })
    }

    /// Marks the rows of a chunk that stay and drops the columns that only filters needed.
    ///
    /// # Errors
    /// When the rows do not have the columns of [`Settings::decode_columns`].
    pub fn select(&mut self, chunk: Chunk, decoded: Decoded) -> Result<Batch, SelectError> {
        let Decoded { rows, rejects } = decoded;
        let keep = self.keep(rows.batch())?;
        Ok(Batch { rows: rows.projected(&self.projection)?, keep, rejects, dropped: Vec::new(), chunk })
    }

    fn keep(&self, batch: &RecordBatch) -> Result<Vec<bool>, SelectError> {
        let mut keep = vec![true; batch.num_rows()];
        for check in &self.checks {
            check.apply(batch, &mut keep)?;
        }
        Ok(keep)
    }
}

#[cfg(test)]
mod tests;
