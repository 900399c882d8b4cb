//! Makes the listeners: a private socket in a private folder, and TCP on loopback only.
//!
//! The folder is what keeps others out between `bind` and `chmod`, so it is made, and checked, first. A socket file is
//! removed only after a connection to it was refused: one that answers belongs to a daemon that lives.

use std::fs::{DirBuilder, Permissions};
use std::io::ErrorKind;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use tokio::net::{TcpListener, UnixListener};

/// The longest path that fits a Unix socket address, in bytes.
pub const MAX_SOCKET_PATH: usize = 107;

/// Why a door could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// The path does not fit a socket address.
    #[error(
        "the socket path `{path}` is {length} bytes, the most is {MAX_SOCKET_PATH}; set CLONE_HOME to a shorter folder"
    )]
    PathTooLong {
        /// The path.
        path: PathBuf,
        /// Its length in bytes.
        length: usize,
    },
    /// The path names no file inside a folder.
    #[error("the socket path `{0}` has no folder")]
    NoFolder(PathBuf),
    /// The folder is a symbolic link, a file or the like.
    #[error("the socket folder `{0}` is a symbolic link or not a folder; remove it")]
    NotAFolder(PathBuf),
    /// The folder belongs to someone else.
    #[error("the socket folder `{path}` belongs to user {owner}; use a folder of your own")]
    ForeignFolder {
        /// The folder.
        path: PathBuf,
        /// The uid it belongs to.
        owner: u32,
    },
    /// Others may enter the folder.
    #[error("the socket folder `{path}` has the mode {mode:03o}, so others may enter it; run `chmod 700` on it")]
    OpenFolder {
        /// The folder.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// Something that is no socket lies in the way.
    #[error("`{0}` exists and is not a socket; move it away")]
    NotASocket(PathBuf),
    /// Another daemon answers on the socket.
    #[error("another daemon answers on `{0}`; stop it first")]
    InUse(PathBuf),
    /// The operating system said no.
    #[error("could not {action} `{place}`: {source}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        place: String,
        /// What the operating system said.
        source: std::io::Error,
    },
}

fn io(action: &'static str, place: impl std::fmt::Display) -> impl FnOnce(std::io::Error) -> BindError {
    let place = place.to_string();
    move |source| BindError::Io { action, place, source }
}

/// Binds the Unix socket: folder 0700 made first, a stale socket removed, the socket 0600. Needs a tokio runtime.
///
/// # Errors
///
/// Every [`BindError`].
pub fn bind_unix(path: &Path) -> Result<UnixListener, BindError> {
    let length = path.as_os_str().len();
    if length > MAX_SOCKET_PATH {
        return Err(BindError::PathTooLong { path: path.to_owned(), length });
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    private_folder(folder.ok_or_else(|| BindError::NoFolder(path.to_owned()))?)?;
    clear(path)?;
    let listener = UnixListener::bind(path).map_err(io("bind", path.display()))?;
    std::fs::set_permissions(path, Permissions::from_mode(0o600)).map_err(io("protect", path.display()))?;
    Ok(listener)
}

/// Makes the folder with mode 0700, or checks that one which exists is ours and closed to others.
fn private_folder(folder: &Path) -> Result<(), BindError> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => BindError::NotAFolder(folder.to_owned()),
        _ => io("make the folder", folder.display())(error),
    })?;
    let found = std::fs::symlink_metadata(folder).map_err(io("look at", folder.display()))?;
    if !found.is_dir() {
        return Err(BindError::NotAFolder(folder.to_owned()));
    }
    check_owner(folder, found.uid(), rustix::process::geteuid().as_raw())?;
    let mode = found.mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(BindError::OpenFolder { path: folder.to_owned(), mode });
    }
    Ok(())
}

fn check_owner(folder: &Path, owner: u32, ours: u32) -> Result<(), BindError> {
    if owner == ours { Ok(()) } else { Err(BindError::ForeignFolder { path: folder.to_owned(), owner }) }
}

/// Removes a socket that nobody answers on.
fn clear(path: &Path) -> Result<(), BindError> {
    let found = match std::fs::symlink_metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(io("look at", path.display())(error)),
    };
    if !found.file_type().is_socket() {
        return Err(BindError::NotASocket(path.to_owned()));
    }
    match std::os::unix::net::UnixStream::connect(path) {
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => {
            std::fs::remove_file(path).map_err(io("remove the stale socket", path.display()))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) if error.kind() == ErrorKind::WouldBlock => Err(BindError::InUse(path.to_owned())),
        Err(error) => Err(io("try the socket", path.display())(error)),
        Ok(_) => Err(BindError::InUse(path.to_owned())),
    }
}

