//! The life cycle of incidents in a job: what the judge says goes in interval by interval, lines of the incident table and
//! notices come out; and the way of an operator's commands into a job that runs, perhaps on a bucket.
//!
//! A command is an object in the state, `orders/<name>.json`. A job looks for new ones when it makes a checkpoint, takes
//! them into the state of incidents, and only when that is saved removes them. They take effect with the next interval that
//! is judged: a job that is killed in between finds them in its checkpoint, and does the same again.

use std::time::Duration;

use bytes::Bytes;
use chrono::NaiveDateTime;

use super::checkpoint::{Checkpoint, Start};
use super::clock::Clock;
use super::detector;
use super::error::JobError;
use super::judge::{Judge, Verdict};
use super::seen::Seen as Gathered;
use crate::alert::{Revision, Status};
use crate::config::Config;
use crate::incident::{Became, Command, Given, Incidents, Late, Order, Seen, Settings};
use crate::model::{Area, Columns, IncidentChanges, Interval, Object, ObjectPath};
use crate::partition::{Manifest, ReadError};
use crate::store::{Created, Store};

/// The folder of commands in the state.
const ORDERS: &str = "orders";
/// How often a bucket is looked at for commands; a directory is whenever there is a checkpoint.
const LOOK: Duration = Duration::from_secs(10);

/// What one interval did to incidents.
pub(super) type Changed = (Interval, IncidentChanges);

/// The incidents of a job that begins, or goes on after a checkpoint.
pub(super) fn resume(
    config: &Config,
    columns: &Columns,
    found: Option<&Checkpoint>,
    start: Start,
) -> Result<Incidents, JobError> {
    let zone = config.interval.zone;
    let settings = Settings::new(columns.dimensions.clone(), config.interval.length, zone, config.incident.clone());
    let Some(saved) = found.and_then(|checkpoint| checkpoint.incidents.as_ref()) else {
        return Ok(Incidents::new(settings));
    };
    match Incidents::restore(settings.clone(), saved) {
        Ok(incidents) => Ok(incidents),
        // what cannot be read is what a rebuild is for
        Err(_) if start == Start::Rebuild => Ok(Incidents::new(settings)),
        Err(reason) => Err(JobError::Incidents { state: config.job.state.clone(), reason }),
    }
}

/// Takes in what was said of an interval, and of those without a row before it.
pub(super) fn follow(incidents: &mut Incidents, judge: &Judge, seen: &Gathered, verdict: &Verdict) -> Vec<Changed> {
    // of records there are no incidents
    let Gathered::Cells(closed) = seen else { return Vec::new() };
    let rows_in_time: u64 = closed.cells.iter().map(|cell| cell.rows).sum();
    let adds_up = |name: &str| judge.adds_up(name);
    let mut changed = Vec::new();
    let mut groups = verdict.groups.as_slice();
    for points in verdict.points.chunk_by(|a, b| a.interval == b.interval) {
        let at = points[0].interval;
        let (here, later) = groups.split_at(groups.iter().take_while(|group| group.interval <= at).count());
        groups = later;
        let rows = if at == closed.interval { rows_in_time } else { 0 };
        let seen = Seen { interval: at, rows, groups: here, points, adds_up: &adds_up };
        changed.push((at, incidents.observe(&seen)));
    }
    changed
}

/// Takes in what late rows, which left the line with an interval, made of earlier verdicts.
pub(super) fn revise(
    incidents: &mut Incidents,
    judge: &Judge,
    with: Interval,
    revisions: &[Revision],
) -> IncidentChanges {
    let late: Vec<Late<'_>> = revisions
        .iter()
        .filter_map(|revision| {
            let interval = Interval::starting(revision.interval_start, with.length())?;
            let values = [revision.value_before.unwrap_or(0.0), revision.value];
            let values = judge.adds_up(&revision.measure).then_some(values);
            let became = match revision.status {
                Status::Confirmed => Became::Confirmed,
                Status::Withdrawn => Became::Withdrawn,
                Status::Raised => Became::Raised,
            };
            let Revision { measure, dimensions, direction, .. } = revision;
            Some(Late { interval, measure, dimensions, direction: *direction, became, values })
        })
        .collect();
    incidents.revise(with, &late)
}

/// The commands that wait in a state.
#[derive(Debug)]
pub(super) struct Orders {
    state: Store,
    /// When to look again.
    next: Duration,
    /// Those that were taken, and are removed once that is saved.
    taken: Vec<String>,
}

