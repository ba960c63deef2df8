//! The text of a PDF that pdfTeX wrote with [`PLAIN`]: enough to see what a reader would see, and no more.

/// What a document begins with, so that its text can be found.
pub const PLAIN: &str = "\\pdfcompresslevel=0 \\pdfobjcompresslevel=0\n";

/// Kerns from here on are spaces between words (thousandths of the font's size).
const SPACE: f64 = -250.0;

/// The words on its pages, a space between two. Arrays of strings and kerns are shown: `[(W)83(ord)-333(next)]TJ` (ISO 32000-1,
/// 9.4.3).
#[track_caller]
pub fn text(pdf: &[u8]) -> String {
    assert!(pdf.starts_with(b"%PDF-"), "no PDF");
    let mut text = String::new();
    for line in pdf.split(|&byte| byte == b'\n') {
        let mut rest = line;
        while let Some(begin) = rest.iter().position(|&byte| byte == b'[') {
            let (shown, behind) = array(&rest[begin + 1..]);
            if behind.starts_with(b"TJ") {
                text.push_str(&shown);
                text.push(' ');
            }
            rest = behind;
        }
    }
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The text of an array, and what is behind its end.
fn array(mut rest: &[u8]) -> (String, &[u8]) {
    let (mut text, mut kern) = (String::new(), Vec::new());
    while let Some((&byte, behind)) = rest.split_first() {
        rest = behind;
        match byte {
            b']' => break,
            b'(' => {
                if String::from_utf8_lossy(&kern).trim().parse().is_ok_and(|kern: f64| kern < SPACE) {
                    text.push(' ');
                }
                kern.clear();
                rest = string(rest, &mut text);
            }
            byte => kern.push(byte),
        }
    }
    (text, rest)
}

/// Takes a string to its end; what is behind it.
fn string<'b>(mut rest: &'b [u8], text: &mut String) -> &'b [u8] {
    while let Some((&byte, behind)) = rest.split_first() {
        rest = behind;
        match byte {
            b')' => break,
            b'\\' if rest.len() >= 3 && rest[..3].iter().all(u8::is_ascii_digit) => {
                let code = rest[..3].iter().fold(0u32, |code, digit| code * 8 + u32::from(digit - b'0'));
                rest = &rest[3..];
                glyph(code as u8, text);
            }
            b'\\' => {
                glyph(rest.first().copied().unwrap_or(b'\\'), text);
                rest = rest.get(1..).unwrap_or_default();
            }
            byte => glyph(byte, text),
        }
    }
    rest
}

/// A glyph of TeX's encoding OT1, as far as it is not ASCII.
fn glyph(code: u8, text: &mut String) {
    match code {
        0o13 => text.push_str("ff"),
        0o14 => text.push_str("fi"),
        0o15 => text.push_str("fl"),
        0o16 => text.push_str("ffi"),
        0o17 => text.push_str("ffl"),
        0o173 => text.push('-'),
        code => text.push(char::from(code)),
    }
}

#[test]
fn text_of_strings_with_kerns_ligatures_and_escapes() {
    let pdf = b"%PDF-1.5\nBT\n/F1 9.9 Tf 148 707 Td [(There)-333(are)-334(sev)28(en)]TJ 1 -5 Td [(\\014v)27(e)]TJ\n\
                [(\\(so\\))-500([1])]TJ /G [0 1]\nET\n";
    assert_eq!(text(pdf), "There are seven five (so) [1]");
}
