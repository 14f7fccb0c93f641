//! The same partitions, settings and seed give the same findings, whoever judges them: the live line, a backtest over
//! partitions or over the source, a detector alone (D1). The same input gives the same bytes. What is printed is what
//! the manifests account for (E3).

use std::fs;
use std::path::Path;

use tidewatch::source::generator::Format;

use crate::support::data::{self, Layout};
use crate::support::pipeline::Pipeline;
use crate::support::process::tidewatch;
use crate::support::tree;

const STEPS: u64 = 300;

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() { copy(&entry.path(), &to) } else { drop(fs::copy(entry.path(), to)) }
    }
}

/// Judges one data set in every way there is.
fn all_drivers_agree(layout: Layout, change: impl Fn(&mut Pipeline)) {
    let directory = tempfile::tempdir().unwrap();
    let place = |name: &str| directory.path().join(name);
    let mut live = Pipeline::over(&data::settings(21, STEPS), layout, directory.path());
    change(&mut live);
    let path = live.write();
    tidewatch(&["run", &path]).good();
    let table = tree::anomalies(&tree::read(&live.url));
    assert!(table.lines().count() > 5, "{table}");

    let tables = tree::read(&live.url);
    let incidents = tree::incidents_in_time(&tables);
    assert!(incidents.lines().count() > 5, "{incidents}");
    assert!(tree::incidents(&tables).len() > incidents.len(), "late rows change an incident");
    let revisions = tree::revisions(&tree::read(&live.url));
    assert!(revisions.len() > 5, "{revisions:?}");

    for input in [&["--input", "partitions"][..], &["--input", "source"], &[]] {
        let [file, late, broken] =
            ["groups.jsonl", "revisions.jsonl", "incidents.jsonl"].map(|name| place(name).display().to_string());
        let files = ["backtest", &path, "--anomalies", &file, "--revisions", &late, "--incidents", &broken];
        let args = [&files[..], input].concat();
        let printed = tidewatch(&args).good();
        let expected = if input.contains(&"source") { tree::incidents(&tables) } else { incidents.clone() };
        assert_eq!(fs::read_to_string(&broken).unwrap(), expected, "{args:?}\n{printed}");
        assert_eq!(fs::read_to_string(&file).unwrap(), table, "{args:?}\n{printed}");
        let late = fs::read_to_string(&late).unwrap();
        let mut late: Vec<&str> = late.lines().collect();
        late.sort_unstable();
        // the partitions tell what came in time
        let expected = if input.contains(&"source") { &revisions[..] } else { &[] };
        assert_eq!(late, expected, "{args:?}\n{printed}");
    }

    let etl = live.to(&place("etl"));
    tidewatch(&["etl", &etl.write()]).good();
    let partitions = tree::read(&etl.url);
    assert_eq!(tree::anomalies(&partitions), "");
    let copied = live.to(&place("copied"));
    copy(&etl.url.join("data"), &copied.url.join("data"));
    tidewatch(&["detect", "--once", &copied.write()]).good();
    assert_eq!(tree::anomalies(&tree::read(&copied.url)), table, "the detector alone");
    assert_eq!(tree::incidents(&tree::read(&copied.url)), incidents, "the detector alone");

    // without manifests, as another program would have written them
    let bare = live.to(&place("bare"));
    // only a manifest tells that the last interval is cut short and not to be judged: it is left out
    let folder = |name: &String| name.rsplit_once('/').map(|(folder, _)| folder.to_owned());
    let parts = || partitions.iter().filter(|(name, _)| name.contains("/part-r0000-"));
    let last = parts().filter_map(|(name, _)| folder(name)).max();
    for (name, bytes) in parts().filter(|(name, _)| folder(name) != last) {
        fs::create_dir_all(bare.url.join(name).parent().unwrap()).unwrap();
        fs::write(bare.url.join(name), bytes).unwrap();
    }
    tidewatch(&["detect", "--once", &bare.write()]).good();
    assert_eq!(tree::anomalies(&tree::read(&bare.url)), table, "partitions without manifests");
}

#[test]
fn all_drivers_agree_on_csv() {
    all_drivers_agree(Layout { files: 3, ..Layout::PLAIN }, |_| {});
}

#[test]
fn all_drivers_agree_on_parquet() {
    let layout = Layout { format: Format::Csv, gzip: true, ..Layout::PLAIN };
    all_drivers_agree(layout, |pipeline| pipeline.partition = "format = \"parquet\"".into());
}

#[test]
fn all_drivers_agree_on_every_aggregation() {
    all_drivers_agree(Layout::PLAIN, |pipeline| {
        for (column, aggregation) in
            [("views", "sum"), ("views", "avg"), ("revenue", "max"), ("views", "count"), ("revenue", "min")]
        {
            let measure = format!("\n[[detect.measure]]\ncolumn = \"{column}\"\naggregation = \"{aggregation}\"");
            pipeline.detect.push_str(&measure);
        }
    });
}

