//! What each form finds: the same counts with the same incidents, once with every series in full form, once in the
//! smallest. (The compact form says the same as the full one, to the bit.)
//!
//! Series of five weights, whose rows come one by one (Poisson) with a daily wave of one of seven phases, quieter weekends,
//! noise of their own and noise that all share. Two weeks to learn, three with an incident every four days: a spike of one
//! interval, a burst of 6, a drop to nothing of 24, a dip of 24, a shift of 100, of 5 to 10 standard deviations for
//! the spike and fewer for the longer ones. Found is an incident with an alarm up to 30 minutes after its end; false is an
//! alarm elsewhere, one per hour begun.

use std::sync::Arc;

use tidewatch::detect::{Aggregation, Detector, Form, Measure, Settings, Sizes};
use tidewatch::model::{Cell, ClosedInterval, Interval, Length, PointState, SeriesKey, Stats};

const RATES: [f64; 6] = [0.3, 1.0, 4.0, 16.0, 64.0, 512.0];
const EACH: usize = 40;
const DAY: usize = 288;
const LEARNT: usize = 14 * DAY;
const LENGTH: usize = 35 * DAY;
const KINDS: [(&str, usize); 5] = [("spike", 1), ("burst", 6), ("drop", 24), ("dip", 24), ("shift", 100)];
const INCIDENTS: usize = 5;

struct Incident {
    start: usize,
    kind: usize,
    size: f64,
}

impl Incident {
    fn end(&self) -> usize {
        self.start + KINDS[self.kind].1
    }
}

/// Prints the table.
pub(crate) fn print(seed: u64) {
    let mut random = Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
    let incidents: Vec<Vec<Incident>> = (0..RATES.len() * EACH).map(|_| plan(&mut random)).collect();
    println!("\nquality: recall by kind of incident, false alerts per series and week; {EACH} series of each weight");
    let kinds: String = KINDS.iter().map(|(name, _)| format!("{name:>8}")).collect();
    println!("  {:>13} {:>8}{kinds} {:>9}", "rows/interval", "form", "FA/sw");
    let forms = [Form::Tail, Form::Full];
    let alarms = forms.map(|form| alarms(form, seed, &incidents));
    for (group, rate) in RATES.iter().enumerate() {
        for (form, alarms) in forms.iter().zip(&alarms) {
            let series = group * EACH..(group + 1) * EACH;
            let recall = |kind: usize| {
                let all = series.clone().flat_map(|at| incidents[at].iter().map(move |incident| (at, incident)));
                let found: Vec<bool> = all
                    .filter(|(_, incident)| incident.kind == kind)
                    .map(|(at, incident)| alarms[at].iter().any(|t| (incident.start..incident.end() + 6).contains(t)))
                    .collect();
                found.iter().filter(|found| **found).count() as f64 / found.len().max(1) as f64
            };
            let cells: String = (0..KINDS.len()).map(|kind| format!("{:8.2}", recall(kind))).collect();
            let wrong: usize = series.clone().map(|at| count_false(&alarms[at], &incidents[at])).sum();
            let weeks = EACH as f64 * (LENGTH - LEARNT) as f64 / (7 * DAY) as f64;
            println!("  {rate:13} {:>8}{cells} {:9.3}", form.name(), wrong as f64 / weeks);
        }
    }
}

fn plan(random: &mut Random) -> Vec<Incident> {
    let incident = |slot: usize| Incident {
        start: LEARNT + slot * 4 * DAY + 100 + (random.unit() * 400.0) as usize,
        kind: (random.unit() * KINDS.len() as f64) as usize,
        size: 5.0 + 5.0 * random.unit(),
    };
    (0..INCIDENTS).map(incident).collect()
}

