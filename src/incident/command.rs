//! What an operator says about incidents while they happen. A command takes effect with the interval that is judged
//! next, and what it did is part of the state: the same commands at the same intervals give the same incidents.

use chrono::NaiveDateTime;
use serde::{Deserialize, Serialize};

use super::rules::Matcher;

/// What somebody who was told of an incident thinks of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Opinion {
    /// It was right to tell: similar incidents weigh more.
    Useful,
    /// It was no surprise: similar incidents weigh less.
    Expected,
    /// Something was wrong, and not this.
    WrongCause,
}

/// One command.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case")]
pub enum Command {
    /// Somebody attends to an incident: no reminders.
    Acknowledge {
        /// Which.
        incident: String,
        /// Number of the newest interval that is known of it: a job that says it again, after a crash, obeys behind that.
        #[serde(default)]
        seen: i64,
    },
    /// Not to be told for so long.
    Silence {
        /// Its name.
        name: String,
        /// What of.
        matcher: Matcher,
        /// From the interval with which it takes effect.
        seconds: u64,
    },
    /// The end of a silence.
    Unsilence {
        /// Its name.
        name: String,
    },
    /// What somebody thinks of an incident.
    Feedback {
        /// Which.
        incident: String,
        /// What was wrong there: measure, slice and side of each cause.
        about: Vec<About>,
        /// Local start of its first interval.
        #[serde(with = "time")]
        since: NaiveDateTime,
        /// What they think.
        opinion: Opinion,
    },
}

/// A cause that feedback is about.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct About {
    /// Which measure.
    pub measure: String,
    /// Which slice.
    pub dimensions: crate::model::Dimensions,
    /// Which side.
    pub direction: crate::model::Direction,
}

/// A command with the name that tells it from all others: the same name is obeyed once.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Order {
    /// Its name.
    pub name: String,
    /// What to do.
    pub command: Command,
}

/// A local time as text.
mod time {
    use chrono::NaiveDateTime;
    use serde::{Deserialize, Deserializer, Serializer};

    const FORMAT: &str = "%Y-%m-%d %H:%M:%S";

    pub(super) fn serialize<S: Serializer>(time: &NaiveDateTime, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&time.format(FORMAT))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<NaiveDateTime, D::Error> {
        let text = String::deserialize(deserializer)?;
        NaiveDateTime::parse_from_str(&text, FORMAT).map_err(serde::de::Error::custom)
    }
}
