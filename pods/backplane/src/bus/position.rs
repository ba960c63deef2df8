//! Where in the log something stands.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// One life of the log. A later one is greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Incarnation {
    /// Greater than that of each earlier incarnation which its maker knew, and not below its clock's milliseconds.
    pub number: u64,
    /// Random, so that two that were made at once are told apart.
    pub nonce: u32,
}

impl Incarnation {
    /// A new one, made now by somebody who knows of incarnations up to `seen`.
    pub(crate) fn after(seen: u64) -> Self {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let now = now.map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX));
        // Without a source of randomness two could look equal; the number alone tells nearly all apart.
        let nonce = getrandom::u32().unwrap_or_default();
        Self { number: now.max(seen.saturating_add(1)), nonce }
    }
}

impl fmt::Display for Incarnation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{:08x}", self.number, self.nonce)
    }
}

/// The text was no position or incarnation.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no position in the log")]
pub struct BadPosition(String);

impl FromStr for Incarnation {
    type Err = BadPosition;

    fn from_str(text: &str) -> Result<Self, BadPosition> {
        let parsed = text.split_once('-').and_then(|(number, nonce)| {
            let value = Self { number: number.parse().ok()?, nonce: u32::from_str_radix(nonce, 16).ok()? };
            (value.to_string() == text).then_some(value)
        });
        parsed.ok_or_else(|| BadPosition(text.chars().take(60).collect()))
    }
}

/// The place of a record: an epoch. Ordered by incarnation, then by sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// Which log.
    pub incarnation: Incarnation,
    /// Counted from 1.
    pub sequence: u64,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.incarnation, self.sequence)
    }
}

impl FromStr for Position {
    type Err = BadPosition;

    fn from_str(text: &str) -> Result<Self, BadPosition> {
        let parsed = text.split_once(':').and_then(|(incarnation, sequence)| {
            let value = Self { incarnation: incarnation.parse().ok()?, sequence: sequence.parse().ok()? };
            (value.to_string() == text).then_some(value)
        });
        parsed.ok_or_else(|| BadPosition(text.chars().take(60).collect()))
    }
}

macro_rules! as_text {
    ($name:ident) => {
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

as_text!(Incarnation);
as_text!(Position);

/// What must be so at the moment of an append.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    /// Anything: the last writer wins.
    Anything,
    /// The subject's last record stands here.
    At(Position),
    /// The subject has no record in this incarnation.
    Nothing(Incarnation),
}

impl Expect {
    /// What is expected after a look at [`last`](super::Bus::last).
    pub fn after(last: Option<&super::Record>, incarnation: Incarnation) -> Self {
        last.map_or(Self::Nothing(incarnation), |record| Self::At(record.position))
    }

    /// The incarnation that it is bound to, and the sequence that the subject must have there.
    pub(crate) fn condition(self) -> Option<(Incarnation, u64)> {
        match self {
            Self::Anything => None,
            Self::At(position) => Some((position.incarnation, position.sequence)),
            Self::Nothing(incarnation) => Some((incarnation, 0)),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn text_round_trips(number: u64, nonce: u32, sequence: u64) {
            let position = Position { incarnation: Incarnation { number, nonce }, sequence };
            prop_assert_eq!(position.to_string().parse::<Position>(), Ok(position));
        }

        #[test]
        fn no_other_text_is_one(text in "[0-9a-f:+-]{0,30}") {
            if let Ok(position) = text.parse::<Position>() {
                prop_assert_eq!(position.to_string(), text);
            }
        }
    }

    #[test]
    fn a_later_incarnation_is_greater_whatever_the_clock_says() {
        let first = Incarnation::after(u64::MAX / 2);
        assert!(Incarnation::after(first.number) > first);
        assert!(Incarnation::after(0) < first);
    }
}
