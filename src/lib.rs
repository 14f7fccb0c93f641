//! Tidewatch: a stream becomes interval partitions, each partition is judged the moment it closes, and whoever is on
//! call learns what broke, where, and by how much.
//!
//! ```text
//!  raw bytes     typed rows    kept rows     closed intervals          objects
//!  source ---> decode ---> select ---> interval ---+---> partition ---> store
//!                                                  |          |
//!                                                  |          +-- read back: detect alone, backtest
//!                                                  +---> detect ---> explain ---> incident ---> alert
//!         ^ hook                                          ^ rcf
//!  shells:  cli  ->  config  ->  job (drives the line above)
//! ```
//!
//! # Reading order
//!
//! [`model`] names what the stages exchange. [`interval`] decides, record by record, when an interval closes and what
//! is late; everything that must be the same after a crash rests on it: each shard of a stream has a watermark of its
//! own there, so that the order in which shards are read changes nothing. [`partition`] commits what has closed.
//! [`job`] tells the order of a commit and drives the line: `job::live` reads like the picture. [`detect`] judges, on
//! top of [`rcf`]; [`explain`] groups what it finds, and names the cause; [`incident`] follows what broke from its first
//! interval to its end. [`config`] turns a TOML file into checked settings.
//!
//! [`hook`] calls functions of the user's own, before decode and as one of those who are told.
//!
//! The ends: [`source`] gives chunks of whole records with places that can be gone back to; [`store`] is a directory or a
//! bucket, with the few verbs that commits need. Both reach Amazon's services, or a server like them, through [`aws`] and
//! ride out what may pass.
//!
//! Stages never import each other: they meet in [`job`] through [`model`]. The middle is pure: no clock, no file, no
//! runtime, no log in `model`, `rcf`, `decode`, `select`, `interval`, `detect`, `explain`, `incident`, nor in [`import`],
//! which turns descriptions of other detectors into a configuration. `tests/it/layering.rs` enforces both.
//!
//! # Invariants
//!
//! - **E1** Every accepted record is in exactly one committed partition revision.
//! - **E2** The checkpoint never passes a record that is not in a committed partition, or read again from its resume
//!   point.
//! - **E3** read = written + late + filtered + rejected, per closing and in total.
//! - **I1** An interval closes once; later rows are late and make a revision.
//! - **I2** Starts are aligned; lengths divide the day.
//! - **D1** The same partitions, settings and seed give the same findings, live or in a backtest, on any machine.
//! - **D2** A restored detector equals one that was never stopped.
//! - **R1** Scores are finite and never negative.
//! - **X1** The contributions of a group add up, and so do the shares of its causes and the unexplained rest.
//! - **A1** A sink sees each finding at least once and can recognise a repeat.
//! - **C1** Every problem of a configuration is reported in one run.
//!
//! # Absent on purpose
//!
//! No query engine. No wall-clock time but in `job::clock`. No randomness without a seed but in the names that tell
//! processes apart. No rewriting of what was committed. No registry of stages, no dynamic plug-ins: the few sources,
//! formats and sinks are enums.

pub mod alert;
pub mod aws;
pub mod cli;
pub mod config;
pub mod decode;
pub mod detect;
pub mod explain;
pub mod hook;
pub mod import;
pub mod incident;
pub mod interval;
pub mod job;
pub mod model;
pub mod partition;
pub mod rcf;
pub mod select;
pub mod source;
pub mod store;
