//! Compression whose bytes depend on the input, the level and nothing else.
//!
//! zstd always goes through its multithreaded interface with a fixed job size,
//! because its output without workers differs from that with any number of
//! them. gzip is made in fixed chunks (see `gzip`).

use std::fmt;
use std::io::{self, BufReader, Read, Write};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::gzip::ParallelGzip;

/// Input bytes of a zstd job. Changing this changes every digest.
const ZSTD_JOB: u32 = 4 << 20;

/// How layers are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Compression {
    /// Zstandard, level 1 to 19.
    Zstd {
        /// The level.
        level: u8,
    },
    /// gzip, level 1 to 9.
    Gzip {
        /// The level.
        level: u8,
    },
    /// As it is.
    None,
}

impl Compression {
    /// zstd at its usual level.
    pub const ZSTD: Self = Self::Zstd { level: 3 };
    /// gzip at its usual level.
    pub const GZIP: Self = Self::Gzip { level: 6 };

    /// The OCI media type of a layer.
    #[must_use]
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Zstd { .. } => "application/vnd.oci.image.layer.v1.tar+zstd",
            Self::Gzip { .. } => "application/vnd.oci.image.layer.v1.tar+gzip",
            Self::None => "application/vnd.oci.image.layer.v1.tar",
        }
    }
}

impl Default for Compression {
    fn default() -> Self {
        Self::ZSTD
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Zstd { level } => write!(f, "zstd:{level}"),
            Self::Gzip { level } => write!(f, "gzip:{level}"),
            Self::None => f.write_str("none"),
        }
    }
}

impl FromStr for Compression {
    type Err = String;

    /// Reads `zstd`, `gzip`, `none`, or a name with its level (`zstd:9`).
    fn from_str(text: &str) -> Result<Self, String> {
        let (name, level) = match text.split_once(':') {
            Some((name, level)) => (name, Some(level)),
            None => (text, None),
        };
        let level = |usual: u8, most: u8| match level {
            None => Ok(usual),
            Some(level) => match level.parse() {
                Ok(number) if (1..=most).contains(&number) => Ok(number),
                _ => Err(format!(
                    "`{level}` is no level of {name}: it goes from 1 to {most}"
                )),
            },
        };
        match name {
            "zstd" => Ok(Self::Zstd {
                level: level(3, 19)?,
            }),
            "gzip" => Ok(Self::Gzip {
                level: level(6, 9)?,
            }),
            "none" if text == name => Ok(Self::None),
            _ => Err(format!(
                "`{text}` is no compression: choose zstd, gzip or none"
            )),
        }
    }
}

/// Compresses what is written to it.
pub enum Compressor<W: Write> {
    /// See [`Compression::Zstd`].
    Zstd(zstd::Encoder<'static, W>),
    /// See [`Compression::Gzip`].
    Gzip(Box<ParallelGzip<W>>),
    /// See [`Compression::None`].
    None(W),
}

impl<W: Write> Compressor<W> {
    /// Compresses onto `inner` with `threads` threads (at least one).
    ///
    /// # Errors
    /// When the level is refused or threads cannot be started.
    pub fn new(inner: W, compression: Compression, threads: usize) -> io::Result<Self> {
        let threads = threads.clamp(1, 64);
        Ok(match compression {
            Compression::Zstd { level } => {
                let mut encoder = zstd::Encoder::new(inner, i32::from(level))?;
                encoder.include_checksum(true)?;
                encoder.multithread(threads as u32)?;
                encoder.set_parameter(zstd::zstd_safe::CParameter::JobSize(ZSTD_JOB))?;
                Self::Zstd(encoder)
            }
            Compression::Gzip { level } => {
                Self::Gzip(Box::new(ParallelGzip::new(inner, level, threads)?))
            }
            Compression::None => Self::None(inner),
        })
    }

