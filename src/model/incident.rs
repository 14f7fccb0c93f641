//! Incidents: what broke, told as one thing from its first interval to its end, whatever number of measures, series and
//! intervals it takes. An [`Incident`] is one revision of one incident, and one line of the incident table.

use std::fmt;

use chrono::NaiveDateTime;
use serde::{Deserialize, Serialize};

use super::finding::{Dimensions, Direction, bounds, civil};
use super::{Interval, Notice};

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IncidentKind {
    /// Values are not as expected.
    Values,
    /// The data does not come, or nearly all of it is missing: of a slice where it has causes, else of the whole source.
    Data,
}

/// Where an incident is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IncidentState {
    /// Seen, and not yet believed; it is not in the table.
    Pending,
    /// It goes on.
    Open,
    /// It looks over, and is not yet believed to be.
    Closing,
    /// It is over.
    Resolved,
    /// It comes and goes: held open, and told in digests alone.
    Flapping,
    /// It lasts: the new level is the normal one.
    LevelShift,
    /// Nobody attended to it, and it is not told any more.
    Expired,
    /// It turned out to be part of another one.
    Merged,
}

impl fmt::Display for IncidentState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            IncidentState::Pending => "pending",
            IncidentState::Open => "open",
            IncidentState::Closing => "closing",
            IncidentState::Resolved => "resolved",
            IncidentState::Flapping => "flapping",
            IncidentState::LevelShift => "level shift",
            IncidentState::Expired => "expired",
            IncidentState::Merged => "merged",
        })
    }
}

/// A slice of one measure that is part of an incident, as it was when it was last seen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct IncidentCause {
    /// Which measure.
    pub measure: String,
    /// The dimensions that it is cut by; the others are open.
    pub dimensions: Dimensions,
    /// Which side.
    pub direction: Direction,
    /// Of the deviation of the measure, by the last interval with a cause; 1 is all of it.
    pub share: f64,
    /// What its series came to together; their mean, where they do not add up.
    pub value: f64,
    /// What was expected of them.
    pub expected: f64,
    /// Lower end of the band of that sum, or mean, were its series independent.
    pub lower: f64,
    /// Upper end of it.
    pub upper: f64,
}

/// The value and the expected value of the first cause, interval by interval.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Track {
    /// What its series came to together, oldest first.
    pub values: Vec<f64>,
    /// What was expected.
    pub expected: Vec<f64>,
}

/// What rows that came late made of the anomalies of an incident.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LateFindings {
    /// They are some with the late rows too.
    pub confirmed: u64,
    /// They are none with the late rows.
    pub withdrawn: u64,
    /// They are some with the late rows alone.
    pub raised: u64,
}

/// Why an incident is over, where it did not end by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndReason {
    /// With the rows that came late none of its anomalies is one.
    Withdrawn,
    /// The data that was missing came late.
    Arrived,
}

impl fmt::Display for EndReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            EndReason::Withdrawn => "with the rows that came late none of its anomalies is one",
            EndReason::Arrived => "the data that was missing came late",
        })
    }
}

/// One revision of an incident: one line of the incident table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Incident {
    /// Stable over restarts and replays: derived from what opened it.
    pub id: String,
    /// 1 for the first line of an incident, then one more each; `<id>-<revision>` is the id of a notice made with it.
    pub revision: u32,
    /// The interval with which this revision was made.
    #[serde(flatten, with = "bounds")]
    pub interval: Interval,
    /// What is wrong.
    pub kind: IncidentKind,
    /// The shard of the source that lags, where it is about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shard: Option<String>,
    /// Where it is in its life.
    pub state: IncidentState,
    /// Which side, of what opened it.
    pub direction: Direction,
    /// Local start of its first interval.
    #[serde(with = "civil")]
    pub since: NaiveDateTime,
    /// Local end of its last interval so far, where it is over.
    #[serde(default, with = "maybe")]
    pub until: Option<NaiveDateTime>,
    /// 0 to 100: surprise, size of the impact, duration.
    pub severity: f64,
    /// The largest that it ever was.
    pub severity_max: f64,
    /// How unusual: `-log10` of the probability of its largest shift, after the search for it is paid for.
    pub surprise: f64,
    /// The deviation as a share of all that was expected of the measure; the largest among its measures.
    pub impact: f64,
    /// Intervals that it has lasted.
    pub duration: u64,
    /// What it consists of, one entry per measure and slice; what opened it is the first.
    pub causes: Vec<IncidentCause>,
    /// Whether everything moved, and no slice says why.
    pub external: bool,
    /// How often it came back.
    pub reopened: u32,
    /// Local start of the interval with which somebody said that they attend to it.
    #[serde(default, with = "maybe")]
    pub acknowledged: Option<NaiveDateTime>,
    /// The silence that keeps it from being told.
    #[serde(default)]
    pub silenced: Option<String>,
    /// The incident that it turned out to be part of.
    #[serde(default)]
    pub merged_into: Option<String>,
    /// What rows that came late made of its anomalies.
    #[serde(default)]
    pub late: LateFindings,
    /// Why it is over, where it did not end by itself.
    #[serde(default)]
    pub end_reason: Option<EndReason>,
    /// The last values of its first cause.
    #[serde(default)]
    pub track: Track,
}

impl Incident {
    /// Whether it goes on, or may.
    pub fn is_live(&self) -> bool {
        matches!(self.state, IncidentState::Open | IncidentState::Closing | IncidentState::Flapping)
    }

    /// The measures that it is about, each once, in the order in which they joined.
    pub fn measures(&self) -> Vec<String> {
        let mut measures: Vec<String> = Vec::new();
        for cause in &self.causes {
            if !measures.contains(&cause.measure) {
                measures.push(cause.measure.clone());
            }
        }
        measures
    }

    /// The slices that it is about, each once.
    pub fn slices(&self) -> Vec<Dimensions> {
        let mut slices: Vec<Dimensions> = Vec::new();
        for cause in &self.causes {
            if !slices.contains(&cause.dimensions) {
                slices.push(cause.dimensions.clone());
            }
        }
        slices
    }
}

/// What one interval did to incidents.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct IncidentChanges {
    /// Incidents that changed, as they are now: the lines of the table for this interval.
    pub incidents: Vec<Incident>,
    /// Those of which late rows had withdrawn all there was, and of which there is something again. The lines before say
    /// what came in time alone.
    pub returned: Vec<Incident>,
    /// What is to be told.
    pub notices: Vec<Notice>,
}

/// A local civil time as text, or none.
mod maybe {
    use chrono::NaiveDateTime;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    struct Civil(#[serde(with = "super::civil")] NaiveDateTime);

    pub(super) fn serialize<S: Serializer>(time: &Option<NaiveDateTime>, serializer: S) -> Result<S::Ok, S::Error> {
        time.map(Civil).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<NaiveDateTime>, D::Error> {
        Ok(Option::<Civil>::deserialize(deserializer)?.map(|Civil(time)| time))
    }
}
