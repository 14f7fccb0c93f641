//! What is told to a receiver: one message, in every length that receivers ask for.
//!
//! A notice is made once, by the stage that has something to say, and is the same for all receivers: which of them get
//! it follows from its filter members, and what they get is one of its texts or its body. Nothing here knows how it is
//! sent.

use chrono::NaiveDateTime;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::finding::{Dimensions, Direction, civil};

/// What a notice says of the thing that it is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoticeKind {
    /// It has begun.
    Opened,
    /// It has changed materially.
    Updated,
    /// It goes on.
    Reminder,
    /// It is over.
    Resolved,
    /// What lasts is the new normal.
    LevelShift,
    /// What was told does not hold with the rows that came late.
    Withdrawn,
    /// What was normal does not hold with the rows that came late.
    Raised,
    /// Several things in one message, because there were too many.
    Digest,
    /// One scored record.
    Record,
}

impl NoticeKind {
    /// Its name in configurations and messages.
    pub fn name(self) -> &'static str {
        match self {
            NoticeKind::Opened => "opened",
            NoticeKind::Updated => "updated",
            NoticeKind::Reminder => "reminder",
            NoticeKind::Resolved => "resolved",
            NoticeKind::LevelShift => "level_shift",
            NoticeKind::Withdrawn => "withdrawn",
            NoticeKind::Raised => "raised",
            NoticeKind::Digest => "digest",
            NoticeKind::Record => "record",
        }
    }
}

/// One message.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Notice {
    /// Stable over restarts and replays: who gets the same id twice has got the same notice twice (A1).
    pub id: String,
    /// The id of what the notice is about; all notices about one thing share it.
    pub thread: String,
    /// What it says.
    pub kind: NoticeKind,
    /// Local start of the interval with which it was made.
    #[serde(with = "civil")]
    pub time: NaiveDateTime,
    /// The measures that it is about.
    pub measures: Vec<String>,
    /// Slices that it is about; a notice passes a dimension filter where one of them does.
    pub slices: Vec<Dimensions>,
    /// Which side, where it is one.
    pub direction: Option<Direction>,
    /// 0 to 100.
    pub severity: f64,
    /// How unusual: `-log10` of the probability for findings, the forest's score for records.
    pub score: f64,
    /// One line of at most 100 characters: for a subject.
    pub title: String,
    /// A few lines: for a short message.
    pub text: String,
    /// All there is to say, as lines.
    pub long_text: String,
    /// All there is to say, for programs.
    pub body: Value,
}