#[test]
fn history_in_no_order_gives_the_findings_of_a_backtest_over_its_partitions() {
    let directory = tempfile::tempdir().unwrap();
    let layout = Layout { newest_first: true, files: 4, ..Layout::PLAIN };
    let mut pipeline = Pipeline::over(&data::settings(22, STEPS), layout, directory.path());
    pipeline.interval = "close = \"end\"".into();
    let path = pipeline.write();
    tidewatch(&["run", &path]).good();
    let table = tree::anomalies(&tree::read(&pipeline.url));
    assert!(!table.is_empty());
    for input in ["partitions", "source"] {
        let file = directory.path().join(input).display().to_string();
        tidewatch(&["backtest", &path, "--input", input, "--anomalies", &file]).good();
        assert_eq!(fs::read_to_string(&file).unwrap(), table, "{input}");
    }
}

#[test]
fn the_same_input_gives_the_same_bytes() {
    let directory = tempfile::tempdir().unwrap();
    let settings = data::settings(23, STEPS);
    let first = Pipeline::over(&settings, Layout::PLAIN, directory.path());
    tidewatch(&["run", &first.write()]).good();
    let tree = tree::read(&first.url);
    tree::assert_same_rows(&tree::rows(&tree), &data::truth(&settings).rows, "the records themselves");
    // where chunks and micro-batches end changes nothing
    for (name, chunk, job) in
        [("again", "4kB", first.job.as_str()), ("in-one", "1MiB", ""), ("in-some", "10kB", "batch_records_max = 333")]
    {
        let mut other = first.to(&directory.path().join(name));
        other.source = other.source.replace("4kB", chunk);
        other.job = job.into();
        tidewatch(&["run", &other.write()]).good();
        tree::assert_same(&tree::read(&other.url), &tree, name);
    }
}

/// Files, CSV and Parquet, closed as event time passes and closed at the end, with rows of open intervals in memory and
/// on disk: one thread writes what many do.
#[test]
fn any_number_of_threads_writes_the_same_bytes() {
    let directory = tempfile::tempdir().unwrap();
    let layout = Layout { files: 3, ..Layout::PLAIN };
    let mut first = Pipeline::over(&data::settings(25, 2 * STEPS), layout, directory.path());
    first.source = first.source.replace("4kB", "20kB");
    for (name, interval, partition) in
        [("csv", "", ""), ("parquet", "", "format = \"parquet\""), ("end", "close = \"end\"", "")]
    {
        let mut written = Vec::new();
        for (threads, held) in [(1, "64MB"), (2, "64kB"), (7, "64MB"), (1, "64kB")] {
            let mut pipeline = first.to(&directory.path().join(format!("{name}-{threads}-{held}")));
            pipeline.job = format!("threads = {threads}\nheld_bytes_max = \"{held}\"");
            pipeline.interval = interval.into();
            pipeline.partition = partition.into();
            tidewatch(&["run", &pipeline.write()]).good();
            written.push((format!("{name}: {threads} threads, {held}"), tree::read(&pipeline.url)));
        }
        let (_, one) = &written[0];
        assert!(one.len() > 100, "{name}: {} objects", one.len());
        for (name, tree) in &written[1..] {
            tree::assert_same(tree, one, name);
        }
    }
}

/// A number as the summary prints it behind a word.
fn printed(summary: &str, word: &str) -> u64 {
    let rows = summary.lines().find(|line| line.starts_with("rows ")).unwrap();
    let (_, behind) = rows.split_once(&format!("{word} ")).unwrap();
    behind.split(' ').next().unwrap().replace(',', "").parse().unwrap()
}

#[test]
fn manifests_add_up_to_the_printed_account() {
    let directory = tempfile::tempdir().unwrap();
    let settings = data::settings(24, STEPS);
    let mut pipeline = Pipeline::over(&settings, Layout::PLAIN, directory.path());
    pipeline.select.push_str("filters = { marketplace = [\"jp\"] }\n");
    let summary = tidewatch(&["run", &pipeline.write()]).good();
    let tree = tree::read(&pipeline.url);
    let total = tree::account(&tree);
    let truth = data::truth(&settings);
    assert_eq!(printed(&summary, "read"), truth.records);
    assert_eq!(printed(&summary, "rejected"), truth.malformed);
    assert_eq!(
        ["read", "written", "late", "filtered", "rejected"].map(|word| printed(&summary, word)),
        [total.read(), total.written, total.late, total.filtered, total.rejected]
    );
    assert!([total.written, total.late, total.filtered, total.rejected].iter().all(|count| *count > 0));
    let rows = tree::rows(&tree).values().map(Vec::len).sum::<usize>();
    assert_eq!(rows as u64, total.written + total.late);
    for (name, manifest) in tree::manifests(&tree) {
        let tally = manifest.tally();
        assert_eq!(tally.is_some(), manifest.revision == 0, "{name}");
        assert!(tally.is_none_or(|tally| tally.written == manifest.rows), "{name}");
        assert_eq!(manifest.rows, manifest.sources.iter().map(|source| source.rows).sum::<u64>(), "{name}");
    }
}
