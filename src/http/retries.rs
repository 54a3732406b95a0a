//! How often and how soon to try again.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use super::Options;

/// No pause is longer, whatever a server asks for.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// The tries that one transfer has left.
///
/// Pauses double. Each is cut by up to half at random, so that many machines that
/// were turned away at once do not come back at once; a pause that the server
/// asked for is kept as it is.
#[derive(Debug)]
pub struct Retries {
    left: u32,
    all: u32,
    first: Duration,
    pause: Duration,
    random: u64,
}

impl Retries {
    /// As many as `options` say.
    #[must_use]
    pub fn new(options: &Options) -> Self {
        Self {
            left: options.retries,
            all: options.retries,
            first: options.retry_pause,
            pause: options.retry_pause,
            random: options
                .seed
                .unwrap_or_else(|| RandomState::new().hash_one(0)),
        }
    }

    /// The pause before the next try, or nothing when it is time to give up.
    /// After a transfer has `moved` on, it has all its tries again.
    pub fn next(&mut self, moved: bool, asked: Option<Duration>) -> Option<Duration> {
        if moved {
            self.left = self.all;
            self.pause = self.first;
        }
        self.left = self.left.checked_sub(1)?;
        let pause = match asked {
            Some(asked) => asked,
            None => self.pause - self.pause.mul_f64(self.fraction() / 2.0),
        };
        self.pause = self.pause.saturating_mul(2).min(LONGEST_PAUSE);
        Some(pause.min(LONGEST_PAUSE))
    }

    /// From 0 to 1 (Knuth's multiplier for 64 bits).
    fn fraction(&mut self) -> f64 {
        self.random = self
            .random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        f64::from((self.random >> 32) as u32) / f64::from(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn retries(retries: u32) -> Retries {
        Retries::new(&Options {
            retries,
            retry_pause: Duration::from_secs(1),
            seed: Some(7),
            ..Options::default()
        })
    }

    #[test]
    fn pauses_double_and_are_cut_by_half_at_most() {
        let mut one = retries(12);
        let mut other = retries(12);
        for number in 0..12 {
            let pause = one.next(false, None).unwrap();
            assert_eq!(Some(pause), other.next(false, None), "same seed");
            let whole = Duration::from_secs(1 << number).min(LONGEST_PAUSE);
            assert!(pause <= whole && pause >= whole / 2, "{number}: {pause:?}");
        }
        assert_eq!(one.next(false, None), None);
    }

    #[test]
    fn servers_may_ask_for_a_pause_but_not_for_ever() {
        let mut retries = retries(3);
        let second = Duration::from_secs(1);
        assert_eq!(retries.next(false, Some(second)), Some(second));
        let hour = Duration::from_secs(3600);
        assert_eq!(retries.next(false, Some(hour)), Some(LONGEST_PAUSE));
    }

    #[test]
    fn who_gets_on_is_not_given_up() {
        let mut retries = retries(1);
        for _ in 0..5 {
            assert!(retries.next(true, None).is_some());
        }
        assert_eq!(retries.next(false, None), None);
    }
}
