//! The simple kinds of made-up records: one record after the other at an even pace, each drawn by itself. A kind is one
//! small file that says which columns a record has, how they are drawn, and which records are anomalous.
//!
//! The same settings give the same bytes on every machine. What is anomalous and what records look like are drawn from
//! streams of their own, so another anomaly probability leaves the ordinary records as they were.

mod clickstream;
mod iot_sensor;
mod settings;
mod stock_trades;
pub(super) mod template;
mod value;

pub use settings::{KindName, Settings, SimpleError, SimpleParameters};
pub use template::{Template, TemplateError};

use chrono::{DateTime, NaiveDateTime};

use super::Format;
use super::data::Truth;
use super::random::{Purpose, Random};
use crate::model::Timestamp;
use clickstream::Clickstream;
use iot_sensor::IotSensor;
use stock_trades::StockTrades;
use value::{Value, push_csv, push_json};

const MILLIS_PER_SECOND: f64 = 1000.0;
const TIME: &str = "event_time";

/// One kind.
#[derive(Clone, Debug)]
enum Maker {
    StockTrades(StockTrades),
    Clickstream(Clickstream),
    IotSensor(IotSensor),
    Template(Template),
}

/// What a kind is given to draw a record with.
struct Draw<'a> {
    /// Which record, from 0.
    number: u64,
    /// Its event time, in milliseconds.
    millis: i64,
    /// For what records look like.
    looks: &'a mut Random,
    /// For what is anomalous.
    fate: &'a mut Random,
    /// Probability of an anomaly.
    anomaly_probability: f64,
}

/// A record: its columns besides the event time, and whether it is anomalous.
struct Drawn {
    values: Vec<Value>,
    is_anomalous: bool,
}

impl Maker {
    fn new(settings: &Settings) -> Maker {
        match settings.kind() {
            KindName::StockTrades => Maker::StockTrades(StockTrades),
            KindName::Clickstream => Maker::Clickstream(Clickstream::default()),
            KindName::IotSensor => Maker::IotSensor(IotSensor),
            KindName::Template(template) => Maker::Template(template.clone()),
        }
    }

    /// Names of the columns besides the event time; none of a template, which is a line by itself.
    fn columns(&self) -> &'static [&'static str] {
        match self {
            Maker::StockTrades(_) => &stock_trades::COLUMNS,
            Maker::Clickstream(_) => &clickstream::COLUMNS,
            Maker::IotSensor(_) => &iot_sensor::COLUMNS,
            Maker::Template(_) => &[],
        }
    }

    fn draw(&mut self, draw: Draw<'_>) -> Drawn {
        match self {
            Maker::StockTrades(maker) => maker.draw(draw),
            Maker::Clickstream(maker) => maker.draw(draw),
            Maker::IotSensor(maker) => maker.draw(draw),
            Maker::Template(_) => Drawn { values: Vec::new(), is_anomalous: false },
        }
    }
}

/// Records under way.
#[derive(Clone, Debug)]
pub struct Making {
    settings: Settings,
    format: Format,
    maker: Maker,
    looks: Random,
    fate: Random,
    number: u64,
}

impl Settings {
    /// The records, from the first on.
    pub(super) fn making(&self, format: Format) -> Making {
        let random = |purpose| Random::new(self.seed(), (self.kind().name(), ""), purpose);
        let (looks, fate) = (random(Purpose::Records), random(Purpose::Incidents));
        Making { settings: self.clone(), format, maker: Maker::new(self), looks, fate, number: 0 }
    }

    /// The header that a CSV file of them starts with.
    pub(super) fn header(&self, format: Format) -> Option<String> {
        let columns = Maker::new(self).columns();
        let is_named = format == Format::Csv && !columns.is_empty();
        is_named.then(|| [&[TIME], columns].concat().join(","))
    }

    /// What is planted.
    pub(super) fn truth(&self) -> Option<Truth> {
        match self.kind() {
            KindName::StockTrades => Some(self.labelled(&["id"])),
            KindName::IotSensor => Some(self.labelled(&["iotName", "iotValue"])),
            KindName::Clickstream => Some(self.bursts()),
            KindName::Template(_) => None,
        }
    }

