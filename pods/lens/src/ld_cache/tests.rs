use super::*;
use protocol::Look;

/// A cache as ldconfig would write it: name, path, and a subfolder of `glibc-hwcaps`.
fn cache(libraries: &[(&str, &str, Option<&str>)], generator: &str) -> Vec<u8> {
    let mut hwcaps: Vec<&str> = libraries.iter().filter_map(|(_, _, hwcap)| *hwcap).collect();
    hwcaps.sort_unstable();
    hwcaps.dedup();
    let mut strings: Vec<u8> = Vec::new();
    let base = HEADER + libraries.len() * ENTRY;
    let mut text = |text: &str| {
        let at = (base + strings.len()) as u32;
        strings.extend_from_slice(text.as_bytes());
        strings.push(0);
        at
    };
    let mut entries: Vec<u8> = Vec::new();
    for (name, path, hwcap) in libraries {
        entries.extend(0x303u32.to_le_bytes());
        entries.extend(text(name).to_le_bytes());
        entries.extend(text(path).to_le_bytes());
        entries.extend(0u32.to_le_bytes());
        let hwcap = hwcap.map_or(0, |named| {
            NAMED_HWCAP | 2 << 32 | hwcaps.iter().position(|known| *known == named).unwrap() as u64
        });
        entries.extend(hwcap.to_le_bytes());
    }
    let names: Vec<u8> = hwcaps.iter().flat_map(|hwcap| text(hwcap).to_le_bytes()).collect();
    while !(base + strings.len()).is_multiple_of(4) {
        strings.push(0);
    }
    let extension = base + strings.len();
    let mut bytes = MAGIC.to_vec();
    bytes.extend((libraries.len() as u32).to_le_bytes());
    bytes.extend((strings.len() as u32).to_le_bytes());
    bytes.extend([2, 0, 0, 0]);
    bytes.extend((extension as u32).to_le_bytes());
    bytes.extend([0; 12]);
    bytes.extend(entries);
    bytes.extend(strings);
    let behind = extension + 8 + 2 * EXTENSION_SECTION;
    for word in [EXTENSION_MAGIC, 2] {
        bytes.extend(word.to_le_bytes());
    }
    for (tag, at, size) in
        [(0, behind + names.len(), generator.len()), (HWCAPS_SECTION as usize, behind, names.len())]
    {
        for word in [tag, 0, at, size] {
            bytes.extend((word as u32).to_le_bytes());
        }
    }
    bytes.extend(names);
    bytes.extend(generator.as_bytes());
    bytes
}

/// The older cache in front of it, with as many entries.
fn behind_old(new: &[u8], entries: u32) -> Vec<u8> {
    let mut bytes = OLD_MAGIC.to_vec();
    bytes.push(0);
    bytes.extend(entries.to_le_bytes());
    bytes.resize(bytes.len() + OLD_ENTRY * entries as usize, 7);
    bytes.resize(bytes.len().next_multiple_of(8), 0);
    bytes.extend(new);
    bytes
}

const LIB: &str = "/lib/x86_64-linux-gnu";

fn three(z: &str) -> Vec<(&'static str, String, Option<&'static str>)> {
    vec![
        ("libz.so.1", format!("{LIB}/{z}"), None),
        ("libc.so.6", format!("{LIB}/glibc-hwcaps/x86-64-v3/libc.so.6"), Some("x86-64-v3")),
        ("libc.so.6", format!("{LIB}/libc.so.6"), None),
    ]
}

fn made(libraries: &[(&'static str, String, Option<&'static str>)]) -> LdCache {
    let libraries: Vec<_> =
        libraries.iter().map(|(name, path, hwcap)| (*name, path.as_str(), *hwcap)).collect();
    LdCache::parse(&cache(&libraries, "ldconfig (glibc) 2.36")).unwrap()
}

fn step(looks: &[(&str, Look)]) -> PathSet {
    let mut looks: Vec<_> = looks.iter().map(|(path, look)| (path.parse().unwrap(), *look)).collect();
    looks.push(("etc/ld.so.cache".parse().unwrap(), Look::Content));
    PathSet::new(looks)
}

fn with_c() -> PathSet {
    step(&[("usr/lib/x86_64-linux-gnu/libc.so.6", Look::Content)])
}

#[test]
fn an_unrelated_library_changes_nothing() {
    let before = made(&three("libz.so.1"));
    let mut more = three("libz.so.1");
    // Sorted downwards by name, as ldconfig does; a new name of a subfolder moves the place of the old one.
    more.insert(0, ("libzstd.so.1", format!("{LIB}/libzstd.so.1"), Some("x86-64-v2")));
    more.push(("liba.so.2", format!("{LIB}/liba.so.2"), None));
    let after = made(&more);
    assert_eq!(before.projected(&with_c()), after.projected(&with_c()));
    assert_eq!(before.projected(&step(&[])), after.projected(&step(&[])));
}

