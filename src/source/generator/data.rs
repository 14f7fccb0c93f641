//! What is made up: ecommerce records, one of the simple kinds, or records by a template. All of them are lines in the order
//! of their arrival, of which [`super::Stream`] makes a source partition.

use super::ecommerce::{self, LineWriter, Records};
use super::kinds::{self, Making};
use super::{Format, LABELS_HEADER};
use crate::model::Timestamp;

/// What is made up, checked.
#[derive(Clone, Debug, PartialEq)]
pub enum Data {
    /// Views and revenue with a daily wave, late and malformed records.
    Ecommerce(ecommerce::Settings),
    /// Records one after the other, each by itself.
    Simple(kinds::Settings),
}

/// Where what is planted is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Truth {
    /// As a file that `backtest --labels` reads.
    pub csv: String,
    /// How many are planted.
    pub count: u64,
    /// What they are: incidents, or records.
    pub of: &'static str,
}

impl Data {
    /// What is planted; none where nothing is known of it.
    pub fn truth(&self) -> Option<Truth> {
        match self {
            Data::Ecommerce(settings) => {
                let csv = ecommerce::labels_csv(settings);
                let count = ecommerce::labels(settings).len() as u64;
                debug_assert!(csv.starts_with(LABELS_HEADER));
                Some(Truth { csv, count, of: "incidents" })
            }
            Data::Simple(settings) => settings.truth(),
        }
    }

    /// The header that a CSV file of them starts with, without a line end.
    pub fn header(&self, format: Format) -> Option<String> {
        match self {
            Data::Ecommerce(_) => format.header().map(str::to_owned),
            Data::Simple(settings) => settings.header(format),
        }
    }
}

impl From<ecommerce::Settings> for Data {
    fn from(settings: ecommerce::Settings) -> Data {
        Data::Ecommerce(settings)
    }
}

impl From<kinds::Settings> for Data {
    fn from(settings: kinds::Settings) -> Data {
        Data::Simple(settings)
    }
}

/// The lines, in the order of their arrival.
#[derive(Clone, Debug)]
pub struct Lines(Kind);

#[derive(Clone, Debug)]
enum Kind {
    Ecommerce(Box<Records>, LineWriter),
    Simple(Box<Making>),
}

impl Lines {
    /// From the first on.
    pub fn new(data: &Data, format: Format) -> Lines {
        Lines(match data {
            Data::Ecommerce(settings) => {
                Kind::Ecommerce(Box::new(Records::new(settings.clone())), LineWriter::new(format))
            }
            Data::Simple(settings) => Kind::Simple(Box::new(settings.making(format))),
        })
    }

    /// When the next record arrives; none after the last.
    pub fn next_arrival(&mut self) -> Option<Timestamp> {
        match &mut self.0 {
            Kind::Ecommerce(records, _) => records.peek().map(|record| record.arrival()),
            Kind::Simple(making) => making.next_arrival(),
        }
    }

    /// Appends the next record with a line end, and moves on past it; `false` after the last.
    pub fn write(&mut self, out: &mut Vec<u8>) -> bool {
        match &mut self.0 {
            Kind::Ecommerce(records, writer) => {
                let Some(record) = records.next() else { return false };
                writer.write(records.settings(), &record, out);
                true
            }
            Kind::Simple(making) => making.write(out),
        }
    }

    /// What records of one kind have in common that are to stay in one shard: of the next record.
    pub fn next_key(&mut self) -> Option<String> {
        match &mut self.0 {
            Kind::Ecommerce(records, _) => {
                let record = records.peek()?;
                let (platform, marketplace) = records.settings().names(record.series());
                Some(format!("{platform}/{marketplace}"))
            }
            Kind::Simple(making) => making.next_key(),
        }
    }
}