    /// A line for each anomalous record: its event time and some of its columns.
    fn labelled(&self, columns: &[&'static str]) -> Truth {
        let mut making = self.making(Format::Csv);
        let places: Vec<usize> = making
            .maker
            .columns()
            .iter()
            .enumerate()
            .filter(|(_, name)| columns.contains(name))
            .map(|(at, _)| at)
            .collect();
        let mut csv = format!("{}\n", [&[TIME], columns].concat().join(",")).into_bytes();
        let mut count = 0;
        while let Some((millis, drawn)) = making.next() {
            if drawn.is_anomalous {
                let some: Vec<Value> = places.iter().filter_map(|at| drawn.values.get(*at).cloned()).collect();
                push_csv(&time_text(millis), &some, &mut csv);
                csv.push(b'\n');
                count += 1;
            }
        }
        Truth { csv: String::from_utf8_lossy(&csv).into_owned(), count, of: "anomalous records" }
    }

    /// A line for each stretch of anomalous records: `start,end`, in whole seconds that hold all of it.
    fn bursts(&self) -> Truth {
        let mut making = self.making(Format::Csv);
        let mut bursts: Vec<(i64, i64)> = Vec::new();
        while let Some((millis, _)) = making.next() {
            if let Maker::Clickstream(clicks) = &making.maker
                && let Some(burst) = clicks.burst(millis)
                && bursts.last() != Some(&burst)
            {
                bursts.push(burst);
            }
        }
        let text = |seconds: i64| time_of(seconds * 1000).format("%Y-%m-%d %H:%M:%S").to_string();
        let lines: String = bursts.iter().map(|(start, end)| format!("{},{}\n", text(*start), text(*end))).collect();
        Truth { csv: format!("start,end\n{lines}"), count: bursts.len() as u64, of: "click bursts" }
    }
}

impl Making {
    /// Event time of the next record in milliseconds; none after the last.
    fn millis(&self) -> Option<i64> {
        #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "far below 2^53")]
        let since = (self.number as f64 * MILLIS_PER_SECOND / self.settings.rate()) as i64;
        (self.number < self.settings.records()).then(|| self.settings.start_millis() + since)
    }

    /// When the next record arrives: at once.
    pub(super) fn next_arrival(&mut self) -> Option<Timestamp> {
        Some(Timestamp::MIN.saturating_add_micros(self.millis()? * 1000 - Timestamp::MIN.micros()))
    }

    fn next(&mut self) -> Option<(i64, Drawn)> {
        let millis = self.millis()?;
        let (number, anomaly_probability) = (self.number, self.settings.anomaly_probability());
        let (looks, fate) = (&mut self.looks, &mut self.fate);
        let drawn = self.maker.draw(Draw { number, millis, looks, fate, anomaly_probability });
        self.number += 1;
        Some((millis, drawn))
    }

    /// Appends the next record and a line end.
    pub(super) fn write(&mut self, out: &mut Vec<u8>) -> bool {
        if let Maker::Template(template) = &self.maker {
            let Some(millis) = self.millis() else { return false };
            template.render(time_of(millis), &mut self.looks, out);
            self.number += 1;
        } else {
            let Some((millis, drawn)) = self.next() else { return false };
            let time = time_text(millis);
            match self.format {
                Format::JsonLines => push_json((TIME, &time), self.maker.columns(), &drawn.values, out),
                Format::Csv => push_csv(&time, &drawn.values, out),
            }
        }
        out.push(b'\n');
        true
    }

    /// Records need not stay together.
    pub(super) fn next_key(&self) -> Option<String> {
        self.millis().map(|_| self.number.to_string())
    }
}

fn time_of(millis: i64) -> NaiveDateTime {
    DateTime::from_timestamp_millis(millis).unwrap_or(DateTime::UNIX_EPOCH).naive_utc()
}

fn time_text(millis: i64) -> String {
    time_of(millis).format("%Y-%m-%d %H:%M:%S%.3f").to_string()
}

#[cfg(test)]
mod tests;
