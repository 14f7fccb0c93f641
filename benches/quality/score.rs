//! The scorer of labelled events, for made incidents and for real segments.
//!
//! - An event is *hit* by an alarm interval in `[start, end + 30 min]` on one of its series, if the run of alarm intervals
//!   that it belongs to began no earlier than 60 min before the start. Its delay runs from the start of the event to
//!   the end of the first such interval.
//! - Alarm *elsewhere*: in no event's `[start, end + 30 min]` on that series, and not the beginning of a run that hits.
//!   Each unbroken stretch of it counts one *false alert* per started 60 min. Alarm that goes on long after an event
//!   is therefore false, and so is an alarm on the measure that was not hit.
//! - precision = hits / (hits + false alerts), recall = hits / events, `FA/sw` = false alerts per series and week.
//!
//! An operating point of a score is found by lowering one threshold for all series of all cases until the false
//! alerts reach what is asked for.

/// What is scored together: a world, or a file.
pub(crate) struct Case {
    pub(crate) events: Vec<Event>,
    pub(crate) series: usize,
    /// First step that is scored, and the end.
    pub(crate) from: usize,
    pub(crate) steps: usize,
    pub(crate) minutes: usize,
}

/// First and last step are inside.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) series: Vec<usize>,
}

/// What alarms were worth.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outcome {
    /// Per event the delay in minutes, if it was hit.
    pub(crate) hits: Vec<Option<usize>>,
    /// Series that events are labelled on, and those of them that alarmed.
    pub(crate) labelled: usize,
    pub(crate) labelled_hit: usize,
    pub(crate) false_alerts: Vec<False>,
    pub(crate) series_weeks: f64,
}

/// An unbroken stretch of alarm elsewhere.
#[derive(Clone, Copy, Debug)]
pub(crate) struct False {
    pub(crate) series: usize,
    pub(crate) step: usize,
    /// Alerts that it counts for.
    pub(crate) alerts: usize,
}

impl Case {
    pub(crate) fn series_weeks(&self) -> f64 {
        (self.series * (self.steps - self.from) * self.minutes) as f64 / 10_080.0
    }

    /// Compares alarms with the events.
    pub(crate) fn score(&self, alarm: impl Fn(usize, usize) -> bool) -> Outcome {
        let (grace, before, hour) = (30 / self.minutes, 60 / self.minutes, (60 / self.minutes).max(1));
        let mut outcome =
            Outcome { hits: vec![None; self.events.len()], series_weeks: self.series_weeks(), ..Outcome::default() };
        let mut row = Vec::with_capacity(self.steps);
        for series in 0..self.series {
            row.clear();
            row.extend((0..self.steps).map(|step| alarm(series, step)));
            let mut covered: Vec<(usize, usize)> = Vec::new();
            for (index, event) in self.events.iter().enumerate().filter(|(_, event)| event.series.contains(&series)) {
                let last = (event.end + grace).min(self.steps - 1);
                covered.push((event.start, last));
                outcome.labelled += 1;
                let Some((began, first)) = first_hit(&row, event.start, last, before) else { continue };
                covered.push((began.min(event.start), event.start));
                outcome.labelled_hit += 1;
                let delay = (first + 1 - event.start) * self.minutes;
                let best = outcome.hits[index].map_or(delay, |other| other.min(delay));
                outcome.hits[index] = Some(best);
            }
            for (from, to) in covered {
                row[from..=to].fill(false);
            }
            let mut step = self.from;
            while step < self.steps {
                let start = step;
                while step < self.steps && row[step] {
                    step += 1;
                }
                if step > start {
                    let alerts = (step - start).div_ceil(hour);
                    outcome.false_alerts.push(False { series, step: start, alerts });
                }
                step += 1;
            }
        }
        outcome
    }
}

/// First step of the run that hits, and the first step of it within the window.
fn first_hit(row: &[bool], start: usize, last: usize, before: usize) -> Option<(usize, usize)> {
    let mut step = start;
    while step <= last {
        if row[step] {
            let began = (0..=step).rev().take_while(|at| row[*at]).last().unwrap_or(step);
            if began + before >= start {
                return Some((began, step));
            }
            // an old alarm says nothing of this event, its successor may
            while step <= last && row[step] {
                step += 1;
            }
        }
        step += 1;
    }
    None
}

impl Outcome {
    /// Both together.
    pub(crate) fn join(mut self, other: &Outcome) -> Outcome {
        self.hits.extend(&other.hits);
        self.labelled += other.labelled;
        self.labelled_hit += other.labelled_hit;
        self.false_alerts.extend(&other.false_alerts);
        self.series_weeks += other.series_weeks;
        self
    }

    pub(crate) fn recall(&self) -> f64 {
        share(self.found(), self.hits.len())
    }

    pub(crate) fn precision(&self) -> f64 {
        share(self.found(), self.found() + self.false_count())
    }

    pub(crate) fn f1(&self) -> f64 {
        share(2 * self.found(), self.found() + self.false_count() + self.hits.len())
    }

    pub(crate) fn false_rate(&self) -> f64 {
        self.false_count() as f64 / self.series_weeks
    }

    /// Share of the labelled series that alarmed.
    pub(crate) fn labelled_recall(&self) -> f64 {
        share(self.labelled_hit, self.labelled)
    }

    pub(crate) fn delay(&self) -> Option<usize> {
        median(self.hits.iter().flatten().copied())
    }

    fn found(&self) -> usize {
        self.hits.iter().flatten().count()
    }

    pub(crate) fn false_count(&self) -> usize {
        self.false_alerts.iter().map(|one| one.alerts).sum()
    }
}

/// Cases with the scores of their series.
pub(crate) type Scored<'a> = (&'a Case, &'a [Vec<f32>]);

/// The outcome of all cases at a threshold.
pub(crate) fn at(cases: &[Scored<'_>], threshold: f32) -> Outcome {
    let each = cases.iter().map(|(case, scores)| case.score(|series, step| scores[series][step] >= threshold));
    each.fold(Outcome::default(), |all, one| all.join(&one))
}

/// The lowest threshold that keeps the false alerts per series and week at `most`, to three digits.
pub(crate) fn threshold(cases: &[Scored<'_>], most: f64) -> f32 {
    // positive floats are ordered as their bits
    let (mut low, mut high) = (f32::MIN_POSITIVE.to_bits(), f32::MAX.to_bits());
    while high - low > 1 << 12 {
        let middle = low + (high - low) / 2;
        match at(cases, f32::from_bits(middle)).false_rate() <= most {
            true => high = middle,
            false => low = middle,
        }
    }
    f32::from_bits(high)
}

pub(crate) fn share(part: usize, whole: usize) -> f64 {
    if whole == 0 { f64::NAN } else { part as f64 / whole as f64 }
}

pub(crate) fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = values.filter(|value| value.is_finite()).fold((0.0, 0.0), |(s, n), value| (s + value, n + 1.0));
    sum / count
}

pub(crate) fn median(values: impl Iterator<Item = usize>) -> Option<usize> {
    let mut values: Vec<usize> = values.collect();
    values.sort_unstable();
    values.get(values.len().saturating_sub(1) / 2).copied()
}
