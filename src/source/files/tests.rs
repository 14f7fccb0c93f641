use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;

use flate2::write::GzEncoder;
use proptest::prelude::*;

use super::*;
use crate::model::{CsvDialect, Progress};

fn lines(path: &Path) -> Settings {
    Settings { chunk_bytes: 16, record_bytes_max: 64, ..Settings::lines(path) }
}

fn csv(path: &Path) -> Settings {
    Settings { framing: Framing::Csv(CsvDialect::COMMA), header: true, ..lines(path) }
}

fn gzip(members: &[&[u8]]) -> Vec<u8> {
    let member = |bytes: &&[u8]| {
        let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    };
    members.iter().flat_map(member).collect()
}

fn append(path: &Path, text: &str) {
    OpenOptions::new().append(true).open(path).unwrap().write_all(text.as_bytes()).unwrap();
}

/// All chunks until the source has nothing more, at the end or for now.
fn chunks(files: &mut Files) -> Vec<Chunk> {
    let mut chunks = Vec::new();
    while let Next::Chunk(chunk) = files.next().unwrap() {
        chunks.push(chunk);
    }
    chunks
}

/// Records with their files and offsets.
fn records(chunks: &[Chunk], framing: Framing) -> Vec<(String, u64, String)> {
    let mut records = Vec::new();
    for chunk in chunks {
        let mut at = 0;
        while at < chunk.bytes.len() {
            let rest = &chunk.bytes[at..];
            let length = framing.first_end(rest, 64).unwrap_or(rest.len());
            let text = String::from_utf8(rest[..length].to_vec()).unwrap();
            records.push((chunk.partition.name().to_owned(), chunk.offset + at as u64, text));
            at += length;
        }
    }
    records
}

fn progress(entries: &[(&str, Position)]) -> Progress {
    let mut progress = Progress::default();
    for (name, position) in entries {
        progress.set(SourcePartition::new(name), *position);
    }
    progress
}

/// Three files: lines, lines without a last newline, two gzip members with a line across their border.
fn tree() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("b")).unwrap();
    fs::write(dir.path().join("a.json"), "a1\n\na2 is longer than a chunk\r\na3\na4\na5\na6\na7\n").unwrap();
    fs::write(dir.path().join("b/b.json"), "b1\nb2").unwrap();
    fs::write(dir.path().join("c.json.gz"), gzip(&[b"c1\nc2 begins", b" and ends\nc3\nc4\nc5\nc6\n"])).unwrap();
    fs::write(dir.path().join("d.json"), "").unwrap();
    dir
}

#[test]
fn files_come_in_order_with_their_positions() {
    let dir = tree();
    let mut files = Files::open(lines(dir.path()), &Resume::default()).unwrap();
    assert_eq!(files.bytes_read(), 0);
    let chunks = chunks(&mut files);
    assert_eq!(files.next().unwrap(), Next::End);
    let texts: Vec<String> = records(&chunks, Framing::Lines).into_iter().map(|record| record.2).collect();
    assert_eq!(
        texts.concat(),
        "a1\n\na2 is longer than a chunk\r\na3\na4\na5\na6\na7\nb1\nb2c1\nc2 begins and ends\nc3\nc4\nc5\nc6\n"
    );
    let last = |name: &str| chunks.iter().rfind(|chunk| chunk.partition.name() == name).unwrap().read_to;
    assert_eq!(last("a.json"), Position::Offset(46));
    assert_eq!(last("b/b.json"), Position::Offset(5));
    assert_eq!(last("c.json.gz"), Position::End);
    assert_eq!(files.bytes_read(), files.total_bytes());
}

#[test]
fn a_finished_source_read_again_gives_only_what_is_new() {
    let dir = tree();
    let mut done = Progress::default();
    for chunk in chunks(&mut Files::open(lines(dir.path()), &Resume::default()).unwrap()) {
        done.set(chunk.partition, chunk.read_to);
    }
    let resume = Resume { from: done.clone(), read_to: done, ..Resume::default() };
    assert_eq!(chunks(&mut Files::open(lines(dir.path()), &resume).unwrap()), []);
    append(&dir.path().join("a.json"), "a8\n");
    fs::write(dir.path().join("e.json"), "e1\n").unwrap();
    // a file whose rows are all taken may go
    fs::remove_file(dir.path().join("c.json.gz")).unwrap();
    let new = records(&chunks(&mut Files::open(lines(dir.path()), &resume).unwrap()), Framing::Lines);
    assert_eq!(new, [("a.json".to_owned(), 46, "a8\n".to_owned()), ("e.json".to_owned(), 0, "e1\n".to_owned())]);
}

