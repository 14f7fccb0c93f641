//! Quality and behaviour of the whole detector on made worlds.

mod harness;
mod quality;
mod random;
mod state;
mod world;
