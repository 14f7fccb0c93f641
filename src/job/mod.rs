//! Drives the line: the only place that knows all stages, and the only one that knows the time.
//!
//! The order of a commit, which the exactly-once promise rests on:
//!
//! 1. part objects of the closed interval, under names that follow from the interval;
//! 2. its manifest, created and never replaced: this is the commit;
//! 3. detection and its outputs, under names that follow from the interval; then what the late rows that left with it do
//!    to what was said of earlier intervals (`revise`), under names that follow from both; and what receivers are told of
//!    it, into their outboxes (`deliveries`), from where it is sent off the line;
//! 4. at the end of the micro-batch one checkpoint: where to read on from, the account so far, an increment of the
//!    detector's state (`detector`).
//!
//! Where intervals close one right after the other, some are committed before the first of them is judged (`unjudged`);
//! they are judged in their order, and before a checkpoint. A job that is stopped in between finds them committed, and
//! judges what is there.
//!
//! Whether a record is late and when an interval closes depends on the order of records alone (`interval`), so a job
//! that starts again from its checkpoint makes the same closings as one that was never stopped, finds its commits
//! done, and goes on. The one thing that is not in the records is a live source that falls silent: the watermark is
//! then raised by the clock, and that decision is in a checkpoint before anything follows from it.
//!
//! [`live`] is `run` and `etl`; [`follow`] is `detect`, the detector over partitions that another job writes;
//! [`backtest`] is the same detector over history. All three share `judge`, and so their findings (D1).

mod absence;
pub mod backtest;
mod checkpoint;
mod clock;
mod deliveries;
mod detector;
mod error;
mod feed;
pub mod follow;
mod history;
mod host;
pub mod incidents;
pub mod inspect;
mod judge;
pub mod live;
mod lock;
mod past;
mod prepare;
pub mod probe;
mod records;
mod references;
mod revise;
mod schema;
pub mod score;
mod seen;
mod silence;
mod spill;
pub mod status;
mod threads;
mod unjudged;
mod unrevised;

pub use crate::detect::records::Status as RecordStatus;
pub use checkpoint::{Checkpoint, CheckpointError, Checkpoints, Found, Learned, Start, Stored};
pub use clock::{Clock, SystemClock};
pub use deliveries::DeliveryError;
pub use detector::{DetectorError, GoesOn};
pub use error::JobError;
pub use host::{Event, Host, Listener, Shutdown, Stopper, Summary};
pub use lock::{Lock, LockError, Times};
pub use past::Past;
pub use records::{RecordLabelsError, RecordScore};
pub use references::ReferenceError;
pub use schema::SchemaError;
pub use spill::SpillError;
pub use threads::Threads;
