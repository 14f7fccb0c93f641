//! `mscmd`: real curves of services with labelled segments. Each file is one series, resampled to means of five minutes where
//! it is finer, else at its own distance of rows. The first 15 % of a file is not scored. A segment is a run of labelled
//! intervals; the scorer is that of the incidents.
//!
//! One threshold serves all files, and all scores are swept as they are: ours says how rare an interval is per five minutes,
//! whatever its length.

use super::drive::{self, Judged};
use super::options::Options;
use super::peer::{OWN_ERROR, Peer};
use super::score::{self, Case, Event, Outcome, Scored, mean};
use super::table::{self, Even};
use super::threads;

const CURVE: [f64; 4] = [0.1, 0.25, 0.5, 1.0];
const PROBATION: f64 = 0.15;

struct File {
    category: String,
    name: String,
    minutes: usize,
    even: Even,
    case: Case,
}

pub(crate) fn run(options: &Options) {
    let Some(directory) = options.data_set("mscmd") else { return };
    let files: Vec<File> =
        table::files(&directory).into_iter().filter(|(category, ..)| options.wants(category)).map(load).collect();
    println!(
        "\n== mscmd: {} series, {} segments, {} seeds",
        files.len(),
        files.iter().map(|f| f.case.events.len()).sum::<usize>(),
        options.seeds
    );

    let tasks: Vec<(usize, u64)> =
        (0..files.len()).flat_map(|file| (1..=options.seeds).map(move |seed| (file, seed))).collect();
    let judged: Vec<Judged> = threads::each(tasks, options.threads, |(file, seed)| {
        drive::single(&files[file].even.values, files[file].even.first, seed)
    });
    let seeds = options.seeds as usize;
    let shipped: Vec<Vec<Outcome>> = judged
        .chunks(seeds)
        .zip(&files)
        .map(|(runs, file)| runs.iter().map(|run| file.case.score(|s, t| run.alarms[s][t])).collect())
        .collect();
    let ours: Vec<Vec<Vec<Vec<f32>>>> =
        (0..seeds).map(|seed| judged.chunks(seeds).map(|runs| runs[seed].scores.clone()).collect()).collect();
    let peers: Vec<(Peer, Vec<Vec<Vec<f32>>>)> = Peer::ALL
        .into_iter()
        .filter(|_| options.peers)
        .map(|peer| {
            let each = threads::each((0..files.len()).collect(), options.threads, |file| {
                let File { even, minutes, .. } = &files[file];
                let slot = even.first.slot() as usize;
                vec![peer.scores(&even.values, slot, 1440 / minutes, 1)]
            });
            (peer, each)
        })
        .collect();

    let joined = |seed: usize| shipped.iter().fold(Outcome::default(), |all, runs| all.join(&runs[seed]));
    let all: Vec<Outcome> = (0..seeds).map(joined).collect();
    let rate = mean(all.iter().map(Outcome::false_rate));
    let at_ours: Vec<(Peer, Vec<Outcome>)> = peers
        .iter()
        .map(|(peer, scores)| {
            let scored: Vec<Scored<'_>> = pair(&files, scores);
            let threshold = score::threshold(&scored, rate);
            (*peer, scored.iter().map(|one| score::at(&[*one], threshold)).collect())
        })
        .collect();

    println!(
        "\nshipped operating point, by category; the peers at the same false alerts over all files: recall / FA/sw"
    );
    print!("{:36} {:>5} {:>5} {:>8} {:>7} {:>7} {:>6}", "category", "files", "segs", "sw", "recall", "FA/sw", "delay");
    at_ours.iter().for_each(|(peer, _)| print!(" {:>15}", peer.name()));
    println!();
    let mut categories: Vec<&str> = files.iter().map(|file| file.category.as_str()).collect();
    categories.dedup();
    for category in categories.iter().copied().map(Some).chain([None]) {
        let is = |at: &usize| category.is_none_or(|category| files[*at].category == category);
        let chosen: Vec<usize> = (0..files.len()).filter(is).collect();
        let runs: Vec<Outcome> = (0..seeds)
            .map(|seed| chosen.iter().fold(Outcome::default(), |all, at| all.join(&shipped[*at][seed])))
            .collect();
        print!(
            "{:36} {:5} {:5} {:8.1} {:7.3} {:7.3} {:>6}",
            category.unwrap_or("all"),
            chosen.len(),
            runs[0].hits.len(),
            runs[0].series_weeks,
            mean(runs.iter().map(Outcome::recall)),
            mean(runs.iter().map(Outcome::false_rate)),
            runs[0].delay().map_or("-".to_owned(), |delay| delay.to_string()),
        );
        for (_, outcomes) in &at_ours {
            let one = chosen.iter().fold(Outcome::default(), |all, at| all.join(&outcomes[*at]));
            print!(" {:>15}", format!("{:.3} / {:.3}", one.recall(), one.false_rate()));
        }
        println!();
    }
    if options.verbose {
        for (file, runs) in files.iter().zip(&shipped) {
            let run = &runs[0];
            let (segments, rate) = (run.hits.len(), run.false_rate());
            let hit = run.hits.iter().flatten().count();
            println!(
                "  {:36} {:18} {:3} min, {hit} of {segments} segments, {} false, {rate:.3} FA/sw",
                file.category,
                file.name,
                file.minutes,
                run.false_count()
            );
        }
    }

    println!("\noperating curve: recall at false alerts per series-week, one threshold for all files");
    print!("{:16}", "detector");
    CURVE.iter().for_each(|rate| print!(" {rate:>7}"));
    println!();
    let recall = |scored: &[Scored<'_>], rate: f64| score::at(scored, score::threshold(scored, rate)).recall();
    print!("{:16}", "tidewatch");
    for rate in CURVE {
        print!(" {:7.3}", mean(ours.iter().map(|scores| recall(&pair(&files, scores), rate))));
    }
    println!("   mean of the seeds");
    let own: Vec<Vec<Vec<f32>>> = judged.chunks(seeds).map(|runs| runs[0].errors.clone()).collect();
    let own = std::iter::once((OWN_ERROR, &own));
    for (name, scores) in own.chain(peers.iter().map(|(peer, scores)| (peer.name(), scores))) {
        print!("{name:16}");
        CURVE.iter().for_each(|rate| print!(" {:7.3}", recall(&pair(&files, scores), *rate)));
        println!();
    }
}

fn pair<'a>(files: &'a [File], scores: &'a [Vec<Vec<f32>>]) -> Vec<Scored<'a>> {
    files.iter().zip(scores).map(|(file, scores)| (&file.case, &scores[..])).collect()
}

fn load((category, name, path): (String, String, std::path::PathBuf)) -> File {
    let rows = table::read(&path);
    let (_, own) = table::minutes(&rows);
    let minutes = own.max(5);
    let even = table::even(&rows, minutes);
    let steps = even.values.len();
    let mut from = (PROBATION * steps as f64) as usize;
    // a segment that began before is none
    while from < steps && even.labels[from] {
        from += 1;
    }
    let mut events: Vec<Event> = Vec::new();
    for step in from..steps {
        if even.labels[step] && (step == 0 || !even.labels[step - 1]) {
            let end = (step..steps).take_while(|at| even.labels[*at]).last().unwrap();
            events.push(Event { start: step, end, series: vec![0] });
        }
    }
    let case = Case { events, series: 1, from, steps, minutes };
    File { category, name, minutes, even, case }
}
