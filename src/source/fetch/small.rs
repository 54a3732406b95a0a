//! Small files into memory.

use std::fs::File;
use std::io::{self, Read};

use super::address::Address;
use super::transfer::{Failure, Sort, told};
use super::{Inner, Origin};
use crate::error::{Error, Kind, Result};
use crate::http::{self, Retries, Trouble, passing};

/// The bytes at the first address that gives them.
pub(super) async fn get(
    inner: &Inner,
    urls: &[String],
    origin: Origin,
    limit: u64,
) -> Result<Vec<u8>> {
    let mut failures = Vec::new();
    for url in urls {
        let address = Address::parse(url)?;
        let (why, sort) = match small_from(inner, &address, limit).await? {
            Ok(bytes) => return Ok(bytes),
            Err(Trouble::Missing(why)) => (why, Sort::Missing),
            Err(Trouble::Passing { why, .. } | Trouble::Refused(why)) => (why, Sort::Other),
            Err(Trouble::Range) => ("an answer to another question".into(), Sort::Other),
        };
        failures.push(Failure {
            address: address.shown(),
            why,
            sort,
        });
    }
    if failures.is_empty() {
        return Err(
            Error::new(Kind::Network, "no address is known").hint("name a mirror with `--mirror`")
        );
    }
    let error = Error::new(Kind::Network, told(&failures));
    let missing = failures.iter().all(|failure| failure.sort == Sort::Missing);
    Err(if inner.options.offline {
        error.hint("run once without `--offline`")
    } else if origin == Origin::Release {
        match missing {
            true => error.with_kind(Kind::Resolve),
            false => error,
        }
    } else if missing {
        error.hint("check that the mirror has it, and that its name is spelt right")
    } else {
        error.hint("check the network, the proxy settings and the mirror")
    })
}

async fn small_from(
    inner: &Inner,
    address: &Address,
    limit: u64,
) -> Result<Result<Vec<u8>, Trouble>> {
    let too_long = || Trouble::Refused(format!("longer than {limit} bytes"));
    let url = match address {
        Address::Http(_) if inner.options.offline => {
            return Ok(Err(Trouble::Refused(
                "the network is not to be used".into(),
            )));
        }
        Address::Http(url) => url,
        Address::Local(path) => {
            let mut bytes = Vec::new();
            let read = File::open(path)
                .and_then(|file| file.take(limit.saturating_add(1)).read_to_end(&mut bytes));
            return Ok(match read {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    Err(Trouble::Missing("no such file".into()))
                }
                Err(error) => Err(Trouble::Refused(error.to_string())),
                Ok(_) if bytes.len() as u64 > limit => Err(too_long()),
                Ok(_) => Ok(bytes),
            });
        }
    };
    let client = inner.client()?;
    let mut retries = Retries::new(&inner.options.http);
    loop {
        let once = async {
            let mut response = client.get(url, 0).await?;
            http::bytes(client, &mut response, limit).await
        };
        match once.await {
            Err(Trouble::Passing { why, pause }) => match retries.next(false, pause) {
                Some(pause) => tokio::time::sleep(pause).await,
                None => return Ok(Err(passing(&why))),
            },
            other => return Ok(other),
        }
    }
}
