//! Single values: strings, lists of them, booleans, time-outs.

use std::ops::Range;
use std::time::Duration;

use toml::Spanned;
use toml::de::DeValue;

use super::error::Wrong;
use super::{Located, Spot, Text};

/// The longest time-out.
pub const MAX_TIMEOUT: Duration = Duration::from_secs(30 * 86_400);

/// The largest size: an exbibyte, which no machine has, and which can be added to another.
const MAX_SIZE: u64 = 1 << 60;

/// The most that `cpus` may be, in thousandths.
const MAX_MILLI_CPUS: f64 = 10_000_000.0;

/// The most that `max_passes` may be.
const MAX_MAX_PASSES: usize = 1000;

pub(super) type Value<'i> = Spanned<DeValue<'i>>;
pub(super) type Fault = Box<Located<Wrong>>;

/// A key of a table and its value, with all that an error about it needs.
#[derive(Clone, Copy)]
pub(super) struct Field<'a, 'i> {
    pub text: &'a Text,
    pub key: &'a str,
    pub value: &'a Value<'i>,
}

impl<'a, 'i> Field<'a, 'i> {
    pub fn fault(&self, at: Range<usize>, wrong: Wrong) -> Fault {
        self.text.locate(at, wrong)
    }

    /// The error that the value has another type.
    pub fn not(&self, wanted: &'static str) -> Fault {
        self.not_here(self.value, wanted, None)
    }

    pub fn not_here(&self, value: &Value<'i>, wanted: &'static str, hint: Option<String>) -> Fault {
        let wrong = Wrong::Type { key: self.key.to_owned(), wanted, found: kind(value.get_ref()), hint };
        self.fault(value.span(), wrong)
    }

    pub fn boolean(&self) -> Result<bool, Fault> {
        self.value.get_ref().as_bool().ok_or_else(|| {
            let hint = match self.value.get_ref().as_str() {
                Some(text @ ("true" | "false")) => {
                    Some(format!("write it without quotes: `{} = {text}`", self.key))
                }
                _ => None,
            };
            self.not_here(self.value, "true or false", hint)
        })
    }

    /// A string that is not empty.
    pub fn string(&self) -> Result<Spot<String>, Fault> {
        let text = self.value.get_ref().as_str().ok_or_else(|| self.not("a string"))?;
        self.filled(text, self.value.span())
    }

    /// A string, or a list of strings that may be empty; no string is empty.
    pub fn strings(&self) -> Result<Vec<Spot<String>>, Fault> {
        match self.value.get_ref() {
            DeValue::String(text) => Ok(vec![self.filled(text, self.value.span())?]),
            DeValue::Array(list) => list
                .iter()
                .map(|item| {
                    let text = item.get_ref().as_str();
                    let text =
                        text.ok_or_else(|| self.not_here(item, "a string or a list of strings", None))?;
                    self.filled(text, item.span())
                })
                .collect(),
            _ => Err(self.not("a string or a list of strings")),
        }
    }

    fn filled(&self, text: &str, at: Range<usize>) -> Result<Spot<String>, Fault> {
        if text.is_empty() {
            return Err(self.fault(at, Wrong::Empty { key: self.key.to_owned() }));
        }
        self.plain(text, at)
    }

    /// A string without NUL.
    pub fn plain(&self, text: &str, at: Range<usize>) -> Result<Spot<String>, Fault> {
        if text.contains('\0') {
            return Err(self.fault(at, Wrong::Nul { key: self.key.to_owned() }));
        }
        Ok(Spot { value: text.to_owned(), at })
    }

    /// How many passes a step may make: at least 1, at most [`MAX_MAX_PASSES`].
    pub fn passes(&self) -> Result<usize, Fault> {
        let number = match self.value.get_ref() {
            DeValue::Integer(number) => usize::from_str_radix(number.as_str(), number.radix()).ok(),
            _ => None,
        };
        let number = number.filter(|number| (1..=MAX_MAX_PASSES).contains(number));
        number.ok_or_else(|| self.not("a whole number from 1 to 1000"))
    }

    /// A whole number from 1 on.
    pub fn count(&self) -> Result<u64, Fault> {
        whole(self.value.get_ref())
            .filter(|number| *number > 0)
            .ok_or_else(|| self.not("a whole number from 1 on"))
    }

