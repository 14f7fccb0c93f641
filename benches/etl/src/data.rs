//! One made-up record, and what it becomes in a partition. Record `i` of a set is a function of the set's shape and `i`
//! alone, so files can be written side by side.

use std::fmt::Write as _;

/// The order of event times.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// As a live stream has them: in order, two minutes early or late.
    Time,
    /// None: every file spans the whole time.
    Random,
}

/// A data set.
#[derive(Clone, Copy)]
pub struct Shape {
    pub records: u64,
    pub order: Order,
    pub series: u64,
    pub days: u64,
}

pub struct Record {
    pub id: u64,
    pub platform: u64,
    pub marketplace: u64,
    /// Seconds since 1970.
    pub time: u64,
    pub views: u64,
    pub cents: u64,
}

/// 2026-01-15T00:00:00Z.
const BEGIN: u64 = 1_768_435_200;
const DAY: u64 = 86_400;
const JITTER: u64 = 120;
const PLATFORMS: [&str; 5] = ["shopify", "amazon", "ebay", "walmart", "etsy"];

impl Shape {
    pub fn record(&self, id: u64) -> Record {
        let mut random = Random(id.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x1234_5678_9abc_def0);
        let span = self.days * DAY;
        let offset = match self.order {
            Order::Random => random.below(span),
            Order::Time => {
                (id * span / self.records + random.below(2 * JITTER + 1)).saturating_sub(JITTER).min(span - 1)
            }
        };
        let series = random.below(self.series);
        // a long tail of prices around 50
        let normal = (-2.0 * random.unit().ln()).sqrt() * (std::f64::consts::TAU * random.unit()).cos();
        let cents = (8.5 + 1.2 * normal).exp().min(9_999_999.0) as u64;
        let platforms = PLATFORMS.len() as u64;
        Record {
            id,
            platform: series % platforms,
            marketplace: series / platforms,
            time: BEGIN + offset,
            views: random.below(1000),
            cents,
        }
    }
}

impl Record {
    pub fn platform(&self) -> &'static str {
        PLATFORMS[self.platform as usize]
    }

    /// Adds the record as a line of JSON. `id` is there to be dropped by the job.
    pub fn write(&self, to: &mut String) {
        let Record { id, marketplace, time, views, cents, .. } = self;
        let platform = self.platform();
        let (second, minute, hour) = (time % 60, time / 60 % 60, time / 3600 % 24);
        let (year, month, day) = civil(time / DAY);
        let _ = write!(
            to,
            "{{\"id\":{id},\"platform\":\"{platform}\",\"marketplace\":\"mp{marketplace:02}\",\"event_time\":\
             \"{year}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}\",\"views\":{views},\"revenue\":{}}}\n",
            *cents as f64 / 100.0
        );
    }

    pub fn hash(&self) -> u128 {
        let revenue = self.cents as f64 / 100.0;
        hash(self.platform(), &format!("mp{:02}", self.marketplace), self.time, self.views, revenue)
    }
}

/// What one row comes to in a sum: any two rows that differ anywhere have other numbers.
pub fn hash(platform: &str, marketplace: &str, time: u64, views: u64, revenue: f64) -> u128 {
    let mut halves = [0x243f_6a88_85a3_08d3, 0x1319_8a2e_0370_7344];
    let mut take = |word: u64| {
        for half in &mut halves {
            *half = mix(*half ^ word);
        }
    };
    for text in [platform, marketplace] {
        take(text.len() as u64);
        text.as_bytes().chunks(8).for_each(|chunk| {
            take(chunk.iter().fold(0, |word, byte| word << 8 | u64::from(*byte)));
        });
    }
    take(time);
    take(views);
    take(revenue.to_bits());
    u128::from(halves[0]) << 64 | u128::from(halves[1])
}

/// Year, month and day of a day since 1970.
pub fn civil(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let era = shifted / 146_097;
    let of_era = shifted % 146_097;
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * of_year + 2) / 153;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (year_of_era + era * 400 + u64::from(month <= 2), month, of_year - (153 * shifted_month + 2) / 5 + 1)
}

/// splitmix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    fn below(&mut self, end: u64) -> u64 {
        (u128::from(self.next()) * u128::from(end) >> 64) as u64
    }

    /// Above 0, at most 1.
    fn unit(&mut self) -> f64 {
        ((self.next() >> 11) + 1) as f64 / (1u64 << 53) as f64
    }
}

fn mix(word: u64) -> u64 {
    let word = (word ^ word >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let word = (word ^ word >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ word >> 31
}
