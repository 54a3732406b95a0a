//! The network of an initrd: up for as long as the root is fetched, then left as it was,
//! so that the root's own network service begins with untouched cards.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, UdpSocket};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::Result;
use crate::address::{Setting, Static};
use crate::dhcp::{CLIENT_PORT, Exchange, Heard, Lease, SERVER_PORT};
use crate::link::{Card, cards};
use crate::modules::Modules;
use crate::source::Asked;

/// How long until there is an address: switches take up to a minute to let a port through
/// (spanning tree), and servers may be busy with many machines.
const PATIENCE: Duration = Duration::from_secs(300);

/// How long the card that the machine booted from may take to appear; then any will do.
const CARD_PATIENCE: Duration = Duration::from_secs(30);

/// The first and the longest pause between two questions (RFC 2131, section 4.1).
const PAUSE: Duration = Duration::from_secs(2);
const LONGEST: Duration = Duration::from_secs(16);

/// How long a card that could not be switched on is left alone, and after how long a server
/// is asked again whose address the kernel did not take (RFC 2131, section 3.1, has ten
/// seconds at the least).
const REST: Duration = Duration::from_secs(16);

/// How often an offer is asked for before another is looked for.
const REQUESTS: u32 = 4;

/// A network that is up.
pub struct Network {
    /// Servers for names.
    pub names: Vec<Ipv4Addr>,
    /// The boot file that DHCP tells of.
    pub boot_file: Option<String>,
    /// What was switched on.
    on: BTreeMap<String, Card>,
    /// The card in use; and what to give back.
    card: Card,
    lease: Option<(Exchange, Lease)>,
}

impl Network {
    /// Switches all cards on and sets the first one up that can be.
    pub fn up(modules: &mut Modules, asked: &Asked) -> Result<Self> {
        let mut search = Search {
            asked,
            begun: Instant::now(),
            on: BTreeMap::new(),
            refused: BTreeMap::new(),
            talks: BTreeMap::new(),
        };
        let begun = search.begun;
        loop {
            modules.answer();
            search.switch_on(cards());
            if let Some(network) = search.look()? {
                return Ok(network);
            }
            if begun.elapsed() > PATIENCE {
                return Err(search.failed().into());
            }
            sleep(Duration::from_millis(50));
        }
    }

    /// Gives the address back and switches all off again.
    pub fn down(self) {
        let away = || -> Result<()> {
            if let Some((talk, lease)) = &self.lease {
                let socket = self.card.socket(CLIENT_PORT)?;
                socket.send_to(&talk.release(lease)?, (lease.server, SERVER_PORT))?;
                // It leaves when the server's address is known, which it was just now.
                sleep(Duration::from_millis(50));
            }
            let none = Ipv4Addr::UNSPECIFIED;
            self.card.set(none, none, None)
        };
        if let Err(error) = away() {
            eprintln!("nodelith: leaving the network: {error}");
        }
        for card in self.on.values() {
            if let Err(error) = card.switch(false) {
                eprintln!("nodelith: leaving the network: {error}");
            }
        }
    }
}

/// A network that is looked for.
struct Search<'a> {
    asked: &'a Asked,
    begun: Instant,
    on: BTreeMap<String, Card>,
    /// Cards that could not be switched on, and when that was tried last.
    refused: BTreeMap<String, Instant>,
    talks: BTreeMap<String, Talk>,
}

/// A talk over a card.
struct Talk {
    card: Card,
    socket: UdpSocket,
    exchange: Exchange,
    /// When to say something, and how long to wait then.
    next: Instant,
    pause: Duration,
    /// How often an offer was asked for.
    requests: u32,
}

