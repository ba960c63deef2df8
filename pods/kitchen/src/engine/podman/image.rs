//! Images of the local podman storage, as folders that a view can show.
//!
//! An image of one layer is a folder already. Several are laid over each other by a mount that nobody but this process has, and that goes with it:
//! podman's own would stay when we are killed. Nothing is started and nothing copied.

use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsconfig_set_string, fsmount, fsopen,
};

use super::ask;
use super::command::PODMAN;
use super::runtime::no_podman;
use crate::error::{KitchenError, Missing};

const WHY: &str = "`image` names what steps see instead of this machine's tools";

/// The files of an image. They can be read as long as this lives, and as podman has it.
#[derive(Debug)]
pub struct ImageRoot {
    name: String,
    /// Its number in podman's storage: another image may get the name.
    id: String,
    path: PathBuf,
    _layers: Option<OwnedFd>,
}

impl ImageRoot {
    /// Finds an image by a name that podman knows.
    ///
    /// # Errors
    /// There is no podman or no such image, or it cannot be shown here; with advice.
    pub fn open(name: &str) -> Result<Self, KitchenError> {
        let missing = |what: String, mend: String| Missing { what, why: WHY, mend };
        let format = "{{.GraphDriver.Name}}\n{{.Id}}\n{{range $key, $value := .GraphDriver.Data}}{{$key}} {{$value}}\n{{end}}";
        let told = match podman(&["image", "inspect", "--format", format, "--", name])? {
            Ok(told) => told,
            Err(said) => {
                tracing::debug!(said, "podman has no such image");
                let mend =
                    format!("podman pull {name}, or make it: tar -C FOLDER -c . | podman import - {name}");
                return Err(
                    missing(format!("there is no image `{name}` in podman's storage here"), mend).into()
                );
            }
        };
        let told = Told::read(&told);
        let root = |path: PathBuf, layers: Option<OwnedFd>| Self {
            name: name.to_owned(),
            id: told.id.to_owned(),
            path,
            _layers: layers,
        };
        match (told.driver, told.layers.as_slice()) {
            ("overlay", [one]) => Ok(root(one.clone(), None)),
            ("overlay", layers @ [_, ..]) => match overlay(layers) {
                Ok(mount) => {
                    let path = PathBuf::from(format!("/proc/self/fd/{}", mount.as_raw_fd()));
                    Ok(root(path, Some(mount)))
                }
                Err(error) => {
                    tracing::debug!(%error, "layers cannot be laid over each other");
                    let what = format!(
                        "the image `{name}` has {} layers, which this user cannot lay over each other",
                        layers.len()
                    );
                    let mend = format!(
                        "make it one layer: podman export $(podman create {name}) | podman import - {name}"
                    );
                    Err(missing(what, mend).into())
                }
            },
            // Each layer is a whole copy; a mount is but the name of the last.
            ("vfs", _) => Ok(root(whole_copy(name)?, None)),
            (driver, _) => {
                let what = format!("podman's storage driver `{driver}` is not known here");
                Err(missing(what, "use the driver `overlay` or `vfs`: containers-storage.conf(5)".to_owned())
                    .into())
            }
        }
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether podman still has it: nobody can hold an image. Blocks until podman has said so.
    ///
    /// # Errors
    /// It was removed; with advice. Or podman cannot be asked.
    pub fn check(&self) -> Result<(), KitchenError> {
        let Self { name, id, .. } = self;
        match podman(&["image", "exists", id])? {
            // What it complains of is no word on the image.
            Err(said) if said.trim().is_empty() => Err(Missing {
                what: format!("the image `{name}` was removed while a step saw its files"),
                why: WHY,
                mend: format!("podman pull {name}, or make it again, and build again; nothing was lost"),
            }
            .into()),
            _ => Ok(()),
        }
    }
}

/// What podman says of where an image is.
struct Told<'a> {
    driver: &'a str,
    id: &'a str,
    /// Folders of the layers, the uppermost first.
    layers: Vec<PathBuf>,
}

impl<'a> Told<'a> {
    fn read(text: &'a str) -> Self {
        let mut lines = text.lines();
        let driver = lines.next().unwrap_or_default().trim();
        let id = lines.next().unwrap_or_default().trim();
        let field = |name: &str| {
            let find =
                |line: &'a str| line.split_once(' ').filter(|(key, _)| *key == name).map(|(_, value)| value);
            text.lines().find_map(find).unwrap_or_default()
        };
        let layers = [field("UpperDir"), field("LowerDir")];
        let layers = layers.iter().flat_map(|text| text.split(':')).filter(|layer| !layer.is_empty());
        Self { driver, id, layers: layers.map(PathBuf::from).collect() }
    }
}

