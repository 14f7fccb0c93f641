//! One suite over every source: files, standard input, the generator, a stream. Whatever it is, it gives every record
//! once, in the order of each of its partitions, at places that rise; it goes on from any place it gave; what is read
//! again ends where it ended before.

use std::collections::BTreeMap;
use std::fs;
use std::io::Cursor;
use std::path::Path;

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use tidewatch::aws;
use tidewatch::model::{Chunk, Framing, Position, Progress, SourcePartition, Timestamp};
use tidewatch::source::files::{Compression, Files, Settings as FileSettings};
use tidewatch::source::generator::{
    Extent, Format, Limits, Parameters, SeriesSet, Settings as Made, Stream as Generated,
};
use tidewatch::source::kinesis::{Kinesis, Settings as StreamSettings, StreamName};
use tidewatch::source::stdin::{Settings as StdinSettings, Stdin};
use tidewatch::source::{Next, Resume};
use tokio::runtime::Runtime;

use crate::support::servers::kinesis::Kinesis as Server;
use crate::support::stream::{REGION, Stream};

const RECORDS: usize = 3000;

/// A source under test. It gives chunks until it has none.
trait Source {
    /// Everything from there on.
    fn read(&self, resume: &Resume) -> Vec<Chunk>;
    /// Whether it can be read again.
    fn is_replayable(&self) -> bool {
        true
    }
}

/// Place and text of each record, by partition, in the order in which they came.
type Records = BTreeMap<SourcePartition, Vec<(Position, String)>>;

fn records(chunks: &[Chunk]) -> Records {
    let mut records = Records::new();
    for chunk in chunks {
        let list = records.entry(chunk.partition.clone()).or_default();
        let mut offset = chunk.offset;
        for line in chunk.bytes.split_inclusive(|byte| *byte == b'\n') {
            list.push((chunk.places.at(offset), String::from_utf8_lossy(line).into_owned()));
            offset += line.len() as u64;
        }
    }
    records
}

/// How far each partition is after the first of these chunks.
fn progress(chunks: &[Chunk]) -> Progress {
    let mut progress = Progress::default();
    chunks.iter().for_each(|chunk| progress.set(chunk.partition.clone(), chunk.read_to));
    progress
}

fn texts(records: &Records) -> BTreeMap<&SourcePartition, Vec<&String>> {
    records.iter().map(|(partition, list)| (partition, list.iter().map(|(_, text)| text).collect())).collect()
}

fn conforms(source: &impl Source, sent: &[String]) {
    let chunks = source.read(&Resume::default());
    let whole = records(&chunks);
    let mut given: Vec<&String> = whole.values().flatten().map(|(_, text)| text).collect();
    let mut expected: Vec<&String> = sent.iter().collect();
    given.sort();
    expected.sort();
    assert_eq!(given, expected, "every record once");
    for (partition, list) in &whole {
        assert!(list.is_sorted_by(|one, two| one.0 < two.0), "places rise in {partition}");
    }
    for chunk in &chunks {
        assert!(chunk.bytes.is_empty() || chunk.bytes.ends_with(b"\n"), "whole records");
        let (first, last) =
            (chunk.places.at(chunk.offset), chunk.places.at(chunk.offset + chunk.bytes.len() as u64 - 1));
        assert!(first <= last && last < chunk.read_to, "{first} {last} {}", chunk.read_to);
    }
    if !source.is_replayable() {
        return;
    }
    for stop in [1, chunks.len() / 3, chunks.len() / 2, chunks.len() - 1] {
        let (before, after) = chunks.split_at(stop);
        let rest = source.read(&Resume { from: progress(before), ..Resume::default() });
        let (rest, after) = (records(&rest), records(after));
        assert_eq!(texts(&rest), texts(&after), "what follows chunk {stop}");
        assert_eq!(rest, after, "places are the same when read again");

        // read again from the beginning: chunks end where it is asked for
        let cuts = vec![progress(&chunks[..stop.div_ceil(2)])];
        let order = before.iter().map(|chunk| (chunk.partition.clone(), chunk.read_to)).collect();
        let resume = Resume { from: Progress::default(), read_to: progress(before), cuts: cuts.clone(), order };
        let again = source.read(&resume);
        assert_eq!(records(&again), whole);
        for (partition, place) in cuts[0].iter().chain(resume.read_to.iter()) {
            let ends = again.iter().any(|chunk| chunk.partition == *partition && chunk.read_to == place);
            assert!(ends, "a chunk of {partition} ends at {place}");
        }
    }
}

fn lines(name: &str) -> Vec<String> {
    (0..RECORDS).map(|number| format!("{{\"{name}\":{number},\"pad\":\"{}\"}}\n", "x".repeat(number % 90))).collect()
}

struct Directory<'a>(&'a Path, Compression);

impl Source for Directory<'_> {
    fn read(&self, resume: &Resume) -> Vec<Chunk> {
        let settings = FileSettings { compression: self.1, chunk_bytes: 4096, ..FileSettings::lines(self.0) };
        let mut files = Files::open(settings, resume).unwrap();
        let mut chunks = Vec::new();
        while let Next::Chunk(chunk) = files.next().unwrap() {
            chunks.push(chunk);
        }
        chunks
    }
}

