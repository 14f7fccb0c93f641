//! A hook that is a program: a request a line on its standard input, an answer a line on its standard output; what it
//! says on standard error goes to ours. It lives as long as it answers: one that ends, is silent for too long or answers
//! with something else is ended, and the next call starts another. At the end its input is closed, and it may finish.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use std::{mem, thread};

use bytes::Bytes;
use tokio::sync::mpsc;

use super::{HookError, Settings};
use crate::model::HookFault;

/// How long programs may take to finish when their input is closed.
const GRACE: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_millis(10);

/// The processes of one hook that wait; as many work as calls are under way.
#[derive(Debug)]
pub(super) struct Processes {
    hook: Arc<str>,
    command: Vec<String>,
    answer_bytes_max: usize,
    idle: Mutex<Vec<Process>>,
}

impl Processes {
    /// Starts the first of them.
    pub(super) fn start(settings: &Settings, command: &[String]) -> Result<Processes, HookError> {
        let processes = Processes {
            hook: Arc::clone(&settings.name),
            command: command.to_owned(),
            answer_bytes_max: settings.answer_bytes_max,
            idle: Mutex::default(),
        };
        let first = processes.spawn()?;
        processes.put_back(first);
        Ok(processes)
    }

    /// Sends a request and reads its answer; a process whose answer cannot be read is not asked again.
    pub(super) async fn exchange<T>(
        &self,
        request: &Bytes,
        read: impl FnOnce(&[u8]) -> Result<T, HookFault>,
    ) -> Result<T, HookFault> {
        let mut process = match self.waiting() {
            Some(process) => process,
            None => self.spawn().map_err(|error| HookFault::Gone(error.to_string()))?,
        };
        // dropped with the process inside of it where the call is given up: it is ended then
        let answer = process.ask(request.clone()).await?;
        let read = read(&answer)?;
        self.put_back(process);
        Ok(read)
    }

    /// A process that waits for a request; those that have ended, or have said more than was asked for, are given up.
    fn waiting(&self) -> Option<Process> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(mut process) = idle.pop() {
            if matches!(process.child.try_wait(), Ok(None)) && process.answers.is_empty() {
                return Some(process);
            }
        }
        None
    }

    fn put_back(&self, process: Process) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(process);
    }

    fn spawn(&self) -> Result<Process, HookError> {
        let program = self.command.first().cloned().unwrap_or_default();
        Process::spawn(&self.command, self.answer_bytes_max).map_err(|source| HookError::Command {
            hook: Arc::clone(&self.hook),
            program,
            source,
        })
    }
}

impl Drop for Processes {
    fn drop(&mut self) {
        let idle = mem::take(self.idle.get_mut().unwrap_or_else(PoisonError::into_inner));
        let mut ending: Vec<Process> = idle
            .into_iter()
            .map(|mut process| {
                process.requests = None;
                process
            })
            .collect();
        let mut waited = Duration::ZERO;
        while waited < GRACE {
            ending.retain_mut(|process| matches!(process.child.try_wait(), Ok(None)));
            if ending.is_empty() {
                return;
            }
            thread::sleep(POLL);
            waited += POLL;
        }
        // what is left is ended as it is dropped
    }
}

/// A program that runs; ended when dropped.
#[derive(Debug)]
struct Process {
    child: Child,
    /// What is written to its standard input by a thread of its own, for a pipe may be full; closed where it is none.
    requests: Option<std::sync::mpsc::Sender<Bytes>>,
    /// Lines of its standard output.
    answers: mpsc::Receiver<Result<Vec<u8>, HookFault>>,
}

impl Process {
    fn spawn(command: &[String], answer_bytes_max: usize) -> io::Result<Process> {
        let (program, arguments) = command.split_first().ok_or(io::ErrorKind::NotFound)?;
        let mut child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            // who interrupts the job on a terminal does not end what it still needs
            .process_group(0)
            .spawn()?;
        let (Some(mut input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(io::ErrorKind::BrokenPipe.into());
        };
        let (requests, to_write) = std::sync::mpsc::channel::<Bytes>();
        thread::Builder::new().name("hook-in".into()).spawn(move || {
            for request in to_write {
                // a program that has ended is noticed where its answer is missing
                if input.write_all(&request).and_then(|()| input.write_all(b"\n")).and_then(|()| input.flush()).is_err()
                {
                    return;
                }
            }
        })?;
        let (sender, answers) = mpsc::channel(1);
        thread::Builder::new().name("hook-out".into()).spawn(move || {
            let mut output = BufReader::new(output);
            loop {
                let mut line = Vec::new();
                let limit = answer_bytes_max as u64 + 1;
                let read = output.by_ref().take(limit).read_until(b'\n', &mut line);
                let answer = match read {
                    Ok(0) | Err(_) => return,
                    Ok(_) if line.len() > answer_bytes_max => Err(HookFault::TooLong(answer_bytes_max)),
                    Ok(_) => Ok(line),
                };
                let is_last = answer.is_err();
                if sender.blocking_send(answer).is_err() || is_last {
                    return;
                }
            }
        })?;
        Ok(Process { child, requests: Some(requests), answers })
    }

    async fn ask(&mut self, request: Bytes) -> Result<Vec<u8>, HookFault> {
        let sent = self.requests.as_ref().is_some_and(|requests| requests.send(request).is_ok());
        match if sent { self.answers.recv().await } else { None } {
            Some(answer) => answer,
            None => Err(HookFault::Gone(self.ended().await)),
        }
    }

    /// How it ended.
    async fn ended(&mut self) -> String {
        // its output is closed, so it is about to end
        for _ in 0..20 {
            match self.child.try_wait() {
                Ok(Some(status)) => return format!("it ended without an answer ({status})"),
                Ok(None) => tokio::time::sleep(POLL).await,
                Err(error) => return format!("it cannot be waited for: {error}"),
            }
        }
        "it closed its output without an answer".to_owned()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.requests = None;
        if matches!(self.child.try_wait(), Ok(None)) {
            // it may end by itself in between
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}
