//! What a series is expected to be, from its own past alone: a daily and weekly profile, levels around it, and how the
//! noise grows with the expected value. Knows nothing of alarms.

mod bank;
mod noise;
mod place;
mod profile;

pub(super) use bank::{BASELINES, Bank, FAMILIES, Kind, Shapes};
pub(super) use noise::Noise;
pub(super) use place::Place;
pub(super) use profile::Profile;
