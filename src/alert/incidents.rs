//! The incident table: one JSON line for each revision of an incident, under the folder of the interval with which it was
//! made. What an interval did to incidents is written whole, under a name that follows from the interval, so writing it
//! again after a crash changes nothing. Of several lines with one `id` the one with the largest `revision` holds.
//!
//! ```text
//! incidents/intvl_date=YYYY-MM-DD/intvl_hhmm=HHMM/incidents.jsonl
//! incidents/intvl_date=YYYY-MM-DD/intvl_hhmm=HHMM/incidents_returned.jsonl
//! incidents/intvl_date=YYYY-MM-DD/intvl_hhmm=HHMM/lagging.jsonl
//! incidents/intvl_date=YYYY-MM-DD/intvl_hhmm=HHMM/late.jsonl
//! ```
//!
//! What the late rows that left the line with an interval did to incidents is an object of its own: the interval itself may
//! be judged later, when it turns out to have no row in time. Those that go on after late rows had withdrawn all there was are
//! in one of their own too, and so are shards that lag, under the interval that the clock had passed: a backtest knows of
//! none of these.

use bytes::Bytes;
use chrono::NaiveDate;

use super::table::{TableError, parse};
use crate::model::{Area, Incident, Interval, LateFindings, ObjectPath};
use crate::store::Store;

/// The folder of the table.
pub const INCIDENTS: &str = "incidents";

/// The incident table of one tree of partitions.
#[derive(Clone, Debug)]
pub struct IncidentTable {
    store: Store,
}

impl IncidentTable {
    /// The table in a store.
    pub fn new(store: Store) -> IncidentTable {
        IncidentTable { store }
    }

    /// Writes what one interval did to incidents. All of it is given at once.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn write(&self, interval: Interval, incidents: &[Incident]) -> Result<(), TableError> {
        self.put(name(interval, "incidents"), incidents).await
    }

    /// Writes which incidents an interval brought back, that late rows had withdrawn. All of it is given at once.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn write_returned(&self, interval: Interval, incidents: &[Incident]) -> Result<(), TableError> {
        self.put(name(interval, "incidents_returned"), incidents).await
    }

    /// Writes what is known of shards that lag when the clock has passed an interval. All of it is given at once.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn write_lagging(&self, interval: Interval, incidents: &[Incident]) -> Result<(), TableError> {
        self.put(name(interval, "lagging"), incidents).await
    }

    /// Writes what the late rows that left the line with an interval did to incidents. All of it is given at once.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn write_late(&self, interval: Interval, incidents: &[Incident]) -> Result<(), TableError> {
        self.put(name(interval, "late"), incidents).await
    }

    async fn put(&self, name: String, incidents: &[Incident]) -> Result<(), TableError> {
        if incidents.is_empty() {
            return Ok(());
        }
        let mut bytes = Vec::new();
        for incident in incidents {
            serde_json::to_writer(&mut bytes, incident)?;
            bytes.push(b'\n');
        }
        Ok(self.store.put(&name, Bytes::from(bytes)).await?)
    }

    /// Reads the revisions made with intervals of local dates `from` to `to` inclusive, in the order of time.
    ///
    /// # Errors
    /// When the store fails or a line is no incident.
    pub async fn read(&self, from: NaiveDate, to: NaiveDate) -> Result<Vec<Incident>, TableError> {
        let mut incidents = Vec::new();
        for folder in self.store.list_folders(INCIDENTS).await? {
            if date_of(&folder).is_none_or(|date| date < from || date > to) {
                continue;
            }
            for entry in self.store.list(&folder).await?.iter().filter(|entry| entry.name.ends_with(".jsonl")) {
                let bytes = self.store.get(&entry.name).await?.unwrap_or_default();
                incidents.extend(parse::<Incident>(&entry.name, &bytes)?);
            }
        }
        Ok(incidents)
    }
}

/// The revision that holds of each incident, in the order in which they were first written. What late rows made of one
/// holds until they make something else of it.
pub fn latest(revisions: Vec<Incident>) -> Vec<Incident> {
    let mut latest: Vec<Incident> = Vec::new();
    for revision in revisions {
        match latest.iter_mut().find(|incident| incident.id == revision.id) {
            Some(incident) if incident.revision <= revision.revision => *incident = after(incident, revision),
            Some(_) => {}
            None => latest.push(revision),
        }
    }
    latest
}

/// A line as it is to be read after one before it.
fn after(before: &Incident, line: Incident) -> Incident {
    if before.late == LateFindings::default() || line.late != LateFindings::default() {
        return line;
    }
    let is_over = before.end_reason.is_some() && line.is_live();
    Incident {
        late: before.late,
        end_reason: before.end_reason,
        state: if is_over { before.state } else { line.state },
        until: if is_over { before.until } else { line.until },
        ..line
    }
}

fn name(interval: Interval, of: &str) -> String {
    let folder = ObjectPath::folder(Area::Anomalies, interval);
    let below = folder.strip_prefix(Area::Anomalies.folder()).unwrap_or(&folder);
    format!("{INCIDENTS}{below}/{of}.jsonl")
}

