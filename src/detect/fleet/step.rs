//! All members, and what a step does with them: who is new is admitted, forms are changed, everybody is judged, who has
//! been silent for too long is forgotten.
//!
//! Only [`Fleet::arrange`] looks at more than one member. What it decides is told, so that a step can be done again for
//! some of the members alone (`increment`): admit, [`Fleet::make`] what was decided, judge, forget.

use std::collections::BTreeMap;

use super::{Candidate, Change, Form, Member, Sizes, plan};
use crate::detect::arrival::Arrival;
use crate::detect::judgement::{Context, Judgement};
use crate::detect::model::Place;
use crate::detect::series::Series;
use crate::detect::settings::{Measure, Settings};
use crate::detect::sparse::{Given, Parent};
use crate::detect::spread::{Spread, on_each, on_each_heavy};
use crate::model::{Interval, SeriesKey};

/// What a series was given and said.
#[derive(Clone, Copy, Debug)]
pub(in crate::detect) struct Said {
    pub(in crate::detect) value: Option<f64>,
    pub(in crate::detect) judgement: Judgement,
    /// Whether it was judged; if not, it has passed over the interval, and said what was expected.
    pub(in crate::detect) is_judged: bool,
}

/// The members by their keys, and the settings that they live by.
#[derive(Clone, Debug)]
pub(in crate::detect) struct Fleet {
    settings: Settings,
    contexts: Vec<Context>,
    sizes: Sizes,
    pub(in crate::detect) members: BTreeMap<SeriesKey, Member>,
}

/// An interval that is to be judged.
pub(in crate::detect) struct Moment<'a> {
    pub(in crate::detect) place: Place,
    /// Ordered by key.
    pub(in crate::detect) arrivals: &'a [Arrival],
    /// What all series have together, one for each measure.
    pub(in crate::detect) parents: Vec<Parent>,
}

/// What one interval brings a member.
#[derive(Clone, Copy)]
struct Turn<'a> {
    arrival: Option<&'a Arrival>,
    is_ignored: bool,
}

/// A member in some intervals, with the places for what its series say: interval by interval, measure by measure.
struct Task<'a> {
    member: &'a mut Member,
    turns: &'a [Turn<'a>],
    said: &'a mut [Option<Said>],
}

impl Fleet {
    /// Without members.
    pub(in crate::detect) fn new(settings: Settings) -> Fleet {
        let alarm = -libm::log10(settings.alarm_probability());
        let per_day = settings.length().per_day();
        let contexts = settings.measures().iter().map(|measure| Context {
            per_day,
            alarm,
            empty_is_zero: measure.aggregation().empty_is_zero(),
            margin: measure.margin(),
            is_counter: measure.is_counter(),
        });
        Fleet { contexts: contexts.collect(), sizes: Sizes::of(&settings), settings, members: BTreeMap::new() }
    }

    pub(in crate::detect) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// What a step needs to know of the settings, for each measure.
    pub(in crate::detect) fn contexts(&self) -> &[Context] {
        &self.contexts
    }

    pub(in crate::detect) fn sizes(&self) -> &Sizes {
        &self.sizes
    }

    /// Series of a key that nothing is known of.
    pub(in crate::detect) fn new_series(&self, key: &SeriesKey) -> Vec<Series> {
        new_series(&self.settings, key)
    }

    /// Makes members of those who come for the first time.
    pub(in crate::detect) fn admit(&mut self, arrivals: &[Arrival]) {
        for arrival in arrivals {
            if !self.members.contains_key(&arrival.key) {
                self.members.insert(arrival.key.clone(), Member::new(&self.settings));
            }
        }
    }