/// Binds TCP on loopback; any other host becomes `127.0.0.1`, and the second value says so. Port 0 is any free one.
///
/// # Errors
///
/// [`BindError::Io`], as for a port that is taken.
pub async fn bind_tcp(host: &str, port: u16) -> Result<(TcpListener, Option<String>), BindError> {
    let (address, warning) = loopback(host, port);
    let listener = TcpListener::bind(address).await.map_err(io("bind", address))?;
    Ok((listener, warning))
}

fn loopback(host: &str, port: u16) -> (SocketAddr, Option<String>) {
    let home = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    match host {
        "" | "localhost" | "127.0.0.1" => (home, None),
        "::1" | "[::1]" => (SocketAddr::from((Ipv6Addr::LOCALHOST, port)), None),
        _ => (home, Some(format!("`{host}` is not loopback; listening on 127.0.0.1 instead"))),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn home() -> tempfile::TempDir {
        tempfile::tempdir().expect("tempdir")
    }

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).expect("metadata").mode() & 0o777
    }

    #[tokio::test]
    async fn the_folder_and_the_socket_are_private() {
        let home = home();
        let path = home.path().join("run/clone/clone.sock");
        let _listener = bind_unix(&path).expect("bind");
        assert_eq!(mode(&path), 0o600);
        assert_eq!(mode(&home.path().join("run/clone")), 0o700);
        assert_eq!(mode(&home.path().join("run")), 0o700);
    }

    #[tokio::test]
    async fn a_stale_socket_is_recovered_and_a_live_one_is_not() {
        let home = home();
        let path = home.path().join("run/clone.sock");
        drop(bind_unix(&path).expect("first"));
        assert!(path.exists(), "a dropped listener leaves its socket behind");
        let live = bind_unix(&path).expect("over the stale one");
        assert!(matches!(bind_unix(&path), Err(BindError::InUse(_))));
        assert!(path.exists(), "the socket of a live daemon is never removed");
        drop(live);
    }

    #[tokio::test]
    async fn a_file_in_the_way_is_never_removed() {
        let home = home();
        let path = home.path().join("run/clone.sock");
        drop(bind_unix(&path).expect("make the folder"));
        std::fs::remove_file(&path).expect("remove");
        std::fs::write(&path, "mine").expect("write");
        assert!(matches!(bind_unix(&path), Err(BindError::NotASocket(_))));
        assert_eq!(std::fs::read_to_string(&path).expect("read"), "mine");
    }

    #[tokio::test]
    async fn folders_that_others_control_are_refused() {
        let home = home();
        let real = home.path().join("real");
        DirBuilder::new().mode(0o700).create(&real).expect("real");
        symlink(&real, home.path().join("link")).expect("symlink");
        let linked = bind_unix(&home.path().join("link/clone.sock"));
        assert!(matches!(linked, Err(BindError::NotAFolder(_))), "{linked:?}");
        for open in [0o755, 0o770, 0o701, 0o777] {
            std::fs::set_permissions(&real, Permissions::from_mode(open)).expect("chmod");
            match bind_unix(&real.join("clone.sock")) {
                Err(BindError::OpenFolder { mode, .. }) => assert_eq!(mode, open),
                other => panic!("{open:o}: {other:?}"),
            }
        }
        std::fs::write(home.path().join("file"), "").expect("write");
        let file = bind_unix(&home.path().join("file/clone.sock"));
        assert!(matches!(file, Err(BindError::NotAFolder(_))), "{file:?}");
        assert!(matches!(check_owner(&real, 1, 2), Err(BindError::ForeignFolder { owner: 1, .. })));
    }

    #[tokio::test]
    async fn a_path_over_the_limit_is_named() {
        let home = home();
        let room = MAX_SOCKET_PATH - home.path().as_os_str().len() - "/run/".len();
        let fits = home.path().join("run").join("s".repeat(room));
        drop(bind_unix(&fits).expect("107 bytes fit"));
        match bind_unix(&home.path().join("run").join("s".repeat(room + 1))) {
            Err(BindError::PathTooLong { length, .. }) => assert_eq!(length, MAX_SOCKET_PATH + 1),
            other => panic!("{other:?}"),
        }
        assert!(matches!(bind_unix(Path::new("clone.sock")), Err(BindError::NoFolder(_))));
    }

    #[tokio::test]
    async fn tcp_is_loopback_whatever_is_asked() {
        for (host, warns) in
            [("127.0.0.1", false), ("localhost", false), ("0.0.0.0", true), ("::", true), ("example.org", true)]
        {
            let (listener, warning) = bind_tcp(host, 0).await.expect("bind");
            assert!(listener.local_addr().expect("address").ip().is_loopback(), "{host}");
            assert_eq!(warning.is_some(), warns, "{host}");
        }
        assert_eq!(loopback("[::1]", 9).0.to_string(), "[::1]:9");
    }
}