/// Hours begun with an alarm far from every incident.
fn count_false(alarms: &[usize], incidents: &[Incident]) -> usize {
    let mut until = LEARNT;
    let mut count = 0;
    for t in alarms {
        let is_near = incidents.iter().any(|incident| t + 12 >= incident.start && *t < incident.end() + 100);
        if !is_near && *t >= until {
            (count, until) = (count + 1, t + 12);
        }
    }
    count
}

/// The intervals in which each series alarms.
fn alarms(form: Form, seed: u64, incidents: &[Vec<Incident>]) -> Vec<Vec<usize>> {
    let length = Length::from_seconds(300).unwrap();
    let measure = Measure::new(Arc::from("orders"), 0, Aggregation::Sum);
    let settings = Settings::new(vec!["shop".to_owned()], vec![measure], length, seed).unwrap();
    let sizes = Sizes::of(&settings);
    let count = incidents.len();
    let all = sizes.of_form(form) * count as u64 + sizes.of_form(Form::Full);
    let mut detector = Detector::new(settings.with_memory(all + all / 1000));
    let mut random = Random(seed.wrapping_mul(77) | 1);
    let (mut shared, mut slow) = (0.0, vec![0.0; count]);
    let mut alarms = vec![Vec::new(); count];
    for t in 0..LENGTH {
        shared = 0.95 * shared + 0.02 * random.gauss();
        let mut cells = Vec::new();
        for (at, incidents) in incidents.iter().enumerate() {
            slow[at] = 0.8 * slow[at] + 0.03 * random.gauss();
            let wave = (std::f64::consts::TAU * t as f64 / DAY as f64 + 0.3 * (at % 7) as f64).sin();
            let week = if t / DAY % 7 >= 5 { 0.7 } else { 1.0 };
            let noise = (1.0f64 + slow[at] + shared).max(0.1);
            let usual = RATES[at / EACH] * (1.0 + 0.6 * wave) * week * noise;
            let now = incidents.iter().find(|incident| (incident.start..incident.end()).contains(&t));
            let deviation = (usual + 0.003 * usual * usual).sqrt().max(0.3);
            let mean = match now {
                None => usual,
                Some(Incident { kind: 0, size, .. }) => usual + 1.5 * size * deviation,
                Some(Incident { kind: 1, size, .. }) => usual + 0.8 * size * deviation,
                Some(Incident { kind: 2, .. }) => 0.0,
                Some(Incident { kind: 3, size, .. }) => (usual - 0.5 * size * deviation).max(0.0),
                Some(Incident { size, .. }) => usual + 0.4 * size * deviation,
            };
            let rows = random.poisson(mean);
            if rows > 0 {
                let mut stats = Stats::EMPTY;
                (0..rows).for_each(|_| stats.add(1.0));
                cells.push(Cell { key: key(at), rows, stats: vec![stats], sketches: Vec::new() });
            }
        }
        let interval = Interval::containing(0, length).offset((4 * DAY + t) as i64);
        for point in detector.observe(&ClosedInterval { interval, cells }) {
            if matches!(point.state, PointState::Anomalous { .. }) {
                let at: usize = point.key.values().next().unwrap().parse().unwrap();
                alarms[at].push(t);
            }
        }
    }
    assert!(detector.kept().all(|(_, kept)| kept == form));
    alarms
}

fn key(at: usize) -> SeriesKey {
    SeriesKey::new([format!("{at:05}").as_str()])
}

/// Random numbers, the same on every machine (xorshift64*).
struct Random(u64);

impl Random {
    fn unit(&mut self) -> f64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Close to normal: a sum of twelve.
    fn gauss(&mut self) -> f64 {
        (0..12).map(|_| self.unit()).sum::<f64>() - 6.0
    }

    fn poisson(&mut self, mean: f64) -> u64 {
        if mean > 50.0 {
            return (mean + mean.sqrt() * self.gauss()).round().max(0.0) as u64;
        }
        let (floor, mut count, mut product) = ((-mean).exp(), 0, self.unit());
        while product > floor {
            count += 1;
            product *= self.unit();
        }
        count
    }
}
