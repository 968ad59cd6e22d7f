//! Debian's Prometheus with samples that were backfilled.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use reqwest::Certificate;
use tempfile::TempDir;

use super::process::{Process, free_address};
use super::tls::Authority;

/// A port may be taken between finding it and listening on it.
const TRIES: usize = 5;

/// The config of one that scrapes nothing.
const SCRAPES_NOTHING: &str = "global: {}\n";

const MISSING: &str = "prometheus and promtool are missing; `make test` installs them";

/// A Prometheus that knows what it was given, and scrapes nothing unless it is told to.
pub struct Prometheus {
    pub url: String,
    // Before the folder, so that it is gone when its files are removed.
    process: Process,
    folder: TempDir,
    flags: Vec<String>,
}

/// How a Prometheus is guarded.
#[derive(Default)]
pub struct Web {
    /// Serves TLS with a certificate of this authority.
    pub authority: Option<Authority>,
    /// Lets in this user with this bcrypt hash of a password.
    pub user: Option<(&'static str, &'static str)>,
}

impl Prometheus {
    /// Starts one with samples in the OpenMetrics text format.
    pub async fn start(openmetrics: &str) -> Prometheus {
        Prometheus::start_with_flags(openmetrics, &[]).await
    }

    /// Starts one with the samples of an OpenMetrics file.
    pub async fn start_with_file(openmetrics: &Path) -> Prometheus {
        let folder = TempDir::new().unwrap();
        backfill(openmetrics, folder.path());
        run(folder, Web::default(), SCRAPES_NOTHING, &[]).await
    }

    /// Starts one that goes on with what the exporter at `address` says.
    pub async fn start_scraping(openmetrics: &str, address: &str) -> Prometheus {
        let scrapes = format!(
            "global:\n  scrape_interval: 5s\nscrape_configs:\n  - job_name: fleet\n    static_configs:\n      \
             - targets: [\"{address}\"]\n"
        );
        Prometheus::start_with(openmetrics, &scrapes, &[]).await
    }

    /// Starts one with samples and more flags, such as limits.
    pub async fn start_with_flags(openmetrics: &str, flags: &[&str]) -> Prometheus {
        Prometheus::start_with(openmetrics, SCRAPES_NOTHING, flags).await
    }

    async fn start_with(openmetrics: &str, config: &str, flags: &[&str]) -> Prometheus {
        let folder = TempDir::new().unwrap();
        let samples = folder.path().join("samples.txt");
        std::fs::write(&samples, openmetrics).unwrap();
        backfill(&samples, folder.path());
        run(folder, Web::default(), config, flags).await
    }

    /// Starts one behind TLS or a password.
    pub async fn start_guarded(openmetrics: &str, web: Web) -> Prometheus {
        let folder = TempDir::new().unwrap();
        let samples = folder.path().join("samples.txt");
        std::fs::write(&samples, openmetrics).unwrap();
        backfill(&samples, folder.path());
        run(folder, web, SCRAPES_NOTHING, &[]).await
    }

    /// Ends it, and starts it again at the same address with other samples.
    pub async fn start_again_with(&mut self, openmetrics: &str) {
        self.process.kill();
        let folder = self.folder.path();
        std::fs::remove_dir_all(folder.join("data")).unwrap();
        let samples = folder.join("samples.txt");
        std::fs::write(&samples, openmetrics).unwrap();
        backfill(&samples, folder);
        self.start_again().await;
    }

    /// Starts one that was killed again, at the same address with the same samples.
    pub async fn start_again(&mut self) {
        let folder = self.folder.path();
        let address = self.url.rsplit('/').next().unwrap();
        let log = folder.join("prometheus.log");
        self.process = Process::start(command(folder, address).args(&self.flags), &log).expect(MISSING);
        let ready = format!("{}/-/ready", self.url);
        assert!(self.process.answers(&reqwest::Client::new(), &ready).await, "{}", self.process.said());
    }

