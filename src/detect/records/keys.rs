//! Who has a forest of its own, where not all can have one: the keys with the most records lately. All others share one
//! forest, so that each record is scored, and a key without a forest is judged as one of many.
//!
//! Room is given out as keys come. Once it is gone, a key without a forest is weighed by its records, of which each counts
//! half as much with every hour; when an interval has been taken, a key that weighs more than twice as much as the lightest
//! one with a forest takes its place, and learns anew. Twice, so that two keys of about one weight do not take turns.
//!
//! The bound: the forests that fit into the budget by what they take at most, the shared one among them, and at least
//! that; of the keys that wait, [`WAITING_MAX`], the heaviest; a key longer than [`KEY_BYTES_MAX`] shares always.

use std::collections::BTreeMap;

use super::model::Model;
use super::settings::Settings;
use crate::detect::snapshot::{Codec, Reader, SnapshotError, Writer};
use crate::model::SeriesKey;

/// Keys that are weighed without having a forest.
const WAITING_MAX: usize = 10_000;
/// A longer key is not remembered.
const KEY_BYTES_MAX: usize = 1024;
/// What a key and its places in maps take beside its forest, at most.
const KEY_OVERHEAD_BYTES: u64 = 2 * KEY_BYTES_MAX as u64;
/// Records count half as much after so many seconds.
const HALF_LIFE_SECONDS: f64 = 3600.0;
/// So many times heavier than the lightest key with a forest is one that takes its place.
const HEAVIER: f64 = 2.0;

/// The forests.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Keys {
    pub(super) own: BTreeMap<SeriesKey, Model>,
    /// Of all keys that have none of their own.
    pub(super) shared: Option<Model>,
    /// Keys that have none, with their weight.
    pub(super) waiting: BTreeMap<SeriesKey, f64>,
}

/// A key that has got the place of another.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Turn {
    pub(super) come: SeriesKey,
    pub(super) go: SeriesKey,
    /// Of the one that came.
    pub(super) weight: f64,
}

/// Which forest a key goes to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    /// The shared one.
    Shared,
    /// Its own.
    Own(SeriesKey),
}

impl Keys {
    pub(super) fn new() -> Keys {
        Keys { own: BTreeMap::new(), shared: None, waiting: BTreeMap::new() }
    }

    /// Finds the forest of a key, and makes it where there is room.
    pub(super) fn place(&mut self, key: &SeriesKey, settings: &Settings) -> Place {
        let is_short = || key.values().map(str::len).sum::<usize>() <= KEY_BYTES_MAX;
        if settings.per_key() {
            if self.own.contains_key(key) {
                return Place::Own(key.clone());
            }
            if self.own.len() < capacity(settings) && is_short() {
                self.waiting.remove(key);
                self.own.insert(key.clone(), Model::new(settings, Some(key)));
                return Place::Own(key.clone());
            }
        }
        self.shared.get_or_insert_with(|| Model::new(settings, None));
        Place::Shared
    }

    /// Takes a forest out to be worked with; it is to be put back.
    pub(super) fn take(&mut self, place: &Place) -> Option<Model> {
        match place {
            Place::Shared => self.shared.take(),
            Place::Own(key) => self.own.remove(key),
        }
    }

    /// Puts a forest back.
    pub(super) fn put(&mut self, place: Place, model: Model) {
        match place {
            Place::Shared => self.shared = Some(model),
            Place::Own(key) => drop(self.own.insert(key, model)),
        }
    }

    /// Lets all weights age.
    pub(super) fn age(&mut self, seconds: f64) {
        let factor = libm::exp2(-seconds / HALF_LIFE_SECONDS);
        self.own.values_mut().for_each(|model| model.weight *= factor);
        self.waiting.values_mut().for_each(|weight| *weight *= factor);
    }

    /// Weighs the records of a key in an interval.
    #[expect(clippy::cast_precision_loss, reason = "rows of one interval stay far below 2^53")]
    pub(super) fn weigh(&mut self, key: &SeriesKey, rows: usize, settings: &Settings) {
        if !settings.per_key() {
            return;
        }
        if let Some(model) = self.own.get_mut(key) {
            model.weight += rows as f64;
        } else if key.values().map(str::len).sum::<usize>() <= KEY_BYTES_MAX {
            *self.waiting.entry(key.clone()).or_insert(0.0) += rows as f64;
        }
    }

