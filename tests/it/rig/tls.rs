//! A certificate authority of our own, made by openssl for one test.

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

/// Signs certificates for 127.0.0.1.
pub struct Authority {
    folder: TempDir,
}

impl Authority {
    pub fn new() -> Authority {
        let folder = TempDir::new().unwrap();
        openssl(
            folder.path(),
            "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -keyout ca.key -out ca.pem -subj /CN=rig -addext basicConstraints=critical,CA:TRUE",
        );
        Authority { folder }
    }

    /// Its own certificate, which a client must trust.
    pub fn ca_pem(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("ca.pem")).unwrap()
    }

    /// Puts a certificate and its key into `folder`.
    pub fn issue(&self, folder: &Path) -> (PathBuf, PathBuf) {
        let here = self.folder.path();
        std::fs::write(here.join("leaf.cnf"), "subjectAltName=IP:127.0.0.1\nbasicConstraints=CA:FALSE\n")
            .unwrap();
        openssl(
            here,
            "req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout leaf.key -out leaf.csr -subj /CN=127.0.0.1",
        );
        openssl(
            here,
            "x509 -req -in leaf.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -out leaf.pem -extfile leaf.cnf",
        );
        let place = |name: &str| {
            std::fs::copy(here.join(name), folder.join(name)).unwrap();
            folder.join(name)
        };
        (place("leaf.pem"), place("leaf.key"))
    }
}

fn openssl(folder: &Path, arguments: &str) {
    let output = Command::new("openssl").args(arguments.split(' ')).current_dir(folder).output();
    let output = output.expect("openssl is missing; `make test` installs it");
    assert!(output.status.success(), "openssl {arguments}: {}", String::from_utf8_lossy(&output.stderr));
}
