//! DHCP for IPv4 as a client sees it (RFC 2131, sections 3.1 and 4.4): what is said and
//! what is heard, apart from sockets and time. Packets are dhcproto's affair.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use dhcproto::Encodable;
use dhcproto::v4::{DhcpOption, Flags, Message, MessageType, Opcode, OptionCode, borrowed};

use crate::Result;

/// Where servers and clients listen.
pub const SERVER_PORT: u16 = 67;
pub const CLIENT_PORT: u16 = 68;

/// The least that a message has: BOOTP's size (RFC 1542, section 2.1). Some relays
/// drop shorter ones.
const LEAST: usize = 300;

/// So servers tell a machine that boots by HTTP what it boots (UEFI Specification,
/// "HTTP Boot", "DHCP"): the address of the boot file.
const HTTP_CLIENT: &[u8] = b"HTTPClient";

/// What a server grants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    pub address: Ipv4Addr,
    pub mask: Ipv4Addr,
    pub gateway: Option<Ipv4Addr>,
    /// Servers for names.
    pub names: Vec<Ipv4Addr>,
    /// Who grants it.
    pub server: Ipv4Addr,
    /// The boot file, as the server writes it.
    pub boot_file: Option<String>,
}

/// What an answer means.
#[derive(Debug, PartialEq, Eq)]
pub enum Heard {
    /// It is not for us, or no answer at all.
    Nothing,
    /// An address is offered: ask for it.
    Offered,
    /// It is ours.
    Granted(Lease),
    /// It is not: begin again.
    Refused,
}

/// A talk over one card.
#[derive(Debug)]
pub struct Exchange {
    hardware: [u8; 6],
    id: u32,
    /// Whether to ask for the boot file as firmware does.
    http: bool,
    /// The offer that was taken: address and server.
    offer: Option<(Ipv4Addr, Ipv4Addr)>,
}

impl Exchange {
    /// Begins one. `id` should be random.
    pub fn new(hardware: [u8; 6], id: u32, http: bool) -> Self {
        Self {
            hardware,
            id,
            http,
            offer: None,
        }
    }

    /// What to say now, `seconds` after the beginning.
    pub fn say(&self, seconds: u16) -> Result<Vec<u8>> {
        let mut options = vec![
            DhcpOption::ParameterRequestList(vec![
                OptionCode::SubnetMask,
                OptionCode::Router,
                OptionCode::DomainNameServer,
                OptionCode::BootfileName,
            ]),
            DhcpOption::MaxMessageSize(1500),
        ];
        match self.offer {
            None => options.push(DhcpOption::MessageType(MessageType::Discover)),
            Some((address, server)) => options.extend([
                DhcpOption::MessageType(MessageType::Request),
                DhcpOption::RequestedIpAddress(address),
                DhcpOption::ServerIdentifier(server),
            ]),
        }
        if self.http {
            options.push(DhcpOption::ClassIdentifier(HTTP_CLIENT.to_vec()));
        }
        self.message(Ipv4Addr::UNSPECIFIED, seconds, options)
    }

    /// Gives the address back.
    pub fn release(&self, lease: &Lease) -> Result<Vec<u8>> {
        let options = [
            DhcpOption::MessageType(MessageType::Release),
            DhcpOption::ServerIdentifier(lease.server),
        ];
        self.message(lease.address, 0, options)
    }

    fn message(
        &self,
        ours: Ipv4Addr,
        seconds: u16,
        options: impl IntoIterator<Item = DhcpOption>,
    ) -> Result<Vec<u8>> {
        let none = Ipv4Addr::UNSPECIFIED;
        let mut message = Message::new_with_id(self.id, ours, none, none, none, &self.hardware);
        message.set_secs(seconds);
        if ours == none {
            // Without an address the kernel gives us only what is for all.
            message.set_flags(Flags::default().set_broadcast());
        }
        for option in options {
            message.opts_mut().insert(option);
        }
        let mut bytes = message.to_vec()?;
        bytes.resize(bytes.len().max(LEAST), 0);
        Ok(bytes)
    }

