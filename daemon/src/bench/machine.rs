//! Where a bench ran, for whoever reads its figures later.

use std::path::Path;

use serde_json::{Value, json};

/// Processor, kernel, load, file system of `folder`, and how we were built.
pub(super) fn describe(folder: &Path) -> Value {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    let processors = read("/proc/cpuinfo");
    let model = processors.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    json!({
        "cores": cores,
        "processor": model.map(|(_, name)| name),
        "kernel": read("/proc/sys/kernel/osrelease").trim(),
        "load": load(),
        "filesystem": filesystem(&read("/proc/self/mounts"), &folder.canonicalize().unwrap_or_default()),
        "version": env!("CARGO_PKG_VERSION"),
        "optimised": !cfg!(debug_assertions),
    })
}

/// The load of the last one, five and fifteen minutes; a machine that is shared is known by it.
pub(super) fn load() -> Value {
    let told = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    json!(told.split(' ').take(3).collect::<Vec<_>>())
}

/// The kind of the file system that a path lies on.
fn filesystem(mounts: &str, path: &Path) -> Option<String> {
    let mounts = mounts.lines().filter_map(|line| {
        let mut words = line.split(' ').skip(1);
        Some((words.next()?, words.next()?))
    });
    // Of two mounts on one place the later one hides the earlier.
    let over = mounts.filter(|(at, _)| path.starts_with(at)).max_by_key(|(at, _)| at.len());
    over.map(|(_, kind)| kind.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_deepest_mount_counts() {
        let mounts = "/dev/vda / ext4 rw 0 0\ntmpfs /tmp tmpfs rw 0 0\n/dev/vdb /tmp/data xfs rw 0 0\n";
        for (path, kind) in [("/home/a", "ext4"), ("/tmp/x", "tmpfs"), ("/tmp/data/x", "xfs"), ("/tmpx", "ext4")] {
            assert_eq!(filesystem(mounts, Path::new(path)).as_deref(), Some(kind), "{path}");
        }
        assert_eq!(filesystem("", Path::new("/a")), None);
    }
}
