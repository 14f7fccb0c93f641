//! All series of a job: one state per dimension combination and measure, stepped in order.

use std::sync::Arc;

use super::arrival::Arrival;
use super::fleet::{Fleet, Form, Member, Moment, Said, Sizes};
use super::increment::Journal;
use super::judgement::{Context, Judgement, State};
use super::margin::Margin;
use super::model::Place;
use super::revision::Revised;
use super::series::{Series, VALUE_MAX, WARM_UP};
use super::settings::{Measure, Settings};
use super::sparse::Parent;
use super::spread::{Sequential, Spread};
use super::verdicts::{Recent, Verdicts};
use crate::model::{ClosedInterval, Direction, Interval, Length, Point, PointState, SeriesKey};

/// The continuous detector. [`Detector::observe`] is its one step.
#[derive(Clone, Debug)]
pub struct Detector {
    pub(super) fleet: Fleet,
    pub(super) last: Option<Interval>,
    /// The sum over all series of each measure, once some of them are judged by their share of it.
    pub(super) totals: Vec<Series>,
    /// What was said lately.
    pub(super) verdicts: Verdicts,
    /// What became of it since somebody last asked.
    pub(super) revised: Vec<Revised>,
    /// What was done since the last increment; none where nobody writes increments.
    pub(super) journal: Option<Journal>,
}

/// Verdicts that several intervals judged at once have together.
const SAID_MAX: usize = 1 << 19;
/// Intervals without rows that are judged in a row, however short they are.
const WALKED_MAX: u32 = 1440;

/// An interval, with what it brings.
struct Step {
    interval: Interval,
    arrivals: Vec<Arrival>,
}

impl Step {
    fn of(closed: &ClosedInterval, measures: &[Measure]) -> Step {
        let arrivals = closed.cells.iter().map(|cell| Arrival::of(cell, measures));
        Step { interval: closed.interval, arrivals: arrivals.collect() }
    }
}

/// How far a detector has learned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// Series, one per dimension combination and measure.
    pub series: usize,
    /// Those that still learn.
    pub learning: usize,
    /// Intervals until the last of them speaks.
    pub remaining: u32,
    /// Both for each form, in the order of [`Form::ALL`].
    pub learning_in: [(usize, u32); Form::ALL.len()],
    /// Series in full form.
    pub full: usize,
    /// In compact form.
    pub compact: usize,
    /// Series without a forest.
    pub tail: usize,
    /// Series whose forest is parked, full or compact.
    pub parked: usize,
    /// Bytes set aside for them, at most the budget: above it only if even the smallest forms take more.
    pub set_aside_bytes: u64,
}

impl Detector {
    /// A detector that has seen nothing.
    pub fn new(settings: Settings) -> Detector {
        Detector {
            fleet: Fleet::new(settings),
            last: None,
            totals: Vec::new(),
            verdicts: Verdicts::default(),
            revised: Vec::new(),
            journal: None,
        }
    }

    /// Days after which a series knows the shape of its day.
    pub const DAILY_SHAPE_DAYS: u32 = 1;
    /// Days after which it knows how the weekdays differ: it has seen each of them twice.
    pub const WEEKLY_SHAPE_DAYS: u32 = 14;

    /// Intervals that a new series is watched before it speaks.
    pub fn warm_up_intervals() -> u32 {
        WARM_UP
    }

    /// Judges one closed interval: a point per series and measure, ordered by interval, measure and key.
    ///
    /// Intervals come in order, as they close; one that is not later than the last is ignored (its rows were late, its
    /// partition has a new revision: see [`Detector::revise`]). Intervals that were passed over brought no rows at all: each
    /// is judged as empty, up to a day of them; beyond that the series keep their shapes and start from the level they
    /// find. A series is judged from the interval of its first row on, and forgotten after a long silence.
    pub fn observe(&mut self, closed: &ClosedInterval) -> Vec<Point> {
        self.observe_on(closed, &Sequential)
    }

