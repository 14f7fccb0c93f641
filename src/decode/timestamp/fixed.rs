//! The fast way through a pattern whose fields all have a fixed width, by position and without the general parser. It
//! reads only texts that follow the pattern to the letter; for all others the general parser decides.

use chrono::format::{Fixed, Item, Numeric, Pad};

use super::cursor::{Civil, Cursor};
use super::pattern::Part;
use super::{MICROS_PER_SECOND, Moment};

/// A pattern as steps from left to right.
#[derive(Clone, Debug)]
pub(super) struct Program(Vec<Step>);

#[derive(Clone, Debug)]
enum Step {
    Year,
    Month,
    Day,
    Hour,
    Minute,
    Second,
    Literal(Box<[u8]>),
    Fraction,
    /// A point and a fraction, or neither.
    PointFraction,
    Offset,
}

impl Program {
    /// The steps of these parts; none where a part has no fixed width.
    pub(super) fn new(parts: &[Part]) -> Option<Program> {
        let mut steps = Vec::new();
        for part in parts {
            match part {
                Part::Items(items) => {
                    for item in items {
                        steps.push(step(item)?);
                    }
                }
                Part::Fraction => steps.push(Step::Fraction),
                Part::Offset => steps.push(Step::Offset),
                Part::ZoneName => return None,
            }
        }
        Some(Program(steps))
    }

    /// What a text says that follows the pattern to the letter.
    pub(super) fn read(&self, text: &str) -> Option<Moment> {
        let mut cursor = Cursor::new(text);
        let mut civil = Civil::default();
        let mut offset = None;
        for step in &self.0 {
            match step {
                Step::Year => civil.year = cursor.digits(4)?,
                Step::Month => civil.month = cursor.digits(2)?,
                Step::Day => civil.day = cursor.digits(2)?,
                Step::Hour => civil.hour = cursor.digits(2)?,
                Step::Minute => civil.minute = cursor.digits(2)?,
                Step::Second => civil.second = cursor.digits(2)?,
                Step::Literal(bytes) => cursor.literal(bytes)?,
                Step::Fraction => civil.micros = cursor.fraction()?,
                Step::PointFraction => {
                    if cursor.expect(b'.').is_some() {
                        civil.micros = cursor.fraction()?;
                    }
                }
                Step::Offset => offset = Some(cursor.offset()?),
            }
        }
        let micros = civil.micros().filter(|_| cursor.is_at_end())?;
        Some(match offset {
            Some(offset) => Moment::Instant(micros - offset * MICROS_PER_SECOND),
            None => Moment::Local(micros),
        })
    }
}

fn step(item: &Item<'_>) -> Option<Step> {
    Some(match item {
        Item::Numeric(Numeric::Year, Pad::Zero) => Step::Year,
        Item::Numeric(Numeric::Month, Pad::Zero) => Step::Month,
        Item::Numeric(Numeric::Day, Pad::Zero) => Step::Day,
        Item::Numeric(Numeric::Hour, Pad::Zero) => Step::Hour,
        Item::Numeric(Numeric::Minute, Pad::Zero) => Step::Minute,
        Item::Numeric(Numeric::Second, Pad::Zero) => Step::Second,
        Item::Fixed(Fixed::Nanosecond) => Step::PointFraction,
        Item::Literal(text) | Item::Space(text) => Step::Literal(text.as_bytes().into()),
        Item::OwnedLiteral(text) | Item::OwnedSpace(text) => Step::Literal(text.as_bytes().into()),
        _ => return None,
    })
}
