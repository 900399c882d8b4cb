//! `import auto`: what is on this machine, shown before anything is read.

use std::path::PathBuf;

use serde_json::json;

use super::super::demo::agreed;
use super::super::{Context, print};
use super::Import;
use crate::failure::Failure;
use crate::paths;
use crate::sources::{self, Format};

/// One agent's history.
struct Found {
    format: Format,
    paths: Vec<PathBuf>,
    files: u64,
    bytes: u64,
}

/// Where an agent keeps its transcripts, where it has any.
pub(super) fn standard(context: &Context, format: Format) -> Result<Vec<PathBuf>, Failure> {
    let mut folders = paths::transcripts(&context.env, format.name());
    folders.retain(|folder| folder.is_dir());
    if folders.is_empty() {
        let failure = Failure::usage(format!("no {} history where it is kept", format.name()));
        return Err(failure.hint(match format {
            Format::OpenCode => "write a session out with `opencode export ID > session.json`, and name that file",
            _ => "name the files, or folders of them",
        }));
    }
    Ok(folders)
}

/// Finds, shows, asks, and imports what was agreed to.
pub(super) fn run(context: &Context, arguments: &Import) -> Result<u8, Failure> {
    if !arguments.paths.is_empty() {
        return Err(Failure::usage("`auto` takes no paths").hint("name the format to import files of your choice"));
    }
    let found: Vec<Found> = Format::ALL.into_iter().filter_map(|format| look(context, format)).collect();
    if context.json && !arguments.yes {
        let told = |found: &Found| json!({"format": found.format.name(), "folders": found.paths, "files": found.files, "bytes": found.bytes});
        print::value(&json!(found.iter().map(told).collect::<Vec<_>>()));
        return Ok(0);
    }
    if found.is_empty() {
        print::note("no agent's history was found; `clone import FORMAT PATH` takes files from elsewhere");
    }
    for one in found {
        let (name, files) = (one.format.name(), print::count(one.files, "file"));
        print::note(format!("{name}: {files}, {}, in {}", print::size(one.bytes), one.paths[0].display()));
        if arguments.dry_run || !(arguments.yes || agreed(&format!("import {name}? [y/N] "))) {
            continue;
        }
        let asks = || !arguments.yes && agreed(&format!("and follow {name} from now on? [y/N] "));
        let watch = Format::FOLLOWED.contains(&one.format) && (arguments.watch || asks());
        let (include, exclude) = (arguments.include.clone(), arguments.exclude.clone());
        let import =
            Import { format: name.to_owned(), paths: one.paths, include, exclude, dry_run: false, watch, yes: false };
        super::run(context, import)?;
    }
    Ok(0)
}

fn look(context: &Context, format: Format) -> Option<Found> {
    let mut paths = paths::transcripts(&context.env, format.name());
    paths.retain(|folder| folder.is_dir());
    let files: Vec<PathBuf> =
        paths.iter().filter_map(|path| sources::transcripts(format, path).ok()).flatten().collect();
    let bytes = files.iter().filter_map(|file| file.metadata().ok()).map(|meta| meta.len()).sum();
    (!files.is_empty()).then_some(Found { format, paths, files: files.len() as u64, bytes })
}