    /// [`Detector::observe`] with the series spread over what the caller has; the same points, to the bit.
    pub fn observe_on(&mut self, closed: &ClosedInterval, spread: &impl Spread) -> Vec<Point> {
        self.observe_run_on(std::slice::from_ref(closed), spread).pop().unwrap_or_default()
    }

    /// Judges the first of some closed intervals, and as many of those after it as can be judged with it, which takes
    /// less time than one after the other: the points of each, the same as [`Detector::observe_on`] gives, to the bit.
    ///
    /// What late rows do to intervals without a row comes with the first, and so does a change of forms.
    pub fn observe_run_on(&mut self, closed: &[ClosedInterval], spread: &impl Spread) -> Vec<Vec<Point>> {
        let Some(first) = closed.first() else { return Vec::new() };
        let mut points = Vec::new();
        if let Some(last) = self.last {
            let passed = first.interval.number() - last.number() - 1;
            if passed < 0 {
                return vec![points];
            }
            let walked = passed.min(self.walked_most());
            for step in 1..=walked {
                let empty = Step { interval: last.offset(step), arrivals: Vec::new() };
                self.steps(std::slice::from_ref(&empty), spread, |said| points.extend(said));
            }
            if walked < passed {
                self.jump();
            }
        }
        let measures = self.settings().measures();
        let in_a_row = (0..).zip(closed).take_while(|(at, closed)| closed.interval == first.interval.offset(*at));
        let steps: Vec<Step> = in_a_row.map(|(_, closed)| Step::of(closed, measures)).collect();
        let mut all = Vec::new();
        self.steps(&steps, spread, |said| {
            points.extend(said);
            all.push(std::mem::take(&mut points));
        });
        self.last = Some(first.interval.offset(all.len() as i64 - 1));
        all
    }

    /// The settings.
    pub fn settings(&self) -> &Settings {
        self.fleet.settings()
    }

    /// The last interval that was judged.
    pub fn last(&self) -> Option<Interval> {
        self.last
    }

    /// Series, one per dimension combination and measure.
    pub fn series_count(&self) -> usize {
        self.fleet.members.len() * self.measures()
    }

    /// Bytes that the series take; what was said of them lately is beside it ([`Detector::verdict_bytes`]).
    pub fn memory_bytes(&self) -> usize {
        let key = |key: &SeriesKey| 16 + key.values().map(|value| size_of::<Box<str>>() + value.len()).sum::<usize>();
        let entry = (size_of::<SeriesKey>() + size_of::<Member>()) * 3 / 2;
        let members = self.fleet.members.iter().map(|(at, member)| entry + key(at) + member.heap_bytes());
        members.chain(self.totals.iter().map(Series::bytes)).sum()
    }

    /// Bytes set aside for the series of one key.
    pub fn sizes(&self) -> Sizes {
        *self.fleet.sizes()
    }

    /// How far the series have learned, and how they are kept.
    pub fn status(&self) -> Status {
        let (measures, all) = (self.measures(), &self.fleet.members);
        let remaining = || all.values().flat_map(Member::remaining);
        let learning_in = Form::ALL.map(|form| {
            let of_form = all.values().filter(|member| member.form() == form).flat_map(Member::remaining);
            of_form.filter(|left| *left > 0).fold((0, 0), |(count, most), left| (count + 1, left.max(most)))
        });
        let members = |is: &dyn Fn(&Member) -> bool| measures * all.values().filter(|m| is(m)).count();
        Status {
            series: self.series_count(),
            learning: remaining().filter(|remaining| *remaining > 0).count(),
            remaining: remaining().max().unwrap_or(0),
            learning_in,
            full: members(&|member| member.form() == Form::Full),
            compact: members(&|member| member.form() == Form::Compact),
            tail: members(&|member| member.form() == Form::Tail),
            parked: members(&Member::is_parked),
            set_aside_bytes: self.set_aside_for_totals()
                + all.values().map(|member| member.set_aside(self.fleet.sizes())).sum::<u64>(),
        }
    }

