//! What a service manager is told: that the daemon is ready, that it stops, and,
//! where it asks for that, that it is still alive (sd_notify(3) of systemd).
//! Without one, nothing is said to anybody.

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

/// Signs of life sent in the time after which the manager gives up.
const SIGNS_IN_TIME: u32 = 2;

/// The manager that started this process.
#[derive(Debug)]
pub struct Manager {
    socket: UnixDatagram,
    /// The distance of two signs of life; `None` where none are asked for.
    watchdog: Option<Duration>,
}

impl Manager {
    /// The one that the environment names; `None` where there is none.
    pub fn of_environment() -> Option<Manager> {
        let address = std::env::var_os("NOTIFY_SOCKET").filter(|address| !address.is_empty())?;
        let variable = |name: &str| std::env::var(name).ok();
        let for_us = variable("WATCHDOG_PID").is_none_or(|id| id == std::process::id().to_string());
        let within = variable("WATCHDOG_USEC").filter(|_| for_us).and_then(|text| text.parse().ok());
        match connect(&address) {
            Ok(socket) => {
                let watchdog = within.filter(|micros| *micros > 0).map(Duration::from_micros);
                Some(Manager { socket, watchdog: watchdog.map(|limit| limit / SIGNS_IN_TIME) })
            }
            Err(error) => {
                tracing::warn!(?address, "failed to reach the service manager: {error}");
                None
            }
        }
    }

    /// Says that the daemon serves, gives signs of life until `stop`, and says
    /// that it stops. What can't be said is logged: the daemon serves all the same.
    pub async fn accompany(self, status: String, stop: CancellationToken) {
        self.say(&format!("READY=1\nSTATUS={status}"));
        let asked = stop.cancelled_owned();
        tokio::pin!(asked);
        match self.watchdog {
            None => asked.await,
            Some(every) => {
                let mut timer = tokio::time::interval(every);
                loop {
                    tokio::select! {
                        () = &mut asked => break,
                        _ = timer.tick() => self.say("WATCHDOG=1"),
                    }
                }
            }
        }
        self.say("STOPPING=1\nSTATUS=ends what runs");
    }

    fn say(&self, message: &str) {
        if let Err(error) = self.socket.send(message.as_bytes()) {
            tracing::warn!(message, "failed to tell the service manager: {error}");
        }
    }
}

/// A path, or a name without a file behind `@`.
fn connect(address: &OsStr) -> io::Result<UnixDatagram> {
    let address = match address.as_bytes().strip_prefix(b"@") {
        Some(name) => without_a_file(name)?,
        None => SocketAddr::from_pathname(address)?,
    };
    let socket = UnixDatagram::unbound()?;
    // A manager that doesn't listen must not stop the daemon.
    socket.set_nonblocking(true)?;
    socket.connect_addr(&address)?;
    Ok(socket)
}

#[cfg(target_os = "linux")]
fn without_a_file(name: &[u8]) -> io::Result<SocketAddr> {
    <SocketAddr as std::os::linux::net::SocketAddrExt>::from_abstract_name(name)
}

#[cfg(not(target_os = "linux"))]
fn without_a_file(_: &[u8]) -> io::Result<SocketAddr> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(listener: &UnixDatagram) -> String {
        let mut buffer = [0; 256];
        let length = listener.recv(&mut buffer).unwrap();
        String::from_utf8_lossy(&buffer[..length]).into_owned()
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn a_manager_behind_an_abstract_name_hears_all_in_order() {
        let name = format!("plimsoll-test-{}", std::process::id());
        let listener = UnixDatagram::bind_addr(&without_a_file(name.as_bytes()).unwrap()).unwrap();
        listener.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let socket = connect(OsStr::new(&format!("@{name}"))).unwrap();
        let manager = Manager { socket, watchdog: Some(Duration::from_millis(5)) };
        let stop = CancellationToken::new();
        let task = tokio::spawn(manager.accompany("listens".to_owned(), stop.clone()));
        let hears = tokio::task::spawn_blocking(move || {
            let first = [heard(&listener), heard(&listener), heard(&listener)];
            stop.cancel();
            let last = std::iter::repeat_with(|| heard(&listener)).find(|said| said != "WATCHDOG=1");
            (first, last)
        });
        let (first, last) = hears.await.unwrap();
        assert_eq!(first, ["READY=1\nSTATUS=listens", "WATCHDOG=1", "WATCHDOG=1"]);
        assert!(last.unwrap().starts_with("STOPPING=1\n"));
        task.await.unwrap();
    }

    #[test]
    fn an_address_that_nobody_listens_on_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        assert!(connect(folder.path().join("nobody").as_os_str()).is_err());
    }
}
