//! The fast way through a pattern whose fields all have a fixed width, by position and without the general parser. It
//! reads only texts that follow the pattern to the letter; for all others the general parser decides.

use chrono::format::{Fixed, Item, Numeric, Pad};

use super::cursor::{Civil, Cursor};
use super::pattern::Part;
use super::{MICROS_PER_SECOND, Moment};

/// A pattern as steps from left to right.
#[derive(Clone, Debug)]
pub(super) struct Program {
    /// The bytes between the fields, where the pattern begins as most do.
    usual: Option<Usual>,
    /// What follows then, or all of it.
    steps: Vec<Step>,
}

/// `2021-05-24 19:18:28`, with these bytes between the fields.
type Usual = [u8; 5];
const USUAL_BYTES: usize = 19;
const USUAL_STEPS: usize = 11;

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
        let usual = match &steps[..] {
            [
                Step::Year,
                Step::Literal(a),
                Step::Month,
                Step::Literal(b),
                Step::Day,
                Step::Literal(c),
                Step::Hour,
                Step::Literal(d),
                Step::Minute,
                Step::Literal(e),
                Step::Second,
                ..,
            ] => match [&a[..], &b[..], &c[..], &d[..], &e[..]] {
                [[a], [b], [c], [d], [e]] => Some([*a, *b, *c, *d, *e]),
                _ => None,
            },
            _ => None,
        };
        if usual.is_some() {
            steps.drain(..USUAL_STEPS);
        }
        Some(Program { usual, steps })
    }

    /// What a text says that follows the pattern to the letter.
    pub(super) fn read(&self, text: &str) -> Option<Moment> {
        let mut cursor = Cursor::new(text);
        let mut civil = match self.usual {
            Some(between) => usual(cursor.take_bytes()?, between)?,
            None => Civil::default(),
        };
        let mut offset = None;
        for step in &self.steps {
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

/// Date and time of day, by position.
fn usual(text: &[u8; USUAL_BYTES], between: Usual) -> Option<Civil> {
    let [y0, y1, y2, y3, a, m0, m1, b, d0, d1, c, h0, h1, d, n0, n1, e, s0, s1] = *text;
    let mut worst = 0;
    let mut two = |tens: u8, ones: u8| {
        let (tens, ones) = (tens.wrapping_sub(b'0'), ones.wrapping_sub(b'0'));
        worst = worst.max(tens).max(ones);
        u32::from(tens) * 10 + u32::from(ones)
    };
    let civil = Civil {
        year: two(y0, y1) * 100 + two(y2, y3),
        month: two(m0, m1),
        day: two(d0, d1),
        hour: two(h0, h1),
        minute: two(n0, n1),
        second: two(s0, s1),
        micros: 0,
    };
    (worst <= 9 && [a, b, c, d, e] == between).then_some(civil)
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
