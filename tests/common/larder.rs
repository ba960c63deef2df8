//! A larder's files on the disk, and damage to them.

use std::fs;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::Place;

/// The files below a folder of a place's larder, in order.
pub fn files(place: &Place, folder: &str) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![place.home().join("larder").join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
            if entry.file_type().unwrap().is_dir() {
                folders.push(entry.path())
            } else {
                files.push(entry.path())
            }
        }
    }
    files.sort();
    files
}

/// Flips a bit at each of these places.
pub fn flip(path: &Path, places: impl Iterator<Item = u64>) {
    let mode = fs::metadata(path).unwrap().permissions();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
    let file = fs::File::options().read(true).write(true).open(path).unwrap();
    for at in places {
        let mut byte = [0];
        file.read_exact_at(&mut byte, at).unwrap();
        file.write_all_at(&[byte[0] ^ 0x10], at).unwrap();
    }
    fs::set_permissions(path, mode).unwrap();
}
