//! Where the incidents are: the truth that a backtest is measured against.

use std::fmt::Write;

use chrono::NaiveDateTime;

use crate::model::Direction;

use super::incidents::{Incident, Incidents};
use super::settings::Settings;
use super::values::REVENUE_PER_VIEW;

/// The header of the labels file, without a line end.
pub const LABELS_HEADER: &str = "start,end,platform,marketplace,measure,direction,shift";

const TIME: &str = "%Y-%m-%d %H:%M:%S";

/// One incident of one series. It shows in views and in revenue alike.
#[derive(Clone, Debug, PartialEq)]
pub struct Label {
    start: NaiveDateTime,
    end: NaiveDateTime,
    series: u32,
    shift: f64,
}

impl Label {
    fn new(settings: &Settings, series: u32, incident: Incident) -> Label {
        let start = settings.interval(incident.start).start();
        let end = settings.interval(incident.end).start();
        Label { start, end, series, shift: incident.shift }
    }

    /// Start of its first step, UTC.
    pub fn start(&self) -> NaiveDateTime {
        self.start
    }

    /// End of its last step, UTC, exclusive.
    pub fn end(&self) -> NaiveDateTime {
        self.end
    }

    /// Which series, see [`Settings::names`].
    pub fn series(&self) -> u32 {
        self.series
    }

    /// Which way the level is shifted.
    pub fn direction(&self) -> Direction {
        if self.shift < 0.0 { Direction::Low } else { Direction::High }
    }

    /// How far, in views per step, without sign and before values are held at 0.
    pub fn shift(&self) -> f64 {
        self.shift.abs()
    }
}

/// All incidents, by start and then by series. Takes a few nanoseconds per series and step; no value is computed.
pub fn labels(settings: &Settings) -> Vec<Label> {
    let mut labels = Vec::new();
    for series in 0..settings.series_count() {
        let mut incidents = Incidents::new(settings, series);
        for step in 0..settings.steps() {
            let begun = incidents.advance(settings).filter(|incident| incident.start == step);
            labels.extend(begun.map(|incident| Label::new(settings, series, incident)));
        }
    }
    labels.sort_by_key(|label| (label.start, label.series));
    labels
}

/// The labels file: the header, then two lines per incident, one for each measure.
pub fn labels_csv(settings: &Settings) -> String {
    let mut csv = format!("{LABELS_HEADER}\n");
    for label in labels(settings) {
        for (measure, per_view) in [("views", 1.0), ("revenue", REVENUE_PER_VIEW)] {
            // writing to a string cannot fail
            let _ = line(settings, &label, measure, label.shift() * per_view, &mut csv);
        }
    }
    csv
}

fn line(settings: &Settings, label: &Label, measure: &str, shift: f64, csv: &mut String) -> std::fmt::Result {
    let (platform, marketplace) = settings.names(label.series);
    let direction = match label.direction() {
        Direction::High => "high",
        Direction::Low => "low",
    };
    let (start, end) = (label.start.format(TIME), label.end.format(TIME));
    writeln!(csv, "{start},{end},{platform},{marketplace},{measure},{direction},{shift:.2}")
}
