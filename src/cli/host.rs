//! The surroundings of a job in a real process: the machine's clock, signals that ask it to stop, a runtime.

use std::future::Future;
use std::sync::Arc;

use tokio::signal::unix::{SignalKind, signal};

use super::CliError;
use crate::job::{Host, JobError, Listener, Shutdown, SystemClock};

/// A runtime for what is asynchronous.
pub(super) fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()
}

/// Runs a job on a runtime of its own. SIGTERM or Ctrl-C asks it to finish its batch and leave; a second one ends the
/// process at once, which the next start makes good as it does after a crash.
pub(super) fn block_on<'a, T, F>(listener: &'a mut dyn Listener, job: impl FnOnce(Host<'a>) -> F) -> Result<T, CliError>
where
    F: Future<Output = Result<T, JobError>>,
{
    let runtime = runtime().map_err(CliError::Runtime)?;
    let (stopper, shutdown) = Shutdown::new();
    let _guard = runtime.enter();
    let mut terminate = signal(SignalKind::terminate()).map_err(CliError::Runtime)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(CliError::Runtime)?;
    runtime.spawn(async move {
        let mut stop = async || {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        };
        stop().await;
        tracing::info!("asked to stop: finishing the batch; a second signal stops at once");
        stopper.stop();
        stop().await;
        tracing::warn!("asked to stop again: leaving at once");
        std::process::exit(1);
    });
    let host = Host { clock: Arc::new(SystemClock::start()), shutdown, listener, watch: None };
    let result = runtime.block_on(job(host));
    // a source may be blocked on a pipe that never ends; nothing waits for it
    runtime.shutdown_background();
    Ok(result?)
}