#[test]
fn entries_of_what_was_opened_matter() {
    let (before, after) = (made(&three("libz.so.1")), made(&three("other/libz.so.1")));
    assert_eq!(before.projected(&with_c()), after.projected(&with_c()));
    let with_z = step(&[("usr/lib/x86_64-linux-gnu/libz.so.1", Look::Link)]);
    assert_ne!(before.projected(&with_z), after.projected(&with_z));
    let without_hwcaps = made(&[three("libz.so.1").remove(0), three("libz.so.1").remove(2)]);
    assert_ne!(before.projected(&with_c()), without_hwcaps.projected(&with_c()));
}

#[test]
fn a_library_that_was_looked_for_in_vain_matters_when_it_comes() {
    let missing = step(&[("usr/lib/x86_64-linux-gnu/libnew.so.3", Look::Probe)]);
    let mut more = three("libz.so.1");
    more.push(("libnew.so.3", "/opt/new/libnew.so.3".to_owned(), None));
    assert_ne!(made(&three("libz.so.1")).projected(&missing), made(&more).projected(&missing));
}

#[test]
fn an_entry_is_found_by_the_name_of_its_file_too() {
    let (before, after) = (made(&three("libz.so.1.2")), made(&three("sub/libz.so.1.2")));
    let by_file = step(&[("usr/lib/x86_64-linux-gnu/libz.so.1.2", Look::Content)]);
    assert_ne!(before.projected(&by_file), after.projected(&by_file));
}

#[test]
fn ldconfig_sees_it_whole() {
    assert_eq!(made(&three("libz.so.1")).projected(&step(&[("usr/sbin/ldconfig", Look::Content)])), None);
}

#[test]
fn behind_the_older_form() {
    let libraries = [("libz.so.1", "/lib/libz.so.1", None), ("liba.so.1", "/lib/liba.so.1", None)];
    // Named subfolders are found by offsets from the start of the file, so such a file has none here.
    let mut new = cache(&libraries, "");
    new[32..36].fill(0);
    let with_z = step(&[("usr/lib/libz.so.1", Look::Content)]);
    let alone = LdCache::parse(&new).unwrap().projected(&with_z);
    for entries in [0, 1, 2, 3] {
        assert_eq!(LdCache::parse(&behind_old(&new, entries)).unwrap().projected(&with_z), alone);
    }
    assert!(LdCache::parse(&behind_old(b"", 2)).is_none());
}

#[test]
fn damaged_files_are_seen_whole() {
    let good = cache(&[("libc.so.6", "/lib/libc.so.6", Some("x86-64-v3"))], "x");
    assert!(LdCache::parse(&good).is_some());
    let broken = |at: usize, byte: u8| {
        let mut bytes = good.clone();
        bytes[at] = byte;
        LdCache::parse(&bytes).is_none()
    };
    assert!(LdCache::parse(b"").is_none());
    assert!(LdCache::parse(&good[..40]).is_none());
    assert!(broken(18, b'2'), "another version");
    assert!(broken(23, 0x7f), "more entries than fit");
    assert!(broken(28, 3), "another byte order");
    assert!(broken(33, 0x70), "an extension beyond the end");
    assert!(broken(HEADER + 7, 0x7f), "a name beyond the end");
    assert!(broken(HEADER + 16, 9), "a subfolder that has no name");
}

#[test]
fn the_cache_of_this_machine() {
    let Ok(bytes) = std::fs::read("/etc/ld.so.cache") else { return };
    let cache = LdCache::parse(&bytes).expect("glibc's own cache is understood");
    assert!(!cache.entries.is_empty());
    for entry in &cache.entries {
        assert_eq!(entry.path.first(), Some(&b'/'), "{entry:?}");
        assert!(entry.hwcap_name.as_ref().is_none_or(|name| name.is_ascii()), "{entry:?}");
    }
    let first = String::from_utf8_lossy(last_part(&cache.entries[0].path)).into_owned();
    let one = step(&[(&format!("usr/lib/{first}"), Look::Content)]);
    assert_ne!(cache.projected(&one), cache.projected(&step(&[])));
}

proptest::proptest! {
    #[test]
    fn damage_never_panics(at in 0usize..400, byte: u8, length in 0usize..400) {
        let mut bytes = cache(&[("libc.so.6", "/lib/libc.so.6", Some("v3")), ("liba.so", "/lib/liba.so", None)], "x");
        if let Some(place) = bytes.get_mut(at) {
            *place = byte;
        }
        bytes.truncate(length);
        if let Some(cache) = LdCache::parse(&bytes) {
            std::hint::black_box(cache.projected(&step(&[])));
        }
    }
}
