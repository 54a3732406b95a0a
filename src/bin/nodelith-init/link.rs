//! Network cards: what there are, and what the kernel is told of them (netdevice(7),
//! rtnetlink's elder calls, which need no library).

use std::fs;
use std::net::{Ipv4Addr, UdpSocket};
use std::os::fd::AsRawFd;
use std::path::Path;

use crate::Result;
use crate::address::hardware;

/// `ARPHRD_ETHER`.
const ETHERNET: &str = "1";

/// A card of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Card {
    /// The kernel's name of it.
    pub name: String,
    pub hardware: [u8; 6],
}

/// All cards that are hardware, by their names.
pub fn cards() -> Vec<Card> {
    let mut cards = Vec::new();
    for entry in fs::read_dir("/sys/class/net")
        .into_iter()
        .flatten()
        .flatten()
    {
        let path = entry.path();
        let read = |name: &str| fs::read_to_string(path.join(name)).unwrap_or_default();
        if path.join("device").exists()
            && read("type").trim() == ETHERNET
            && let Some(hardware) = hardware(read("address").trim())
        {
            let name = entry.file_name().to_string_lossy().into_owned();
            cards.push(Card { name, hardware });
        }
    }
    cards.sort_by(|one, other| one.name.cmp(&other.name));
    cards
}

impl Card {
    /// Whether something is at the other end of the cable.
    pub fn connected(&self) -> bool {
        let file = Path::new("/sys/class/net").join(&self.name).join("carrier");
        fs::read_to_string(file).is_ok_and(|text| text.trim() == "1")
    }

    /// Switches it on or off.
    pub fn switch(&self, on: bool) -> Result<()> {
        let mut request = self.request();
        self.call(libc::SIOCGIFFLAGS as _, &mut request)?;
        // SAFETY: the kernel filled this field in.
        let mut flags = i32::from(unsafe { request.ifr_ifru.ifru_flags });
        match on {
            true => flags |= libc::IFF_UP,
            false => flags &= !libc::IFF_UP,
        }
        request.ifr_ifru.ifru_flags = flags as _;
        self.call(libc::SIOCSIFFLAGS as _, &mut request)
    }

    /// Gives it an address, and the routes that go with it; the address 0.0.0.0 takes
    /// all of it away.
    pub fn set(&self, address: Ipv4Addr, mask: Ipv4Addr, gateway: Option<Ipv4Addr>) -> Result<()> {
        let mut request = self.request();
        request.ifr_ifru.ifru_addr = socket_address(address);
        self.call(libc::SIOCSIFADDR as _, &mut request)?;
        if address.is_unspecified() {
            return Ok(());
        }
        request.ifr_ifru.ifru_netmask = socket_address(mask);
        self.call(libc::SIOCSIFNETMASK as _, &mut request)?;
        let none = Ipv4Addr::UNSPECIFIED;
        if let Some(gateway) = gateway {
            // Some clouds give each machine a network of its own.
            if gateway & mask != address & mask {
                self.route(gateway, Ipv4Addr::BROADCAST, none)?;
            }
            self.route(none, none, gateway)?;
        }
        Ok(())
    }

    /// Adds a route over it; without a gateway where that is 0.0.0.0.
    fn route(&self, to: Ipv4Addr, mask: Ipv4Addr, gateway: Ipv4Addr) -> Result<()> {
        let mut name = [0_u8; libc::IFNAMSIZ];
        name[..self.name.len()].copy_from_slice(self.name.as_bytes());
        let mut flags = libc::RTF_UP;
        if !gateway.is_unspecified() {
            flags |= libc::RTF_GATEWAY;
        }
        if mask == Ipv4Addr::BROADCAST {
            flags |= libc::RTF_HOST;
        }
        let mut route = Route {
            to: socket_address(to),
            gateway: socket_address(gateway),
            mask: socket_address(mask),
            flags,
            device: name.as_mut_ptr(),
            ..Route::default()
        };
        self.call(libc::SIOCADDRT as _, &mut route)
    }

    /// A socket for datagrams over this card alone, at a port.
    pub fn socket(&self, port: u16) -> Result<UdpSocket> {
        use rustix::net::{AddressFamily, SocketFlags, SocketType, sockopt};
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = rustix::net::socket_with(AddressFamily::INET, SocketType::DGRAM, flags, None)?;
        sockopt::set_socket_reuseaddr(&socket, true)?;
        sockopt::set_socket_broadcast(&socket, true)?;
        let name = self.name.as_bytes();
        // SAFETY: the name lives until the call returns, and has this length.
        let bound = unsafe {
            libc::setsockopt(
                socket.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_BINDTODEVICE,
                name.as_ptr().cast(),
                name.len() as _,
            )
        };
        if bound < 0 {
            return Err(self.failed(&std::io::Error::last_os_error()));
        }
        let address = std::net::SocketAddr::from((Ipv4Addr::UNSPECIFIED, port));
        rustix::net::bind(&socket, &address)?;
        Ok(UdpSocket::from(socket))
    }

    fn request(&self) -> libc::ifreq {
        // SAFETY: zeros mean something for each of its fields.
        let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
        for (to, from) in request.ifr_name.iter_mut().zip(self.name.bytes()) {
            *to = from as _;
        }
        request
    }

    fn call<T>(&self, number: libc::Ioctl, argument: &mut T) -> Result<()> {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
        // SAFETY: each caller gives the call's own structure, which lives until it returns.
        let done = unsafe { libc::ioctl(socket.as_raw_fd(), number, std::ptr::from_mut(argument)) };
        match done < 0 {
            true => Err(self.failed(&std::io::Error::last_os_error())),
            false => Ok(()),
        }
    }

    fn failed(&self, error: &std::io::Error) -> crate::Error {
        format!("network card `{}`: {error}", self.name).into()
    }
}

/// `struct rtentry` of the kernel's `include/uapi/linux/route.h`.
#[repr(C)]
struct Route {
    pad1: libc::c_ulong,
    to: libc::sockaddr,
    gateway: libc::sockaddr,
    mask: libc::sockaddr,
    flags: u16,
    pad2: i16,
    pad3: libc::c_ulong,
    pad4: *mut libc::c_void,
    metric: i16,
    device: *mut u8,
    mtu: libc::c_ulong,
    window: libc::c_ulong,
    irtt: u16,
}

impl Default for Route {
    fn default() -> Self {
        // SAFETY: zeros and no pointers mean something for each of its fields.
        unsafe { std::mem::zeroed() }
    }
}

fn socket_address(address: Ipv4Addr) -> libc::sockaddr {
    let mut data = [0; 14];
    for (to, from) in data[2..].iter_mut().zip(address.octets()) {
        *to = from as _;
    }
    libc::sockaddr {
        sa_family: libc::AF_INET as _,
        sa_data: data,
    }
}