/// The local date of a date folder.
fn date_of(folder: &str) -> Option<NaiveDate> {
    let below = folder.strip_prefix(INCIDENTS)?;
    Area::Anomalies.parse_date_folder(&format!("{}{below}", Area::Anomalies.folder()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{
        Dimensions, Direction, IncidentCause, IncidentKind, IncidentState, LateFindings, Length, Track,
    };

    fn incident(id: &str, revision: u32, interval: Interval) -> Incident {
        Incident {
            id: id.to_owned(),
            revision,
            interval,
            kind: IncidentKind::Values,
            shard: None,
            state: IncidentState::Open,
            direction: Direction::Low,
            since: interval.start(),
            until: (revision > 1).then(|| interval.end()),
            severity: 71.5,
            severity_max: 80.0,
            surprise: 12.25,
            impact: 0.5,
            duration: 3,
            causes: vec![IncidentCause {
                measure: "views".to_owned(),
                dimensions: Dimensions::of([("shop".to_owned(), "a".to_owned())]),
                direction: Direction::Low,
                share: 0.75,
                value: 4.0,
                expected: 10.0,
                lower: 8.0,
                upper: 12.0,
            }],
            external: false,
            reopened: 0,
            acknowledged: None,
            silenced: None,
            merged_into: None,
            late: LateFindings::default(),
            end_reason: None,
            track: Track { values: vec![9.5, 4.0], expected: vec![10.0, 10.0] },
        }
    }

    #[tokio::test]
    async fn a_table_reads_back_by_date_and_takes_a_repeat_for_the_same() {
        let table = IncidentTable::new(Store::in_memory());
        // five minutes before midnight
        let first = Interval::containing(86_400_000_000 * 19_786, Length::from_seconds(300).unwrap()).offset(-1);
        let early = [incident("a", 1, first), incident("b", 1, first)];
        let late = [incident("a", 2, first.offset(2))];
        for _ in 0..2 {
            table.write(first, &early).await.unwrap();
            table.write(first.offset(2), &late).await.unwrap();
        }
        table.write(first.offset(3), &[]).await.unwrap();
        let revised = [incident("b", 2, first.offset(2))];
        table.write_late(first.offset(2), &revised).await.unwrap();
        let returned = [incident("b", 3, first.offset(2))];
        table.write_returned(first.offset(2), &returned).await.unwrap();
        let all = table.read(NaiveDate::MIN, NaiveDate::MAX).await.unwrap();
        assert_eq!(all, [early.to_vec(), late.to_vec(), returned.to_vec(), revised.to_vec()].concat());
        assert_eq!(table.read(first.date(), first.date()).await.unwrap(), early);
        assert_eq!(name(first, "incidents"), "incidents/intvl_date=2024-03-03/intvl_hhmm=2355/incidents.jsonl");
        assert_eq!(latest(all), [late[0].clone(), returned[0].clone()]);
    }

    #[test]
    fn what_late_rows_made_of_an_incident_holds_after_them() {
        let first = Interval::containing(86_400_000_000 * 19_786, Length::from_seconds(300).unwrap());
        let open = incident("a", 1, first);
        let late = LateFindings { withdrawn: 3, ..LateFindings::default() };
        let (state, end_reason) = (IncidentState::Resolved, Some(crate::model::EndReason::Withdrawn));
        let withdrawn = Incident { late, state, end_reason, until: Some(first.end()), ..open.clone() };
        let worse = Incident { revision: 2, severity: 99.0, ..open.clone() };
        let holds = latest(vec![open.clone(), withdrawn.clone(), worse.clone()]);
        assert_eq!(holds, [Incident { late, state, end_reason, until: Some(first.end()), ..worse.clone() }]);
        // there is something again
        let returned = Incident { late, ..worse.clone() };
        let later = Incident { revision: 3, ..worse.clone() };
        let holds = latest(vec![open, withdrawn, worse, returned, later.clone()]);
        assert_eq!(holds, [Incident { late, ..later }]);
    }

    #[test]
    fn a_line_has_names_that_stay() {
        let first = Interval::containing(86_400_000_000 * 19_786, Length::from_seconds(300).unwrap());
        let line = serde_json::to_string(&incident("a", 2, first)).unwrap();
        let expected = r#"{"id":"a","revision":2,"interval_start":"2024-03-04 00:00:00","interval_end":"2024-03-04 00:05:00","kind":"values","state":"open","direction":"low","since":"2024-03-04 00:00:00","until":"2024-03-04 00:05:00","severity":71.5,"severity_max":80.0,"surprise":12.25,"impact":0.5,"duration":3,"causes":[{"measure":"views","dimensions":{"shop":"a"},"direction":"low","share":0.75,"value":4.0,"expected":10.0,"lower":8.0,"upper":12.0}],"external":false,"reopened":0,"acknowledged":null,"silenced":null,"merged_into":null,"late":{"confirmed":0,"withdrawn":0,"raised":0},"end_reason":null,"track":{"values":[9.5,4.0],"expected":[10.0,10.0]}}"#;
        assert_eq!(line, expected);
    }
}