    /// The form of the series of each key.
    pub fn kept(&self) -> impl Iterator<Item = (&SeriesKey, Form)> {
        self.fleet.members.iter().map(|(key, member)| (key, member.form()))
    }

    /// Takes over what another detector knows of the series of one key, in its form, under another key of ours.
    /// False where the other knows nothing of them or has other measures.
    pub fn adopt(&mut self, key: SeriesKey, other: &Detector, like: &SeriesKey) -> bool {
        let same = self.settings().description() == other.settings().description();
        let member = other.fleet.members.get(like).filter(|_| same);
        // no increment so far tells of it
        self.journal = None;
        let Some(member) = member else { return false };
        // what was said of the other was not said of this one
        self.verdicts.recent.insert(key.clone(), Recent::default());
        self.fleet.members.insert(key, member.clone()).is_none()
    }

    /// Intervals without rows that are judged in a row; beyond that time is skipped: a day, or as many as a day has minutes.
    pub fn walked_most(&self) -> i64 {
        i64::from(self.settings().length().per_day().clamp(24, WALKED_MAX))
    }

    fn measures(&self) -> usize {
        self.fleet.contexts().len()
    }

    fn set_aside_for_totals(&self) -> u64 {
        if self.totals.is_empty() { 0 } else { self.fleet.sizes().of_form(Form::Full) }
    }

    /// Steps the sums over all series, and says what each measure's is and was forecast to be. Where all series are
    /// ignored, a sum is taken to be what was forecast.
    fn step_totals(&mut self, interval: Interval, place: &Place, arrivals: &[Arrival]) -> Vec<Parent> {
        let is_ignored = self.settings().calendars().at(interval).ignores_all();
        let mut parents = Vec::with_capacity(self.measures());
        for (index, context) in self.fleet.contexts().iter().enumerate() {
            let values = arrivals.iter().filter_map(|arrival| arrival.given.get(index)?.value);
            let value: f64 = values.sum::<f64>().clamp(-VALUE_MAX, VALUE_MAX);
            let mut parent = Parent { value, basis: None, is_odd: false };
            if let Some(total) = self.totals.get_mut(index).filter(|_| context.empty_is_zero) {
                // a change that is small in a series may be large in all together, and the other way round
                let context = &Context { margin: Margin::NONE, ..*context };
                if is_ignored {
                    let expected = total.pass(context, place).expected;
                    let basis = Some(expected).filter(|_| total.remaining() == 0);
                    parents.push(Parent { value: expected, basis, is_odd: false });
                    continue;
                }
                let judgement = total.step(context, place, Some(value));
                parent.is_odd = matches!(judgement.state, State::Anomalous { .. });
                let basis = if parent.is_odd { judgement.expected } else { value };
                parent.basis = Some(basis).filter(|_| total.remaining() == 0);
            }
            parents.push(parent);
        }
        parents
    }

    /// Steps the first of these intervals, and as many after it as can be stepped with it: `told` is given what was
    /// said in each.
    fn steps(&mut self, steps: &[Step], spread: &impl Spread, mut told: impl FnMut(Vec<Point>)) {
        let Some(first) = steps.first() else { return };
        self.fleet.admit(&first.arrivals);
        let mut changes = self.fleet.arrange(&first.arrivals, spread);
        if self.totals.is_empty() && self.fleet.members.values().any(|member| member.form() == Form::Tail) {
            self.totals = self.fleet.new_series(&SeriesKey::new([]));
        }
        let steps = &steps[..self.together(steps)];
        let moments: Vec<Moment<'_>> = steps.iter().map(|step| self.moment(step)).collect();
        let all = self.fleet.judge(&moments, spread);
        for ((step, moment), said) in steps.iter().zip(&moments).zip(all) {
            let Step { interval, arrivals } = step;
            told(self.tell(*interval, &said));
            let reach = Verdicts::reach(self.settings().length().per_day(), self.series_count());
            self.verdicts.count(arrivals, reach);
            self.verdicts.note(arrivals, &said, self.fleet.settings().measures(), reach);
            self.forget();
            if let Some(journal) = &mut self.journal {
                journal.stepped(*interval, reach, &moment.parents, &std::mem::take(&mut changes), arrivals);
            }
            self.judge_waited(*interval);
            let parts = self.parts();
            self.journal = self.journal.take().filter(|journal| !journal.is_too_long(parts));
        }
    }

