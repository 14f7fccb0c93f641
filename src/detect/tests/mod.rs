//! Quality and behaviour of the whole detector on made worlds.

mod behaviour;
mod fleet;
mod harness;
mod increment;
mod quality;
mod random;
mod revision;
mod rules;
mod single;
mod state;
mod together;
mod world;