/// Reads with `resume` and checks that everything after `from` comes, that chunks are cut at `read_to`, and that those
/// before it are marked.
fn check_resume(settings: &Settings, whole: &[Chunk], resume: &Resume) {
    let again = chunks(&mut Files::open(settings.clone(), resume).unwrap());
    let begun = |name: &str, offset: u64| match resume.from.get(&SourcePartition::new(name)) {
        Some(from) => Position::Offset(offset) >= from,
        None => true,
    };
    let mut expected = records(whole, settings.framing);
    expected.retain(|(name, offset, _)| begun(name, *offset));
    assert_eq!(records(&again, settings.framing), expected, "{resume:?}");
    for chunk in &again {
        let read_to = resume.read_to.get(&chunk.partition);
        let before = read_to.is_some_and(|read_to| Position::Offset(chunk.offset) < read_to);
        assert!(!before || Some(chunk.read_to) <= read_to, "{chunk:?} {resume:?}");
        assert_eq!(chunk.header, whole.iter().find(|other| other.partition == chunk.partition).unwrap().header);
    }
}

/// Positions at which a run may have stopped or to which it may go back.
fn places(chunks: &[Chunk], framing: Framing) -> Vec<(SourcePartition, Position)> {
    let starts = records(chunks, framing);
    let starts = starts.iter().map(|(name, offset, _)| (SourcePartition::new(name), Position::Offset(*offset)));
    starts.chain(chunks.iter().map(|chunk| (chunk.partition.clone(), chunk.read_to))).collect()
}

#[test]
fn a_source_resumes_at_every_chunk() {
    let dir = tree();
    let settings = lines(dir.path());
    let whole = chunks(&mut Files::open(settings.clone(), &Resume::default()).unwrap());
    let mut read_to = Progress::default();
    for chunk in &whole {
        check_resume(
            &settings,
            &whole,
            &Resume { from: read_to.clone(), read_to: read_to.clone(), ..Resume::default() },
        );
        check_resume(
            &settings,
            &whole,
            &Resume { from: Progress::default(), read_to: read_to.clone(), ..Resume::default() },
        );
        read_to.set(chunk.partition.clone(), chunk.read_to);
    }
    check_resume(&settings, &whole, &Resume { from: Progress::default(), read_to, ..Resume::default() });
}

#[test]
fn csv_files_resume_in_the_middle_with_their_header() {
    let dir = tempfile::tempdir().unwrap();
    let text = "x,\"y\nz\"\n1,\"a\n\"\"b\"\"\nc\"\n2,\n3,\"\n\"\n4,5\n";
    fs::write(dir.path().join("a.csv"), text).unwrap();
    fs::write(dir.path().join("b.csv.gz"), gzip(&[text.as_bytes()])).unwrap();
    fs::write(dir.path().join("c.csv"), "x,y").unwrap();
    let settings = csv(dir.path());
    let whole = chunks(&mut Files::open(settings.clone(), &Resume::default()).unwrap());
    assert!(whole.iter().all(|chunk| chunk.header.as_deref() == Some(b"x,\"y\nz\"\n".as_slice())));
    assert_eq!(records(&whole, settings.framing)[0], ("a.csv".to_owned(), 8, "1,\"a\n\"\"b\"\"\nc\"\n".to_owned()));
    for (partition, position) in places(&whole, settings.framing) {
        let read_to = progress(&[(partition.name(), position)]);
        check_resume(
            &settings,
            &whole,
            &Resume { from: Progress::default(), read_to: read_to.clone(), ..Resume::default() },
        );
        check_resume(&settings, &whole, &Resume { from: read_to.clone(), read_to, ..Resume::default() });
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_source_resumes_anywhere(
        seeds in proptest::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), 1..4),
        chunk_bytes in 1_usize..40,
    ) {
        let dir = tree();
        let settings = Settings { chunk_bytes, ..lines(dir.path()) };
        let whole = chunks(&mut Files::open(settings.clone(), &Resume::default()).unwrap());
        let places = places(&whole, settings.framing);
        let mut resume = Resume::default();
        for (one, other) in seeds {
            let (partition, position) = one.get(&places);
            let others: Vec<Position> =
                places.iter().filter(|place| place.0 == *partition).map(|place| place.1).collect();
            let second = *other.get(&others);
            resume.from.set(partition.clone(), second.min(*position));
            resume.read_to.set(partition.clone(), second.max(*position));
        }
        check_resume(&settings, &whole, &resume);
    }
}

