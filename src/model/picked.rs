//! Rows of a batch that stay in it until they are looked at: where much of a batch is of one interval.

use std::ops::Range;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{ArrayRef, RecordBatch, StringArray, UInt32Array};
use arrow_buffer::{Buffer, OffsetBuffer, ScalarBuffer};
use arrow_schema::ArrowError;
use arrow_select::take::take;

use super::packed::SHORT_ROW;
use super::{Packed, Rows, copy};

/// Some rows of a batch, in its order. All of the batch stays in memory as long as they do.
#[derive(Clone, Debug)]
pub struct Picked {
    rows: Arc<Rows>,
    runs: Vec<Range<usize>>,
    count: usize,
}

impl Picked {
    /// The rows of these runs, which are ascending and apart.
    pub fn new(rows: &Arc<Rows>, runs: &[Range<usize>]) -> Picked {
        let count = runs.iter().map(ExactSizeIterator::len).sum();
        Picked { rows: Arc::clone(rows), runs: runs.to_vec(), count }
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Copies them out of the batch; a single run is a slice of it.
    ///
    /// # Errors
    /// When Arrow cannot take the rows apart.
    pub fn unpacked(&self) -> Result<Rows, ArrowError> {
        if let [run] = &self.runs[..] {
            return Ok(self.rows.sliced(run.clone()));
        }
        let numbers = self.runs.iter().flat_map(Clone::clone).map(|row| u32::try_from(row).unwrap_or(u32::MAX));
        let numbers = UInt32Array::from(numbers.collect::<Vec<_>>());
        let column = |array: &ArrayRef| match array.as_string_opt::<i32>() {
            Some(texts) => Ok(Arc::new(self.texts(texts)?) as ArrayRef),
            None => take(array, &numbers, None),
        };
        let columns = self.rows.batch().columns().iter().map(column).collect::<Result<_, ArrowError>>()?;
        let batch = RecordBatch::try_new(self.rows.batch().schema(), columns)?;
        let rows = Rows::new(batch, self.each(self.rows.times()), self.each(self.rows.offsets()));
        Ok(rows
            .map_err(|error| ArrowError::InvalidArgumentError(error.to_string()))?
            .placed(self.rows.places().clone()))
    }

    fn each<T: Copy>(&self, values: &[T]) -> Vec<T> {
        let mut picked = Vec::with_capacity(self.count);
        self.runs.iter().for_each(|run| picked.extend(values[run.clone()].iter().copied()));
        picked
    }

    /// The texts of a run are one piece.
    fn texts(&self, array: &StringArray) -> Result<StringArray, ArrowError> {
        let (from, bytes) = (array.value_offsets(), array.value_data());
        let stretch = |run: &Range<usize>| from[run.start] as usize..from[run.end] as usize;
        let total = self.runs.iter().map(|run| stretch(run).len()).sum::<usize>();
        let (mut ends, mut texts) = (Vec::with_capacity(self.count + 1), vec![0; total + SHORT_ROW]);
        ends.push(0);
        let mut end = 0;
        for run in &self.runs {
            let stretch = stretch(run);
            copy::<SHORT_ROW>(&bytes[stretch.start..], &mut texts[end..], stretch.len());
            let shift = from[run.start] - end as i32;
            ends.extend(from[run.start + 1..=run.end].iter().map(|end| end - shift));
            end += stretch.len();
        }
        texts.truncate(total);
        StringArray::try_new(OffsetBuffer::new(ScalarBuffer::from(ends)), Buffer::from_vec(texts), None)
    }

    /// Packs them.
    ///
    /// # Errors
    /// When a column is of a type that rows do not have.
    pub fn packed(&self) -> Result<Packed, ArrowError> {
        Packed::of(&self.unpacked()?)
    }
}