impl Search<'_> {
    /// Switches on what is new. A card that cannot be, because it lacks its firmware, is no
    /// reason to do without the others.
    fn switch_on(&mut self, cards: Vec<Card>) {
        for card in cards {
            let before = self.refused.get(&card.name);
            let rests = before.is_some_and(|at| at.elapsed() < REST);
            if self.on.contains_key(&card.name) || rests {
                continue;
            }
            match card.switch(true) {
                Ok(()) => {
                    eprintln!("nodelith: network card `{}` ({})", card.name, said(&card));
                    self.refused.remove(&card.name);
                    self.on.insert(card.name.clone(), card);
                }
                Err(error) => {
                    if before.is_none() {
                        eprintln!("nodelith: switching on: {error}");
                    }
                    self.refused.insert(card.name, Instant::now());
                }
            }
        }
    }

    /// The cards that may be used now: the one that was named; or that was booted from,
    /// if it appears in time.
    fn usable(&self) -> Vec<Card> {
        let named = match &self.asked.setting {
            Setting::Dhcp(card) | Setting::Static(Static { card, .. }) => card.as_ref(),
        };
        let booted = self.asked.card.filter(|_| named.is_none());
        let there = |card: &Card| booted == Some(card.hardware);
        let waits = booted.is_some()
            && (self.begun.elapsed() < CARD_PATIENCE || self.on.values().any(there));
        let fits = |card: &&Card| match named {
            Some(name) => card.name == *name,
            None => !waits || there(card),
        };
        let connected = self
            .on
            .values()
            .filter(fits)
            .filter(|card| card.connected());
        connected.cloned().collect()
    }

    fn look(&mut self) -> Result<Option<Network>> {
        for card in self.usable() {
            let found = match &self.asked.setting {
                Setting::Static(given) => Some(self.given(&card, given)?),
                Setting::Dhcp(_) => self.talk(&card)?,
            };
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    fn given(&mut self, card: &Card, given: &Static) -> Result<Network> {
        card.set(given.address, given.mask, given.gateway)?;
        eprintln!("nodelith: `{}` has {}, as asked", card.name, given.address);
        Ok(Network {
            names: [&self.asked.names[..], &given.names].concat(),
            boot_file: None,
            on: std::mem::take(&mut self.on),
            card: card.clone(),
            lease: None,
        })
    }

    /// Says what is due on a card and hears what there is.
    fn talk(&mut self, card: &Card) -> Result<Option<Network>> {
        if !self.talks.contains_key(&card.name) {
            // Only then does it matter what else the server tells.
            let http = !self.asked.url.contains("://");
            let talk = Talk::new(card, http)?;
            self.talks.insert(card.name.clone(), talk);
        }
        let seconds = u16::try_from(self.begun.elapsed().as_secs()).unwrap_or(u16::MAX);
        let Some(talk) = self.talks.get_mut(&card.name) else {
            return Ok(None);
        };
        let lease = talk.turn(seconds);
        Ok(lease.and_then(|lease| self.granted(card, lease)))
    }

    /// Takes what a server granted; what the kernel does not take is asked for again.
    fn granted(&mut self, card: &Card, lease: Lease) -> Option<Network> {
        let by = lease.server;
        if let Err(error) = card.set(lease.address, lease.mask, lease.gateway) {
            eprintln!("nodelith: taking {} by {by}: {error}", lease.address);
            // A part of it may have been taken.
            let none = Ipv4Addr::UNSPECIFIED;
            let _ = card.set(none, none, None);
            let talk = self.talks.get_mut(&card.name)?;
            talk.exchange.again();
            (talk.next, talk.pause, talk.requests) = (Instant::now() + REST, PAUSE, 0);
            return None;
        }
        eprintln!("nodelith: `{}` has {} by {by}", card.name, lease.address);
        let talk = self.talks.remove(&card.name)?;
        Some(Network {
            names: [&self.asked.names[..], &lease.names].concat(),
            boot_file: lease.boot_file.clone(),
            on: std::mem::take(&mut self.on),
            card: card.clone(),
            lease: Some((talk.exchange, lease)),
        })
    }

    /// Why there is no network.
    fn failed(&self) -> String {
        fn list<'a>(names: impl IntoIterator<Item = &'a String>) -> String {
            let names: Vec<_> = names.into_iter().map(|name| format!("`{name}`")).collect();
            names.join(", ")
        }
        let all = list(self.on.keys());
        let connected = self.on.values().filter(|card| card.connected());
        let connected = list(connected.map(|card| &card.name));
        if all.is_empty() {
            return match self.refused.is_empty() {
                true => "no network: there is no card that this initrd has a driver for".into(),
                false => format!(
                    "no network: there is no card but {}, which cannot be switched on",
                    list(self.refused.keys())
                ),
            };
        }
        if connected.is_empty() {
            return format!("no network: nothing is connected to {all}");
        }
        match self.usable().is_empty() {
            true => format!(
                "no network: the card that was asked for is not there or not connected; there are {all}"
            ),
            false => format!("no network: no DHCP server gives an address on {connected}"),
        }
    }
}

