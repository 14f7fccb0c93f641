//! A random cut forest over a stream: float slices and a seed in; scores, attribution, expected values and a snapshot out.
//!
//! Written from the published algorithm: Guha, Mishra, Roy, Schrijvers, "Robust Random Cut Forest Based Anomaly Detection
//! on Streams", ICML 2016; the sampler is Chao's unequal-probability reservoir (Biometrika 1982) with exponential decay.
//!
//! A forest learns *blocks* of `dims_base` numbers. The last `shingle` blocks together are one *point* of
//! `dims_base * shingle` lanes, oldest block first. Every tree keeps its own decayed sample of the points and cuts
//! its bounding box at random until each point stands alone; a point that is cut off early is rare.
//!
//! ```text
//! block (f64) --frame--> 16-bit lanes --sampler--> trees (nodes + boxes + shared points)
//!                             |                       |
//!                             +------- query ---------+--> Scores, Attribution, Range, Neighbour
//! ```
//!
//! Reading order: [`settings`](Settings), `frame` (numbers to a 16-bit grid), `points` (values shared by overlapping
//! shingles), `sampler`, `tree` (insert, delete, and cut a whole sample at once), `score`, `forest` (the API), `snapshot`.
//!
//! What makes it small and quick:
//! - coordinates, cuts and boxes are integers on a grid of 65,536 steps that follows the live data (`frame`); sums of
//!   box sides are exact, so a box never drifts and one random integer both decides whether a new point separates
//!   and where the cut lies;
//! - a node is eight bytes; leaf masses are implied by the masses on the way down;
//! - the sample *is* the tree: whom to evict is drawn by descending along the masses, no heap of weights exists;
//! - boxes are kept only for subtrees above a mass ([`Settings::box_mass`]), smaller ones are rebuilt from their points.
//!
//! Same settings, seed and blocks give the same bits on every machine: only IEEE `+ - * /`, integer arithmetic and
//! `libm` are used; there is no clock, no system randomness, no global state and no threads.
//!
//! Absent on purpose: thresholds, transforms, missing-value policies (the detector's business), and parallelism inside
//! one forest (a job has many forests).

mod attribution;
mod error;
mod forest;
mod frame;
mod impute;
mod lanes;
mod neighbour;
mod points;
mod random;
mod sampler;
mod score;
mod settings;
mod snapshot;
mod tree;

#[cfg(test)]
mod tests;

pub use attribution::Attribution;
pub use error::{InputError, SettingsError, SnapshotError};
pub use forest::Forest;
pub use impute::Range;
pub use neighbour::Neighbour;
pub use score::Scores;
pub use settings::Settings;
