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

/// Trees of the forest of a series that is new: about as many as tell a usual point later, by [`Forest::score_from`].
const YOUNG_TREES: usize = 8;

/// Mass above which the forest of a series in its full and in its compact form keeps boxes.
pub(in crate::detect) const BOXES_FULL: usize = 3;
pub(in crate::detect) const BOXES_COMPACT: usize = 24;

/// The settings of a forest; none if the shape were impossible, which the detector's settings exclude.
pub(in crate::detect) fn forest_settings(shape: ForestShape, box_mass: usize) -> Option<Settings> {
    let settings = Settings::new(1, shape.shingle)
        .and_then(|settings| settings.trees(shape.trees))
        .and_then(|settings| settings.young_trees(YOUNG_TREES))
        .and_then(|settings| settings.sample_size(shape.sample))
        .and_then(|settings| settings.time_decay(1.0 / f64::from(shape.time_decay)))
        .and_then(|settings| settings.box_mass(box_mass));
    settings.ok().map(|settings| settings.output_after(POINTS_LEAST))
}

/// How a forest is kept.
#[derive(Clone, Debug, PartialEq)]
enum Kept {
    /// Only if its shape were impossible.
    None,
    Awake(Box<Forest>),
    /// As its snapshot.
    Parked(Box<[u8]>),
}

/// The forest of one series, and the tails of its scores.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::detect) struct ForestEvidence {
    forest: Kept,
    depth: Tail,
    mass: Tail,
}

impl ForestEvidence {
    /// Of a series that nothing is known of.
    pub(in crate::detect) fn new(shape: ForestShape, seed: u64) -> ForestEvidence {
        let settings = forest_settings(shape, BOXES_FULL);
        let forest = settings.map(|settings| Box::new(Forest::new(settings.seed(seed))));
        ForestEvidence {
            forest: forest.map_or(Kept::None, Kept::Awake),
            depth: Tail::new(DEPTH.1, DEPTH.2),
            mass: Tail::new(MASS.1, MASS.2),
        }
    }

    /// Scores of the shingle that ends with `z`; none while there is too little to compare with. Those of a usual one are
    /// the mean over a part of the trees: they are below both marks, and it matters little how far.
    pub(in crate::detect) fn scores(&mut self, z: f64) -> Option<Scores> {
        let least = Scores {
            expected_depth: self.depth.threshold() / DEPTH.0,
            log_mass: self.mass.threshold() / MASS.0,
            displacement: f64::INFINITY,
        };
        let forest = self.awake().filter(|forest| forest.is_ready())?;
        forest.score_from(&[z.clamp(-CUT, CUT)], &least).ok()
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
        if let Some(forest) = self.awake() {
            // a finite number of the right length is never refused
            let _refused = forest.update(&[z.clamp(-CUT, CUT)]);
        }
    }

    /// Keeps the forest as its snapshot until it is needed.
    pub(in crate::detect) fn park(&mut self) {
        if let Kept::Awake(forest) = &self.forest {
            self.forest = Kept::Parked(forest.to_bytes().into_boxed_slice());
        }
    }

    /// Wakes the forest, and keeps its boxes above this mass.
    pub(in crate::detect) fn set_box_mass(&mut self, mass: usize) {
        if let Some(forest) = self.awake() {
            // the masses of the forms are in range
            let _refused = forest.set_box_mass(mass);
        }
    }

    /// Bytes of a parked forest.
    pub(in crate::detect) fn parked_bytes(&self) -> usize {
        if let Kept::Parked(bytes) = &self.forest { bytes.len() } else { 0 }
    }

    /// Bytes on the heap.
    pub(in crate::detect) fn heap_bytes(&self) -> usize {
        match &self.forest {
            Kept::None => 0,
            Kept::Awake(forest) => forest.memory_bytes(),
            Kept::Parked(bytes) => bytes.len(),
        }
    }

    fn awake(&mut self) -> Option<&mut Forest> {
        if let Kept::Parked(bytes) = &self.forest {
            // they are our own, and a snapshot that was restored has been checked
            self.forest = Forest::from_bytes(bytes).map_or(Kept::None, |forest| Kept::Awake(Box::new(forest)));
        }
        if let Kept::Awake(forest) = &mut self.forest { Some(forest) } else { None }
    }
}

impl Codec for ForestEvidence {
    fn write(&self, to: &mut Writer) {
        match &self.forest {
            Kept::None => 0u8.write(to),
            Kept::Awake(forest) => {
                1u8.write(to);
                to.text(&forest.to_bytes());
            }
            Kept::Parked(bytes) => {
                2u8.write(to);
                to.text(bytes);
            }
        }
        self.depth.write(to);
        self.mass.write(to);
    }
    fn read(from: &mut Reader<'_>) -> Result<Self, SnapshotError> {
        let wrong = |_| SnapshotError::Inconsistent("a forest");
        let tag = u8::read(from)?;
        let forest = match tag {
            0 => Kept::None,
            1 | 2 => {
                let bytes = from.text()?;
                let forest = Forest::from_bytes(bytes).map_err(wrong)?;
                if tag == 1 { Kept::Awake(Box::new(forest)) } else { Kept::Parked(bytes.into()) }
            }
            _ => return Err(SnapshotError::Inconsistent("a forest")),
        };
        Ok(ForestEvidence { forest, depth: Tail::read(from)?, mass: Tail::read(from)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shape_never_seen_surprises_and_survives_a_snapshot() {
        let mut evidence = ForestEvidence::new(ForestShape { trees: 30, sample: 128, shingle: 4, time_decay: 2560 }, 7);
        for step in 0..600u32 {
            let z = f64::from(step % 3) - 1.0 + 0.01 * f64::from(step * 37 % 11);
            let scores = evidence.scores(z);
            evidence.learn(z, scores.as_ref());
        }
        let mut surprise = |z: f64| {
            let scores = evidence.scores(z).unwrap();
            evidence.surprise(&scores)
        };
        let (odd, usual) = (surprise(7.0), surprise(-1.0));
        assert!(odd > usual + 1.0, "{odd} {usual}");
        let mut writer = Writer::default();
        evidence.write(&mut writer);
        let mut copy = ForestEvidence::read(&mut writer.reader()).unwrap();
        assert_eq!(copy.scores(3.0), evidence.scores(3.0));
        let before = copy.heap_bytes();
        copy.park();
        assert!(copy.parked_bytes() * 2 < before && copy.heap_bytes() == copy.parked_bytes());
        let mut writer = Writer::default();
        copy.write(&mut writer);
        assert_eq!(ForestEvidence::read(&mut writer.reader()).unwrap(), copy, "a parked one stays parked");
        assert_eq!(copy.scores(3.0), evidence.scores(3.0), "until it is needed");
        assert_eq!(copy.parked_bytes(), 0);
    }
}
