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
            talks: BTreeMap::new(),
        };
        let begun = search.begun;
        loop {
            modules.answer();
            search.switch_on()?;
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
    /// Switches on what is new.
    fn switch_on(&mut self) -> Result<()> {
        for card in cards() {
            if !self.on.contains_key(&card.name) {
                card.switch(true)?;
                eprintln!("nodelith: network card `{}` ({})", card.name, said(&card));
                self.on.insert(card.name.clone(), card);
            }
        }
        Ok(())
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
        let Some(lease) = talk.turn(seconds) else {
            return Ok(None);
        };
        card.set(lease.address, lease.mask, lease.gateway)?;
        let by = lease.server;
        eprintln!("nodelith: `{}` has {} by {by}", card.name, lease.address);
        let Some(talk) = self.talks.remove(&card.name) else {
            return Ok(None);
        };
        Ok(Some(Network {
            names: [&self.asked.names[..], &lease.names].concat(),
            boot_file: lease.boot_file.clone(),
            on: std::mem::take(&mut self.on),
            card: card.clone(),
            lease: Some((talk.exchange, lease)),
        }))
    }

    /// Why there is no network.
    fn failed(&self) -> String {
        let list = |cards: Vec<&Card>| {
            let names: Vec<_> = cards
                .iter()
                .map(|card| format!("`{}`", card.name))
                .collect();
            names.join(", ")
        };
        let all: Vec<&Card> = self.on.values().collect();
        let connected: Vec<&Card> = all
            .iter()
            .filter(|card| card.connected())
            .copied()
            .collect();
        if all.is_empty() {
            return "no network: there is no card that this initrd has a driver for".into();
        }
        if connected.is_empty() {
            return format!("no network: nothing is connected to {}", list(all));
        }
        match self.usable().is_empty() {
            true => format!(
                "no network: the card that was asked for is not there or not connected; there are {}",
                list(all)
            ),
            false => format!("no network: no DHCP server answers on {}", list(connected)),
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
                Heard::Offered | Heard::Refused => {
                    (self.next, self.pause, self.requests) = (Instant::now(), PAUSE, 0);
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