impl Orders {
    /// Of the state of a job.
    pub(super) fn new(state: Store) -> Orders {
        Orders { state, next: Duration::ZERO, taken: Vec::new() }
    }

    /// Takes new commands in; whether there were any: then the state is to be saved before the next interval is judged.
    pub(super) async fn take(&mut self, incidents: &mut Incidents, clock: &dyn Clock) -> Result<bool, JobError> {
        if self.state.directory().is_none() {
            if clock.elapsed() < self.next {
                return Ok(false);
            }
            self.next = clock.elapsed() + LOOK;
        }
        let mut is_new = false;
        for entry in self.state.list(ORDERS).await? {
            if self.taken.contains(&entry.name) || !entry.name.ends_with(".json") {
                continue;
            }
            let bytes = self.state.get(&entry.name).await?.unwrap_or_default();
            match serde_json::from_slice::<Order>(&bytes) {
                Ok(order) => {
                    incidents.order(order);
                    is_new = true;
                }
                // a command of another version is not ours to obey
                Err(error) => tracing::warn!("command `{}` is not understood and removed: {error}", entry.name),
            }
            self.taken.push(entry.name);
        }
        Ok(is_new)
    }

    /// Removes what was taken; the state that has it is saved.
    pub(super) async fn saved(&mut self) -> Result<(), JobError> {
        for name in std::mem::take(&mut self.taken) {
            self.state.delete(&name).await?;
        }
        Ok(())
    }
}

/// What was said of incidents, as the newest checkpoints have it.
///
/// # Errors
/// When a state cannot be read.
pub async fn opinions(config: &Config) -> Result<Vec<Given>, JobError> {
    let mut given: Vec<Given> = Vec::new();
    for (_, _, found) in detector::states(config).await? {
        let zone = config.interval.zone;
        let settings =
            Settings::new(config.select.dimensions.clone(), config.interval.length, zone, config.incident.clone());
        let restored = found.checkpoint.incidents.as_ref().and_then(|saved| Incidents::restore(settings, saved).ok());
        given.extend(restored.iter().flat_map(Incidents::opinions).cloned());
    }
    Ok(given)
}

/// What a partition consists of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Behind {
    /// The manifest.
    pub name: String,
    /// Its rows.
    pub rows: u64,
    /// Which revision, 0 for what came in time.
    pub revision: u32,
}

/// The revisions of the partition of the interval that starts at a local time.
///
/// # Errors
/// When the store cannot be read.
pub async fn behind(config: &Config, start: NaiveDateTime) -> Result<Vec<Behind>, JobError> {
    let store = Store::open(&config.partition.url, &config.store).await?;
    let Some(interval) = Interval::starting(start, config.interval.length) else { return Ok(Vec::new()) };
    let mut behind = Vec::new();
    for revision in 0.. {
        let name = ObjectPath { area: Area::Data, interval, object: Object::Manifest { revision } }.to_string();
        let Some(bytes) = store.get(&name).await? else {
            // an interval that has late rows alone has no first one
            if revision == 0 { continue } else { break }
        };
        let manifest =
            Manifest::from_json(&bytes).map_err(|source| ReadError::Manifest { name: name.clone(), source })?;
        behind.push(Behind { name, rows: manifest.rows, revision });
    }
    Ok(behind)
}

/// Gives a command to the jobs of a configuration that judge: where their states lie.
///
/// # Errors
/// When there is no such job, or a state cannot be reached.
pub async fn give(config: &Config, command: Command, clock: &dyn Clock) -> Result<Vec<String>, JobError> {
    let mut places = Vec::new();
    let name = format!("{:020}-{}", clock.now().micros(), std::process::id());
    for (_, checkpoints, found) in detector::states(config).await? {
        if found.checkpoint.detector.is_none() {
            continue;
        }
        let place = checkpoints.place().to_owned();
        let state = Store::open(&place, &config.store).await?;
        let order = Order { name: name.clone(), command: command.clone() };
        let bytes = Bytes::from(serde_json::to_vec(&order).map_err(super::CheckpointError::from)?);
        if state.create(&format!("{ORDERS}/{name}.json"), bytes).await? == Created::New {
            places.push(place);
        }
    }
    if places.is_empty() {
        return Err(JobError::NoJob { state: config.job.state.clone() });
    }
    Ok(places)
}
