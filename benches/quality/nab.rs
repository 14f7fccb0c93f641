//! `nab`: files of the Numenta Anomaly Benchmark through the real binary, `tidewatch backtest --scores`, each with a TOML of
//! its own in a temporary directory: one series, means per interval, everything of the detector as shipped. `nab.py` then
//! gives the results to the scorer of the data set.
//!
//! The length of an interval is the most frequent distance of two rows, or the nearest that the configuration allows.
//! An interval's score goes to its last row, the other rows of it have 0. What was said of intervals without a row, that
//! there is a gap, has no row to go to; a line of the table shows what it would be worth on the next row. Nothing looks
//! ahead.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use tidewatch::model::{Interval, Length};

use super::options::Options;
use super::peer::{Peer, QUIET, Top};
use super::table::{self, Row};
use super::threads;

/// Longest gap within a file, in days: the data is history, so no time in it is a mistake.
const GAP_DAYS_MAX: usize = 400;
/// What scores count in.
const FIVE_MINUTES_A_WEEK: f64 = 2016.0;

struct File {
    category: String,
    name: String,
    path: PathBuf,
    rows: Vec<Row>,
    minutes: usize,
}

pub(crate) fn run(options: &Options) {
    let Some(directory) = options.data_set("nab") else { return };
    let files = table::files(&directory.join("data")).into_iter().filter(|(category, ..)| options.wants(category));
    let files: Vec<File> = files
        .map(|(category, name, path)| {
            let rows = table::read(&path);
            let (own, minutes) = table::minutes(&rows);
            if (own - minutes as f64).abs() > 1e-9 {
                println!("{category}/{name}: rows every {own} min, judged by intervals of {minutes} min");
            }
            File { category, name, path, rows, minutes }
        })
        .collect();
    println!("\n== nab: {} files, {} seeds", files.len(), options.seeds);
    let mut lengths: BTreeMap<usize, usize> = BTreeMap::new();
    files.iter().for_each(|file| *lengths.entry(file.minutes).or_default() += 1);
    let lengths: Vec<String> =
        lengths.iter().map(|(minutes, files)| format!("{files} files of {minutes} min")).collect();
    println!("intervals: {}", lengths.join(", "));

    let work = tempfile::tempdir().unwrap();
    let tasks = (1..=options.seeds).flat_map(|seed| (0..files.len()).map(move |file| (file, seed))).collect();
    let problems = threads::each(tasks, options.threads, |(file, seed)| ours(&files[file], seed, work.path()));
    let problems: Vec<String> = problems.into_iter().flatten().collect();
    problems.iter().for_each(|problem| println!("{problem}"));
    if options.peers {
        let count = files.len();
        let tasks = Peer::ALL.into_iter().flat_map(|peer| {
            let seeds = if peer.has_seed() { options.seeds } else { 1 };
            (1..=seeds).flat_map(move |seed| (0..count).map(move |file| (peer, file, seed)))
        });
        let tasks: Vec<(Peer, usize, u64)> = tasks.collect();
        threads::each(tasks, options.threads, |(peer, file, seed)| of_peer(&files[file], peer, seed, work.path()));
    }

    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/quality/nab.py");
    let mut command = Command::new("python3");
    command.arg(script).arg(directory.join("score.py")).arg(directory.join("combined_windows.json")).arg(work.path());
    if options.verbose {
        command.arg("--per-file");
    }
    match command.status() {
        Ok(status) if status.success() => {}
        Ok(status) => println!("nab: the scorer ended with {status}"),
        Err(error) => println!("nab: not scored, python3 cannot be started: {error}"),
    }
}

