//! The service files name what exists.

use crate::support::{Home, repository};

#[test]
fn the_service_files_run_the_daemon_verb() {
    let unit = std::fs::read_to_string(repository("systemd/clone.service")).unwrap();
    assert!(unit.contains("ExecStart=%h/.cargo/bin/clone daemon") && unit.contains("Type=notify"));
    let plist = std::fs::read_to_string(repository("launchd/is.clone.daemon.plist")).unwrap();
    assert!(plist.contains("<string>/usr/local/bin/clone</string><string>daemon</string>"));
    let help = Home::new().command().arg("--help").output().unwrap();
    assert!(String::from_utf8_lossy(&help.stdout).contains("daemon"));
}

#[test]
fn systemd_hears_that_the_daemon_is_ready() {
    let home = Home::new();
    let path = home.path("notify");
    let socket = std::os::unix::net::UnixDatagram::bind(&path).unwrap();
    let _daemon = home.start_with(&[("NOTIFY_SOCKET", path.to_str().unwrap())]);
    let mut told = [0; 64];
    let length = socket.recv(&mut told).unwrap();
    assert_eq!(&told[..length], b"READY=1");
}