/// Layers laid over each other, read-only, in a mount that stands nowhere.
fn overlay(layers: &[PathBuf]) -> rustix::io::Result<OwnedFd> {
    let context = fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC)?;
    for layer in layers {
        match fsconfig_set_string(&context, "lowerdir+", layer) {
            // Linux before 6.7 does not know it.
            Err(rustix::io::Errno::INVAL) => return overlay_at_once(layers),
            set => set?,
        }
    }
    mounted(&context)
}

/// The same by one word that names all layers. It may have 255 bytes: they are named by descriptors, which have room for a dozen.
fn overlay_at_once(layers: &[PathBuf]) -> rustix::io::Result<OwnedFd> {
    let open = |layer: &PathBuf| rustix::fs::open(layer, OFlags::PATH | OFlags::CLOEXEC, Mode::empty());
    let layers: Vec<OwnedFd> = layers.iter().map(open).collect::<Result<_, _>>()?;
    let names: Vec<String> =
        layers.iter().map(|layer| format!("/proc/self/fd/{}", layer.as_raw_fd())).collect();
    let context = fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_set_string(&context, "lowerdir", names.join(":"))?;
    mounted(&context)
}

fn mounted(context: &OwnedFd) -> rustix::io::Result<OwnedFd> {
    fsconfig_create(context)?;
    let attributes = MountAttrFlags::MOUNT_ATTR_RDONLY
        | MountAttrFlags::MOUNT_ATTR_NOSUID
        | MountAttrFlags::MOUNT_ATTR_NODEV;
    fsmount(context, FsMountFlags::FSMOUNT_CLOEXEC, attributes)
}

fn whole_copy(name: &str) -> Result<PathBuf, KitchenError> {
    // An ordinary user's storage is mounted in podman's namespace; the folder is the same here.
    let words: &[&str] = if rustix::process::geteuid().is_root() { &[] } else { &["unshare", PODMAN] };
    let ask = |what| podman(&[words, &["image", what, "--", name]].concat());
    let failed = |said: String| KitchenError::Talk(std::io::Error::other(said));
    let told = ask("mount")?.map_err(failed)?;
    if let Err(said) = ask("unmount")? {
        tracing::debug!(said, "podman counts this use of an image for longer than it lasts");
    }
    Ok(PathBuf::from(told.trim()))
}

/// What podman says, or what it complains of.
fn podman(words: &[&str]) -> Result<Result<String, String>, KitchenError> {
    ask::podman(words, ask::PATIENCE).map_err(|source| match source.kind() {
        std::io::ErrorKind::NotFound => no_podman().into(),
        _ => KitchenError::Spawn { program: PODMAN.into(), source },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn older_kernels_lay_the_same_layers_over_each_other() {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        // So deep that two of the paths would be too long for one word.
        let layer = |name: &str| {
            let layer = folder.path().join(name.repeat(120)).join("diff");
            std::fs::create_dir_all(&layer).unwrap();
            std::fs::write(layer.join("both"), name).unwrap();
            std::fs::write(layer.join(name), name).unwrap();
            layer
        };
        let layers = ["a", "b", "c"].map(layer);
        for lay in [overlay, overlay_at_once] {
            let mount = lay(&layers).unwrap();
            let read = |name: &str| {
                std::fs::read_to_string(format!("/proc/self/fd/{}/{name}", mount.as_raw_fd())).unwrap()
            };
            assert_eq!(["both", "a", "b", "c"].map(read), ["a", "a", "b", "c"], "the first one is on top");
        }
    }

    #[test]
    fn layers_come_from_the_top_down() {
        let told = Told::read("overlay\nabc\nLowerDir /b/diff:/c/diff\nMergedDir /m\nUpperDir /a/diff\n");
        assert_eq!(
            (told.driver, told.id, told.layers),
            ("overlay", "abc", ["/a/diff", "/b/diff", "/c/diff"].map(PathBuf::from).to_vec())
        );
        assert!(Told::read("vfs\nabc\n").layers.is_empty());
    }
}