#[test]
fn files_conform() {
    let directory = tempfile::tempdir().unwrap();
    let lines = lines("file");
    for (number, part) in lines.chunks(RECORDS / 3).enumerate() {
        fs::write(directory.path().join(format!("{number}.jsonl")), part.concat()).unwrap();
    }
    conforms(&Directory(directory.path(), Compression::None), &lines);
}

struct Pipe(Vec<u8>);

impl Source for Pipe {
    fn read(&self, _: &Resume) -> Vec<Chunk> {
        let settings = StdinSettings {
            partition: SourcePartition::new("stdin-1"),
            framing: Framing::Lines,
            header: false,
            chunk_bytes: 4096,
            record_bytes_max: 1 << 20,
        };
        let mut stdin = Stdin::new(settings, Cursor::new(&self.0));
        let mut chunks = Vec::new();
        while let Next::Chunk(chunk) = stdin.next().unwrap() {
            chunks.push(chunk);
        }
        chunks
    }

    fn is_replayable(&self) -> bool {
        false
    }
}

#[test]
fn standard_input_conforms() {
    let lines = lines("pipe");
    conforms(&Pipe(lines.concat().into_bytes()), &lines);
}

struct Generator(Made);

impl Source for Generator {
    fn read(&self, resume: &Resume) -> Vec<Chunk> {
        let partition = Generated::partition();
        let offset = |position: Option<Position>| position.and_then(Position::offset);
        let cuts = resume.cuts.iter().chain([&resume.read_to]).filter_map(|cut| offset(cut.get(&partition)));
        let mut cuts: Vec<u64> = cuts.collect();
        cuts.sort_unstable();
        let from = offset(resume.from.get(&partition)).unwrap_or(0);
        let mut stream = Generated::resume(self.0.clone(), Format::JsonLines, from, cuts).unwrap();
        let limits = Limits { bytes_max: 4096, records_max: usize::MAX, arrived_by: Timestamp::MAX };
        let mut chunks = Vec::new();
        while let Some(paced) = stream.next_chunk(limits).unwrap() {
            chunks.push(paced.chunk);
        }
        chunks
    }
}

#[test]
fn the_generator_conforms() {
    let parameters =
        Parameters { extent: Extent::Days(1), series: SeriesSet::Count(3), records_mean: 2, ..Parameters::default() };
    let source = Generator(Made::new(parameters).unwrap());
    let sent: Vec<String> =
        records(&source.read(&Resume::default())).into_values().flatten().map(|(_, text)| text).collect();
    assert!(sent.len() > 1000);
    conforms(&source, &sent);
}

/// A stream that nobody writes any more.
struct Shards {
    settings: StreamSettings,
    runtime: Runtime,
    records: usize,
}

impl Source for Shards {
    fn read(&self, resume: &Resume) -> Vec<Chunk> {
        let (mut chunks, mut seen) = (Vec::new(), 0);
        self.runtime.block_on(async {
            let mut kinesis = Kinesis::open(self.settings.clone(), resume, Timestamp::MIN).await.unwrap();
            let known: usize = resume.from.iter().map(|(partition, place)| self.before(partition, place)).sum();
            while seen < self.records - known {
                match kinesis.next().await.unwrap() {
                    Next::Chunk(chunk) if chunk.bytes.is_empty() => {}
                    Next::Chunk(chunk) => {
                        seen += chunk.bytes.iter().filter(|byte| **byte == b'\n').count();
                        chunks.push(chunk);
                    }
                    Next::Idle(_) => {}
                    Next::End => panic!("a stream has no end"),
                }
            }
        });
        chunks
    }
}

impl Shards {
    /// How many records of a shard stand before a place: asked of the server by other means than those under test.
    fn before(&self, partition: &SourcePartition, place: Position) -> usize {
        let endpoint = self.settings.aws.endpoint_url.clone().unwrap();
        let name = self.settings.stream.to_string();
        let shard = partition.name().rsplit('/').next().unwrap().to_owned();
        let read = std::thread::spawn(move || Stream::at(&endpoint, &name).read(&shard)).join().unwrap();
        read.iter().filter(|record| Position::after(record.sequence_number.parse().unwrap()) <= place).count()
    }
}

#[test]
fn a_stream_conforms() {
    let server = Server::shared();
    let stream = Stream::create(&server.endpoint(), "conforms", 3);
    let lines = lines("stream");
    let put = lines.iter().enumerate().map(|(number, line)| (format!("key-{number}"), line.clone().into_bytes()));
    stream.put(put.collect());
    let credentials = SharedCredentialsProvider::new(Credentials::new("test", "test", None, None, "tests"));
    let aws = aws::Settings {
        region: Some(REGION.into()),
        endpoint_url: Some(server.endpoint()),
        credentials: Some(credentials),
        ..aws::Settings::default()
    };
    // few records an answer: many chunks
    let settings =
        StreamSettings { records_max: 150, ..StreamSettings::new(aws, StreamName::parse("conforms").unwrap()) };
    let runtime = Runtime::new().unwrap();
    conforms(&Shards { settings, runtime, records: RECORDS }, &lines);
}