impl Talk {
    fn new(card: &Card, http: bool) -> Result<Self> {
        let mut id = [0; 4];
        // What it hands out at this early time is good enough to tell machines apart.
        let flags = rustix::rand::GetRandomFlags::NONBLOCK;
        if rustix::rand::getrandom(&mut id, flags).is_err() {
            id.copy_from_slice(&card.hardware[2..]);
        }
        Ok(Self {
            card: card.clone(),
            socket: card.socket(CLIENT_PORT)?,
            exchange: Exchange::new(card.hardware, u32::from_ne_bytes(id), http),
            next: Instant::now(),
            pause: PAUSE,
            requests: 0,
        })
    }

    /// One look at the socket and at the clock.
    fn turn(&mut self, seconds: u16) -> Option<Lease> {
        let mut buffer = [0; 2048];
        loop {
            let size = match self.socket.recv_from(&mut buffer) {
                Ok((size, _)) => size,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(_) => break,
            };
            match self.exchange.hear(&buffer[..size]) {
                Heard::Granted(lease) => return Some(lease),
                Heard::Offered => {
                    (self.next, self.pause, self.requests) = (Instant::now(), PAUSE, 0);
                }
                // Not at once: who offers what it refuses would be asked without end.
                Heard::Refused => {
                    (self.next, self.pause, self.requests) = (Instant::now() + REST, PAUSE, 0);
                }
                Heard::Nothing => {}
            }
        }
        if Instant::now() >= self.next {
            self.requests += 1;
            if self.requests > REQUESTS {
                self.exchange.again();
                self.requests = 1;
            }
            let everyone = (Ipv4Addr::BROADCAST, SERVER_PORT);
            let sent = self.exchange.say(seconds).and_then(|message| {
                self.socket.send_to(&message, everyone)?;
                Ok(())
            });
            if let Err(error) = sent {
                eprintln!("nodelith: asking on `{}`: {error}", self.card.name);
            }
            self.next = Instant::now() + self.pause;
            self.pause = (self.pause * 2).min(LONGEST);
        }
        None
    }
}

/// A card's address as one writes it.
fn said(card: &Card) -> String {
    let parts = card.hardware.map(|byte| format!("{byte:02x}"));
    parts.join(":")
}

#[cfg(test)]
mod tests {
    use super::*;

    static ASKED: Asked = Asked {
        url: String::new(),
        digest: [0; 32],
        setting: Setting::Dhcp(None),
        card: None,
        names: Vec::new(),
    };

    fn search() -> Search<'static> {
        Search {
            asked: &ASKED,
            begun: Instant::now(),
            on: BTreeMap::new(),
            refused: BTreeMap::new(),
            talks: BTreeMap::new(),
        }
    }

    /// A card that the kernel knows nothing of, so that it refuses all that is asked of it.
    fn none(name: &str) -> Card {
        Card {
            name: name.into(),
            hardware: [0x52, 0x54, 0, 0x12, 0x34, 0x56],
        }
    }

    #[test]
    fn cards_that_cannot_be_switched_on_do_not_end_the_search() {
        let mut search = search();
        search.switch_on(vec![none("none-1"), none("none-2")]);
        assert!(search.on.is_empty());
        let first = search.refused.clone();
        assert_eq!(first.len(), 2);
        assert_eq!(
            search.failed(),
            "no network: there is no card but `none-1`, `none-2`, which cannot be switched on"
        );
        // Not at each look.
        search.switch_on(vec![none("none-1")]);
        assert_eq!(search.refused, first);
        let before = Instant::now().checked_sub(2 * REST).unwrap();
        search.refused.insert("none-1".into(), before);
        search.switch_on(vec![none("none-1")]);
        assert!(search.refused["none-1"] >= first["none-1"]);
    }

    #[test]
    fn a_lease_that_the_kernel_refuses_is_asked_for_again() {
        let mut search = search();
        let card = none("none-1");
        let talk = Talk {
            card: card.clone(),
            socket: UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap(),
            exchange: Exchange::new(card.hardware, 1, false),
            next: Instant::now(),
            pause: LONGEST,
            requests: 3,
        };
        search.talks.insert(card.name.clone(), talk);
        let lease = Lease {
            address: Ipv4Addr::new(10, 0, 0, 5),
            mask: Ipv4Addr::new(255, 255, 255, 0),
            gateway: None,
            names: Vec::new(),
            server: Ipv4Addr::new(10, 0, 0, 1),
            boot_file: None,
        };
        assert!(search.granted(&card, lease).is_none());
        let talk = &search.talks[&card.name];
        assert!(talk.next > Instant::now());
        assert_eq!((talk.pause, talk.requests), (PAUSE, 0));
    }
}
