//! Quality and behaviour of the whole detector on made worlds.

mod behaviour;
mod harness;
mod quality;
mod random;
mod state;
mod world;
