//! The one async runtime of the process, and many transfers at once on it.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio::task::JoinSet;

use crate::error::{Error, Kind, Result};
use crate::report::Task;

/// The runtime; started when it is first needed.
///
/// # Errors
/// When no thread can be started.
pub fn runtime() -> Result<&'static Runtime> {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    if let Some(runtime) = RUNTIME.get() {
        return Ok(runtime);
    }
    // Hashing is what takes time here: a few threads keep up with any network.
    let threads = std::thread::available_parallelism().map_or(2, |cores| cores.get().min(4));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads.max(2))
        .thread_name("transfer")
        .enable_all()
        .build()
        .map_err(|error| Error::new(Kind::Io, format!("starting threads: {error}")))?;
    Ok(RUNTIME.get_or_init(|| runtime))
}

/// Waits for all transfers, while `task` advances by what they add to `moved`.
/// After the first failure the others are stopped.
///
/// # Errors
/// The first failure of a transfer.
pub fn drive<T: 'static>(
    mut transfers: JoinSet<Result<T>>,
    moved: &AtomicU64,
    task: &Task,
) -> Result<Vec<T>> {
    let runtime = runtime()?;
    let result = runtime.block_on(async {
        let mut tick = tokio::time::interval(Duration::from_millis(100));
        let mut done = Vec::new();
        loop {
            tokio::select! {
                _ = tick.tick() => task.advance(moved.swap(0, Ordering::Relaxed)),
                next = transfers.join_next() => match next {
                    None => return Ok(done),
                    Some(Ok(Ok(one))) => done.push(one),
                    Some(Ok(Err(error))) => return Err(error),
                    Some(Err(error)) => {
                        return Err(Error::new(Kind::Network, format!("a transfer stopped: {error}")));
                    }
                },
            }
        }
    });
    // Transfers write into files whose locks they hold: let them end first.
    runtime.block_on(transfers.shutdown());
    task.advance(moved.swap(0, Ordering::Relaxed));
    result
}
