//! What a running job shows: a progress bar for finite input (on a terminal), and each anomaly when it begins.

use std::io::{self, IsTerminal as _, Write};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use super::format;
use crate::job::{Event, Listener};
use crate::model::AnomalyGroup;

/// How often the bar is drawn at most.
const TICK: Duration = Duration::from_millis(100);

pub(super) struct Terminal<'a, W: Write> {
    out: &'a mut W,
    bar: Option<ProgressBar>,
    headed: bool,
}

impl<'a, W: Write> Terminal<'a, W> {
    pub(super) fn new(out: &'a mut W) -> Terminal<'a, W> {
        Terminal { out, bar: None, headed: false }
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

    /// Tells of anomalies that begin; an anomaly that lasts is told once.
    fn alert(&mut self, groups: &[AnomalyGroup]) {
        for group in groups {
            for finding in group.findings.iter().filter(|finding| finding.since == group.interval) {
                if !std::mem::replace(&mut self.headed, true) {
                    self.print(format::FINDING_HEADER);
                }
                self.print(&format::finding_line(group, finding));
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
            Event::Judged { intervals, total } => {
                if self.bar.is_none() && intervals < total {
                    self.begin(total, "{bar:32} {pos}/{len} intervals  eta {eta}");
                }
                if let Some(bar) = &self.bar {
                    bar.set_position(intervals);
                }
            }
            Event::Alert(groups) => self.alert(groups),
            Event::Warning(warning) => tracing::warn!("{warning}"),
        }
    }
}