    /// Takes a packet in. Of its options those alone are read that matter here: what is
    /// wrong with another one is no reason to have no network.
    pub fn hear(&mut self, bytes: &[u8]) -> Heard {
        let Ok(message) = borrowed::Message::new(bytes) else {
            return Heard::Nothing;
        };
        let ours = message.opcode() == Opcode::BootReply
            && message.xid() == self.id
            && message.hlen() == 6
            && message.chaddr() == self.hardware;
        if !ours {
            return Heard::Nothing;
        }
        let options = Options::read(&message);
        let Some(&server) = options.addresses(OptionCode::ServerIdentifier).first() else {
            return Heard::Nothing;
        };
        let address = message.yiaddr();
        let usable = !(address.is_unspecified()
            || address.is_broadcast()
            || address.is_multicast()
            || address.is_loopback());
        let kind = match options.bytes(OptionCode::MessageType) {
            [kind] => MessageType::from(*kind),
            _ => return Heard::Nothing,
        };
        let taken = self.offer.is_some_and(|(_, taken)| taken == server);
        match kind {
            MessageType::Offer if self.offer.is_none() && usable => {
                self.offer = Some((address, server));
                Heard::Offered
            }
            MessageType::Ack if taken && usable => Heard::Granted(options.lease(&message, server)),
            MessageType::Nak if taken => {
                self.offer = None;
                Heard::Refused
            }
            _ => Heard::Nothing,
        }
    }

    /// Forgets an offer that nobody stands by.
    pub fn again(&mut self) {
        self.offer = None;
    }
}

/// The options of a message, as bytes.
struct Options(BTreeMap<u8, Vec<u8>>);

impl Options {
    fn read(message: &borrowed::Message<'_>) -> Self {
        let options = message.opts();
        Self(
            options
                .map(|option| (option.code().into(), option.data().to_vec()))
                .collect(),
        )
    }

    fn bytes(&self, code: OptionCode) -> &[u8] {
        self.0.get(&code.into()).map_or(&[], |bytes| bytes)
    }

    /// The addresses in an option.
    fn addresses(&self, code: OptionCode) -> Vec<Ipv4Addr> {
        let parts = self.bytes(code).as_chunks::<4>().0.iter();
        parts.map(|part| Ipv4Addr::from(*part)).collect()
    }

    fn lease(&self, message: &borrowed::Message<'_>, server: Ipv4Addr) -> Lease {
        let address = message.yiaddr();
        let first = |code| self.addresses(code).first().copied();
        let file = match self.bytes(OptionCode::BootfileName) {
            [] => message.fname(),
            name => name,
        };
        let file = String::from_utf8_lossy(file);
        let file = file.trim_matches('\0');
        Lease {
            address,
            mask: first(OptionCode::SubnetMask).unwrap_or_else(|| class(address)),
            gateway: first(OptionCode::Router),
            names: self.addresses(OptionCode::DomainNameServer),
            server,
            boot_file: (!file.is_empty()).then(|| file.to_owned()),
        }
    }
}

/// The netmask that an address had before masks were said (RFC 950).
fn class(address: Ipv4Addr) -> Ipv4Addr {
    match address.octets()[0] {
        0..=127 => Ipv4Addr::new(255, 0, 0, 0),
        128..=191 => Ipv4Addr::new(255, 255, 0, 0),
        _ => Ipv4Addr::new(255, 255, 255, 0),
    }
}

#[cfg(test)]
mod tests {
    use dhcproto::{Decodable, Decoder};
    use proptest::prelude::*;

    use super::*;

