//! From closed intervals to what is known of them, in the order that `job` tells: commit, judge, write down, tell, count.

use super::super::absence::Absence;
use super::super::deliveries;
use super::super::error::JobError;
use super::super::host::Event;
use super::super::incidents;
use super::super::judge::Verdict;
use super::super::prepare::Prepared;
use super::super::records::Said;
use super::super::seen::Seen;
use super::Live;
use crate::alert::{Revision, revisions_worth_telling, worth_telling};
use crate::model::{Closing, IncidentChanges, Interval, Notice};
use crate::partition::{Committed, Listed};

impl Live<'_> {
    /// Sets closed intervals on their way; commits what is ready where too many are.
    pub(super) async fn begin_commits(&mut self, closings: Vec<Closing>) -> Result<(), JobError> {
        for closing in closings {
            while self.preparer.is_full()
                && let Some(prepared) = self.preparer.next().await
            {
                self.commit(prepared?).await?;
            }
            self.preparer.begin(closing);
        }
        Ok(())
    }

    /// Commits all that is on its way, and judges it.
    pub(super) async fn settle(&mut self) -> Result<(), JobError> {
        while let Some(prepared) = self.preparer.next().await {
            self.commit(prepared?).await?;
        }
        self.judge_waiting().await
    }

    /// Commits one closed interval, in the order that `job` tells.
    pub(super) async fn commit(&mut self, prepared: Prepared) -> Result<(), JobError> {
        let Prepared { closing, encoded, seen } = prepared;
        self.locks.confirm().await?;
        let committed = self.writer.commit_encoded(&closing, encoded).await?;
        let is_there = committed.adopted || committed.repeated;
        let seen = match seen {
            Some(Seen::Cells(cells)) if !is_there && closing.late.is_empty() => {
                self.unjudged.push(closing, cells, self.host.clock.elapsed());
                return self.judge_due().await;
            }
            other => other,
        };
        // its late rows revise what was said before
        self.judge_waiting().await?;
        let mut judged = None;
        if let Some((judge, seen)) = self.judge.as_mut().zip(seen) {
            let there = if is_there {
                // what is committed counts: it may be the part of an interval that its source's end cut short, not to be
                // judged, or have been joined and hooked in another way
                self.history.closed(&Listed::committed(closing.interval)).await?
            } else {
                Some(seen)
            };
            judged = there.map(|there| (judge.judge(&there), there));
        }
        self.conclude(closing, committed, judged).await
    }

    /// Judges what waits for it if it has waited long enough.
    pub(super) async fn judge_due(&mut self) -> Result<(), JobError> {
        let left = self.unjudged.left(self.host.clock.elapsed());
        if left.is_some_and(|left| left.is_zero()) { self.judge_waiting().await } else { Ok(()) }
    }

    /// Judges what is committed and waits for it.
    pub(super) async fn judge_waiting(&mut self) -> Result<(), JobError> {
        let (closings, cells) = self.unjudged.take();
        if closings.is_empty() {
            return Ok(());
        }
        self.locks.confirm().await?;
        let verdicts = self.judge.as_mut().map(|judge| judge.judge_all(&cells)).unwrap_or_default();
        let judged = verdicts.into_iter().zip(cells.into_iter().map(Seen::Cells));
        for (closing, judged) in closings.into_iter().zip(judged) {
            self.conclude(closing, Committed::default(), Some(judged)).await?;
        }
        Ok(())
    }

    /// Writes down and tells what was said of a committed interval, and adds it to the account.
    async fn conclude(
        &mut self,
        closing: Closing,
        committed: Committed,
        judged: Option<(Verdict, Seen)>,
    ) -> Result<(), JobError> {
        let (mut groups, mut revisions, mut records) = (Vec::new(), Vec::new(), Said::default());
        let mut notices = Vec::new();
        if let Some((judge, (verdict, seen))) = self.judge.as_ref().zip(judged) {
            let changed = incidents::follow(&mut self.incidents, judge, &seen, &verdict);
            if let Some(news) = &verdict.news {
                self.host.listener.on(Event::Warning(news));
            }
            self.table.write(&verdict.groups).await?;
            self.records.write(closing.interval, &verdict.records.written).await?;
            if !verdict.records.told.is_empty() {
                self.host.listener.on(Event::Records(&verdict.records.told));
            }
            self.groups += verdict.groups.len() as u64;
            self.done.findings += verdict.findings();
            let told = worth_telling(deliveries::shown(self.config), &verdict.groups);
            if !told.is_empty() {
                self.host.listener.on(Event::Alert(&told));
            }
            for (interval, changes) in changed {
                self.incident_table.write(interval, &changes.incidents).await?;
                self.incident_table.write_returned(interval, &changes.returned).await?;
                self.opened += changes.incidents.iter().filter(|incident| incident.revision == 1).count() as u64;
                notices.extend(changes.notices);
            }
            let told = deliveries::worth_showing(self.config, &notices);
            if !told.is_empty() {
                self.host.listener.on(Event::Incidents(&told));
            }
            (groups, revisions, records) = (verdict.groups, verdict.revisions, verdict.records);
        }
        let (revisions, told) = self.revise(&closing, committed.adopted, revisions).await?;
        notices.extend(told);
        if let Some(deliveries) = &self.deliveries {
            deliveries.tell_findings(closing.interval, (&groups, &notices), &revisions).await?;
            deliveries.tell_records(closing.interval, &records).await?;
        }
        self.done.tally.add(&closing.tally);
        self.done.intervals += u64::from(closing.tally.written > 0);
        self.unsaved += 1;
        Ok(())
    }

    /// Tells of data that does not come, interval by interval as the clock passes them.
    pub(super) async fn tell_absent(&mut self) -> Result<(), JobError> {
        if self.passed().is_none() {
            return Ok(());
        }
        // what is closed and not judged yet is there
        self.settle().await?;
        let (Some(until), Some(judge)) = (self.passed(), &self.judge) else { return Ok(()) };
        let Some(detector) = judge.detector() else { return Ok(()) };
        let calendars = detector.settings().calendars();
        let ahead =
            self.incidents.ahead(until, detector.walked_most(), |interval| !calendars.at(interval).ignores_all());
        if ahead.is_empty() {
            return Ok(());
        }
        for (interval, IncidentChanges { incidents, notices, .. }) in ahead {
            self.incident_table.write(interval, &incidents).await?;
            self.tell_by_clock(interval, &notices).await?;
        }
        // told is told, also to a job that is started again
        self.unsaved += 1;
        self.checkpoint().await
    }

    /// Tells of shards that hold intervals open which the clock has passed, once for each interval that it passes.
    pub(super) async fn tell_lagging(&mut self) -> Result<(), JobError> {
        let now = self.host.clock.now();
        let last = self.absence.over(self.config.interval.length, now);
        let is_judged = self.judge.as_ref().is_some_and(|judge| judge.detector().is_some());
        let Some(last) = last.filter(|last| self.is_live && is_judged && self.looked != Some(*last)) else {
            return Ok(());
        };
        self.looked = Some(last);
        let behind = self.intervals.behind(Absence::live_from(now));
        let (held, lanes) =
            behind.filter(|(held, _)| self.absence.is_overdue(*held, now)).unwrap_or((last, Vec::new()));
        let lanes = lanes.iter().filter(|lane| !self.silence.is_silent(lane));
        let shards: Vec<String> = lanes.map(|lane| lane.name().to_owned()).collect();
        if shards.is_empty() && !self.incidents.is_lagging() {
            return Ok(());
        }
        let IncidentChanges { incidents, notices, .. } = self.incidents.lag(last, held, &shards);
        if incidents.is_empty() && notices.is_empty() {
            return Ok(());
        }
        self.incident_table.write_lagging(last, &incidents).await?;
        self.opened += incidents.iter().filter(|incident| incident.revision == 1).count() as u64;
        self.tell_by_clock(last, &notices).await?;
        self.unsaved += 1;
        self.checkpoint().await
    }

    async fn tell_by_clock(&mut self, interval: Interval, notices: &[Notice]) -> Result<(), JobError> {
        let told = deliveries::worth_showing(self.config, notices);
        if !told.is_empty() {
            self.host.listener.on(Event::Incidents(&told));
        }
        match &self.deliveries {
            Some(deliveries) => deliveries.tell_findings(interval, (&[], notices), &[]).await,
            None => Ok(()),
        }
    }

    /// The last interval that the clock has passed with nothing in it, of a live source of which nothing is held.
    fn passed(&self) -> Option<Interval> {
        let last = self.incidents.last().filter(|_| self.is_live && self.intervals.held() == 0)?;
        let length = self.config.interval.length;
        let clock = &self.host.clock;
        self.absence.passed(Interval::containing(last * length.micros(), length), clock.now(), clock.elapsed())
    }

    /// Holds the late rows of a closing against what was said of their intervals: what became of it, and what is to be
    /// told of incidents. `revisions` are those that judging its own interval has brought.
    async fn revise(
        &mut self,
        closing: &Closing,
        adopted: bool,
        mut revisions: Vec<Revision>,
    ) -> Result<(Vec<Revision>, Vec<Notice>), JobError> {
        let with = closing.interval;
        let Some(judge) = &mut self.judge else { return Ok((revisions, Vec::new())) };
        let Some(detector) = judge.detector() else { return Ok((revisions, Vec::new())) };
        let late = self.late.of(closing, adopted, detector).await?;
        let mut changes = incidents::revise(&mut self.incidents, judge, with, &revisions);
        for (interval, rows) in late {
            let more = judge.revise(interval, with, rows.rows());
            let IncidentChanges { incidents, notices, .. } = incidents::revise(&mut self.incidents, judge, with, &more);
            changes.incidents.extend(incidents);
            changes.notices.extend(notices);
            revisions.extend(more);
        }
        self.revisions.write(with, &revisions).await?;
        self.incident_table.write_late(with, &changes.incidents).await?;
        self.done.revisions += revisions.len() as u64;
        let told = revisions_worth_telling(deliveries::shown(self.config), &revisions);
        if !told.is_empty() {
            self.host.listener.on(Event::Revised(&told));
        }
        let told = deliveries::worth_showing(self.config, &changes.notices);
        if !told.is_empty() {
            self.host.listener.on(Event::Incidents(&told));
        }
        Ok((revisions, changes.notices))
    }
}
