//! Our Python package: it travels in this program, so that nothing has to be installed.
//!
//! Programs import it from a folder of the home, which is written once for each version of it; calls see it as content.

use std::path::{Path, PathBuf};
use std::{fs, io};

use larder::{Larder, LarderError, ObjectKind};
use parking_lot::Mutex;
use protocol::{Digest, RelPath, TreeEntry};

/// The package's name.
const PACKAGE: &str = "computepods";

macro_rules! files {
    ($($name:literal),* $(,)?) => {
        [$(($name, include_str!(concat!("../../../chefs/python/computepods/", $name)))),*]
    };
}

/// Its files.
const FILES: [(&str, &str); 10] = files![
    "__init__.py",
    "_app.py",
    "_calls.py",
    "_errors.py",
    "_frames.py",
    "_launch.py",
    "_map.py",
    "_results.py",
    "_values.py",
    "_worker.py",
];

/// Two launches at a time write it one after the other.
static WRITING: Mutex<()> = Mutex::new(());

/// The folder for Python's search path; written if it is not there. Folders of other versions go then.
pub fn written(home: &Path) -> io::Result<PathBuf> {
    let text: String = FILES.iter().map(|(name, text)| format!("{name}\0{text}\0")).collect();
    let all = home.join("python");
    let version = Digest::of(text.as_bytes()).to_string().replace("b3:", "");
    let folder = all.join(&version[..16]);
    let _one = WRITING.lock();
    if folder.is_dir() {
        return Ok(folder);
    }
    match fs::remove_dir_all(&all) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let new = all.join("new");
    fs::create_dir_all(new.join(PACKAGE))?;
    for (name, text) in FILES {
        fs::write(new.join(PACKAGE).join(name), text)?;
    }
    fs::rename(&new, &folder)?;
    Ok(folder)
}

/// Its files as calls see them, in a folder of the project.
pub fn entries(larder: &Larder, folder: &RelPath) -> Result<Vec<(RelPath, TreeEntry)>, LarderError> {
    let mut entries = Vec::with_capacity(FILES.len());
    for (name, text) in FILES {
        let digest = larder.put(ObjectKind::Blob, text.as_bytes())?;
        let place = folder.child(PACKAGE.as_bytes()).and_then(|package| package.child(name.as_bytes()));
        let size = text.len() as u64;
        entries.extend(place.map(|place| (place, TreeEntry::File { digest, size, exec: false })));
    }
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_of_the_package_is_in_it() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("chefs/python").join(PACKAGE);
        let names =
            fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names.filter(|name| name != "__pycache__").collect();
        names.sort();
        assert_eq!(names, FILES.map(|(name, _)| name));
    }

    #[test]
    fn it_is_written_once() {
        let home = tempfile::tempdir().unwrap();
        fs::create_dir_all(home.path().join("python/older/computepods")).unwrap();
        let folder = written(home.path()).unwrap();
        fs::write(folder.join("mark"), "").unwrap();
        assert_eq!(written(home.path()).unwrap(), folder);
        assert!(folder.join("mark").exists() && folder.join("computepods/_worker.py").exists());
        assert!(!home.path().join("python/older").exists());
    }
}
