//! What is told, and to whom: the anomaly table beside the data, the table of its revisions, the table of scored
//! records, what is shown on the terminal, and what is sent to receivers.
//!
//! A [`Route`] is a section of the configuration: what passes its filter goes in its format to its receiver. `notice` makes
//! messages of findings, `format` gives them the shapes that receivers know, `receiver` sends them, `outbox` keeps them
//! until they are delivered.
//!
//! A sink sees each group at least once; a group keeps its id, so a repeat can be recognised (A1).

pub mod filter;
pub mod format;
mod incidents;
pub mod notice;
pub mod outbox;
pub mod receiver;
mod records;
mod revisions;
mod route;
mod rules;
mod secret;
mod table;

pub use filter::Filter;
pub use incidents::{INCIDENTS, IncidentTable, latest};
pub use records::{RECORDS, RecordTable, record_notice};
pub use revisions::{REVISIONS, Revision, RevisionTable, Status};
pub use route::{Delivery, Pace, Route, Tells};
pub use rules::{revisions_worth_telling, worth_telling};
pub use secret::Secret;
pub use table::{AnomalyTable, TableError};

#[cfg(test)]
mod tests;
