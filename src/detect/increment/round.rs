//! The way round the keys. Each increment has the members of one range of keys, the next goes on where it ended, and
//! after the last key it begins again at the first. A detector can be restored from the newest increments that together
//! have been all the way round.

use std::collections::VecDeque;

use crate::model::SeriesKey;

/// A place on the way: how often it has been round, and the first key that lies behind; none before all keys.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Mark {
    lap: u64,
    key: Option<SeriesKey>,
}

/// Where the ranges of the increments began that are needed, and where the last one ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::detect) struct Round {
    starts: VecDeque<Mark>,
    end: Mark,
}

impl Round {
    /// That begins at a key, without a range.
    pub(in crate::detect) fn beginning(key: Option<SeriesKey>) -> Round {
        Round { starts: VecDeque::new(), end: Mark { lap: 0, key } }
    }

    /// Where the next range begins.
    pub(in crate::detect) fn cursor(&self) -> Option<&SeriesKey> {
        self.end.key.as_ref()
    }

    /// Adds the range up to a key, or to the end of all keys; ranges that later ones have made good are not needed any
    /// more.
    pub(in crate::detect) fn advance(&mut self, to: Option<SeriesKey>) {
        let lap = if to.is_none() { self.end.lap + 1 } else { self.end.lap };
        self.starts.push_back(std::mem::replace(&mut self.end, Mark { lap, key: to }));
        while self.starts.get(1).is_some_and(|next| self.is_round_since(next)) {
            self.starts.pop_front();
        }
    }

    /// How many ranges are needed.
    pub(in crate::detect) fn ranges(&self) -> usize {
        self.starts.len()
    }

    /// Whether they have all keys.
    pub(in crate::detect) fn is_whole(&self) -> bool {
        self.starts.front().is_some_and(|first| self.is_round_since(first))
    }

    /// Whether they have a key.
    pub(in crate::detect) fn has(&self, key: &SeriesKey) -> bool {
        let Some(first) = self.starts.front() else { return false };
        let mut laps = first.lap..=self.end.lap;
        laps.any(|lap| {
            let at = (lap, Some(key));
            (first.lap, first.key.as_ref()) <= at && at < (self.end.lap, self.end.key.as_ref())
        })
    }

    fn is_round_since(&self, start: &Mark) -> bool {
        (start.lap + 1, start.key.as_ref()) <= (self.end.lap, self.end.key.as_ref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> Option<SeriesKey> {
        Some(SeriesKey::new([name]))
    }

    fn round(ends: &[Option<&str>]) -> Round {
        let mut round = Round::beginning(None);
        ends.iter().for_each(|end| round.advance(end.and_then(key)));
        round
    }

    fn had(round: &Round) -> String {
        "abcdefgh".chars().filter(|name| round.has(&SeriesKey::new([name.to_string().as_str()]))).collect()
    }

    #[test]
    fn ranges_are_needed_until_the_next_lap_has_passed_them() {
        let ends = [Some("c"), Some("f"), None, Some("b"), Some("d"), Some("g"), None];
        let seen = (1..=ends.len()).map(|count| {
            let round = round(&ends[..count]);
            (had(&round), round.ranges(), round.is_whole())
        });
        let all = "abcdefgh".to_owned();
        let expected = [
            ("ab".to_owned(), 1, false),
            ("abcde".to_owned(), 2, false),
            (all.clone(), 3, true),
            // up to b only: the first range, up to c, is still needed
            (all.clone(), 4, true),
            (all.clone(), 4, true),
            (all.clone(), 4, true),
            (all.clone(), 4, true),
        ];
        assert_eq!(seen.collect::<Vec<_>>(), expected);
        assert_eq!(round(&[None, None, None]).ranges(), 1, "a range of all keys makes good all before");
    }

    #[test]
    fn a_way_may_begin_anywhere() {
        let mut round = Round::beginning(key("d"));
        assert_eq!((had(&round), round.is_whole()), (String::new(), false));
        round.advance(key("g"));
        assert_eq!(had(&round), "def");
        round.advance(None);
        round.advance(key("b"));
        assert_eq!((had(&round), round.is_whole()), ("adefgh".to_owned(), false));
        round.advance(key("d"));
        assert_eq!((had(&round), round.ranges(), round.is_whole()), ("abcdefgh".to_owned(), 4, true));
    }
}
