//! To come.

pub mod generator;
