//! Evidence of the random cut forest: is the shape of the last few standardised values unlike all shapes before?
//!
//! One forest per series over a shingle of `z`, the error of the best baseline in mean errors, cut at +-8. A forest on
//! raw sums spends its cuts on the time of day; on `z` it sees what the baselines could not explain. Two of its scores are
//! used, each ranked against its own past on this series: the expected inverse depth, which is sparing with alarms, and
//! the expected log-mass, which ranks narrow spikes better; the larger surprise counts.
//!
//! A forest that has not been given an anomaly does not learn that it is normal: during an episode nothing is taught.

use super::super::settings::ForestShape;
use super::super::snapshot::{Codec, Reader, SnapshotError, Writer};
use super::Tail;
use crate::rcf::{Forest, Scores, Settings};

/// A value further away than this many mean errors is as far as can be.
const CUT: f64 = 8.0;
/// Points before a score is worth ranking.
const POINTS_LEAST: u64 = 24;
/// Scores times these have a unit that a tail can follow, and where the tails begin before they are learned.
const DEPTH: (f64, f64, f64) = (4.0, 5.0, 0.8);
const MASS: (f64, f64, f64) = (10.0, 6.0, 0.8);

/// The forest of one series, and the tails of its scores.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::detect) struct ForestEvidence {
    /// None only if the shape were impossible, which the settings exclude.
    forest: Option<Forest>,
    depth: Tail,
    mass: Tail,
}

impl ForestEvidence {
    /// Of a series that nothing is known of.
    pub(in crate::detect) fn new(shape: ForestShape, seed: u64) -> ForestEvidence {
        let settings = Settings::new(1, shape.shingle)
            .and_then(|settings| settings.trees(shape.trees))
            .and_then(|settings| settings.sample_size(shape.sample));
        ForestEvidence {
            forest: settings.ok().map(|settings| Forest::new(settings.output_after(POINTS_LEAST).seed(seed))),
            depth: Tail::new(DEPTH.1, DEPTH.2),
            mass: Tail::new(MASS.1, MASS.2),
        }
    }

    /// Scores of the shingle that ends with `z`; none while there is too little to compare with.
    pub(in crate::detect) fn scores(&self, z: f64) -> Option<Scores> {
        let forest = self.forest.as_ref().filter(|forest| forest.is_ready())?;
        forest.score(&[z.clamp(-CUT, CUT)]).ok()
    }

    /// `-log10` of the probability of such scores on this series.
    pub(in crate::detect) fn surprise(&self, scores: &Scores) -> f64 {
        let depth = self.depth.surprise(DEPTH.0 * scores.expected_depth);
        let mass = self.mass.surprise(MASS.0 * scores.log_mass);
        depth.max(mass)
    }

    /// Takes a normal value in, with the scores that it had.
    pub(in crate::detect) fn learn(&mut self, z: f64, scores: Option<&Scores>) {
        if let Some(scores) = scores {
            self.depth.learn(DEPTH.0 * scores.expected_depth);
            self.mass.learn(MASS.0 * scores.log_mass);
        }
        if let Some(forest) = &mut self.forest {
            // a finite number of the right length is never refused
            let _refused = forest.update(&[z.clamp(-CUT, CUT)]);
        }
    }

    /// Bytes on the heap.
    pub(in crate::detect) fn heap_bytes(&self) -> usize {
        self.forest.as_ref().map_or(0, |forest| forest.memory_bytes() - size_of::<Forest>())
    }
}

impl Codec for ForestEvidence {
    fn write(&self, to: &mut Writer) {
        self.forest.as_ref().map(Forest::to_bytes).write(to);
        self.depth.write(to);
        self.mass.write(to);
    }
    fn read(from: &mut Reader<'_>) -> Result<Self, SnapshotError> {
        let forest = match Option::<Vec<u8>>::read(from)? {
            Some(bytes) => Some(Forest::from_bytes(&bytes).map_err(|_| SnapshotError::Inconsistent("a forest"))?),
            None => None,
        };
        Ok(ForestEvidence { forest, depth: Tail::read(from)?, mass: Tail::read(from)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shape_never_seen_surprises_and_survives_a_snapshot() {
        let mut evidence = ForestEvidence::new(ForestShape { trees: 30, sample: 128, shingle: 4 }, 7);
        for step in 0..600u32 {
            let z = f64::from(step % 3) - 1.0 + 0.01 * f64::from(step * 37 % 11);
            let scores = evidence.scores(z);
            evidence.learn(z, scores.as_ref());
        }
        let surprise = |z: f64| evidence.surprise(&evidence.scores(z).unwrap());
        assert!(surprise(7.0) > surprise(-1.0) + 1.0, "{} {}", surprise(7.0), surprise(-1.0));
        let mut writer = Writer::default();
        evidence.write(&mut writer);
        let copy = ForestEvidence::read(&mut writer.reader()).unwrap();
        assert_eq!(copy.scores(3.0), evidence.scores(3.0));
    }
}