    /// Ends the stream and returns what it was written to.
    ///
    /// # Errors
    /// When the last bytes cannot be compressed or written.
    pub fn finish(self) -> io::Result<W> {
        match self {
            Self::Zstd(encoder) => encoder.finish(),
            Self::Gzip(encoder) => encoder.finish(),
            Self::None(inner) => Ok(inner),
        }
    }
}

impl<W: Write> Write for Compressor<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Zstd(encoder) => encoder.write(bytes),
            Self::Gzip(encoder) => encoder.write(bytes),
            Self::None(inner) => inner.write(bytes),
        }
    }

    /// Does nothing: where a stream is flushed changes its bytes.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Decompresses zstd or gzip, told by their first bytes; anything else is read as it is.
///
/// # Errors
/// When the first bytes cannot be read.
pub fn decompress<'a>(reader: impl Read + Send + 'a) -> io::Result<Box<dyn Read + Send + 'a>> {
    let mut reader = BufReader::with_capacity(1 << 17, reader);
    let mut magic = Vec::with_capacity(4);
    Read::by_ref(&mut reader).take(4).read_to_end(&mut magic)?;
    let kind = magic.clone();
    let reader = io::Cursor::new(magic).chain(reader);
    Ok(match kind[..] {
        [0x28, 0xb5, 0x2f, 0xfd] | [0x50..=0x5f, 0x2a, 0x4d, 0x18] => Box::new(
            zstd::Decoder::with_buffer(BufReader::with_capacity(1 << 17, reader))?,
        ),
        [0x1f, 0x8b, ..] => Box::new(flate2::bufread::MultiGzDecoder::new(
            BufReader::with_capacity(1 << 17, reader),
        )),
        _ => Box::new(reader),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_levels() {
        for text in ["zstd:3", "zstd:19", "gzip:6", "none"] {
            assert_eq!(text.parse::<Compression>().unwrap().to_string(), text);
        }
        assert_eq!("zstd".parse(), Ok(Compression::ZSTD));
        for text in ["", "xz", "zstd:0", "zstd:20", "gzip:10", "none:1", "gzip:"] {
            assert!(text.parse::<Compression>().is_err(), "{text}");
        }
    }

    #[test]
    fn bytes_do_not_depend_on_threads_or_on_how_they_are_written() {
        let input: Vec<u8> = (0..9_500_000_u32)
            .flat_map(|number| {
                (number / 7)
                    .wrapping_mul(2_654_435_761)
                    .to_le_bytes()
                    .into_iter()
                    .take(1 + number as usize % 2)
            })
            .collect();
        for compression in [
            Compression::ZSTD,
            Compression::Zstd { level: 1 },
            Compression::GZIP,
            Compression::None,
        ] {
            let run = |threads, piece| {
                let mut encoder = Compressor::new(Vec::new(), compression, threads).unwrap();
                for part in input.chunks(piece) {
                    encoder.write_all(part).unwrap();
                    encoder.flush().unwrap();
                }
                encoder.finish().unwrap()
            };
            let first = run(1, 1 << 20);
            assert!(first == run(4, 1 << 20), "{compression}: threads");
            assert!(first == run(2, 77_777), "{compression}: pieces");
            let mut back = Vec::new();
            decompress(&first[..])
                .unwrap()
                .read_to_end(&mut back)
                .unwrap();
            assert!(back == input, "{compression}: round trip");
        }
    }

    #[test]
    fn empty_and_chunk_sized_inputs_survive() {
        for compression in [Compression::ZSTD, Compression::GZIP, Compression::None] {
            for size in [
                0,
                1,
                3,
                (512 << 10) - 1,
                512 << 10,
                (512 << 10) + 1,
                1 << 20,
            ] {
                let input = vec![7; size];
                let mut encoder = Compressor::new(Vec::new(), compression, 2).unwrap();
                encoder.write_all(&input).unwrap();
                let packed = encoder.finish().unwrap();
                let mut back = Vec::new();
                decompress(&packed[..])
                    .unwrap()
                    .read_to_end(&mut back)
                    .unwrap();
                assert!(back == input, "{compression} {size}");
            }
        }
    }
}