    /// Decides about the forms for an interval with these arrivals, and changes those that are to be changed: first who
    /// becomes smaller, then who becomes larger, so that the budget is kept on the way. Gives what was changed.
    pub(in crate::detect) fn arrange(
        &mut self,
        arrivals: &[Arrival],
        spread: &impl Spread,
    ) -> Vec<(SeriesKey, Change)> {
        let is_roomy = self.is_roomy();
        let Fleet { settings, contexts, sizes, members } = self;
        let budget = settings.memory_bytes();
        let mut arrivals = arrivals.iter().peekable();
        let mut all = Vec::with_capacity(members.len());
        for (key, member) in members {
            while arrivals.next_if(|arrival| arrival.key < *key).is_some() {}
            let has_rows = arrivals.next_if(|arrival| arrival.key == *key).is_some();
            all.push((key, member, has_rows));
        }
        let change = |member: &Member, form: Form| match member.form() {
            Form::Tail => Change::Begin(form),
            _ => Change::Turn(form),
        };
        let mut changed = Vec::new();
        let mut make_all = |changes: Vec<(&SeriesKey, &mut Member, Change)>| {
            changed.extend(changes.iter().map(|(key, _, change)| ((*key).clone(), *change)));
            make(changes, settings, spread);
        };
        if is_roomy {
            let others = all.into_iter().filter(|(_, m, _)| m.form() != Form::Full || m.is_parked());
            let changes = others.map(|(key, member, _)| {
                let change = change(member, Form::Full);
                (key, member, change)
            });
            make_all(changes.collect());
            return changed;
        }
        let (cold, awake): (Vec<_>, Vec<_>) =
            all.into_iter().partition(|(_, member, has_rows)| !has_rows && member.is_cold(contexts));
        let mut cold: Vec<(&SeriesKey, &mut Member)> = cold.into_iter().map(|(key, member, _)| (key, member)).collect();
        let parks = cold.iter_mut().filter(|(_, member)| !member.is_parked());
        make_all(parks.map(|(key, member)| (*key, &mut **member, Change::Park)).collect());
        let parked: u64 = cold.iter().map(|(_, member)| member.set_aside(sizes)).sum();
        let (light, awake): (Vec<_>, Vec<_>) = awake.into_iter().partition(|(_, member, _)| member.is_light(contexts));
        let mut candidates: Vec<Candidate> = awake.iter().map(|(_, member, _)| member.candidate()).collect();
        // the totals are there, or will be as soon as they are needed
        let fixed = parked + sizes.of_form(Form::Full) + light.len() as u64 * sizes.of_form(Form::Tail);
        plan(&mut candidates, &Form::ALL.map(|form| sizes.of_form(form)), budget.saturating_sub(fixed));
        let changes =
            awake.into_iter().zip(&candidates).map(|((key, member, _), to)| (key, member, Form::ALL[to.level]));
        let changes = light.into_iter().map(|(key, member, _)| (key, member, Form::Tail)).chain(changes);
        let changes = changes.filter(|(_, member, form)| member.form() != *form || member.is_parked());
        let (smaller, larger): (Vec<_>, Vec<_>) = changes
            .partition(|(_, member, form)| *form < member.form() && (!member.is_parked() || *form == Form::Tail));
        for changes in [smaller, larger] {
            let changes = changes.into_iter().map(|(key, member, form)| {
                let change = change(member, form);
                (key, member, change)
            });
            make_all(changes.collect());
        }
        changed
    }

    /// Makes changes that were decided before, of the members that are here; gives how many.
    pub(in crate::detect) fn make(&mut self, changes: &BTreeMap<SeriesKey, Change>, spread: &impl Spread) -> usize {
        if changes.is_empty() {
            return 0;
        }
        let members = self.members.iter_mut();
        let changes: Vec<_> =
            members.filter_map(|(key, member)| changes.get(key).map(|change| (key, member, *change))).collect();
        let count = changes.len();
        make(changes, &self.settings, spread);
        count
    }

    /// How many intervals can be judged at once whose arrivals are all of members that are there: as long as everybody
    /// keeps its form and nobody is forgotten, a member depends on the others only by what all have together.
    pub(in crate::detect) fn calm(&self) -> u32 {
        let per_day = self.settings.length().per_day();
        let members = self.members.values().map(|member| member.stays(per_day));
        if self.is_roomy() { members.min().unwrap_or(0) } else { 0 }
    }

    /// Whether everybody can have the largest form; then, once it is arranged, everybody has.
    fn is_roomy(&self) -> bool {
        let count = self.members.len() as u64;
        self.sizes.of_form(Form::Full).saturating_mul(count) <= self.settings.memory_bytes()
    }