#[test]
fn a_followed_file_gives_lines_when_they_are_finished() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.json");
    fs::write(&path, "a1\na").unwrap();
    let mut files = Files::open(Settings { follow: true, ..lines(dir.path()) }, &Resume::default()).unwrap();
    let mut seen = Vec::new();
    let mut news = |files: &mut Files| {
        let chunks = chunks(files);
        let all: String = records(&chunks, Framing::Lines).into_iter().map(|record| record.2).collect();
        for chunk in chunks {
            seen.push((chunk.partition.name().to_owned(), chunk.offset));
        }
        all
    };
    assert_eq!(news(&mut files), "a1\n");
    assert_eq!(files.next().unwrap(), Next::Idle(Quiet::All));
    append(&path, "2");
    assert_eq!(news(&mut files), "");
    append(&path, "\na3\na4");
    fs::write(dir.path().join("0.json"), "01\n").unwrap();
    fs::write(dir.path().join("b.json"), "b1\n").unwrap();
    assert_eq!(news(&mut files), "a2\na3\n01\nb1\n");
    append(&path, "\n");
    append(&dir.path().join("b.json"), "b2\n");
    assert_eq!(news(&mut files), "a4\nb2\n");
    // a file that was read to its last byte may go, and others may come
    fs::remove_file(&path).unwrap();
    fs::write(dir.path().join("c.json"), "").unwrap();
    assert_eq!(news(&mut files), "");
    append(&dir.path().join("c.json"), "c1\n");
    assert_eq!(news(&mut files), "c1\n");
    assert_eq!(files.bytes_read(), files.total_bytes());
    assert_eq!(seen[1], ("a.json".to_owned(), 3));
}

#[test]
fn a_followed_gzip_file_may_come_in_pieces() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.json.gz");
    let text: String = (0..500).map(|n| format!("record {n} of {}\n", n * 7919 % 1000)).collect();
    let bytes = gzip(&[text.as_bytes()]);
    fs::write(&path, "").unwrap();
    let mut files = Files::open(Settings { follow: true, ..lines(dir.path()) }, &Resume::default()).unwrap();
    let mut all = String::new();
    let mut last = None;
    for piece in bytes.chunks(bytes.len() / 5) {
        assert_eq!(last, None);
        let mut file = OpenOptions::new().append(true).open(&path).unwrap();
        file.write_all(piece).unwrap();
        for chunk in chunks(&mut files) {
            assert_eq!(chunk.offset, all.len() as u64);
            all.push_str(std::str::from_utf8(&chunk.bytes).unwrap());
            last = (chunk.read_to == Position::End).then_some(());
        }
    }
    assert_eq!(all, text);
    assert_eq!(last, Some(()), "it is finished");
    fs::remove_file(&path).unwrap();
    assert_eq!(files.next().unwrap(), Next::Idle(Quiet::All));
}

#[test]
fn a_followed_csv_file_waits_for_its_header() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.csv");
    fs::write(&path, "x,").unwrap();
    let mut files = Files::open(Settings { follow: true, ..csv(&path) }, &Resume::default()).unwrap();
    assert_eq!(files.next().unwrap(), Next::Idle(Quiet::All));
    append(&path, "y\n1,");
    assert_eq!(files.next().unwrap(), Next::Idle(Quiet::All));
    append(&path, "2\n");
    let chunks = chunks(&mut files);
    assert_eq!((chunks[0].offset, chunks[0].header.as_deref()), (4, Some(b"x,y\n".as_slice())));
}

#[test]
fn what_is_missing_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let open = |settings: Settings, resume: &Resume| Files::open(settings, resume).map(|_| ()).unwrap_err();
    let empty = open(lines(dir.path()), &Resume::default());
    assert!(matches!(&empty, SourceError::NoMatch(_)) && empty.to_string().contains("hint: "));
    assert!(Files::open(Settings { follow: true, ..lines(dir.path()) }, &Resume::default()).is_ok());
    assert!(matches!(open(lines(&dir.path().join("x")), &Resume::default()), SourceError::NotFound(_)));

    fs::write(dir.path().join("a"), "a1\na2\n").unwrap();
    let resume = |from, read_to| Resume {
        from: progress(&[("gone", from)]),
        read_to: progress(&[("gone", read_to)]),
        ..Resume::default()
    };
    let error = open(lines(dir.path()), &resume(Position::Offset(3), Position::Offset(6)));
    assert!(matches!(error, SourceError::Vanished { position: 3, .. }), "{error}");
    assert!(Files::open(lines(dir.path()), &resume(Position::Offset(6), Position::Offset(6))).is_ok());
    assert!(Files::open(lines(dir.path()), &resume(Position::End, Position::End)).is_ok());
}

/// The error that ends a source.
fn failure(settings: Settings, resume: &Resume) -> SourceError {
    let mut files = Files::open(settings, resume).unwrap();
    loop {
        match files.next() {
            Ok(Next::Chunk(_)) => {}
            Ok(other) => panic!("{other:?} instead of an error"),
            Err(error) => return error,
        }
    }
}

