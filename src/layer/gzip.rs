//! gzip on several threads: one member, made of chunks that are compressed apart.
//!
//! Each chunk is raw deflate with the 32 KiB before it as dictionary and ends
//! with a sync flush, so the chunks put together are one deflate stream that
//! any reader takes. The bytes depend on the chunk size and level alone.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::mpsc::{self, Receiver, Sender, SyncSender};
use std::sync::{Arc, Mutex, PoisonError};

use flate2::{Compress, Crc, FlushCompress, Status};

/// Input bytes of a chunk. Changing this changes every digest.
const CHUNK: usize = 512 << 10;

/// How far back deflate can refer.
const WINDOW: usize = 32 << 10;

/// No name, no time, no flags, and "unknown" as the operating system (RFC 1952, 2.3).
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];

/// A compressed chunk, and the checksum of what it was.
type Done = io::Result<(Vec<u8>, Crc)>;

/// A chunk on its way to a thread.
struct Job {
    chunk: Arc<Vec<u8>>,
    before: Option<Arc<Vec<u8>>>,
    last: bool,
    reply: SyncSender<Done>,
}

/// Compresses onto `W`.
pub struct ParallelGzip<W> {
    inner: W,
    chunk: Vec<u8>,
    before: Option<Arc<Vec<u8>>>,
    jobs: Sender<Job>,
    pending: VecDeque<Receiver<Done>>,
    most_pending: usize,
    crc: Crc,
    size: u64,
}

impl<W: Write> ParallelGzip<W> {
    /// Starts `threads` threads, which end when this is dropped.
    pub fn new(mut inner: W, level: u8, threads: usize) -> io::Result<Self> {
        let (jobs, queue) = mpsc::channel::<Job>();
        let queue = Arc::new(Mutex::new(queue));
        for _ in 0..threads {
            let queue = Arc::clone(&queue);
            std::thread::Builder::new()
                .name("gzip".into())
                .spawn(move || work(&queue, level))?;
        }
        inner.write_all(&HEADER)?;
        Ok(Self {
            inner,
            chunk: Vec::with_capacity(CHUNK),
            before: None,
            jobs,
            pending: VecDeque::new(),
            most_pending: 2 * threads,
            crc: Crc::new(),
            size: 0,
        })
    }

    /// Compresses what is left, and ends the member.
    pub fn finish(mut self) -> io::Result<W> {
        self.submit(true)?;
        while !self.pending.is_empty() {
            self.collect()?;
        }
        self.inner.write_all(&self.crc.sum().to_le_bytes())?;
        self.inner.write_all(&(self.size as u32).to_le_bytes())?; // modulo 2³², as the format wants
        Ok(self.inner)
    }

    fn submit(&mut self, last: bool) -> io::Result<()> {
        if self.pending.len() >= self.most_pending {
            self.collect()?;
        }
        let chunk = Arc::new(std::mem::replace(
            &mut self.chunk,
            Vec::with_capacity(CHUNK),
        ));
        self.size += chunk.len() as u64;
        let (reply, result) = mpsc::sync_channel(1);
        let before = self.before.replace(Arc::clone(&chunk));
        self.jobs
            .send(Job {
                chunk,
                before,
                last,
                reply,
            })
            .map_err(|_| io::Error::other("the compressing threads have ended"))?;
        self.pending.push_back(result);
        Ok(())
    }

    /// Writes the oldest chunk that is not written yet.
    fn collect(&mut self) -> io::Result<()> {
        if let Some(result) = self.pending.pop_front() {
            let result = result.recv();
            let (bytes, crc) =
                result.map_err(|_| io::Error::other("a compressing thread has ended"))??;
            self.crc.combine(&crc);
            self.inner.write_all(&bytes)?;
        }
        Ok(())
    }
}

impl<W: Write> Write for ParallelGzip<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // A full chunk waits for more, because the last one must be known as such.
        if self.chunk.len() == CHUNK && !bytes.is_empty() {
            self.submit(false)?;
        }
        let taken = bytes.len().min(CHUNK - self.chunk.len());
        self.chunk.extend_from_slice(&bytes[..taken]);
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn work(queue: &Mutex<Receiver<Job>>, level: u8) {
    loop {
        let job = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = job else {
            return;
        };
        // No one listens when the writer gave up.
        let _ = job.reply.send(compress(&job, level));
    }
}

fn compress(job: &Job, level: u8) -> Done {
    let mut crc = Crc::new();
    crc.update(&job.chunk);
    let mut deflate = Compress::new(flate2::Compression::new(level.into()), false);
    if let Some(before) = &job.before {
        let window = &before[before.len().saturating_sub(WINDOW)..];
        deflate.set_dictionary(window).map_err(io::Error::other)?;
    }
    let flush = if job.last {
        FlushCompress::Finish
    } else {
        FlushCompress::Sync
    };
    let mut bytes = Vec::with_capacity(job.chunk.len() + job.chunk.len() / 8 + 1024);
    loop {
        let read = deflate.total_in() as usize;
        let status = deflate
            .compress_vec(&job.chunk[read..], &mut bytes, flush)
            .map_err(io::Error::other)?;
        // A flush is complete only when it leaves room in the output.
        let room = bytes.len() < bytes.capacity();
        let done = deflate.total_in() as usize == job.chunk.len() && room;
        if status == Status::StreamEnd || (done && !job.last) {
            return Ok((bytes, crc));
        }
        bytes.reserve(CHUNK);
    }
}