    const CARD: [u8; 6] = [0x52, 0x54, 0, 0x12, 0x34, 0x56];
    const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 15);
    const SERVER: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 2);

    /// What a server answers to a message.
    fn answer(said: &[u8], kind: MessageType) -> Vec<u8> {
        let said = Message::decode(&mut Decoder::new(said)).unwrap();
        let none = Ipv4Addr::UNSPECIFIED;
        let mut message =
            Message::new_with_id(said.xid(), none, ADDRESS, none, none, said.chaddr());
        message.set_opcode(Opcode::BootReply);
        for option in [
            DhcpOption::MessageType(kind),
            DhcpOption::ServerIdentifier(SERVER),
            DhcpOption::SubnetMask(Ipv4Addr::new(255, 255, 255, 0)),
            DhcpOption::Router(vec![SERVER]),
            DhcpOption::DomainNameServer(vec![SERVER, ADDRESS]),
            DhcpOption::BootfileName(b"http://10.0.2.2/node-http.efi\0".to_vec()),
        ] {
            message.opts_mut().insert(option);
        }
        message.to_vec().unwrap()
    }

    #[test]
    fn an_address_is_asked_for_and_granted() {
        let mut talk = Exchange::new(CARD, 7, true);
        let discover = talk.say(3).unwrap();
        assert!(discover.len() >= LEAST);
        let message = Message::decode(&mut Decoder::new(&discover)).unwrap();
        assert!(message.flags().broadcast());
        assert_eq!((message.secs(), message.xid()), (3, 7));
        // Nothing was asked for yet.
        let early = answer(&discover, MessageType::Ack);
        assert_eq!(talk.hear(&early), Heard::Nothing);
        let offer = answer(&discover, MessageType::Offer);
        assert_eq!(talk.hear(&offer), Heard::Offered);
        let request = talk.say(3).unwrap();
        let message = Message::decode(&mut Decoder::new(&request)).unwrap();
        assert_eq!(
            message.opts().get(OptionCode::RequestedIpAddress),
            Some(&DhcpOption::RequestedIpAddress(ADDRESS))
        );
        let lease = Lease {
            address: ADDRESS,
            mask: Ipv4Addr::new(255, 255, 255, 0),
            gateway: Some(SERVER),
            names: vec![SERVER, ADDRESS],
            server: SERVER,
            boot_file: Some("http://10.0.2.2/node-http.efi".into()),
        };
        let granted = answer(&request, MessageType::Ack);
        assert_eq!(talk.hear(&granted), Heard::Granted(lease.clone()));
        let release = talk.release(&lease).unwrap();
        let message = Message::decode(&mut Decoder::new(&release)).unwrap();
        assert_eq!(
            (message.ciaddr(), message.flags().broadcast()),
            (ADDRESS, false)
        );
    }

    #[test]
    fn what_is_refused_begins_again() {
        let mut talk = Exchange::new(CARD, 7, false);
        let discover = talk.say(0).unwrap();
        talk.hear(&answer(&discover, MessageType::Offer));
        let refused = answer(&discover, MessageType::Nak);
        assert_eq!(talk.hear(&refused), Heard::Refused);
        assert_eq!(talk.say(0).unwrap(), discover);
    }

    #[test]
    fn what_is_for_others_is_not_heard() {
        let said = Exchange::new(CARD, 7, false).say(0).unwrap();
        let offer = answer(&said, MessageType::Offer);
        for mut talk in [
            Exchange::new(CARD, 8, false),
            Exchange::new([1; 6], 7, false),
        ] {
            assert_eq!(talk.hear(&offer), Heard::Nothing);
        }
        let mut talk = Exchange::new(CARD, 7, false);
        assert_eq!(talk.hear(&said), Heard::Nothing);
        // Cut off anywhere before its options are told.
        for end in 0..250 {
            assert_eq!(talk.hear(&offer[..end]), Heard::Nothing, "{end}");
        }
    }

    proptest! {
        #[test]
        fn nothing_that_comes_stops_it(bytes in prop::collection::vec(any::<u8>(), 0..600), at in 0..280_usize) {
            let mut talk = Exchange::new(CARD, 7, false);
            let mut offer = answer(&talk.say(0).unwrap(), MessageType::Offer);
            talk.hear(&bytes);
            let end = (at + bytes.len()).min(offer.len());
            if let Some(part) = offer.get_mut(at..end) {
                part.copy_from_slice(&bytes[..end - at]);
            }
            talk.hear(&offer);
        }
    }
}
