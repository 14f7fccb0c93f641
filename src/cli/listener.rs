//! What a running job shows: a progress bar for finite input (on a terminal), and each anomaly once.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal as _, Write};
use std::time::Duration;

use chrono::NaiveDateTime;
use indicatif::{ProgressBar, ProgressStyle};

use super::format;
use crate::job::{Event, Listener};
use crate::model::{AnomalyGroup, Dimensions};

/// How often the bar is drawn at most.
const TICK: Duration = Duration::from_millis(100);

pub(super) struct Terminal<'a, W: Write> {
    out: &'a mut W,
    bar: Option<ProgressBar>,
    headed: bool,
    /// The anomaly last told of each measure and series, by its beginning.
    told: BTreeMap<(String, Dimensions), NaiveDateTime>,
}

impl<'a, W: Write> Terminal<'a, W> {
    pub(super) fn new(out: &'a mut W) -> Terminal<'a, W> {
        Terminal { out, bar: None, headed: false, told: BTreeMap::new() }
    }

    /// Removes the bar and gives back where to print.
    pub(super) fn finish(self) -> &'a mut W {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        self.out
    }

    fn begin(&mut self, total: u64, template: &str) {
        if !io::stderr().is_terminal() {
            return;
        }
        let bar = ProgressBar::new(total);
        bar.set_style(ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()));
        bar.enable_steady_tick(TICK);
        self.bar = Some(bar);
    }

    fn print(&mut self, line: &str) {
        // stdout may be closed by whoever reads it; the job goes on
        let mut write = || drop(writeln!(self.out, "{line}").and_then(|()| self.out.flush()));
        match &self.bar {
            Some(bar) => bar.suspend(write),
            None => write(),
        }
    }

    /// Tells of anomalies in the first interval that an alert rule lets pass, which need not be their first; an anomaly
    /// that lasts is told once.
    fn alert(&mut self, groups: &[AnomalyGroup]) {
        for group in groups {
            let mut has_news = false;
            for finding in &group.findings {
                let series = (group.measure.clone(), finding.dimensions.clone());
                if self.told.insert(series, finding.since) == Some(finding.since) {
                    continue;
                }
                if !std::mem::replace(&mut self.headed, true) {
                    self.print(format::FINDING_HEADER);
                }
                self.print(&format::finding_line(group, finding));
                has_news = true;
            }
            for line in format::cause_lines(group).iter().filter(|_| has_news) {
                self.print(&format!("  {line}"));
            }
        }
    }
}

impl<W: Write> Listener for Terminal<'_, W> {
    fn on(&mut self, event: Event<'_>) {
        match event {
            Event::Started { total_bytes: Some(total), .. } => {
                self.begin(total, "{bar:32} {bytes}/{total_bytes}  {msg}  eta {eta}");
            }
            Event::Started { total_bytes: None, .. } => {}
            Event::Read { bytes, records, watermark } => {
                if let Some(bar) = &self.bar {
                    bar.set_position(bytes);
                    let at = watermark.map(|at| format!(", event time {at}")).unwrap_or_default();
                    bar.set_message(format!("{} records{at}", format::count(records)));
                }
            }
            Event::Batch { records, watermark, slowest, lags_ms } => {
                let at = watermark.map_or_else(|| "not yet known".to_owned(), |at| at.to_string());
                let held_by = slowest.map_or_else(String::new, |shard| format!(" (`{shard}`)"));
                let known = lags_ms.iter().filter_map(|(shard, lag)| Some((shard, (*lag)?)));
                let lag = known.max_by_key(|(_, lag)| *lag).map_or_else(String::new, |(shard, lag)| {
                    #[expect(clippy::cast_precision_loss, reason = "shown with one decimal")]
                    let seconds = lag as f64 / 1000.0;
                    format!(", at most {seconds:.1} s behind (`{shard}`)")
                });
                let (records, shards) = (format::count(records), lags_ms.len());
                tracing::info!("{records} records, {shards} shards{lag}, event time {at}{held_by}");
            }
            Event::Judged { intervals, total } => {
                if self.bar.is_none() && intervals < total {
                    self.begin(total, "{bar:32} {pos}/{len} intervals  eta {eta}");
                }
                if let Some(bar) = &self.bar {
                    bar.set_position(intervals);
                }
            }
            Event::Learned { intervals, total } => {
                if self.bar.is_none() && intervals < total {
                    self.begin(total, "{bar:32} {pos}/{len} intervals learned anew  eta {eta}");
                }
                if let Some(bar) = &self.bar {
                    bar.set_position(intervals);
                }
                if let Some(bar) = self.bar.take_if(|_| intervals == total) {
                    bar.finish_and_clear();
                }
            }
            Event::Alert(groups) => self.alert(groups),
            Event::Incidents(notices) => notices.iter().for_each(|notice| self.print(&format::notice_line(notice))),
            Event::Revised(revisions) => {
                if !std::mem::replace(&mut self.headed, true) {
                    self.print(format::FINDING_HEADER);
                }
                revisions.iter().for_each(|revision| self.print(&format::revision_line(revision)));
            }
            Event::Records(records) => {
                if !std::mem::replace(&mut self.headed, true) {
                    self.print(format::RECORD_HEADER);
                }
                records.iter().for_each(|record| self.print(&format::record_line(record)));
            }
            Event::Info(told) => tracing::info!("{told}"),
            Event::Warning(warning) => tracing::warn!("{warning}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Direction, Finding, Interval, Length, RootCause, SeriesKey};

    /// Series and first interval of each finding of one interval.
    fn told(terminal: &mut Terminal<'_, Vec<u8>>, step: i64, findings: &[(&str, i64)]) {
        let interval = Interval::containing(0, Length::from_seconds(300).unwrap());
        let finding = |(shop, since): &(&str, i64)| Finding {
            id: String::new(),
            dimensions: Dimensions::new(&["shop".to_owned()], &SeriesKey::new([*shop])),
            since: interval.offset(*since).start(),
            value: Some(3.0),
            expected: 1.0,
            lower: 0.0,
            upper: 2.0,
            direction: Direction::High,
            score: 5.0,
            severity: 80.0,
        };
        let group = AnomalyGroup {
            id: String::new(),
            measure: "views".to_owned(),
            interval: interval.offset(step),
            severity: 80.0,
            findings: findings.iter().map(finding).collect(),
            contributions: Vec::new(),
            root_cause: RootCause::default(),
        };
        terminal.on(Event::Alert(&[group]));
    }

    #[test]
    fn an_anomaly_is_told_once_at_the_first_interval_that_passes() {
        let mut out = Vec::new();
        let mut terminal = Terminal::new(&mut out);
        // a grew past the threshold in its third interval, b joins later, then a begins anew
        told(&mut terminal, 2, &[("a", 0)]);
        told(&mut terminal, 3, &[("a", 0), ("b", 3)]);
        told(&mut terminal, 4, &[("b", 3), ("a", 0)]);
        told(&mut terminal, 9, &[("a", 9)]);
        terminal.finish();
        let text = String::from_utf8(out).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], format::FINDING_HEADER);
        let told = lines[1..].iter().map(|line| (&line[11..16], line.rsplit(' ').next().unwrap()));
        assert_eq!(told.collect::<Vec<_>>(), [("00:10", "shop=a"), ("00:15", "shop=b"), ("00:45", "shop=a")]);
    }
}