/// Scores by the program; what went wrong, if anything did.
fn ours(file: &File, seed: u64, work: &Path) -> Option<String> {
    let tag = format!("{seed}-{}-{}", file.category, file.name.trim_end_matches(".csv"));
    let place = work.join("run").join(tag);
    std::fs::create_dir_all(&place).unwrap();
    let path = std::fs::canonicalize(&file.path).unwrap();
    let toml = format!(
        "[source.files]\npath = {path:?}\n\
         [decode]\nformat = \"csv\"\n\
         [select]\ntimestamp = \"timestamp\"\ntimestamp_format = \"%Y-%m-%d %H:%M:%S\"\ndimensions = []\n\
         measures = [\"value\"]\n[select.types]\nvalue = \"float\"\n\
         [interval]\nlength = \"{}m\"\noffset = \"0s\"\nclose = \"end\"\nahead_max = \"{GAP_DAYS_MAX}d\"\n\
         [partition]\nurl = {:?}\n\
         [detect]\nseed = {seed}\n[[detect.measure]]\ncolumn = \"value\"\nname = \"value\"\naggregation = \"avg\"\n",
        file.minutes,
        place.join("out"),
    );
    let (config, scores) = (place.join("nab.toml"), place.join("scores.csv"));
    std::fs::write(&config, toml).unwrap();
    let program = env!("CARGO_BIN_EXE_tidewatch");
    let run = Command::new(program)
        .arg("backtest")
        .arg(&config)
        .args(["--input", "source", "--scores"])
        .arg(&scores)
        .output();
    let run = run.unwrap();
    if !run.status.success() {
        return Some(format!("{}/{}: {}", file.category, file.name, String::from_utf8_lossy(&run.stderr)));
    }
    let length = Length::from_seconds(60 * file.minutes as u64).unwrap();
    let (mut said, mut errors, mut top) = (BTreeMap::new(), BTreeMap::new(), Top::default());
    let mut reader = csv::Reader::from_path(&scores).unwrap();
    let column = {
        let header = reader.headers().unwrap().clone();
        move |name: &str| header.iter().position(|other| other == name).unwrap()
    };
    let [start, score, value, expected] = ["interval_start", "score", "value", "expected"].map(column);
    for record in reader.records() {
        let record = record.unwrap();
        let time = chrono::NaiveDateTime::parse_from_str(&record[start], "%Y-%m-%d %H:%M:%S").unwrap();
        let number = Interval::containing(time.and_utc().timestamp_micros(), length).number();
        let read = |at: usize| record[at].parse::<f64>().unwrap();
        said.insert(number, read(score));
        if !record[value].is_empty() {
            errors.insert(number, top.rank((read(value) - read(expected)).abs(), QUIET));
        }
    }
    let alarm = libm::log10(FIVE_MINUTES_A_WEEK / tidewatch::detect::SENSITIVITY);
    let numbers: Vec<i64> = file.rows.iter().map(|row| Interval::containing(row.micros, length).number()).collect();
    let mut lines = [const { String::new() }; 4];
    let mut next = i64::MIN;
    for (at, row) in file.rows.iter().enumerate() {
        let number = numbers[at];
        let (mut own, mut with_gap, mut error) = (0.0, 0.0, 0.0);
        if numbers.get(at + 1) != Some(&number) && number >= next {
            own = said.get(&number).copied().unwrap_or(0.0);
            error = errors.get(&number).copied().unwrap_or(0.0);
            with_gap = said.range(next..=number).map(|(_, score)| *score).fold(0.0, f64::max);
            next = number + 1;
        }
        let told = f64::from(u8::from(own >= alarm - 1e-9));
        let variants = [own, told, with_gap, error];
        for (lines, score) in lines.iter_mut().zip(variants) {
            lines.push_str(&format!("{},{},{score}\n", row.time, row.value));
        }
    }
    let names = ["1 tidewatch", "2 tidewatch, as shipped", "3 tidewatch, with gaps", "4 own error/q99.9"]
        .map(|n| n.replace('/', " over "));
    names.iter().zip(lines).for_each(|(name, lines)| write(file, work, name, seed, &lines));
    None
}

fn of_peer(file: &File, peer: Peer, seed: u64, work: &Path) {
    let length = Length::from_seconds(60 * file.minutes as u64).unwrap();
    let even = table::even(&file.rows, file.minutes);
    let slot = even.first.slot() as usize;
    let scores = peer.scores(&even.values, slot, 1440 / file.minutes, seed);
    let mut lines = String::new();
    let at = |row: &Row| (Interval::containing(row.micros, length).number() - even.first.number()) as usize;
    for (index, row) in file.rows.iter().enumerate() {
        let is_last = file.rows.get(index + 1).is_none_or(|next| at(next) != at(row));
        let score = if is_last { scores[at(row)] } else { 0.0 };
        lines.push_str(&format!("{},{},{score}\n", row.time, row.value));
    }
    write(file, work, &format!("5 {}", peer.name().replace('/', " over ")), seed, &lines);
}

fn write(file: &File, work: &Path, detector: &str, seed: u64, lines: &str) {
    let folder = work.join("results").join(detector).join(seed.to_string()).join(&file.category);
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join(&file.name), format!("timestamp,value,anomaly_score\n{lines}")).unwrap();
}
