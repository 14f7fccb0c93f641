//! A way from the line to a receiver: what is taken, in which shape, and how patiently it is sent.

use std::time::Duration;

use super::filter::Filter;
use super::format::Format;
use super::receiver;

/// One `[[alert]]` or `[[deliver]]` section.
#[derive(Clone, Debug)]
pub struct Route {
    /// Its name, which no other route has: its outbox is called so.
    pub name: String,
    /// What it is for.
    pub description: Option<String>,
    /// What it takes.
    pub filter: Filter,
    /// Where that goes; shown on the terminal where there is none.
    pub delivery: Option<Delivery>,
    /// What its receiver is told about.
    pub tells: Tells,
}

/// Where notices go.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// In which shape.
    pub format: Format,
    /// To whom.
    pub receiver: receiver::Settings,
    /// How patiently.
    pub pace: Pace,
}

impl Delivery {
    /// Whether the receiver holds an alert open until it is told that it is over.
    pub fn holds_open(&self) -> bool {
        matches!(self.format, Format::Pagerduty(_)) || matches!(self.receiver, receiver::Settings::Alertmanager(_))
    }
}

/// How patiently notices are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// A request that is not answered for so long has failed.
    pub timeout: Duration,
    /// A notice that could not be delivered for so long goes to the error prefix.
    pub retry_for: Duration,
    /// The pause after a first failure; it doubles with each further one,
    pub back_off: Duration,
    /// up to this.
    pub back_off_max: Duration,
    /// Where more waits, the oldest goes to the error prefix.
    pub outbox_bytes_max: u64,
}

impl Default for Pace {
    fn default() -> Pace {
        Pace {
            timeout: Duration::from_secs(30),
            retry_for: Duration::from_hours(24),
            back_off: Duration::from_secs(1),
            back_off_max: Duration::from_secs(60),
            outbox_bytes_max: 64_000_000,
        }
    }
}

/// What a receiver is told about. What late rows did to findings is told with incidents and with findings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tells {
    /// Incidents, from their first interval to their end.
    #[default]
    Incidents,
    /// The findings of every measure in every interval.
    Findings,
    /// Scored records that are told.
    Records,
    /// All scored records.
    EveryRecord,
}
