//! JSON objects: finds the asked-for members of one, in any order, and skips the rest. The last of several members of
//! one name counts.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use self::layout::Layout;
use super::value::Value;
use crate::model::Reason;

mod layout;

/// Finds members.
#[derive(Debug)]
pub(super) struct Reader {
    /// The asked-for names, in the order of the values.
    names: Vec<String>,
    /// Layouts that were met, the last one that was of use first.
    layouts: Vec<Layout>,
    /// Objects of no known layout.
    strange: usize,
}

/// So many layouts are tried: a stream that mixes the records of a few programs.
const LAYOUTS_MAX: usize = 4;
/// Where all of them are taken, one of so many strange objects takes a place: a layout that is no longer written goes.
const STRANGE_RUN: usize = 64;

impl Reader {
    /// Looks for these names.
    pub(super) fn new(names: Vec<String>) -> Reader {
        Reader { names, layouts: Vec::new(), strange: 0 }
    }

    /// Reads the object that begins at `at` if it is of a layout that was met before; gives where it ends.
    pub(super) fn read_known<'a>(&mut self, text: &'a str, at: usize, values: &mut [Value<'a>]) -> Option<usize> {
        let found = |layout: &Layout, values: &mut [Value<'a>]| layout.read(text, at, values);
        if let Some(end) = self.layouts.first().and_then(|first| found(first, values)) {
            return Some(end);
        }
        let (place, end) =
            (1..self.layouts.len()).find_map(|place| Some((place, found(&self.layouts[place], values)?)))?;
        self.layouts.swap(0, place);
        Some(end)
    }

    /// Takes the layout of a record that was read.
    fn learn(&mut self, record: &str) {
        self.strange += 1;
        if self.layouts.len() == LAYOUTS_MAX && !self.strange.is_multiple_of(STRANGE_RUN) {
            return;
        }
        if let Some(layout) = Layout::of(record, &self.names) {
            self.layouts.truncate(LAYOUTS_MAX - 1);
            self.layouts.insert(0, layout);
        }
    }

    /// Puts the values of one object into `values`.
    pub(super) fn read<'a>(&mut self, record: &'a str, values: &mut [Value<'a>]) -> Result<(), Reason> {
        values.fill(Value::Missing);
        let mut deserializer = serde_json::Deserializer::from_str(record);
        deserializer
            .deserialize_map(Members { names: &self.names, values })
            .and_then(|()| deserializer.end())
            .map_err(|error| Reason::Malformed(error.to_string()))?;
        self.learn(record);
        Ok(())
    }
}

struct Members<'v, 'a> {
    names: &'v [String],
    values: &'v mut [Value<'a>],
}

impl<'a> Visitor<'a> for Members<'_, 'a> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<M: MapAccess<'a>>(self, mut members: M) -> Result<(), M::Error> {
        // objects of one stream mostly list their members in one order: the next name is tried first
        let mut likely = 0;
        while let Some(slot) = members.next_key_seed(Name { names: self.names, likely })? {
            match slot {
                Some(slot) => {
                    self.values[slot] = value(members.next_value::<&'a RawValue>()?.get()).map_err(M::Error::custom)?;
                    likely = slot + 1;
                }
                None => {
                    members.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(())
    }
}

/// All members of one object, in their order.
pub(super) fn members(record: &str) -> Result<Vec<(Cow<'_, str>, Value<'_>)>, serde_json::Error> {
    let mut deserializer = serde_json::Deserializer::from_str(record);
    let members = deserializer.deserialize_map(AllMembers)?;
    deserializer.end()?;
    Ok(members)
}

struct AllMembers;

impl<'a> Visitor<'a> for AllMembers {
    type Value = Vec<(Cow<'a, str>, Value<'a>)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<M: MapAccess<'a>>(self, mut members: M) -> Result<Self::Value, M::Error> {
        let mut all = Vec::new();
        while let Some(name) = members.next_key::<String>()? {
            let value = value(members.next_value::<&'a RawValue>()?.get()).map_err(M::Error::custom)?;
            all.push((Cow::Owned(name), value));
        }
        Ok(all)
    }
}

/// The value that a piece of JSON writes.
fn value(raw: &str) -> Result<Value<'_>, serde_json::Error> {
    Ok(match raw.as_bytes() {
        [b'"', inner @ .., b'"'] if memchr::memchr(b'\\', inner).is_none() => {
            Value::Text(Cow::Borrowed(&raw[1..raw.len() - 1]))
        }
        [b'"', ..] => Value::Text(Cow::Owned(serde_json::from_str(raw)?)),
        [b'{' | b'[', ..] => Value::Nested(raw),
        [b'n', ..] => Value::Missing,
        _ => Value::Literal(raw),
    })
}

/// Recognises a member's name: the index of its value, none where it is not asked for.
struct Name<'n> {
    names: &'n [String],
    likely: usize,
}

impl<'de> DeserializeSeed<'de> for Name<'_> {
    type Value = Option<usize>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Option<usize>, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Name<'_> {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a member name")
    }

    fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<Option<usize>, E> {
        match self.names.get(self.likely) {
            Some(likely) if likely == name => Ok(Some(self.likely)),
            _ => Ok(self.names.iter().position(|asked| asked == name)),
        }
    }
}
