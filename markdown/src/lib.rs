//! Text to memory and back, without losing a byte that a person typed.
//!
//! # Code map
//!
//! - [`document`]: any text as BOM, front matter and body; reading never fails and writing gives back the same bytes.
//! - [`front_matter`]: the small part of YAML that is understood; the rest is kept as it is and reported.
//! - [`fact`], [`episode`], [`profile`]: the files of the vault; what a person left out stays absent in a draft.
//! - [`edit`]: sets one key and leaves every other byte alone.
//! - [`merge`]: what Clone would write now into what a person made of it; [`lines`]: what changed between two texts.
//! - [`name`]: slugs and short ids for file names.
//! - [`problem`]: what is wrong with a file, where, and how to mend it.
//!
//! No file, clock or environment is touched here.

pub mod document;
pub mod edit;
pub mod episode;
pub mod fact;
pub mod front_matter;
pub mod lines;
pub mod merge;
pub mod name;
pub mod problem;
pub mod profile;
mod scalar;

pub use document::Document;
pub use problem::Problem;