    /// Gives the places of the lightest keys to heavier ones that wait, and forgets the lightest of those. To be called
    /// when an interval has been weighed. Gives who took whose place.
    pub(super) fn turn(&mut self, settings: &Settings) -> Vec<Turn> {
        let order = |a: &(f64, &SeriesKey), b: &(f64, &SeriesKey)| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(b.1));
        let mut waiting: Vec<(f64, &SeriesKey)> = self.waiting.iter().map(|(key, weight)| (*weight, key)).collect();
        waiting.sort_by(order);
        let mut own: Vec<(f64, &SeriesKey)> = self.own.iter().map(|(key, model)| (model.weight, key)).collect();
        // the lightest first
        own.sort_by(|a, b| order(b, a));
        let pairs = waiting.iter().zip(&own).take_while(|(come, go)| come.0 > HEAVIER * go.0);
        let turns: Vec<(SeriesKey, SeriesKey)> = pairs.map(|(come, go)| (come.1.clone(), go.1.clone())).collect();
        let forgotten: Vec<SeriesKey> = waiting.iter().skip(WAITING_MAX).map(|(_, key)| (*key).clone()).collect();
        for key in forgotten {
            self.waiting.remove(&key);
        }
        let turned = turns.into_iter().map(|(come, go)| {
            let gone = self.own.remove(&go).map_or(0.0, |model| model.weight);
            let weight = self.waiting.remove(&come).unwrap_or(0.0);
            self.waiting.insert(go.clone(), gone);
            self.begin(come.clone(), weight, settings);
            Turn { come, go, weight }
        });
        turned.collect()
    }

    /// Gives a key a forest that has learned nothing.
    pub(super) fn begin(&mut self, key: SeriesKey, weight: f64, settings: &Settings) {
        let mut model = Model::new(settings, Some(&key));
        model.weight = weight;
        self.own.insert(key, model);
    }

    /// Keys that share a forest and are remembered.
    pub(super) fn sharing(&self) -> usize {
        self.waiting.len()
    }

    pub(super) fn models(&self) -> impl Iterator<Item = &Model> {
        self.own.values().chain(&self.shared)
    }

    pub(super) fn memory_bytes(&self) -> usize {
        let keys = self.own.keys().chain(self.waiting.keys());
        let keys: usize = keys.map(|key| 64 + key.values().map(|value| 16 + value.len()).sum::<usize>()).sum();
        keys + self.models().map(Model::memory_bytes).sum::<usize>()
    }

    /// Whether these are the forests of these settings.
    pub(super) fn fit(&self, settings: &Settings) -> bool {
        let dimensions = self.own.keys().next().map(|key| key.values().len());
        self.own.iter().all(|(key, model)| model.fits(settings, Some(key)) && Some(key.values().len()) == dimensions)
            && self.shared.iter().all(|model| model.fits(settings, None))
            && (settings.per_key() || self.own.is_empty())
            && self.own.len() <= capacity(settings)
    }
}

/// Keys that have a forest of their own at most: one forest is the shared one.
pub(super) fn capacity(settings: &Settings) -> usize {
    let fit = (settings.memory_bytes() / forest_bytes_max(settings)).saturating_sub(1).max(1);
    usize::try_from(fit).unwrap_or(usize::MAX)
}

/// Bytes of a forest with its key.
pub(super) fn forest_bytes_max(settings: &Settings) -> u64 {
    // magnitudes that double at every step take a quarter more than other data
    let forest = settings.forest().memory_bytes_steady() as u64;
    forest + forest / 4 + KEY_OVERHEAD_BYTES
}

impl Codec for Turn {
    fn write(&self, to: &mut Writer) {
        self.come.write(to);
        self.go.write(to);
        self.weight.write(to);
    }
    fn read(from: &mut Reader<'_>) -> Result<Turn, SnapshotError> {
        Ok(Turn { come: SeriesKey::read(from)?, go: SeriesKey::read(from)?, weight: f64::read(from)? })
    }
}
