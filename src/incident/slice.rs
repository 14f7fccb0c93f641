//! Slices: which series an incident is about, as one value or none for each dimension.

use serde::{Deserialize, Serialize};

use crate::model::{Dimensions, SeriesKey};

/// A value for some of the dimensions; the others are open.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Slice(Vec<Option<String>>);

/// How one slice lies to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lies {
    /// It is the same.
    Same,
    /// It is wider, and has all of it.
    Around,
    /// It is narrower.
    Within,
    /// They share series, or none.
    Beside,
}

impl Slice {
    /// Of everything.
    pub(super) fn all(dimensions: usize) -> Slice {
        Slice(vec![None; dimensions])
    }

    /// Of these values; a dimension that is not among `names` does not count.
    pub(super) fn of(dimensions: &Dimensions, names: &[String]) -> Slice {
        let value =
            |name: &String| dimensions.iter().find(|(other, _)| other == name).map(|(_, value)| value.to_owned());
        Slice(names.iter().map(value).collect())
    }

    /// Of one series.
    pub(super) fn of_series(key: &SeriesKey) -> Slice {
        Slice(key.values().map(|value| Some(value.to_owned())).collect())
    }

    /// Its value of one dimension alone.
    pub(super) fn only(&self, dimension: usize) -> Slice {
        let is_it = |(at, value): (usize, &Option<String>)| value.clone().filter(|_| at == dimension);
        Slice(self.0.iter().enumerate().map(is_it).collect())
    }

    /// With the names of its dimensions.
    pub(super) fn named(&self, names: &[String]) -> Dimensions {
        let pairs = names.iter().zip(&self.0);
        Dimensions::of(pairs.filter_map(|(name, value)| Some((name.clone(), value.clone()?))))
    }

    /// The value of a dimension, if it is cut by it.
    pub(super) fn value(&self, dimension: usize) -> Option<&str> {
        self.0.get(dimension).and_then(Option::as_deref)
    }

    /// Whether a series is in it.
    pub(super) fn has(&self, key: &SeriesKey) -> bool {
        self.0.iter().zip(key.values()).all(|(value, of_key)| value.as_deref().is_none_or(|value| value == of_key))
    }

    /// How it lies to another.
    pub(super) fn lies(&self, other: &Slice) -> Lies {
        let has = |wide: &Slice, narrow: &Slice| wide.0.iter().zip(&narrow.0).all(|(a, b)| a.is_none() || a == b);
        match (has(self, other), has(other, self)) {
            (true, true) => Lies::Same,
            (true, false) => Lies::Around,
            (false, true) => Lies::Within,
            (false, false) => Lies::Beside,
        }
    }

    /// Whether no series can be in both.
    pub(super) fn is_apart(&self, other: &Slice) -> bool {
        self.0.iter().zip(&other.0).any(|(a, b)| a.is_some() && b.is_some() && a != b)
    }

    /// Text that tells it from others.
    pub(super) fn bytes(&self) -> impl Iterator<Item = u8> {
        // 0xff and 0xfe are in no UTF-8 text
        self.0.iter().flat_map(|value| {
            let (text, end) = value.as_ref().map_or(("", 0xfe), |value| (value.as_str(), 0xff));
            text.bytes().chain(std::iter::once(end))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slice(values: [&str; 2]) -> Slice {
        Slice(values.iter().map(|value| (!value.is_empty()).then(|| (*value).to_owned())).collect())
    }

    #[test]
    fn slices_lie_to_each_other() {
        let (us, web, us_web, uk) = (slice(["us", ""]), slice(["", "web"]), slice(["us", "web"]), slice(["uk", ""]));
        assert_eq!(us.lies(&us), Lies::Same);
        assert_eq!((us.lies(&us_web), us_web.lies(&us)), (Lies::Around, Lies::Within));
        assert_eq!((us.lies(&web), us.lies(&uk)), (Lies::Beside, Lies::Beside));
        assert!(us.is_apart(&uk) && uk.is_apart(&us_web) && !us.is_apart(&web));
        assert_eq!(Slice::all(2).lies(&uk), Lies::Around);
        assert!(us_web.has(&SeriesKey::new(["us", "web"])) && !us.has(&SeriesKey::new(["uk", "web"])));
    }

    #[test]
    fn a_slice_reads_back_by_the_names_of_its_dimensions() {
        let names = ["market".to_owned(), "platform".to_owned()];
        let slice = slice(["", "web"]);
        assert_eq!(slice.named(&names).to_string(), "platform=web");
        assert_eq!(Slice::of(&slice.named(&names), &names), slice);
        assert_ne!(
            Slice::all(2).bytes().collect::<Vec<_>>(),
            Slice(vec![Some(String::new()), None]).bytes().collect::<Vec<_>>()
        );
    }
}
