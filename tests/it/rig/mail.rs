//! A real mail server: aiosmtpd, that keeps each letter as a file.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::process::{Process, free_address};
use super::python::python_package;

const PATIENCE: Duration = Duration::from_secs(60);

/// Refuses the first letters for now, then takes them.
const SERVER: &str = "
import sys, time, itertools
from aiosmtpd.controller import Controller
host, port, folder, refuse = sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4])
guards = {}
if len(sys.argv) > 5:
    import ssl
    from aiosmtpd.smtp import AuthResult
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(sys.argv[5], sys.argv[6])
    def known(server, session, envelope, mechanism, data):
        return AuthResult(success=(data.login, data.password) == (b'ada', b's3cret'), handled=False)
    guards = dict(tls_context=context, require_starttls=True, auth_required=True, authenticator=known)
counter = itertools.count()
class Keep:
    async def handle_DATA(self, server, session, envelope):
        number = next(counter)
        if number < refuse:
            return '451 come again later'
        with open(f'{folder}/{number:04}.part', 'wb') as file:
            file.write(envelope.content)
        import os
        os.rename(f'{folder}/{number:04}.part', f'{folder}/{number:04}.eml')
        return '250 taken'
Controller(Keep(), hostname=host, port=port, **guards).start()
time.sleep(3600)
";

/// Reads a letter as a mail client does: a line each for its subject, sender,
/// receivers and id, then each part's type, file name and content in base64.
const READ: &str = "
import sys, json, base64, email, email.policy
with open(sys.argv[1], 'rb') as file:
    letter = email.message_from_binary_file(file, policy=email.policy.default)
parts = [{'type': part.get_content_type(), 'name': part.get_filename(),
          'content': base64.b64encode(part.get_payload(decode=True)).decode()}
         for part in letter.walk() if not part.is_multipart()]
print(json.dumps({'subject': letter['subject'], 'from': letter['from'], 'to': letter['to'],
                  'id': letter['message-id'], 'parts': parts}))
";

/// The mail server.
pub struct MailServer {
    /// Where it listens, as `host:port`.
    pub address: String,
    python: PathBuf,
    // Before the folder, so that it is gone when its files are removed.
    process: Process,
    folder: TempDir,
}

impl MailServer {
    /// Starts one that refuses the first `refuse` letters; `None`, and a word of
    /// it, where aiosmtpd can't be had.
    pub async fn start(refuse: usize) -> Option<MailServer> {
        MailServer::start_with(refuse, &[]).await
    }

    /// Starts one that takes letters of ada with the password s3cret only, after
    /// STARTTLS with this certificate and its key.
    pub async fn start_guarded(certificate: &Path, key: &Path) -> Option<MailServer> {
        MailServer::start_with(0, &[certificate, key]).await
    }

    async fn start_with(refuse: usize, guards: &[&Path]) -> Option<MailServer> {
        let python = python_package("aiosmtpd", "1.4.6")?.join("python");
        let folder = TempDir::new().unwrap();
        let address = free_address();
        let (host, port) = address.split_once(':').unwrap();
        let mut command = Command::new(&python);
        command.args(["-c", SERVER, host, port]).arg(folder.path()).arg(refuse.to_string()).args(guards);
        let process = Process::start(&mut command, &folder.path().join("smtp.log")).unwrap();
        let begin = Instant::now();
        while tokio::net::TcpStream::connect(&address).await.is_err() {
            assert!(begin.elapsed() < PATIENCE, "the mail server did not start: {}", process.said());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Some(MailServer { address, python, process, folder })
    }

    /// Waits until it has taken `count` letters, and reads them.
    pub async fn wait_for(&self, count: usize) -> Vec<serde_json::Value> {
        let begin = Instant::now();
        loop {
            let letters = letters(self.folder.path());
            if letters.len() >= count {
                return letters.iter().map(|letter| self.read(letter)).collect();
            }
            assert!(begin.elapsed() < PATIENCE, "only {} of {count} letters came", letters.len());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    fn read(&self, letter: &Path) -> serde_json::Value {
        let output = Command::new(&self.python).args(["-c", READ]).arg(letter).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }
}

fn letters(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut found: Vec<PathBuf> =
        entries.filter(|path| path.extension().is_some_and(|ending| ending == "eml")).collect();
    found.sort();
    found
}
