//! Words of the command line that say how the network is set up: `ip=` (the kernel's
//! Documentation/admin-guide/nfs/nfsroot.rst, and dracut.cmdline(7) for `ip=CARD:dhcp`)
//! and `BOOTIF=`, as PXELINUX, iPXE and GRUB write it.

use std::net::Ipv4Addr;

use crate::Result;

/// How the network is set up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Setting {
    /// By DHCP, on this card if one is named.
    Dhcp(Option<String>),
    /// By what the command line says.
    Static(Static),
}

/// An address that is given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Static {
    pub address: Ipv4Addr,
    pub mask: Ipv4Addr,
    pub gateway: Option<Ipv4Addr>,
    /// The card; if none is named, the one that was booted from, or the first that is connected.
    pub card: Option<String>,
    /// Servers for names.
    pub names: Vec<Ipv4Addr>,
}

/// Reads the value of `ip=`:
/// `CLIENT:SERVER:GATEWAY:NETMASK:HOSTNAME:CARD:AUTOCONF:DNS:DNS:NTP`, what is at the end
/// may be left out.
pub fn setting(text: &str) -> Result<Setting> {
    let bad = |what: &str| format!("`ip={text}`: {what}");
    if text.contains(['[', ']']) {
        return Err(bad("only IPv4 is known here").into());
    }
    let parts: Vec<&str> = text.split(':').collect();
    let part = |index: usize| parts.get(index).copied().filter(|part| !part.is_empty());
    let automatic = |word: &str| ["dhcp", "on", "any", "both"].contains(&word);
    let off = |word: &str| ["off", "none"].contains(&word);
    let card = |index| part(index).map(name).transpose();
    match parts[..] {
        [""] => return Ok(Setting::Dhcp(None)),
        [word] if automatic(word) => return Ok(Setting::Dhcp(None)),
        [word] if off(word) => {
            return Err(bad("the root is on a server, which takes a network").into());
        }
        [_, word] if automatic(word) => return Ok(Setting::Dhcp(card(0)?)),
        _ => {}
    }
    if let Some(word) = part(6)
        && !automatic(word)
        && !off(word)
    {
        return Err(bad(&format!("`{word}` is no way of setting up a network")).into());
    }
    let Some(address) = part(0) else {
        return match part(6).is_none_or(automatic) {
            true => Ok(Setting::Dhcp(card(5)?)),
            false => Err(bad("an address is missing").into()),
        };
    };
    let ip = |part: &str| -> Result<Ipv4Addr> {
        let parsed = part.parse();
        parsed.map_err(|_| bad(&format!("`{part}` is no IPv4 address")).into())
    };
    let address = ip(address)?;
    let mask = match part(3) {
        Some(text) => mask(text).ok_or_else(|| bad(&format!("`{text}` is no netmask")))?,
        None => return Err(bad("a netmask is missing").into()),
    };
    let names = [7, 8].into_iter().filter_map(part).map(ip);
    Ok(Setting::Static(Static {
        address,
        mask,
        gateway: part(2).map(ip).transpose()?,
        card: card(5)?,
        names: names.collect::<Result<_>>()?,
    }))
}

/// A netmask, also as the number of its bits.
fn mask(text: &str) -> Option<Ipv4Addr> {
    if let Ok(bits) = text.parse::<u32>() {
        let ones = u32::MAX.checked_shl(32_u32.checked_sub(bits)?);
        return Some(Ipv4Addr::from(ones.unwrap_or(0)));
    }
    let mask: Ipv4Addr = text.parse().ok()?;
    let bits = u32::from(mask);
    (bits.leading_ones() + bits.trailing_zeros() >= 32).then_some(mask)
}

/// A card's name, as the kernel takes one (`dev_valid_name`); it becomes part of paths.
fn name(text: &str) -> Result<String> {
    let good = text.len() < libc::IFNAMSIZ
        && text != "."
        && text != ".."
        && text
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && byte != b'/');
    match good {
        true => Ok(text.to_owned()),
        false => Err(format!("`{text}` is no name of a network card").into()),
    }
}

