//! JSON in which no object has a key twice: of two the last would count, and what the first said would be lost silently.

use std::collections::HashSet;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// Any JSON value without such a key.
pub struct NoTwins;

impl<'de> Deserialize<'de> for NoTwins {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Walk)
    }
}

struct Walk;

impl<'de> Visitor<'de> for Walk {
    type Value = NoTwins;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, _: bool) -> Result<NoTwins, E> {
        Ok(NoTwins)
    }

    fn visit_i64<E>(self, _: i64) -> Result<NoTwins, E> {
        Ok(NoTwins)
    }

    fn visit_u64<E>(self, _: u64) -> Result<NoTwins, E> {
        Ok(NoTwins)
    }

    fn visit_f64<E>(self, _: f64) -> Result<NoTwins, E> {
        Ok(NoTwins)
    }

    fn visit_str<E>(self, _: &str) -> Result<NoTwins, E> {
        Ok(NoTwins)
    }

    fn visit_unit<E>(self) -> Result<NoTwins, E> {
        Ok(NoTwins)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut all: A) -> Result<NoTwins, A::Error> {
        while all.next_element::<NoTwins>()?.is_some() {}
        Ok(NoTwins)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut all: A) -> Result<NoTwins, A::Error> {
        let mut keys = HashSet::new();
        while let Some(key) = all.next_key::<String>()? {
            all.next_value::<NoTwins>()?;
            if keys.contains(&key) {
                return Err(A::Error::custom(format!("`{key}` stands there twice")));
            }
            keys.insert(key);
        }
        Ok(NoTwins)
    }
}
