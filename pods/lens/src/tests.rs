//! Laws of all lenses, applied to every one that is built in.

use std::sync::Arc;

use proptest::prelude::*;
use protocol::Digest;

use crate::lens::{projected, together};
use crate::{BadLens, LensId, Normaliser, Projection, Registry, builtin};

fn projections() -> Vec<Arc<dyn Projection>> {
    ["ignore", "bibtex-aux", "pdf", "json", "json:a.b", "toml", "toml:a", "yaml", "yaml:a.0"]
        .iter()
        .map(|text| builtin().projection(text).unwrap())
        .collect()
}

fn pdf_normaliser() -> Arc<dyn Normaliser> {
    builtin().normaliser("pdf").unwrap()
}

/// Bytes that are nearly of one of the formats.
fn nearly() -> impl Strategy<Value = Vec<u8>> {
    const PIECES: [&[u8]; 28] = [
        b"%PDF-1.5\n",
        b"/CreationDate(D:2024)",
        b"/ModDate <FE",
        b"/ID[<01> (\\)",
        b"<02>]",
        b"/Length 9 ",
        b"stream\n",
        b"endstream ",
        b"<?xpacket xmp:CreateDate='1",
        b"<xmp:ModifyDate>20",
        b"xmpMM:InstanceID=\"uuid:",
        b"\\citation{a}\n",
        b"\r",
        b"{",
        b"}",
        b"[",
        b"]",
        b"\"a\"",
        b"a",
        b": ",
        b" = ",
        b",",
        b"1e5",
        b"\n",
        b"- ",
        b"(",
        b")",
        b"\xff\x00",
    ];
    let piece = proptest::sample::select(&PIECES[..]);
    proptest::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn nothing_makes_them_panic_and_equal_bytes_give_equal_bytes(bytes in nearly()) {
        for projection in projections() {
            prop_assert_eq!(projection.project(&bytes), projection.project(&bytes.clone()));
        }
    }

    #[test]
    fn noise_stays_whole(bytes in proptest::collection::vec(0x80u8..0xc0, 1..200)) {
        for projection in projections().into_iter().filter(|projection| !projection.is_blind()) {
            let left = projection.project(&bytes);
            // BibTeX reads any bytes, and finds nothing to act on in these.
            let wanted = (projection.id().name == "bibtex-aux").then(Vec::new);
            prop_assert_eq!(left, wanted, "{}", projection.id());
        }
        prop_assert_eq!(pdf_normaliser().normalise(&bytes), None);
    }

    #[test]
    fn normal_forms_are_normal_and_as_long(bytes in nearly()) {
        if let Some(normal) = pdf_normaliser().normalise(&bytes) {
            prop_assert_eq!(normal.len(), bytes.len());
            prop_assert_ne!(&normal, &bytes);
            prop_assert_eq!(pdf_normaliser().normalise(&normal), None);
            // Nothing that matters was rewritten.
            let pdf = builtin().projection("pdf").unwrap();
            prop_assert_eq!(pdf.project(&normal), pdf.project(&bytes));
        }
    }

    #[test]
    fn what_bibtex_aux_leaves_it_leaves_again(bytes in nearly()) {
        let aux = builtin().projection("bibtex-aux").unwrap();
        let left = aux.project(&bytes).unwrap();
        prop_assert_eq!(aux.project(&left).unwrap(), left);
    }

    #[test]
    fn canonical_json_is_its_own_canonical_form(value in json(), pretty in any::<bool>()) {
        let text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) };
        let whole = builtin().projection("json").unwrap();
        let left = whole.project(text.unwrap().as_bytes()).unwrap();
        prop_assert_eq!(whole.project(&left).unwrap(), left.clone());
        prop_assert_eq!(serde_json::from_slice::<serde_json::Value>(&left).unwrap(), value);
    }

    #[test]
    fn equal_values_give_equal_parts_whatever_is_beside_them(
        value in json(), one in json(), other in json()
    ) {
        let document = |beside: &serde_json::Value| {
            serde_json::to_vec_pretty(&serde_json::json!({"x": beside, "a": {"b": value.clone(), "c": beside}})).unwrap()
        };
        let part = builtin().projection("json:a.b").unwrap();
        prop_assert_eq!(part.project(&document(&one)).unwrap(), part.project(&document(&other)).unwrap());
    }
}

fn json() -> impl Strategy<Value = serde_json::Value> {
    use serde_json::Value;
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "[ -~é\n\u{1}]{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::btree_map("[a-c\u{e9}]{0,3}", inner, 0..4)
                .prop_map(|entries| Value::Object(entries.into_iter().collect())),
        ]
    })
}

#[test]
fn ids_tell_lenses_apart() {
    let mut digests: Vec<Digest> = projections().iter().map(|projection| projection.id().digest()).collect();
    digests.push(pdf_normaliser().id().digest());
    let raised = LensId { version: 2, ..builtin().projection("pdf").unwrap().id().clone() };
    digests.push(raised.digest());
    let count = digests.len();
    digests.sort();
    digests.dedup();
    assert_eq!(digests.len(), count);
}

#[test]
fn unknown_names() {
    let Err(BadLens::Unknown { name, known }) = builtin().projection("bibtex_aux") else {
        panic!("none has it")
    };
    assert_eq!(
        (name.as_str(), known.as_slice()),
        ("bibtex_aux", &["bibtex-aux", "ignore", "json", "pdf", "toml", "yaml"][..])
    );
    assert_eq!(
        builtin().normaliser("json").unwrap_err(),
        BadLens::Unknown { name: "json".into(), known: vec!["pdf"] }
    );
    for text in ["pdf:x", "pdf:", "ignore:*", "json:a..b"] {
        let bad = builtin().projection(text).unwrap_err();
        assert!(matches!(bad, BadLens::Parameters { .. }), "{bad}");
    }
}

/// First letters only: what somebody else may bring.
#[derive(Debug)]
struct FirstByte(LensId);

impl Projection for FirstByte {
    fn id(&self) -> &LensId {
        &self.0
    }

    fn project(&self, bytes: &[u8]) -> Option<Vec<u8>> {
        bytes.first().map(|byte| vec![*byte])
    }
}

#[test]
fn others_bring_their_own() {
    let mut registry = Registry::with_builtin();
    registry.add_projection("first", |given| {
        let (name, parameters) = ("first".to_owned(), given.unwrap_or_default().to_owned());
        Ok(Arc::new(FirstByte(LensId { role: crate::lens::Role::Projection, name, version: 1, parameters })))
    });
    let first = registry.projection("first:x").unwrap();
    let digest = |bytes: &[u8]| projected(&*first, bytes, &Digest::of(bytes));
    assert_eq!(digest(b"ab"), digest(b"ac"));
    assert_ne!(digest(b"ab"), Digest::of(b"a"));
    assert_eq!(digest(b""), Digest::of(b""));
}

#[test]
fn several_parts_of_one_file() {
    let raw = Digest::of(b"raw");
    let (a, b) = (Digest::of(b"a"), Digest::of(b"b"));
    assert_eq!(together(&[a], &raw), a);
    assert_eq!(together(&[], &raw), raw);
    assert_eq!(together(&[a, raw], &raw), raw);
    assert_ne!(together(&[a, b], &raw), together(&[a, a], &raw));
}
