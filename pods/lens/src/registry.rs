//! Lenses by name, as a project file writes them: `NAME` or `NAME:PARAMETERS`.

use std::collections::BTreeMap;
use std::fmt::{Debug, Formatter};
use std::sync::{Arc, LazyLock};

use crate::bibtex_aux::BibtexAux;
use crate::ignore::Ignore;
use crate::key_path::{Format, KeyPath};
use crate::lens::{Normaliser, Projection};
use crate::pdf::{PdfNormaliser, PdfProjection};

/// Why text names no lens.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadLens {
    /// None has this name.
    #[error("there is no lens `{name}`")]
    Unknown {
        /// The part before the `:`.
        name: String,
        /// The names that there are, sorted.
        known: Vec<&'static str>,
    },
    /// It cannot be made with these parameters.
    #[error("`{text}` cannot be: {why}")]
    Parameters {
        /// As it was written.
        text: String,
        /// A fragment.
        why: String,
    },
}

type Make<T> = Box<dyn Fn(Option<&str>) -> Result<Arc<T>, String> + Send + Sync>;

/// The projections and the normalisers that there are.
#[derive(Default)]
pub struct Registry {
    projections: BTreeMap<&'static str, Make<dyn Projection>>,
    normalisers: BTreeMap<&'static str, Make<dyn Normaliser>>,
}

impl Debug for Registry {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Registry")
            .field("projections", &self.projections.keys())
            .field("normalisers", &self.normalisers.keys())
            .finish()
    }
}

/// What is built in.
pub fn builtin() -> &'static Registry {
    static BUILTIN: LazyLock<Registry> = LazyLock::new(Registry::with_builtin);
    &BUILTIN
}

fn bare<T>(parameters: Option<&str>, lens: T) -> Result<Arc<T>, String> {
    match parameters {
        None => Ok(Arc::new(lens)),
        Some(_) => Err("it takes nothing behind its name".to_owned()),
    }
}

impl Registry {
    /// All that is built in, as a registry that more can be added to.
    pub fn with_builtin() -> Self {
        let mut registry = Self::default();
        registry.add_projection(Ignore::NAME, |given| Ok(bare(given, Ignore::new())?));
        registry.add_projection(BibtexAux::NAME, |given| Ok(bare(given, BibtexAux::new())?));
        registry.add_projection(PdfProjection::NAME, |given| Ok(bare(given, PdfProjection::new())?));
        for format in Format::ALL {
            registry.add_projection(format.name(), move |given| {
                Ok(Arc::new(KeyPath::new(format, given.unwrap_or_default())?))
            });
        }
        registry.add_normaliser(PdfNormaliser::NAME, |given| Ok(bare(given, PdfNormaliser::new())?));
        registry
    }

    /// Adds a kind of projection, in place of one with the same name. `make` is given what stands behind the `:`, and
    /// answers with a fragment for people if it makes nothing of that.
    pub fn add_projection(
        &mut self,
        name: &'static str,
        make: impl Fn(Option<&str>) -> Result<Arc<dyn Projection>, String> + Send + Sync + 'static,
    ) {
        self.projections.insert(name, Box::new(make));
    }

    /// Adds a kind of normaliser, as [`Registry::add_projection`] does.
    pub fn add_normaliser(
        &mut self,
        name: &'static str,
        make: impl Fn(Option<&str>) -> Result<Arc<dyn Normaliser>, String> + Send + Sync + 'static,
    ) {
        self.normalisers.insert(name, Box::new(make));
    }

    /// The projection of this name.
    ///
    /// # Errors
    /// There is no such projection, or what stands behind the `:` is none of its.
    pub fn projection(&self, text: &str) -> Result<Arc<dyn Projection>, BadLens> {
        make(&self.projections, text)
    }

    /// The normaliser of this name.
    ///
    /// # Errors
    /// As of [`projection`](Self::projection).
    pub fn normaliser(&self, text: &str) -> Result<Arc<dyn Normaliser>, BadLens> {
        make(&self.normalisers, text)
    }
}

fn make<T: ?Sized>(makers: &BTreeMap<&'static str, Make<T>>, text: &str) -> Result<Arc<T>, BadLens> {
    let (name, parameters) = match text.split_once(':') {
        Some((name, parameters)) => (name, Some(parameters)),
        None => (text, None),
    };
    let Some(make) = makers.get(name) else {
        return Err(BadLens::Unknown { name: name.to_owned(), known: makers.keys().copied().collect() });
    };
    make(parameters).map_err(|why| BadLens::Parameters { text: text.to_owned(), why })
}
