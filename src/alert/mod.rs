//! What is told, and to whom: the anomaly table beside the data, the table of its revisions, and what is worth an alert.
//!
//! A sink sees each group at least once; a group keeps its id, so a repeat can be recognised (A1).

mod revisions;
mod rules;
mod table;

pub use revisions::{REVISIONS, Revision, RevisionTable, Status};
pub use rules::{Rule, revisions_worth_telling, worth_telling};
pub use table::{AnomalyTable, TableError};