    /// How many steps can be judged at once, now that the forms are those of the first: everybody keeps its form, nobody
    /// comes or goes, and no late rows wait for what is said.
    fn together(&self, steps: &[Step]) -> usize {
        if steps.len() < 2 || self.verdicts.is_waiting() {
            return steps.len().min(1);
        }
        let members = &self.fleet.members;
        let is_known = |step: &&Step| step.arrivals.iter().all(|arrival| members.contains_key(&arrival.key));
        let known = 1 + steps[1..].iter().take_while(is_known).count();
        // what is said of them waits in memory
        let most = SAID_MAX / (self.fleet.members.len() * self.settings().measures().len()).max(1);
        known.min(self.fleet.calm() as usize).min(most).max(1)
    }

    fn moment<'a>(&mut self, step: &'a Step) -> Moment<'a> {
        let place = Place::of(step.interval);
        let parents = self.step_totals(step.interval, &place, &step.arrivals);
        Moment { place, arrivals: &step.arrivals, parents }
    }

    /// Forgets who has been silent for too long, and what was said of them.
    pub(super) fn forget(&mut self) {
        self.fleet.forget();
        let members = &self.fleet.members;
        self.verdicts.keep(members.len(), |key| members.contains_key(key));
    }

    fn jump(&mut self) {
        self.fleet.jump();
        self.verdicts.jump();
        self.verdicts.jump_common();
        self.totals.iter_mut().for_each(Series::jump);
        if let Some(journal) = &mut self.journal {
            journal.jumped();
        }
    }

    /// What was said, ordered by measure and key.
    fn tell(&self, interval: Interval, said: &[Option<Said>]) -> Vec<Point> {
        let measures = self.settings().measures();
        let mut points = Vec::with_capacity(said.len());
        for (index, measure) in measures.iter().enumerate() {
            for (key, said) in self.fleet.members.keys().zip(said.chunks_exact(measures.len())) {
                if let Some(Said { value, judgement, .. }) = said[index] {
                    let judgement =
                        Judgement { score: per_five_minutes(judgement.score, interval.length()), ..judgement };
                    points.push(point(interval, key, measure.name(), value, judgement));
                }
            }
        }
        points
    }
}

/// A score by which intervals of any length compare: `-log10` of the probability of such an interval is `score`, and how often
/// that happens depends on how many intervals there are. 0 stays 0: nothing was said.
fn per_five_minutes(score: f64, length: Length) -> f64 {
    let intervals = length.seconds() as f64 / 300.0;
    if score > 0.0 { (score + libm::log10(intervals)).max(0.0) } else { 0.0 }
}

fn point(interval: Interval, key: &SeriesKey, measure: &Arc<str>, value: Option<f64>, judgement: Judgement) -> Point {
    let Judgement { expected, lower, upper, score, severity, state, .. } = judgement;
    let state = match state {
        State::Learning { remaining } => PointState::Learning { remaining },
        State::Normal => PointState::Normal,
        State::Anomalous { high, since } => PointState::Anomalous {
            direction: if high { Direction::High } else { Direction::Low },
            since: interval.offset(since - interval.number()),
        },
    };
    Point {
        interval,
        key: key.clone(),
        measure: measure.clone(),
        value,
        expected,
        lower,
        upper,
        score,
        severity,
        state,
    }
}