    /// A number above zero, in thousandths.
    pub fn thousandths(&self) -> Result<u64, Fault> {
        let number = match self.value.get_ref() {
            DeValue::Float(number) => number.as_str().parse::<f64>().ok(),
            other => whole(other).map(|number| number as f64),
        };
        let milli = number.map(|number| (number * 1000.0).round());
        let milli = milli.filter(|milli| (10.0..=MAX_MILLI_CPUS).contains(milli));
        milli.map(|milli| milli as u64).ok_or_else(|| self.not("a number from 0.01 to 10000"))
    }

    /// Bytes: a whole number, or one with a unit.
    pub fn size(&self) -> Result<u64, Fault> {
        let bytes = match self.value.get_ref() {
            DeValue::String(text) => size(text),
            other => whole(other),
        };
        bytes
            .filter(|bytes| (1..=MAX_SIZE).contains(bytes))
            .ok_or_else(|| self.not("a size such as \"512M\" or \"4G\""))
    }

    pub fn timeout(&self) -> Result<Duration, Fault> {
        let (text, duration) = match self.value.get_ref() {
            DeValue::String(text) => (text.to_string(), duration(text)),
            DeValue::Integer(number) => {
                let seconds = u64::from_str_radix(number.as_str(), number.radix()).ok();
                (number.to_string(), seconds.map(Duration::from_secs))
            }
            _ => return Err(self.not("a time such as \"90s\" or \"5m\", or whole seconds")),
        };
        duration
            .filter(|duration| !duration.is_zero() && *duration <= MAX_TIMEOUT)
            .ok_or_else(|| self.fault(self.value.span(), Wrong::Timeout { text }))
    }
}

fn whole(value: &DeValue<'_>) -> Option<u64> {
    match value {
        DeValue::Integer(number) => u64::from_str_radix(number.as_str(), number.radix()).ok(),
        _ => None,
    }
}

/// `512M`, `1.5G`, `4GiB`, `100`: a number and a power of 1024.
pub fn size(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let shift = match &text[digits.len()..] {
        "" => 0,
        "K" | "KiB" => 10,
        "M" | "MiB" => 20,
        "G" | "GiB" => 30,
        "T" | "TiB" => 40,
        _ => return None,
    };
    let plain = !digits.is_empty() && digits.chars().all(|c| c.is_ascii_digit() || c == '.');
    let number = digits.trim_end().parse::<f64>().ok().filter(|_| plain)?;
    let bytes = number * (1_u64 << shift) as f64;
    (bytes.fract() == 0.0 && bytes <= MAX_SIZE as f64).then_some(bytes as u64)
}

/// `90s`, `1h30m`, `500ms`: numbers with units, the larger unit first.
fn duration(text: &str) -> Option<Duration> {
    let mut rest = text.trim();
    let mut total = Duration::ZERO;
    let mut last_unit = u64::MAX;
    while !rest.is_empty() {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let number: u64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let letters = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_alphabetic()).len();
        let millis: u64 = match &rest[..letters] {
            "h" => 3_600_000,
            "m" => 60_000,
            "s" => 1_000,
            "ms" => 1,
            _ => return None,
        };
        if millis >= last_unit {
            return None;
        }
        last_unit = millis;
        rest = &rest[letters..];
        total = total.checked_add(Duration::from_millis(number.checked_mul(millis)?))?;
    }
    Some(total)
}

/// The type of a value, with its article.
fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "a number",
        DeValue::Float(_) => "a number",
        DeValue::Boolean(_) => "a boolean",
        DeValue::Datetime(_) => "a date or time",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

#[cfg(test)]
mod tests {
    use super::{duration, size};

    #[test]
    fn sizes() {
        for (text, bytes) in
            [("512M", 512 << 20), ("1.5G", 1536 << 20), ("4GiB", 4 << 30), ("100", 100), ("1T", 1 << 40)]
        {
            assert_eq!(size(text), Some(bytes), "{text}");
        }
        for bad in ["", "M", "-1M", "1.1", "5m", "1 G", "1e3", "inf", "9999999999T", "1GB"] {
            assert_eq!(size(bad), None, "{bad}");
        }
    }

    #[test]
    fn durations() {
        let millis = |text| duration(text).map(|duration| duration.as_millis());
        assert_eq!(millis("90s"), Some(90_000));
        assert_eq!(millis("1h30m"), Some(5_400_000));
        assert_eq!(millis("1s500ms"), Some(1_500));
        for bad in
            ["90", "s", "5 m", "1.5h", "1m1h", "1m1m", "-1s", "99999999999999999999s", "9999999999999999h"]
        {
            assert_eq!(millis(bad), None, "{bad}");
        }
    }
}