    /// Ends it at once.
    pub fn kill(&mut self) {
        self.process.kill();
    }
}

fn backfill(samples: &Path, folder: &Path) {
    let output = Command::new("promtool")
        .args(["tsdb", "create-blocks-from", "openmetrics", "--quiet", "--max-block-duration=168h"])
        .arg(samples)
        .arg(folder.join("data"))
        .output()
        .expect(MISSING);
    assert!(output.status.success(), "promtool: {}", String::from_utf8_lossy(&output.stderr));
}

async fn run(folder: TempDir, web: Web, config: &str, flags: &[&str]) -> Prometheus {
    std::fs::write(folder.path().join("prometheus.yml"), config).unwrap();
    std::fs::write(folder.path().join("web.yml"), web_config(&web, folder.path())).unwrap();
    let (scheme, mut http) = ("http", reqwest::Client::builder());
    let scheme = if let Some(authority) = &web.authority {
        http = http.tls_certs_only(Certificate::from_pem_bundle(authority.ca_pem().as_bytes()).unwrap());
        "https"
    } else {
        scheme
    };
    let http = http.build().unwrap();
    let log = folder.path().join("prometheus.log");
    for _ in 0..TRIES {
        let address = free_address();
        let mut process = Process::start(command(folder.path(), &address).args(flags), &log).expect(MISSING);
        let url = format!("{scheme}://{address}");
        // With a password it refuses even to say that it is ready; that it
        // listens is enough there, as early queries are tried again.
        let ready = if web.user.is_some() {
            listens(&address).await
        } else {
            process.answers(&http, &format!("{url}/-/ready")).await
        };
        if ready {
            let flags = flags.iter().map(|flag| (*flag).to_owned()).collect();
            return Prometheus { url, process, folder, flags };
        }
    }
    panic!("prometheus did not start: {}", std::fs::read_to_string(log).unwrap_or_default());
}

fn command(folder: &Path, address: &str) -> Command {
    let mut command = Command::new("prometheus");
    command
        .arg(format!("--config.file={}", folder.join("prometheus.yml").display()))
        .arg(format!("--web.config.file={}", folder.join("web.yml").display()))
        .arg(format!("--storage.tsdb.path={}", folder.join("data").display()))
        .arg(format!("--web.listen-address={address}"))
        .arg("--storage.tsdb.retention.time=10y")
        .arg("--storage.tsdb.min-block-duration=2h")
        .arg("--log.level=warn");
    command
}

async fn listens(address: &str) -> bool {
    for _ in 0..1000 {
        if tokio::net::TcpStream::connect(address).await.is_ok() {
            return true;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    false
}

fn web_config(web: &Web, folder: &Path) -> String {
    let mut text = String::new();
    if let Some(authority) = &web.authority {
        let (certificate, key) = authority.issue(folder);
        let (certificate, key) = (certificate.display(), key.display());
        write!(text, "tls_server_config:\n  cert_file: {certificate}\n  key_file: {key}\n").unwrap();
    }
    if let Some((user, hash)) = web.user {
        write!(text, "basic_auth_users:\n  {user}: {hash}\n").unwrap();
    }
    text
}

/// Samples as OpenMetrics text: a gauge, and for each set of labels (as in
/// `tenant="a"`) the times in seconds with their values.
pub fn openmetrics<'a>(
    families: impl IntoIterator<Item = (&'a str, &'a str, Vec<(String, Vec<(i64, f64)>)>)>,
) -> String {
    let mut text = String::new();
    for (name, kind, series) in families {
        writeln!(text, "# TYPE {} {kind}", name.trim_end_matches("_total")).unwrap();
        for (labels, samples) in series {
            for (seconds, value) in samples {
                writeln!(text, "{name}{{{labels}}} {value} {seconds}").unwrap();
            }
        }
    }
    text.push_str("# EOF\n");
    text
}
