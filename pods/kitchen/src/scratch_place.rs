//! Where scratch folders are: in the home, or where its file system cannot hold upper folders, in a folder of this user's on another.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use crate::requirements::unfit_at;

/// Where else folders may be, in the order in which they are looked at.
const ELSEWHERE: [&str; 3] = ["/var/tmp", "/tmp", "/dev/shm"];

/// A folder for the scratch folders of a home's kitchens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScratchPlace {
    /// The folder. It may not be there yet if it is the wanted one.
    pub path: PathBuf,
    /// The file system for which it is not the wanted one, such as overlayfs.
    pub instead_of: Option<&'static str>,
}

/// The wanted folder if upper folders can be there, or if they can be nowhere else. Else another, which is made. `owner`: as in
/// [`Podman`](crate::Podman).
pub fn scratch_place(wanted: &Path, owner: &str) -> ScratchPlace {
    let as_wanted = ScratchPlace { path: wanted.to_owned(), instead_of: None };
    let Some(unfit) = wanted.ancestors().find(|folder| folder.is_dir()).and_then(unfit_at) else {
        return as_wanted;
    };
    let made = elsewhere(owner).find(|folder| match make(folder) {
        Ok(()) => true,
        Err(error) => {
            tracing::debug!(folder = %folder.display(), %error, "steps cannot write there");
            false
        }
    });
    made.map_or(as_wanted, |path| ScratchPlace { path, instead_of: Some(unfit) })
}

/// The folders outside of the home in which its steps may write or have written.
pub(crate) fn elsewhere(owner: &str) -> impl Iterator<Item = PathBuf> {
    let name = format!("computepods-{}-{owner}", rustix::process::geteuid().as_raw());
    let fit = ELSEWHERE.into_iter().map(Path::new).filter(|base| base.is_dir() && unfit_at(base).is_none());
    fit.map(move |base| base.join(&name))
}

/// Makes a folder where others may write too: one that is there already must be this user's, and closed to all others.
fn make(folder: &Path) -> io::Result<()> {
    match fs::DirBuilder::new().mode(0o700).create(folder) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        made => return made,
    }
    let meta = fs::symlink_metadata(folder)?;
    let is_ours = meta.is_dir() && meta.uid() == rustix::process::geteuid().as_raw();
    match is_ours && meta.mode() & 0o077 == 0 {
        true => Ok(()),
        false => Err(io::Error::other("somebody else has made it, or may enter it")),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn a_folder_that_others_made_is_not_taken() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("folder");
        make(&folder).unwrap();
        assert_eq!(fs::metadata(&folder).unwrap().mode() & 0o777, 0o700);
        make(&folder).unwrap();
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o770)).unwrap();
        assert!(make(&folder).is_err());
        let link = place.path().join("link");
        symlink("/root", &link).unwrap();
        assert!(make(&link).is_err());
        fs::write(place.path().join("file"), "").unwrap();
        assert!(make(&place.path().join("file")).is_err());
    }
}
