//! Who is told, as a running job has them: an outbox for each route with a receiver. What is told is durable before the
//! checkpoint passes its interval, and sent off the line. `backtest` tells nobody.

use std::sync::Arc;
use std::time::Duration;

use super::clock::Clock;
use super::error::JobError;
use super::records::Said;
use crate::alert::format::About;
use crate::alert::outbox::{self, OUTBOX, Outbox, OutboxError, Undelivered};
use crate::alert::receiver::ReceiverError;
use crate::alert::{Filter, Revision, Route, Tells, notice, record_notice};
use crate::config::Config;
use crate::model::{AnomalyGroup, Interval, Notice, ScoredRecord, Zone};
use crate::store::{Store, StoreError, Sweep};

/// At its end a job waits for a receiver that has taken nothing for so long,
const STILL: Duration = Duration::from_secs(10);
/// and for one that is slow.
const SLOW: Duration = Duration::from_secs(600);
/// A job that was asked to stop has less time.
const STOPPED: Duration = Duration::from_secs(10);

/// Deliveries that cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum DeliveryError {
    /// A receiver cannot be set up.
    #[error("the receiver of `{route}` cannot be used: {source}")]
    Receiver {
        /// The route.
        route: String,
        /// Why.
        source: ReceiverError,
    },
    /// An outbox.
    #[error(transparent)]
    Outbox(#[from] OutboxError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The routes of a job, with their outboxes.
pub(super) struct Deliveries {
    /// `[[alert]]`
    findings: Vec<(Route, Outbox)>,
    /// `[[deliver]]`
    records: Vec<(Route, Outbox)>,
}

impl Deliveries {
    /// Opens the outboxes of a job's state; what cannot be delivered goes beside the partitions.
    pub(super) async fn open(
        config: &Config,
        state: &Store,
        partitions: &Store,
        clock: &Arc<dyn Clock>,
    ) -> Result<Deliveries, JobError> {
        Ok(Deliveries::of(config, state, partitions, clock).await.map_err(Box::new)?)
    }

    async fn of(
        config: &Config,
        state: &Store,
        partitions: &Store,
        clock: &Arc<dyn Clock>,
    ) -> Result<Deliveries, DeliveryError> {
        state.sweep(Sweep::Below(OUTBOX))?;
        let mut opened = [Vec::new(), Vec::new()];
        for (opened, routes) in opened.iter_mut().zip([&config.alerts, &config.deliveries]) {
            for route in routes {
                let Some(delivery) = &route.delivery else { continue };
                let refused = |source| DeliveryError::Receiver { route: route.name.clone(), source };
                let (about, pace) = (about(route, config.interval.zone), delivery.pace);
                let receiver = delivery.receiver.open(&delivery.format, &about, pace.timeout, &config.store).await;
                let receiver = receiver.map_err(refused)?;
                let undelivered = Undelivered::new(partitions.clone(), &route.name);
                let clock = Arc::clone(clock);
                let now: outbox::Now = Arc::new(move || clock.now());
                let outbox = Outbox::open(state, &route.name, receiver, pace, undelivered, now).await?;
                opened.push((route.clone(), outbox));
            }
        }
        let [findings, records] = opened;
        let names: Vec<&str> = findings.iter().chain(&records).map(|(route, _)| &*route.name).collect();
        for name in outbox::waiting_elsewhere(state, &names).await? {
            let place = state.url();
            tracing::warn!(
                "notices wait in {place}/{OUTBOX}/{name} for a receiver that is not configured any more; hint: give a \
                 receiver `name = \"{name}\"`, or remove them"
            );
        }
        Ok(Deliveries { findings, records })
    }

    /// Tells of what was found in an interval, of what it did to incidents, and of what became of earlier findings with
    /// it. All of it is durable when this returns.
    pub(super) async fn tell_findings(
        &self,
        interval: Interval,
        (groups, incidents): (&[AnomalyGroup], &[Notice]),
        revisions: &[Revision],
    ) -> Result<(), JobError> {
        if self.findings.is_empty() {
            return Ok(());
        }
        let groups: Vec<Notice> = groups.iter().map(notice::of_group).collect();
        let revisions: Vec<Notice> = revisions.iter().filter_map(notice::of_revision).collect();
        for (route, outbox) in &self.findings {
            let first = if route.tells == Tells::Findings { &groups[..] } else { incidents };
            let taken = first.iter().chain(&revisions).filter(|notice| route.filter.lets_pass(notice));
            put(outbox, interval, &taken.collect::<Vec<_>>()).await?;
        }
        Ok(())
    }

    /// Tells of scored records of an interval. A job judges series or records: it tells of an interval once.
    pub(super) async fn tell_records(&self, interval: Interval, said: &Said) -> Result<(), JobError> {
        for (route, outbox) in &self.records {
            let records = if route.tells == Tells::EveryRecord { &said.written } else { &said.told };
            // no notice is made of a record that is not taken
            let may_pass = |record: &&ScoredRecord| record.score >= route.filter.score_threshold;
            let notices = records.iter().filter(may_pass).map(record_notice);
            let taken: Vec<Notice> = notices.filter(|notice| route.filter.lets_pass(notice)).collect();
            put(outbox, interval, &taken.iter().collect::<Vec<_>>()).await?;
        }
        Ok(())
    }

    /// Waits for what is on its way, for a while; what is left is told, and sent when the job is started again.
    pub(super) async fn finish(self, stopped: bool) {
        let most = if stopped { STOPPED } else { SLOW };
        let routes = self.findings.iter().chain(&self.records);
        let waits = routes.map(async |(route, outbox)| (&route.name, outbox.drain(STILL, most).await));
        for (name, left) in futures::future::join_all(waits).await {
            if left > 0 {
                tracing::warn!(
                    "{left} notices for `{name}` are not delivered yet; they are when the job is started again"
                );
            }
        }
    }
}

/// Puts notices into an outbox. They are durable when this returns.
async fn put(outbox: &Outbox, interval: Interval, notices: &[&Notice]) -> Result<(), JobError> {
    let put = outbox.put(interval, notices).await;
    Ok(put.map_err(|error| Box::new(DeliveryError::from(error)))?)
}

/// What messages of a route say of where they come from.
pub(super) fn about(route: &Route, zone: Zone) -> About {
    About { route: route.name.clone(), description: route.description.clone(), zone }
}

/// What is shown of incidents on the terminal.
pub(super) fn worth_showing(config: &Config, notices: &[Notice]) -> Vec<Notice> {
    let passes = |notice: &&Notice| shown(config).any(|filter| filter.lets_pass(notice));
    notices.iter().filter(passes).cloned().collect()
}

/// What is shown on the terminal: what passes an `[[alert]]` without a receiver.
pub(super) fn shown(config: &Config) -> impl Iterator<Item = &Filter> + Clone {
    config.alerts.iter().filter(|route| route.delivery.is_none()).map(|route| &route.filter)
}
