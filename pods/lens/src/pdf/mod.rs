//! `pdf`: a PDF without the moment in which it was made.
//!
//! What TeX engines, Cairo, Ghostscript and others write anew in each run: `/CreationDate` and `/ModDate` of the information
//! dictionary, the two strings of the trailer's `/ID`, and their likes in XMP metadata. The projection leaves them out,
//! the normaliser puts constants of the same length there, so that every offset in the file stays right. In
//! compressed streams nothing is looked at. pdfTeX and LuaTeX keep the information dictionary out of them (unless
//! `\pdfobjcompresslevel` is 3), and the `/ID` stands in the open part of a cross-reference stream.
//!
//! An encrypted file is left alone, since its `/ID` is part of the key; a signed one is not rewritten.
//! PDF: ISO 32000-1, 7.2–7.5 and 14.3–14.4.

mod scan;

use self::scan::{Kind, Scan, Spot};
use crate::lens::{LensId, Normaliser, Projection, Role};

const VERSION: u32 = 1;

fn id(role: Role) -> LensId {
    LensId { role, name: "pdf".to_owned(), version: VERSION, parameters: String::new() }
}

/// Leaves the volatile parts out.
#[derive(Debug)]
pub(crate) struct PdfProjection(LensId);

impl PdfProjection {
    pub const NAME: &str = "pdf";

    pub fn new() -> Self {
        Self(id(Role::Projection))
    }
}

impl Projection for PdfProjection {
    fn id(&self) -> &LensId {
        &self.0
    }

    fn project(&self, bytes: &[u8]) -> Option<Vec<u8>> {
        let Scan { spots, .. } = scan::scan(bytes)?;
        let mut left = Vec::with_capacity(bytes.len());
        let mut from = 0;
        for Spot { at, .. } in spots {
            left.extend_from_slice(&bytes[from..at.start]);
            from = at.end;
        }
        left.extend_from_slice(&bytes[from..]);
        Some(left)
    }
}

/// Puts constants in the place of the volatile parts.
#[derive(Debug)]
pub(crate) struct PdfNormaliser(LensId);

impl PdfNormaliser {
    pub const NAME: &str = "pdf";

    pub fn new() -> Self {
        Self(id(Role::Normaliser))
    }
}

impl Normaliser for PdfNormaliser {
    fn id(&self) -> &LensId {
        &self.0
    }

    fn patterns(&self) -> &[&'static str] {
        &["**/*.pdf"]
    }

    fn normalise(&self, bytes: &[u8]) -> Option<Vec<u8>> {
        let Scan { spots, is_signed } = scan::scan(bytes)?;
        if is_signed {
            return None;
        }
        let mut normal = bytes.to_vec();
        for Spot { at, kind } in spots {
            constant(kind, &mut normal[at]);
        }
        (normal != bytes).then_some(normal)
    }
}

/// 2000-01-01T00:00:00Z, the moment that `SOURCE_DATE_EPOCH` gives to steps.
const DATE: &[u8] = b"D:20000101000000Z";
const DATE_WITH_ZONE: &[u8] = b"D:20000101000000+00'00'";
const XMP_DATE: &[u8] = b"2000-01-01T00:00:00Z";
const XMP_DATE_WITH_ZONE: &[u8] = b"2000-01-01T00:00:00+00:00";

/// Overwrites a volatile part by a constant that depends on its length alone, and may stand where it stood.
fn constant(kind: Kind, place: &mut [u8]) {
    let date = |zulu: &'static [u8], zoned| if place.len() <= zulu.len() { zulu } else { zoned };
    match kind {
        Kind::Date => fill(place, date(DATE, DATE_WITH_ZONE)),
        Kind::HexDate => {
            let length = place.len();
            let text = if length <= 2 * DATE.len() { DATE } else { DATE_WITH_ZONE };
            let hex: Vec<u8> = text.iter().flat_map(|byte| format!("{byte:02X}").into_bytes()).collect();
            // Space, as hex.
            let pad = b"20".iter().cycle();
            for (byte, constant) in place.iter_mut().zip(hex.iter().chain(pad)) {
                *byte = *constant;
            }
        }
        Kind::Id => place.fill(b'0'),
        Kind::XmpDate => fill(place, date(XMP_DATE, XMP_DATE_WITH_ZONE)),
        Kind::XmpId => {
            // `uuid:` and the like stay.
            let from = memchr::memrchr(b':', place).map_or(0, |colon| colon + 1);
            for byte in place[from..].iter_mut().filter(|byte| byte.is_ascii_hexdigit()) {
                *byte = b'0';
            }
        }
    }
}

/// The text as far as it goes, and spaces.
fn fill(place: &mut [u8], text: &[u8]) {
    for (at, byte) in place.iter_mut().enumerate() {
        *byte = text.get(at).copied().unwrap_or(b' ');
    }
}

#[cfg(test)]
mod tests;
