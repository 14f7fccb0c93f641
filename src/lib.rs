//! Tidewatch.

pub mod alert;
pub mod cli;
pub mod config;
pub mod decode;
pub mod detect;
pub mod explain;
pub mod interval;
pub mod job;
pub mod model;
pub mod partition;
pub mod rcf;
pub mod select;
pub mod source;
pub mod store;
