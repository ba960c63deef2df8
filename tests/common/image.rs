//! An image with some of this machine's packages, put together from what this machine has installed: no registry has to be reached.

use std::cell::RefCell;
use std::path::Path;
use std::process::{Command, Stdio};

use super::place::Place;

/// Lists packages and their libraries as Debian's packages have them, and packs what is listed.
const PACK: &str = r#"
set -eu
packages=$(apt-cache depends --recurse --installed --no-recommends --no-suggests --no-conflicts --no-breaks --no-replaces \
    --no-enhances $2 | grep '^[a-z0-9]' | sort -u)
dpkg -L $packages | grep '^/.' \
    | grep -Ev '^/usr/share/(doc|man|info|locale|lintian|perl|i18n)|/lto(1|-)|/var/|^/etc/|perl|san\.(a|so)|/libc\.a|icu' \
    | sed -E 's,^/,,; s,^(bin|sbin|lib|lib64)/,usr/\1/,' | sort -u > "$1.list"
tar -C / -c --no-recursion --ignore-failed-read -T "$1.list" -f "$1"
"#;

/// An image in the storage of a place's user; it goes with this value.
pub struct Image<'p> {
    place: &'p Place,
    pub name: String,
    /// The numbers of all that it has been.
    made: RefCell<Vec<String>>,
}

impl<'p> Image<'p> {
    /// Makes one with a C compiler.
    pub fn with_a_compiler(place: &'p Place) -> Self {
        Self::with(place, "gcc libc6-dev dash coreutils")
    }

    /// Makes one with these packages.
    pub fn with(place: &'p Place, packages: &str) -> Self {
        let file = place.path().join("image.tar");
        let packed = Command::new("sh").args(["-c", PACK, "sh"]).arg(&file).arg(packages).output().unwrap();
        assert!(packed.status.success(), "{}", String::from_utf8_lossy(&packed.stderr));
        let unique = place.path().file_name().unwrap().to_string_lossy().to_lowercase();
        let image = Self { place, name: format!("localhost/{unique}:1"), made: RefCell::default() };
        image.import(&file);
        image
    }

    /// Puts another one into its place, with one more file.
    pub fn make_again_with(&self, path: &str, text: &str) {
        let folder = self.place.path().join("more");
        let file = folder.join(path);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, text).unwrap();
        let archive = self.place.path().join("image.tar");
        let added =
            Command::new("tar").arg("-C").arg(&folder).arg("-rf").arg(&archive).arg(path).status().unwrap();
        assert!(added.success());
        self.import(&archive);
    }

    fn import(&self, archive: &Path) {
        let archive = std::fs::File::open(archive).unwrap();
        let imported = self
            .place
            .podman()
            .args(["import", "-", &self.name])
            .stdin(Stdio::from(archive))
            .output()
            .unwrap();
        assert!(imported.status.success(), "{}", String::from_utf8_lossy(&imported.stderr));
        self.made.borrow_mut().push(self.id());
    }

    /// Takes it out of the storage, whoever uses it.
    pub fn remove(&self) {
        let removed = self.place.podman().args(["rmi", "--force", &self.name]).output().unwrap();
        assert!(removed.status.success(), "{}", String::from_utf8_lossy(&removed.stderr));
    }

    /// Its number, which changes with each making.
    pub fn id(&self) -> String {
        let told = self
            .place
            .podman()
            .args(["image", "inspect", "--format", "{{.Id}}", &self.name])
            .output()
            .unwrap();
        String::from_utf8_lossy(&told.stdout).trim().to_owned()
    }

    /// A layer over it, with this file.
    pub fn lay_over(&self, path: &str, text: &str) {
        let folder = self.place.path().join("context");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("file"), text).unwrap();
        std::fs::write(folder.join("Containerfile"), format!("FROM {}\nCOPY file {path}\n", self.name))
            .unwrap();
        let built = self
            .place
            .podman()
            .args(["build", "--quiet", "--layers", "--isolation", "chroot", "--tag", &self.name])
            .arg(&folder)
            .output()
            .unwrap();
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
        self.made.borrow_mut().push(self.id());
    }
}

impl Drop for Image<'_> {
    fn drop(&mut self) {
        // Those above go before those that they lie over.
        for id in self.made.get_mut().iter().rev() {
            self.place.podman().args(["rmi", "--force", id]).output().ok();
        }
    }
}