/// Reads the value of `BOOTIF=`: `01-` (Ethernet) and the address, with hyphens or colons.
pub fn card(text: &str) -> Result<[u8; 6]> {
    let read = || {
        let address = match text.len() {
            20 => text
                .strip_prefix("01-")
                .or_else(|| text.strip_prefix("01:"))?,
            _ => text,
        };
        hardware(address)
    };
    read().ok_or_else(|| format!("`BOOTIF={text}` is no address of a network card").into())
}

/// An address of Ethernet, six bytes in hexadecimal digits.
pub fn hardware(text: &str) -> Option<[u8; 6]> {
    let mut address = [0; 6];
    let mut parts = text.split(['-', ':']);
    for byte in &mut address {
        let part = parts.next().filter(|part| part.len() == 2)?;
        // `from_str_radix` takes a sign.
        let digits = part.bytes().all(|byte| byte.is_ascii_hexdigit());
        *byte = u8::from_str_radix(part, 16).ok().filter(|_| digits)?;
    }
    parts.next().is_none().then_some(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings() {
        for (text, wanted) in [
            ("", None),
            ("dhcp", None),
            ("on", None),
            (":::::eth1:dhcp", Some("eth1")),
            ("eth0:dhcp", Some("eth0")),
            ("::::node::", None),
        ] {
            let wanted = Setting::Dhcp(wanted.map(str::to_owned));
            assert_eq!(setting(text).unwrap(), wanted, "{text}");
        }
        let ip = |last| Ipv4Addr::new(10, 0, 2, last);
        let wanted = Static {
            address: ip(15),
            mask: Ipv4Addr::new(255, 255, 255, 0),
            gateway: Some(ip(2)),
            card: Some("eth0".into()),
            names: vec![ip(3)],
        };
        let text = "10.0.2.15::10.0.2.2:255.255.255.0:node:eth0:off:10.0.2.3";
        assert_eq!(setting(text).unwrap(), Setting::Static(wanted));
        // As short as iPXE and GRUB may leave it.
        for text in ["10.0.2.15:::24", "10.0.2.15:::255.255.255.0:::none::"] {
            let Setting::Static(found) = setting(text).unwrap() else {
                panic!("{text}");
            };
            assert_eq!((found.gateway, found.card), (None, None));
            assert_eq!(found.mask, Ipv4Addr::new(255, 255, 255, 0));
        }
        for (bits, wanted) in [("0", 0), ("32", u32::MAX), ("31", u32::MAX - 1)] {
            assert_eq!(mask(bits), Some(wanted.into()));
        }
    }

    #[test]
    fn settings_that_mean_nothing() {
        for (text, why) in [
            ("off", "the root is on a server, which takes a network"),
            ("10.0.2.15", "a netmask is missing"),
            ("10.0.2.15:::255.0.255.0", "`255.0.255.0` is no netmask"),
            ("10.0.2.15:::33", "`33` is no netmask"),
            ("10.0.2.15::x:24", "`x` is no IPv4 address"),
            ("a:b:c", "`a` is no IPv4 address"),
            ("::::::off", "an address is missing"),
            (
                ":::::eth0:bootp",
                "`bootp` is no way of setting up a network",
            ),
            ("[fd00::2]:::64", "only IPv4 is known here"),
        ] {
            let said = setting(text).unwrap_err().to_string();
            assert_eq!(said, format!("`ip={text}`: {why}"));
        }
        for text in ["../x:dhcp", "a-name-that-is-long:dhcp", "..:dhcp"] {
            let said = setting(text).unwrap_err().to_string();
            assert!(said.ends_with("is no name of a network card"), "{said}");
        }
    }

    #[test]
    fn cards() {
        let wanted = [0x52, 0x54, 0, 0xab, 0xcd, 0xef];
        for text in [
            "01-52-54-00-ab-cd-ef",
            "52:54:00:AB:CD:EF",
            "01-52:54:00:ab:cd:ef",
        ] {
            assert_eq!(card(text).unwrap(), wanted, "{text}");
        }
        for text in [
            "",
            "01-",
            "52-54-00-ab-cd-ef-01",
            "52-54-00-ab-cd-+f",
            "01-é2-54-00-ab-cd-e",
        ] {
            assert!(card(text).is_err(), "{text}");
        }
    }
}