    /// Judges intervals one after the other: of each, what each series was given and said, in the order of the members
    /// and of their measures. Those that a calendar ignores pass over it, but for their counters, which go on.
    ///
    /// Each series goes through all of them before the next one begins: its forest does not fit into the fastest cache
    /// together with the others, so that to fetch it takes longer than to ask it.
    pub(in crate::detect) fn judge(&mut self, moments: &[Moment<'_>], spread: &impl Spread) -> Vec<Vec<Option<Said>>> {
        let (contexts, measures) = (&self.contexts, self.contexts.len());
        let length = self.settings.length();
        let each = moments.len() * measures;
        let mut turns: Vec<Turn<'_>> =
            vec![Turn { arrival: None, is_ignored: false }; self.members.len() * moments.len()];
        for (at, Moment { place, arrivals, .. }) in moments.iter().enumerate() {
            let active = self.settings.calendars().at(Interval::containing(place.number * length.micros(), length));
            let mut arrivals = arrivals.iter().peekable();
            for (key, turns) in self.members.keys().zip(turns.chunks_exact_mut(moments.len())) {
                // both sides are ordered by key
                while arrivals.next_if(|arrival| arrival.key < *key).is_some() {}
                let arrival = arrivals.next_if(|arrival| arrival.key == *key);
                turns[at] = Turn { arrival, is_ignored: active.ignores(key) };
            }
        }
        let mut said: Vec<Option<Said>> = vec![None; self.members.len() * each];
        let members = self.members.values_mut().zip(turns.chunks_exact(moments.len()));
        let tasks = members.zip(said.chunks_exact_mut(each.max(1)));
        let mut tasks: Vec<Task<'_>> = tasks.map(|((member, turns), said)| Task { member, turns, said }).collect();
        on_each_heavy(spread, &mut tasks, moments.len(), &|task| {
            for turn in task.turns.iter().filter(|turn| !turn.is_ignored) {
                task.member.weigh(turn.arrival);
            }
            for (index, context) in contexts.iter().enumerate() {
                for (at, (turn, moment)) in task.turns.iter().zip(moments).enumerate() {
                    task.said[at * measures + index] = Some(task.member.say(index, context, *turn, moment));
                }
            }
        });
        if moments.len() == 1 {
            return vec![said];
        }
        let of = |at: usize| said.chunks_exact(each.max(1)).flat_map(move |said| &said[at * measures..][..measures]);
        (0..moments.len()).map(|at| of(at).copied().collect()).collect()
    }

    /// Time was skipped.
    pub(in crate::detect) fn jump(&mut self) {
        self.members.values_mut().for_each(Member::jump);
    }

    /// Forgets who has been silent for too long.
    pub(in crate::detect) fn forget(&mut self) {
        let per_day = self.settings.length().per_day();
        self.members.retain(|_, member| !member.is_gone(per_day));
    }
}

impl Member {
    /// Judges measure `index` of an interval, or passes over it.
    fn say(&mut self, index: usize, context: &Context, turn: Turn<'_>, moment: &Moment<'_>) -> Said {
        let given = turn.arrival.and_then(|arrival| arrival.given.get(index));
        let read = self.reading(index, context, given.copied().unwrap_or(Given::NOTHING));
        let to_judge = read.filter(|_| !turn.is_ignored);
        let judgement = match to_judge {
            Some(read) => self.step(index, context, &moment.place, read, moment.parents[index]),
            None => self.pass(index, context, &moment.place, moment.parents[index]),
        };
        Said { value: read.and_then(|read| read.value), judgement, is_judged: to_judge.is_some() }
    }
}

fn make(mut changes: Vec<(&SeriesKey, &mut Member, Change)>, settings: &Settings, spread: &impl Spread) {
    on_each(spread, &mut changes, &|(key, member, change)| member.change(*change, || new_series(settings, key)));
}

fn new_series(settings: &Settings, key: &SeriesKey) -> Vec<Series> {
    let (length, forest) = (settings.length(), settings.forest());
    let seed = |name: &str| seed_of(settings.seed(), name, key);
    let series =
        |measure: &Measure| Series::new(length, forest, seed(measure.name()), measure.aggregation().empty_is_zero());
    settings.measures().iter().map(series).collect()
}

/// A seed of its own for every series: FNV-1a over the measure's name and the key, mixed with the job's seed.
fn seed_of(seed: u64, measure: &str, key: &SeriesKey) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64 ^ seed;
    for part in std::iter::once(measure).chain(key.values()) {
        for byte in part.bytes().chain(std::iter::once(0xff)) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
    hash
}
