//! The canonical binary form of objects: little-endian, lengths as LEB128, nothing optional without a tag.
//!
//! One value has one encoding: a reader refuses over-long lengths and left-over bytes, so that equal digests mean
//! equal values and the other way round.

use crate::{Digest, RelPath};

/// Why bytes are no object of the kind that was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadObject {
    /// The bytes end too early.
    #[error("the object ends early")]
    Short,
    /// Bytes are left over.
    #[error("{0} bytes are left over")]
    Long(usize),
    /// The format number is not known here.
    #[error("format {0} is not known to this version")]
    Format(u8),
    /// A field has a value that it may not have.
    #[error("{0} has an impossible value")]
    Field(&'static str),
}

/// Writes the canonical form.
#[derive(Default)]
pub struct Writer(Vec<u8>);

impl Writer {
    /// Starts with a format number.
    pub fn with_format(format: u8) -> Self {
        Self(vec![format])
    }

    /// Bytes as they are: their length is known otherwise.
    pub fn raw(&mut self, value: &[u8]) -> &mut Self {
        self.0.extend_from_slice(value);
        self
    }

    /// One byte.
    pub fn byte(&mut self, value: u8) -> &mut Self {
        self.0.push(value);
        self
    }

    /// A whole number as LEB128.
    pub fn number(&mut self, mut value: u64) -> &mut Self {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.byte(value as u8)
    }

    /// Bytes behind their length.
    pub fn bytes(&mut self, value: &[u8]) -> &mut Self {
        self.number(value.len() as u64);
        self.0.extend_from_slice(value);
        self
    }

    /// A digest: 32 bytes, no length.
    pub fn digest(&mut self, value: &Digest) -> &mut Self {
        self.0.extend_from_slice(value.as_bytes());
        self
    }

    /// What was written.
    pub fn finish(self) -> Vec<u8> {
        self.0
    }
}

/// Reads the canonical form.
pub struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// Reads bytes that have no format number of their own: a frame's.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// All that is left.
    pub fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.0)
    }

    /// Whether nothing is left.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Starts at the first byte, which must be the format number.
    pub fn with_format(bytes: &'a [u8], format: u8) -> Result<Self, BadObject> {
        let mut reader = Self(bytes);
        match reader.byte()? {
            found if found == format => Ok(reader),
            found => Err(BadObject::Format(found)),
        }
    }

    /// So many bytes.
    pub fn take(&mut self, len: usize) -> Result<&'a [u8], BadObject> {
        let (head, tail) = self.0.split_at_checked(len).ok_or(BadObject::Short)?;
        self.0 = tail;
        Ok(head)
    }

    /// One byte.
    pub fn byte(&mut self) -> Result<u8, BadObject> {
        Ok(self.take(1)?[0])
    }

    /// A LEB128 number in its shortest form.
    pub fn number(&mut self) -> Result<u64, BadObject> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let part = u64::from(byte & 0x7f);
            if (shift == 63 && part > 1) || (byte == 0 && shift > 0) {
                return Err(BadObject::Field("a number"));
            }
            value |= part << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(BadObject::Field("a number"))
    }

    /// A count of things that take at least one byte each, so that a forged length cannot make us allocate.
    pub fn count(&mut self) -> Result<usize, BadObject> {
        let count = self.number()?;
        if count > self.0.len() as u64 { Err(BadObject::Short) } else { Ok(count as usize) }
    }

    /// Bytes behind their length.
    pub fn bytes(&mut self) -> Result<&'a [u8], BadObject> {
        let len = self.count()?;
        self.take(len)
    }

    /// A path.
    pub fn path(&mut self) -> Result<RelPath, BadObject> {
        RelPath::new(self.bytes()?).map_err(|_| BadObject::Field("a path"))
    }

    /// A digest.
    pub fn digest(&mut self) -> Result<Digest, BadObject> {
        Digest::try_from(self.take(Digest::LEN)?).map_err(|_| BadObject::Short)
    }

    /// Ends the reading: nothing may be left.
    pub fn finish(self) -> Result<(), BadObject> {
        if self.0.is_empty() { Ok(()) } else { Err(BadObject::Long(self.0.len())) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn numbers_round_trip(value in any::<u64>()) {
            let mut writer = Writer::with_format(1);
            writer.number(value);
            let bytes = writer.finish();
            let mut reader = Reader::with_format(&bytes, 1).unwrap();
            prop_assert_eq!(reader.number(), Ok(value));
            prop_assert_eq!(reader.finish(), Ok(()));
        }

        #[test]
        fn garbage_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            std::hint::black_box(crate::Trace::decode(&bytes).is_ok());
            std::hint::black_box(crate::Tree::decode(&bytes).is_ok());
            std::hint::black_box(crate::PathSet::decode(&bytes).is_ok());
        }
    }

    #[test]
    fn overlong_numbers_are_refused() {
        let mut reader = Reader::with_format(&[1, 0x80, 0x00], 1).unwrap();
        assert!(reader.number().is_err());
    }
}
