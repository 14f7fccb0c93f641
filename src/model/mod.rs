//! The words that stages exchange. A stage never imports another stage: it takes one of these types and gives one of
//! these types, and `job` hands them on. Nothing here reads a clock, a file or a socket.
//!
//! In the order of the line: [`Chunk`] (source → decode), [`Decoded`] (decode → select), [`Batch`] (select →
//! interval), [`Closing`] (interval → partition), [`ClosedInterval`] (aggregated rows → detect), [`Point`] and [`Finding`] (detect → explain),
//! [`AnomalyGroup`] (explain → incident, alert), [`Incident`] and [`Notice`] (incident → alert).

mod calendar;
mod chunk;
mod closing;
mod copy;
mod distinct;
mod filter;
mod finding;
mod framing;
mod incident;
mod interval;
mod nearest;
mod notice;
mod packed;
mod path;
mod picked;
mod position;
mod progress;
mod quantiles;
mod record;
mod reject;
mod rows;
mod series;
mod show;
mod time;

pub use calendar::{Active, Calendar, CalendarError, Calendars, Stretch, Weekly};
pub use chunk::{Chunk, Origin, Origins};
pub use closing::{Away, Closing, Held, Piece, SourceRange};
pub use copy::copy;
pub use distinct::Distinct;
pub use filter::{Check, Filter, FilterError, WrongColumn};
pub use finding::{
    AnomalyGroup, Cause, Contribution, Dimensions, Direction, Finding, Point, PointState, RootCause, Share, SharesOf,
};
pub use framing::{CsvDialect, CsvDialectError, CsvEnd, CsvField, Framing, LINE_END_BYTES_MAX};
pub use incident::{
    EndReason, Incident, IncidentCause, IncidentChanges, IncidentKind, IncidentState, LateFindings, Track,
};
pub use interval::{Interval, Length, LengthError};
pub use nearest::nearest;
pub use notice::{Notice, NoticeKind};
pub use packed::{Packed, Packing, Room};
pub use path::{Area, Format, Object, ObjectPath};
pub use picked::Picked;
pub use position::{Places, Position, PositionError, SequenceNumber};
pub use progress::{Progress, SourcePartition};
pub use quantiles::Quantiles;
pub use record::{ColumnShare, Field, RECORD_NAMES, ScoredRecord};
pub use reject::{HookFault, Reason, Reject};
pub use rows::{Batch, ColumnType, Columns, Decoded, MeasureType, Rows, RowsError, Tally};
pub use series::{Cell, ClosedInterval, SeriesKey, Sketch, Stats};
pub use show::show_value;
pub use time::{Timestamp, TimestampError, Zone, ZoneError};
