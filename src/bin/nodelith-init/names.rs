//! Addresses of names, by DNS (RFC 1035): one question, and the first address of the
//! answer of a server that looks further itself.

use std::net::{Ipv4Addr, UdpSocket};
use std::time::Duration;

use hickory_proto::op::{Message, Query, ResponseCode};
use hickory_proto::rr::{Name, RData, RecordType};

use crate::Result;

const PORT: u16 = 53;
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
        match ask(host, *server, id) {
            Ok(address) => return Ok(address),
            Err(error) => why = format!("{server}: {error}"),
        }
    }
    Err(format!("the address of `{host}`: {why}").into())
}

fn ask(host: &str, server: Ipv4Addr, id: u16) -> Result<Ipv4Addr> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    socket.connect((server, PORT))?;
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.send(&question(host, id)?)?;
    let mut buffer = [0; 2048];
    loop {
        let size = socket.recv(&mut buffer)?;
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

    proptest! {
        #[test]
        fn nothing_that_comes_stops_it(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
            let _ = answer(&bytes, "boot.example", 7);
        }
    }
}