#[test]
fn a_file_that_shrank_is_told() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("a"), "a1\na2\n").unwrap();
    let at = |offset| progress(&[("a", Position::Offset(offset))]);
    let error = failure(lines(dir.path()), &Resume { from: at(9), read_to: at(9), ..Resume::default() });
    assert!(matches!(error, SourceError::Shrunk { size: 6, position: 9, .. }), "{error}");
    let error = failure(lines(dir.path()), &Resume { from: at(3), read_to: at(9), ..Resume::default() });
    assert!(matches!(error, SourceError::Shrunk { size: 6, position: 9, .. }), "{error}");
    assert!(error.to_string().contains("/a` has 6 bytes, but 9 were read before; hint: "));

    fs::write(dir.path().join("a"), gzip(&[b"a1\na2\n"])).unwrap();
    let error = failure(lines(dir.path()), &Resume { from: at(9), read_to: at(9), ..Resume::default() });
    assert!(matches!(error, SourceError::Shrunk { size: 6, position: 9, .. }), "{error}");
    let error = failure(lines(dir.path()), &Resume { from: at(3), read_to: at(9), ..Resume::default() });
    assert!(matches!(error, SourceError::Shrunk { size: 6, position: 9, .. }), "{error}");
}

#[test]
fn a_followed_file_that_goes_unfinished_is_told() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("a"), "a1\na2").unwrap();
    let mut files = Files::open(Settings { follow: true, ..lines(dir.path()) }, &Resume::default()).unwrap();
    assert_eq!(chunks(&mut files).len(), 1);
    fs::remove_file(dir.path().join("a")).unwrap();
    assert!(matches!(files.next(), Err(SourceError::Vanished { position: 3, .. })));
}

#[test]
fn a_followed_file_may_go_and_come_back_but_not_smaller() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a");
    fs::write(&path, "a1\na2\n").unwrap();
    let mut files = Files::open(Settings { follow: true, ..lines(&path) }, &Resume::default()).unwrap();
    assert_eq!(chunks(&mut files).len(), 1);
    fs::remove_file(&path).unwrap();
    assert_eq!(files.next().unwrap(), Next::Idle(Quiet::All));
    fs::write(&path, "a1\na2\na3\n").unwrap();
    assert_eq!(chunks(&mut files)[0].offset, 6);
    fs::write(&path, "a1\n").unwrap();
    assert!(matches!(files.next(), Err(SourceError::Shrunk { size: 3, position: 9, .. })));
}

#[test]
fn a_damaged_gzip_file_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.gz");
    let whole = gzip(&[b"a1\n", "a2 and some text that does not shrink, 7f8a9b0c1d2e3f\n".as_bytes()]);
    let mut flipped = whole.clone();
    let middle = flipped.len() - 12;
    flipped[middle] ^= 0x55;
    for damaged in [&whole[..whole.len() - 9], &whole[..5], &flipped, b"no gzip at all".as_slice()] {
        fs::write(&path, damaged).unwrap();
        let error = failure(lines(&path), &Resume::default());
        assert!(matches!(error, SourceError::Gzip { .. }), "{error}");
        assert!(error.to_string().contains("a.gz` is damaged after "), "{error}");
    }
    // trailing bytes that are no member
    fs::write(&path, [whole.as_slice(), b"rest"].concat()).unwrap();
    assert!(matches!(failure(lines(&path), &Resume::default()), SourceError::Gzip { .. }));
}

#[test]
fn compression_is_told_or_seen() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a");
    fs::write(&path, gzip(&[b"a1\n"])).unwrap();
    for compression in [Compression::Auto, Compression::Gzip] {
        let chunks = chunks(&mut Files::open(Settings { compression, ..lines(&path) }, &Resume::default()).unwrap());
        assert_eq!((chunks[0].bytes.as_ref(), chunks[0].read_to), (b"a1\n".as_slice(), Position::End));
    }
    let raw = Settings { compression: Compression::None, ..lines(&path) };
    assert_ne!(chunks(&mut Files::open(raw, &Resume::default()).unwrap())[0].bytes, b"a1\n".as_slice());
}

#[test]
fn a_record_that_is_too_long_is_shortened() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a");
    fs::write(&path, format!("a1\n{}\na3\n", "x".repeat(1000))).unwrap();
    let settings = lines(&path);
    let whole = chunks(&mut Files::open(settings.clone(), &Resume::default()).unwrap());
    let found: Vec<(u64, usize)> = whole.iter().map(|chunk| (chunk.offset, chunk.bytes.len())).collect();
    assert_eq!(found, [(0, 3), (3, 65), (1004, 3)]);
    for (partition, position) in places(&whole, settings.framing) {
        let read_to = progress(&[(partition.name(), position)]);
        check_resume(&settings, &whole, &Resume { from: Progress::default(), read_to, ..Resume::default() });
    }
}
