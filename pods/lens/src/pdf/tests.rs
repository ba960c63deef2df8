use super::*;

const INFO: &str = "%PDF-1.5\n1 0 obj\n<< /Title (a \\) (b)) /CreationDate (D:20240101120000+01'00') \
    /ModDate (D:20240101120000Z) >>\nendobj\n";
const TRAILER: &str = "trailer << /Info 1 0 R /ID [<00AB12> <00AB13>] >>\nstartxref\n9\n%%EOF\n";

fn normal(text: &[u8]) -> Option<String> {
    PdfNormaliser::new().normalise(text).map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}

#[test]
fn constants_of_the_same_length() {
    let pdf = format!("{INFO}{TRAILER}");
    assert_eq!(
        normal(pdf.as_bytes()).unwrap(),
        "%PDF-1.5\n1 0 obj\n<< /Title (a \\) (b)) /CreationDate (D:20000101000000+00'00') \
         /ModDate (D:20000101000000Z) >>\nendobj\ntrailer << /Info 1 0 R /ID [<000000> <000000>] >>\nstartxref\n9\n%%EOF\n"
    );
}

#[test]
fn the_projection_leaves_them_out() {
    let pdf = format!("{INFO}{TRAILER}");
    let other = pdf.replace("20240101120000", "20250202130000").replace("00AB", "FFFF");
    assert_ne!(pdf, other);
    let left = |text: &str| PdfProjection::new().project(text.as_bytes()).unwrap();
    assert_eq!(left(&pdf), left(&other));
    assert_ne!(left(&pdf), left(&pdf.replace("(b)", "(c)")));
}

#[test]
fn hex_and_binary_strings() {
    let pdf = b"%PDF-1.4\n<</CreationDate<FEFF0044>/ID[(\x01\\)\xff)(ab)]>>";
    assert_eq!(normal(pdf).unwrap(), "%PDF-1.4\n<</CreationDate<443A3230>/ID[(0000)(00)]>>");
}

#[test]
fn streams_and_strings_are_not_looked_into() {
    let inside = "/CreationDate (D:1) /ID [<01> <02>]";
    let direct = format!("<< /Length {} >>\nstream\n{inside}\nendstream", inside.len());
    let elsewhere = format!("<< /Length 12 0 R >>\nstream\r\n{inside}\r\nendstream");
    let hiding =
        format!("<< /Length {} >>\nstream\n{inside} endstream {inside}\nendstream", 2 * inside.len() + 11);
    let texts = [direct, elsewhere, hiding, format!("({inside})"), format!("% {inside}\n")];
    for text in texts {
        let pdf = format!("%PDF-1.4\n1 0 obj\n{text}\nendobj\n");
        assert_eq!(normal(pdf.as_bytes()), None, "{pdf}");
    }
}

#[test]
fn other_ids_stay() {
    for text in ["/ID (a)", "/ID [<01>]", "/ID [<01> <02> <03>]", "/IDTree [<01> <02>]", "/ID [<01> <02"] {
        assert_eq!(normal(format!("%PDF-1.4\n<< {text} >>").as_bytes()), None, "{text}");
    }
}

#[test]
fn metadata() {
    let packet = "<?xpacket begin='' id='W5'?><x:xmpmeta><rdf:Description xmp:CreateDate=\"2024-01-01T12:00:00+01:00\" \
        xmpMM:InstanceID='uuid:ab-12'><xmp:ModifyDate>2024-01-01T12:00:00Z</xmp:ModifyDate>\
        <dc:date>2024</dc:date></rdf:Description></x:xmpmeta><?xpacket end='r'?>";
    let pdf =
        format!("%PDF-1.7\n1 0 obj <</Type/Metadata/Length {}>> stream\n{packet}\nendstream", packet.len());
    let wanted = pdf
        .replace("2024-01-01T12:00:00+01:00", "2000-01-01T00:00:00+00:00")
        .replace("uuid:ab-12", "uuid:00-00")
        .replace("2024-01-01T12:00:00Z", "2000-01-01T00:00:00Z");
    assert_eq!(normal(pdf.as_bytes()).unwrap(), wanted);
}

#[test]
fn encrypted_and_signed_files() {
    let encrypted = format!("{INFO}trailer << /Encrypt 5 0 R /ID [<01> <02>] >>");
    assert_eq!(normal(encrypted.as_bytes()), None);
    assert_eq!(PdfProjection::new().project(encrypted.as_bytes()), None);
    let signed = format!("{INFO}<< /ByteRange [0 1 2 3] >>{TRAILER}");
    assert_eq!(normal(signed.as_bytes()), None);
    assert!(PdfProjection::new().project(signed.as_bytes()).is_some());
}
