//! What the detector of records is told. Values are checked here once.

use std::ops::RangeInclusive;

use super::keys;
use super::scale::Scaling;
use crate::rcf;

/// Most columns of one forest, as in Kinesis Data Analytics.
pub const COLUMNS_MAX: usize = 30;
/// Trees of a forest.
pub const TREES: RangeInclusive<u64> = 1..=253;
/// Records that each tree keeps.
pub const SAMPLE: RangeInclusive<u64> = 2..=256;
/// Consecutive records that make a point.
pub const SHINGLE: RangeInclusive<u64> = 1..=30;
/// Records after which a record's chance to be kept has fallen to 1/e.
pub const TIME_DECAY: RangeInclusive<u64> = 3..=2_147_483_647;

/// Settings of a detector of records.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Name and index of each scored column among the measures of [`crate::model::Columns`].
    columns: Vec<(String, usize)>,
    forest: rcf::Settings,
    scaling: Scaling,
    per_key: bool,
    attribution: bool,
    seed: u64,
    memory_bytes: u64,
    description: Vec<(String, String)>,
}

/// What cannot be a setting of a detector of records.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum SettingsError {
    /// Too few columns, or too many.
    #[error("{0} columns are scored together; hint: use 1 to {COLUMNS_MAX}")]
    Columns(usize),
    /// Points that are too long.
    #[error(
        "{columns} columns with a shingle of {shingle} make points of more than 256 values; hint: use a shorter shingle"
    )]
    Lanes {
        /// Scored columns.
        columns: usize,
        /// Records in a point.
        shingle: u64,
    },
    /// A tree that forgets before it is full.
    #[error(
        "the sample of {sample} records is not smaller than the time decay of {time_decay}; hint: use ten times the sample or more"
    )]
    Decay {
        /// Records in a tree.
        sample: u64,
        /// Records after which they are forgotten.
        time_decay: u64,
    },
    /// A number out of range.
    #[error("the forest is impossible: {0}")]
    Forest(#[from] rcf::SettingsError),
}

/// The numbers of a forest of records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Trees.
    pub trees: u64,
    /// Records kept per tree.
    pub sample: u64,
    /// Consecutive records that make a point.
    pub shingle: u64,
    /// Records after which a record's chance to be kept has fallen to 1/e.
    pub time_decay: u64,
    /// Records of a forest that are scored 0: it learns.
    pub ready_after: u64,
}

impl Settings {
    /// Settings for these columns, by name and index among the measures, of one forest for all keys.
    ///
    /// # Errors
    /// When a number is out of range.
    pub fn new(columns: Vec<(String, usize)>, shape: Shape, seed: u64) -> Result<Settings, SettingsError> {
        let Shape { trees, sample, shingle, time_decay, ready_after } = shape;
        if !(1..=COLUMNS_MAX).contains(&columns.len()) {
            return Err(SettingsError::Columns(columns.len()));
        }
        if sample >= time_decay {
            return Err(SettingsError::Decay { sample, time_decay });
        }
        let number = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
        let lanes = SettingsError::Lanes { columns: columns.len(), shingle };
        #[expect(clippy::cast_precision_loss, reason = "at most 2^31")]
        let forest = rcf::Settings::new(columns.len(), number(shingle))
            .map_err(|_| lanes)?
            .trees(number(trees))?
            .sample_size(number(sample))?
            .time_decay(1.0 / time_decay as f64)?
            // a point is complete with the last record of its first shingle
            .output_after((ready_after + 1).saturating_sub(shingle).max(1));
        let names: Vec<String> = columns.iter().map(|(name, index)| format!("{name} ({index})")).collect();
        let pairs = [
            ("input", "records".to_owned()),
            ("columns", names.join(", ")),
            ("trees", trees.to_string()),
            ("sample", sample.to_string()),
            ("shingle", shingle.to_string()),
            ("time decay", time_decay.to_string()),
            ("ready after", ready_after.to_string()),
            ("seed", seed.to_string()),
        ];
        let description = pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        let memory_bytes = crate::detect::MEMORY_BYTES;
        let (per_key, attribution, scaling) = (false, true, Scaling::None);
        Ok(Settings { columns, forest, scaling, per_key, attribution, seed, memory_bytes, description })
    }

    /// Sets what is done about columns of different size.
    #[must_use]
    pub fn with_scaling(mut self, scaling: Scaling) -> Settings {
        self.scaling = scaling;
        self
    }

    /// Gives each key a forest of its own, as far as memory goes.
    #[must_use]
    pub fn with_forest_per_key(mut self, per_key: bool) -> Settings {
        self.per_key = per_key;
        self
    }

    /// Sets whether the shares of the columns are told.
    #[must_use]
    pub fn with_attribution(mut self, attribution: bool) -> Settings {
        self.attribution = attribution;
        self
    }

    /// Sets the bytes that all forests may take together. Who has a forest follows from it, so a state is of one budget.
    #[must_use]
    pub fn with_memory(mut self, bytes: u64) -> Settings {
        self.memory_bytes = bytes;
        self
    }

    /// The scored columns: name, and index among the measures.
    pub fn columns(&self) -> &[(String, usize)] {
        &self.columns
    }

    /// The forest of one key, but for its seed.
    pub fn forest(&self) -> &rcf::Settings {
        &self.forest
    }

    /// What is done about columns of different size.
    pub fn scaling(&self) -> Scaling {
        self.scaling
    }

    /// Whether each key has a forest of its own.
    pub fn per_key(&self) -> bool {
        self.per_key
    }

    /// Whether the shares of the columns are told.
    pub fn attribution(&self) -> bool {
        self.attribution
    }

    /// Seed of all forests.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Bytes that one forest takes at most, with its key.
    pub fn forest_bytes_max(&self) -> u64 {
        keys::forest_bytes_max(self)
    }

    /// Keys that have a forest of their own, at most.
    pub fn keys_max(&self) -> usize {
        keys::capacity(self)
    }

    /// Bytes that all forests may take together.
    pub fn memory_bytes(&self) -> u64 {
        self.memory_bytes
    }

    /// Names and values of everything that shapes the state.
    pub(super) fn description(&self) -> Vec<(String, String)> {
        let rest = [
            ("scale", self.scaling.name().to_owned()),
            ("forest per key", self.per_key.to_string()),
            ("memory", format!("{} bytes", self.memory_bytes)),
        ];
        let rest = rest.into_iter().filter(|(name, _)| self.per_key || *name != "memory");
        let rest = rest.map(|(name, value)| (name.to_owned(), value));
        self.description.iter().cloned().chain(rest).collect()
    }
}
