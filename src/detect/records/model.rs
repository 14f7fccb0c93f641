//! One forest of records, with the scale of its columns: a record in; its score, and what each column adds to it, out.

use super::scale::{Scale, Scaling};
use super::settings::Settings;
use crate::detect::snapshot::{Codec, Reader, SnapshotError, Writer};
use crate::model::{Direction, SeriesKey};
use crate::rcf::{Attribution, Forest};

/// One forest.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Model {
    forest: Box<Forest>,
    scale: Option<Scale>,
    /// Its records, each counting less the older it is: see `keys`.
    pub(super) weight: f64,
}

/// What is said of one record.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Said {
    pub(super) score: f64,
    /// One entry per column; empty where none are asked for.
    pub(super) shares: Vec<Share>,
}

/// What one column adds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Share {
    pub(super) direction: Direction,
    pub(super) strength: f64,
    pub(super) score: f64,
}

impl Model {
    /// The forest of a key, that of all keys where there is none.
    pub(super) fn new(settings: &Settings, key: Option<&SeriesKey>) -> Model {
        let forest = settings.forest().clone().seed(seed_of(settings.seed(), key));
        let columns = settings.columns().len();
        let scale = (settings.scaling() == Scaling::Normalize).then(|| Scale::new(columns));
        Model { forest: Box::new(Forest::new(forest)), scale, weight: 0.0 }
    }

    /// Scores a record of finite values, then learns it. What the columns add is told of scores of `least` or more.
    pub(super) fn observe(&mut self, record: &[f64], least: Option<f64>) -> Said {
        let Some(scale) = &mut self.scale else { return self.scaled(record, least) };
        let scaled = scale.scaled(record);
        let waited = scale.learn(record, REACH);
        for record in waited {
            let _learned = self.scaled(&record, None);
        }
        scaled.map_or_else(Said::default, |record| self.scaled(&record, least))
    }

    /// Learns a record as [`Model::observe`] does, without a word about it.
    pub(super) fn learn(&mut self, record: &[f64]) {
        let Some(scale) = &mut self.scale else {
            let _refused = self.forest.update(record);
            return;
        };
        let scaled = scale.scaled(record);
        let waited = scale.learn(record, REACH);
        for record in waited.into_iter().chain(scaled) {
            let _refused = self.forest.update(&record);
        }
    }

    fn scaled(&mut self, record: &[f64], least: Option<f64>) -> Said {
        // finite numbers of the right length are never refused
        let score = self.forest.score(record).map_or(0.0, |scores| scores.expected_depth);
        let is_told = score > 0.0 && least.is_some_and(|least| score >= least);
        let shares = if is_told { self.shares(record, score) } else { Vec::new() };
        let _refused = self.forest.update(record);
        Said { score, shares }
    }

    fn shares(&self, record: &[f64], score: f64) -> Vec<Share> {
        let Ok(attribution) = self.forest.attribution(record) else { return Vec::new() };
        shares(&attribution, record.len(), score)
    }

    pub(super) fn is_ready(&self) -> bool {
        self.forest.is_ready()
    }

    pub(super) fn memory_bytes(&self) -> usize {
        size_of::<Model>() + self.forest.memory_bytes()
    }

    /// Whether it is a forest of these settings.
    pub(super) fn fits(&self, settings: &Settings, key: Option<&SeriesKey>) -> bool {
        let seeded = settings.forest().clone().seed(seed_of(settings.seed(), key));
        let columns = settings.columns().len();
        let has_scale = settings.scaling() == Scaling::Normalize;
        *self.forest.settings() == seeded
            && self.scale.is_some() == has_scale
            && self.scale.as_ref().is_none_or(|scale| scale.fits(columns))
            && self.weight.is_finite()
    }
}

/// Mean and deviation reach back so many records, as many as a tree commonly keeps.
const REACH: usize = 256;

/// What each column adds, over all records of the point, so that together they are the score. The forest computes scores
/// with fewer digits than shares; the shares are what is brought into line.
fn shares(attribution: &Attribution, columns: usize, score: f64) -> Vec<Share> {
    let sum = attribution.sum();
    let factor = if sum > 0.0 { score / sum } else { 0.0 };
    let of = |lanes: &[f64], column: usize| lanes.iter().skip(column).step_by(columns).sum::<f64>() * factor;
    let share = |column| {
        let (high, low) = (of(&attribution.high, column), of(&attribution.low, column));
        let direction = if high >= low { Direction::High } else { Direction::Low };
        Share { direction, strength: (high - low).abs(), score: high + low }
    };
    (0..columns).map(share).collect()
}

/// FNV-1a over the key, mixed with the job's seed: every key has a seed of its own.
fn seed_of(seed: u64, key: Option<&SeriesKey>) -> u64 {
    let values = key.into_iter().flat_map(SeriesKey::values);
    let bytes = values.flat_map(|value| value.bytes().chain([0xff]));
    bytes.fold(0xcbf2_9ce4_8422_2325_u64 ^ seed, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

impl Codec for Model {
    fn write(&self, to: &mut Writer) {
        to.text(&self.forest.to_bytes());
        self.scale.write(to);
        self.weight.write(to);
    }
    fn read(from: &mut Reader<'_>) -> Result<Model, SnapshotError> {
        let forest = Forest::from_bytes(from.text()?).map_err(|_| SnapshotError::Inconsistent("a forest"))?;
        Ok(Model { forest: Box::new(forest), scale: Option::read(from)?, weight: f64::read(from)? })
    }
}
