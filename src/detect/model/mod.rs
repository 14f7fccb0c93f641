//! What a series is expected to be, from its own past alone: shapes of the day and the week, levels around them, and how
//! large the noise is where so much is expected. Knows nothing of alarms.

mod baselines;
mod level;
mod noise;
mod opinion;
mod place;
mod profile;
mod running;

pub(super) use baselines::Baselines;
pub(super) use noise::Noise;
pub(super) use opinion::{Opinion, Shape, Shapes, Sums};
pub(super) use place::Place;
pub(super) use profile::Profile;
pub(super) use running::{WIDTHS, WINDOWS};
