//! Addresses of names, by DNS (RFC 1035): one question, and the first address of the
//! answer of a server that looks further itself.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use hickory_proto::op::{Message, Query, ResponseCode};
use hickory_proto::rr::{Name, RData, RecordType};

use crate::Result;

const PORT: u16 = 53;
/// How long a server may take to answer, whatever else comes.
const PATIENCE: Duration = Duration::from_secs(3);
const TRIES: usize = 3;

/// The address of a host, by its name or as it is written.
pub fn resolve(host: &str, servers: &[Ipv4Addr]) -> Result<Ipv4Addr> {
    if let Ok(address) = host.parse() {
        return Ok(address);
    }
    if servers.is_empty() {
        let message = format!("no server is known that could tell the address of `{host}`");
        return Err(message.into());
    }
    let mut why = "no server answers".to_owned();
    for (server, id) in servers.iter().cycle().zip(1..).take(TRIES * servers.len()) {
        match ask(host, (*server, PORT).into(), id, PATIENCE) {
            Ok(address) => return Ok(address),
            Err(error) => why = format!("{server}: {error}"),
        }
    }
    Err(format!("the address of `{host}`: {why}").into())
}

fn ask(host: &str, server: SocketAddr, id: u16, patience: Duration) -> Result<Ipv4Addr> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    socket.connect(server)?;
    socket.send(&question(host, id)?)?;
    let begun = Instant::now();
    let mut buffer = [0; 2048];
    loop {
        let left = patience.saturating_sub(begun.elapsed());
        if left.is_zero() {
            return Err("no answer in time".into());
        }
        socket.set_read_timeout(Some(left))?;
        let size = match socket.recv(&mut buffer) {
            Ok(size) => size,
            Err(error)
                if [ErrorKind::WouldBlock, ErrorKind::Interrupted].contains(&error.kind()) =>
            {
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        if let Some(found) = answer(&buffer[..size], host, id) {
            return found;
        }
    }
}

fn question(host: &str, id: u16) -> Result<Vec<u8>> {
    let mut name = Name::from_ascii(host)?;
    name.set_fqdn(true);
    let mut message = Message::query();
    message.metadata.id = id;
    message.metadata.recursion_desired = true;
    message.add_query(Query::query(name, RecordType::A));
    Ok(message.to_vec()?)
}

/// The address in an answer; none if it answers something else.
fn answer(bytes: &[u8], host: &str, id: u16) -> Option<Result<Ipv4Addr>> {
    let message = Message::from_vec(bytes).ok()?;
    let mut name = Name::from_ascii(host).ok()?;
    name.set_fqdn(true);
    let ours = message.metadata.id == id
        && message
            .queries
            .first()
            .is_some_and(|query| *query.name() == name);
    if !ours {
        return None;
    }
    let code = message.metadata.response_code;
    let found = message
        .answers
        .iter()
        .find_map(|record| match &record.data {
            RData::A(address) => Some(address.0),
            _ => None,
        });
    Some(match found {
        Some(address) if code == ResponseCode::NoError => Ok(address),
        _ if code == ResponseCode::NoError => Err("it has no IPv4 address".into()),
        _ => Err(format!("{code}").into()),
    })
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use hickory_proto::rr::Record;
    use hickory_proto::rr::rdata::{A, CNAME};
    use proptest::prelude::*;

    use super::*;

    fn answered(host: &str, records: Vec<Record>, code: ResponseCode) -> Vec<u8> {
        let mut message = Message::from_vec(&question(host, 7).unwrap()).unwrap();
        message.metadata.message_type = hickory_proto::op::MessageType::Response;
        message.metadata.response_code = code;
        message.add_answers(records);
        message.to_vec().unwrap()
    }

    fn records() -> Vec<Record> {
        let name = Name::from_ascii("boot.example.").unwrap();
        let other = Name::from_ascii("a.example.").unwrap();
        let (alias, address) = (CNAME(other.clone()), A(Ipv4Addr::new(10, 0, 0, 1)));
        vec![
            Record::from_rdata(name, 60, RData::CNAME(alias)),
            Record::from_rdata(other, 60, RData::A(address)),
        ]
    }

    #[test]
    fn answers() {
        let host = "boot.example";
        let good = answered(host, records(), ResponseCode::NoError);
        let found = answer(&good, host, 7).unwrap().unwrap();
        assert_eq!(found, Ipv4Addr::new(10, 0, 0, 1));
        // To another question, or in part.
        assert!(answer(&good, host, 8).is_none());
        assert!(answer(&good, "other.example", 7).is_none());
        for end in 0..good.len() {
            assert!(answer(&good[..end], host, 7).is_none(), "{end}");
        }
        let none = answered(host, Vec::new(), ResponseCode::NoError);
        let said = answer(&none, host, 7).unwrap().unwrap_err().to_string();
        assert_eq!(said, "it has no IPv4 address");
        let unknown = answered(host, Vec::new(), ResponseCode::NXDomain);
        assert!(answer(&unknown, host, 7).unwrap().is_err());
    }

    #[test]
    fn addresses_need_no_server() {
        assert_eq!(
            resolve("10.0.0.1", &[]).unwrap(),
            Ipv4Addr::new(10, 0, 0, 1)
        );
        let said = resolve("boot.example", &[]).unwrap_err().to_string();
        assert_eq!(
            said,
            "no server is known that could tell the address of `boot.example`"
        );
    }

    #[test]
    fn wrong_answers_are_not_waited_for_without_end() {
        let server = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = server.local_addr().unwrap();
        let (patience, begun) = (Duration::from_millis(200), Instant::now());
        let wrong = std::thread::spawn(move || {
            let (_, client) = server.recv_from(&mut [0; 512]).unwrap();
            while begun.elapsed() < 20 * patience {
                if server.send_to(b"another", client).is_err() {
                    break;
                }
                std::thread::sleep(patience / 10);
            }
        });
        let said = ask("boot.example", address, 7, patience).unwrap_err();
        assert_eq!(said.to_string(), "no answer in time");
        assert!(begun.elapsed() < 10 * patience);
        wrong.join().unwrap();
    }

    proptest! {
        #[test]
        fn nothing_that_comes_stops_it(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
            let _ = answer(&bytes, "boot.example", 7);
        }
    }
}
