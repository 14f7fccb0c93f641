//! The real program: run to its end, or started and ended by its own process id.

use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::Duration;

use tempfile::NamedTempFile;

const POLL: Duration = Duration::from_millis(10);
/// A program that has not done in two minutes what it should do is stuck.
const POLLS_MAX: u32 = 12_000;

/// What a program that ended gave.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ended {
    /// Its standard output, if it ended well.
    pub(crate) fn good(self) -> String {
        assert_eq!(self.code, Some(0), "{}{}", self.stdout, self.stderr);
        self.stdout
    }

    /// Its standard error, if it ended with the code for what a user can mend, said why, and did not panic.
    pub(crate) fn refused(self) -> String {
        assert_eq!(self.code, Some(1), "{}{}", self.stdout, self.stderr);
        assert!(self.stderr.contains("error: "), "{}", self.stderr);
        self.stderr
    }
}

pub(crate) fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidewatch"));
    command.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs the program to its end.
pub(crate) fn tidewatch(args: &[&str]) -> Ended {
    ended(command(args).output().unwrap())
}

pub(crate) fn ended(output: std::process::Output) -> Ended {
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Ended { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

/// A program that runs; killed when dropped.
#[derive(Debug)]
pub(crate) struct Running {
    child: Child,
    /// Its standard error; a pipe that nobody reads would hold it up.
    errors: NamedTempFile,
}

impl Running {
    /// Starts the program; what it prints goes nowhere but for its errors.
    pub(crate) fn start(args: &[&str]) -> Running {
        Running::of(command(args))
    }

    /// Starts a command of [`command`].
    pub(crate) fn of(mut command: Command) -> Running {
        let errors = NamedTempFile::new().unwrap();
        let child = command.stdout(Stdio::null()).stderr(errors.reopen().unwrap()).spawn().unwrap();
        Running { child, errors }
    }

    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// How it ended, if it has.
    pub(crate) fn status(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// Waits until it would notice that it is asked to stop, or has ended: before that a signal ends it like any other
    /// program.
    pub(crate) fn until_it_listens(&mut self) {
        const SIGTERM: u32 = 15;
        let status = format!("/proc/{}/status", self.child.id());
        wait_until("the program handles signals", || {
            let text = std::fs::read_to_string(&status).unwrap_or_default();
            let caught = text.lines().find_map(|line| line.strip_prefix("SigCgt:"));
            let caught = caught.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
            caught & (1 << (SIGTERM - 1)) != 0 || self.status().is_some()
        });
    }

    /// Asks it to stop and waits until it has.
    pub(crate) fn terminate(&mut self) -> ExitStatus {
        let kill = format!("kill -TERM {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
        self.end()
    }

    /// Waits for its end.
    pub(crate) fn end(&mut self) -> ExitStatus {
        let mut status = None;
        wait_until("the program ends", || {
            status = self.status();
            status.is_some()
        });
        status.unwrap()
    }

    /// Waits until it has said something on standard error, or has ended.
    pub(crate) fn until_it_says(&mut self, text: &str) {
        wait_until(&format!("the program says `{text}`"), || self.errors().contains(text) || self.status().is_some());
    }

    /// What it said so far on standard error.
    pub(crate) fn errors(&self) -> String {
        std::fs::read_to_string(self.errors.path()).unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // it may have ended
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits for something that must come.
pub(crate) fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    for _ in 0..POLLS_MAX {
        if done() {
            return;
        }
        thread::sleep(POLL);
    }
    panic!("waited in vain until {what}");
}
