//! Random builds and random edits against a naive model: what is ours, what is the user's, what stands where.

use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone)]
enum Act {
    /// A build hands over these, and removes what it no longer makes.
    Build(BTreeMap<u8, u8>),
    /// The user writes a file.
    Write(u8, u8),
    /// The user removes a file.
    Remove(u8),
}

const NAMES: [&str; 8] = ["a", "b", "d/a", "d/b", "d/e/a", "f/a", "f-", "f.a"];

fn act() -> impl Strategy<Value = Act> {
    let name = 0..NAMES.len() as u8;
    prop_oneof![
        proptest::collection::btree_map(name.clone(), 0u8..3, 0..6).prop_map(Act::Build),
        (name.clone(), 0u8..4).prop_map(|(name, text)| Act::Write(name, text)),
        name.prop_map(Act::Remove),
    ]
}

/// What the model knows of a path: the text that was handed over, and the text that stands there.
#[derive(Debug, Clone, Default, PartialEq)]
struct Place {
    handed: Option<u8>,
    stands: Option<u8>,
}

fn text(number: u8) -> String {
    format!("text {number}")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]
    #[test]
    fn random_builds_and_edits(acts in proptest::collection::vec(act(), 1..14)) {
        let bench = Bench::new();
        let mut model: Vec<Place> = vec![Place::default(); NAMES.len()];
        for act in acts {
            match act {
                Act::Write(name, number) => {
                    let at = bench.at(NAMES[usize::from(name)]);
                    fs::create_dir_all(at.parent().unwrap()).unwrap();
                    fs::write(at, text(number)).unwrap();
                    model[usize::from(name)].stands = Some(number);
                }
                Act::Remove(name) => {
                    let place = &mut model[usize::from(name)];
                    if place.stands.take().is_some() {
                        fs::remove_file(bench.at(NAMES[usize::from(name)])).unwrap();
                    }
                }
                Act::Build(outputs) => build(&bench, &mut model, &outputs)?,
            }
            check(&bench, &model)?;
        }
    }
}

fn build(bench: &Bench, model: &mut [Place], outputs: &BTreeMap<u8, u8>) -> Result<(), TestCaseError> {
    let texts: Vec<(usize, String)> =
        outputs.iter().map(|(n, number)| (usize::from(*n), text(*number))).collect();
    let wanted: Vec<(&str, &str)> = texts.iter().map(|(n, text)| (NAMES[*n], text.as_str())).collect();
    let makes = |n: usize| outputs.get(&(n as u8)).copied();
    let obsolete: Vec<&str> = (0..NAMES.len()).filter(|n| makes(*n).is_none()).map(|n| NAMES[n]).collect();
    let is_in_the_way = |(n, place): (usize, &Place)| {
        makes(n).is_some_and(|new| match (place.handed, place.stands) {
            (_, None) => false,
            (Some(handed), Some(stands)) => handed != stands,
            (None, Some(stands)) => new != stands,
        })
    };
    let blocked = model.iter().enumerate().filter(|(n, place)| is_in_the_way((*n, place))).count();
    let result = bench.hand(&wanted, &obsolete);
    if blocked > 0 {
        prop_assert_eq!(conflicts(result).len(), blocked);
        return Ok(());
    }
    result.map_err(|error| TestCaseError::fail(error.to_string()))?;
    for (n, place) in model.iter_mut().enumerate() {
        match makes(n) {
            // The user's own, equal by chance.
            Some(_) if place.handed.is_none() && place.stands.is_some() => {}
            Some(new) => *place = Place { handed: Some(new), stands: Some(new) },
            None => {
                if place.handed.is_some() && place.handed == place.stands {
                    place.stands = None;
                }
                place.handed = None;
            }
        }
    }
    Ok(())
}

fn check(bench: &Bench, model: &[Place]) -> Result<(), TestCaseError> {
    let scan = bench.scan();
    let edited: Vec<RelPath> = scan.report().edited.clone();
    for (name, place) in NAMES.iter().zip(model) {
        let on_disk = fs::read_to_string(bench.at(name)).ok();
        prop_assert_eq!(on_disk, place.stands.map(text), "{}", name);
        let is_source = place.stands.is_some() && place.stands != place.handed;
        prop_assert_eq!(scan.get(&path(name)).is_some(), is_source, "{} {:?}", name, place);
        let is_edited = place.handed.is_some() && is_source;
        prop_assert_eq!(edited.contains(&path(name)), is_edited, "{} {:?}", name, place);
        prop_assert_eq!(bench.manifest().get(&path(name)).is_some(), place.handed.is_some(), "{}", name);
    }
    let paths: Vec<String> = scan.files().iter().map(ToString::to_string).collect();
    let mut sorted = paths.clone();
    sorted.sort();
    prop_assert_eq!(paths, sorted);
    Ok(())
}
