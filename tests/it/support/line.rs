//! The line run in this process, with a watch on every write that can stop it at a named point.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use tidewatch::config::Config;
use tidewatch::job::live::{self, Line};
use tidewatch::job::{Clock, Event, Host, JobError, Listener, Shutdown, Start, Stopper, Summary, SystemClock};
use tidewatch::store::{StoreError, Watch};

const POLL: Duration = Duration::from_millis(10);
/// A job that has not done in half a minute what it should do is stuck.
const POLLS_MAX: u32 = 3000;

/// Where a job can be stopped: at the write of an object of this kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Point {
    Description,
    Rejects,
    Part,
    Manifest,
    Anomalies,
    Incidents,
    Revisions,
    Raises,
    /// What a receiver is to be told; where there is one.
    Outbox,
    Checkpoint,
}

impl Point {
    pub(crate) const ALL: [Point; 9] = [
        Point::Description,
        Point::Rejects,
        Point::Part,
        Point::Manifest,
        Point::Anomalies,
        Point::Incidents,
        Point::Revisions,
        Point::Raises,
        Point::Checkpoint,
    ];

    fn of(name: &str) -> Point {
        let file = name.rsplit('/').next().unwrap();
        match file {
            _ if name.starts_with("outbox/") => Point::Outbox,
            "_tidewatch.json" => Point::Description,
            "anomalies.jsonl" => Point::Anomalies,
            "incidents.jsonl" | "incidents_returned.jsonl" | "lagging.jsonl" | "late.jsonl" => Point::Incidents,
            _ if file.starts_with("revisions-") => Point::Revisions,
            _ if file.starts_with("rejects-") => Point::Rejects,
            _ if file.starts_with("part-") => Point::Part,
            _ if file.starts_with("_manifest-") => Point::Manifest,
            _ if file.starts_with("raises-") => Point::Raises,
            _ if file.starts_with("checkpoint-") => Point::Checkpoint,
            _ => panic!("`{name}` is no object of ours"),
        }
    }
}

/// What happens at a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Blow {
    /// The job fails and the object is not there.
    Before,
    /// The job fails and the object is there.
    After,
    /// The job is asked to stop, and the write goes on.
    Stop,
}

/// Hits at the `number`-th write (from 1) of a kind of object, or of any.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fault {
    pub(crate) point: Option<Point>,
    pub(crate) number: u64,
    pub(crate) blow: Blow,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} write {} of {:?}", self.blow, self.number, self.point)
    }
}

/// Counts the writes and strikes at one of them.
struct Striking {
    fault: Option<Fault>,
    seen: AtomicU64,
    struck: AtomicBool,
    stopper: Stopper,
    shutdown: Shutdown,
    writes: Mutex<Vec<Point>>,
}

impl Striking {
    fn strike(&self, name: &str) -> Result<(), StoreError> {
        self.struck.store(true, Ordering::SeqCst);
        Err(StoreError::Stopped(name.to_owned()))
    }

    fn is_due(&self, point: Point) -> Option<Blow> {
        let fault = self.fault?;
        let due = fault.point.is_none_or(|wanted| wanted == point) && self.seen.load(Ordering::SeqCst) == fault.number;
        due.then_some(fault.blow)
    }
}

impl Watch for Striking {
    fn before_write(&self, name: &str) -> Result<(), StoreError> {
        let point = Point::of(name);
        if self.fault.is_some_and(|fault| fault.point.is_none_or(|wanted| wanted == point)) {
            self.seen.fetch_add(1, Ordering::SeqCst);
        }
        match self.is_due(point) {
            Some(Blow::Before) => self.strike(name),
            Some(Blow::Stop) => {
                self.struck.store(true, Ordering::SeqCst);
                self.stopper.stop();
                Ok(())
            }
            Some(Blow::After) | None => Ok(()),
        }
    }

    fn after_write(&self, name: &str) -> Result<(), StoreError> {
        let point = Point::of(name);
        self.writes.lock().unwrap().push(point);
        match self.is_due(point) {
            Some(Blow::After) => self.strike(name),
            _ => Ok(()),
        }
    }
}

struct Deaf;

impl Listener for Deaf {
    fn on(&mut self, _: Event<'_>) {}
}

/// How a run in this process ended.
pub(crate) struct Ran {
    pub(crate) result: Result<Summary, JobError>,
    /// Whether the fault was met.
    pub(crate) struck: bool,
    /// What was written, in order.
    pub(crate) writes: Vec<Point>,
}

impl Ran {
    pub(crate) fn summary(&self) -> &Summary {
        self.result.as_ref().unwrap_or_else(|error| panic!("{error}"))
    }
}

/// Runs a line until it ends, perhaps by a fault.
pub(crate) fn run(config: &Config, line: Line, fault: Option<Fault>) -> Ran {
    run_with(config, (line, Start::GoOn), striking(fault), Arc::new(SystemClock::start()))
}

/// The same for a whole line whose detector learns anew first.
pub(crate) fn rebuild(config: &Config, fault: Option<Fault>) -> Ran {
    run_with(config, (Line::Run, Start::Rebuild), striking(fault), Arc::new(SystemClock::start()))
}

/// Runs a line that follows its source, by another clock, until it has done enough or is ended by a fault.
pub(crate) fn run_until(
    config: &Config,
    fault: Option<Fault>,
    clock: Arc<dyn Clock>,
    enough: impl Fn() -> bool + Send,
) -> Ran {
    let striking = striking(fault);
    thread::scope(|scope| {
        let ended = Ended(Arc::default());
        let watched = ended.0.clone();
        let stopping = striking.clone();
        scope.spawn(move || {
            let mut polls = 0;
            while !watched.load(Ordering::SeqCst) && !enough() && polls < POLLS_MAX {
                thread::sleep(POLL);
                polls += 1;
            }
            stopping.stopper.stop();
            assert!(polls < POLLS_MAX, "the job never did enough");
        });
        let ran = run_with(config, (Line::Run, Start::GoOn), striking, clock);
        drop(ended);
        ran
    })
}

/// Set when dropped, so that nobody waits for a run that panicked.
struct Ended(Arc<AtomicBool>);

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

fn striking(fault: Option<Fault>) -> Arc<Striking> {
    let (stopper, shutdown) = Shutdown::new();
    Arc::new(Striking {
        fault,
        seen: AtomicU64::new(0),
        struck: AtomicBool::new(false),
        stopper,
        shutdown,
        writes: Mutex::default(),
    })
}

fn run_with(config: &Config, (line, start): (Line, Start), striking: Arc<Striking>, clock: Arc<dyn Clock>) -> Ran {
    let mut listener = Deaf;
    let watch: Arc<dyn Watch> = striking.clone();
    let host = Host { clock, shutdown: striking.shutdown.clone(), listener: &mut listener, watch: Some(watch) };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let result = runtime.block_on(live::run(config, line, start, host));
    let struck = striking.struck.load(Ordering::SeqCst);
    if let Err(error) = &result {
        assert!(struck && error.to_string().starts_with("stopped at"), "{error}");
    }
    let writes = striking.writes.lock().unwrap().clone();
    Ran { result, struck, writes }
}
