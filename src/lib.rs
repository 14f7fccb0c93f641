//! Tidewatch.

pub mod rcf;
