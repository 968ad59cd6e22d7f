//! Debian's Alertmanager.

use std::process::Command;

use tempfile::TempDir;

use super::process::{Process, free_address};

const MISSING: &str = "prometheus-alertmanager is missing; `make test` installs it";
/// A port may be taken between finding it and listening on it.
const TRIES: usize = 5;

/// An Alertmanager that tells one webhook at once.
pub struct Alertmanager {
    pub url: String,
    process: Process,
    folder: TempDir,
}

impl Alertmanager {
    /// Starts one that tells `webhook`.
    pub async fn start(webhook: &str) -> Alertmanager {
        let folder = TempDir::new().unwrap();
        let config = format!(
            "route:\n  receiver: hook\n  group_by: ['...']\n  group_wait: 0s\n  group_interval: 1s\n  \
             repeat_interval: 1h\nreceivers:\n- name: hook\n  webhook_configs:\n  - url: {webhook}/\n    \
             send_resolved: true\n"
        );
        std::fs::write(folder.path().join("alertmanager.yml"), config).unwrap();
        let http = reqwest::Client::new();
        let log = folder.path().join("alertmanager.log");
        for _ in 0..TRIES {
            let address = free_address();
            let mut command = Command::new("prometheus-alertmanager");
            command
                .arg(format!("--config.file={}", folder.path().join("alertmanager.yml").display()))
                .arg(format!("--storage.path={}", folder.path().join("data").display()))
                .arg(format!("--web.listen-address={address}"))
                .arg("--cluster.listen-address=");
            let mut process = Process::start(&mut command, &log).expect(MISSING);
            let url = format!("http://{address}");
            if process.answers(&http, &format!("{url}/-/ready")).await {
                return Alertmanager { url, process, folder };
            }
        }
        panic!("alertmanager did not start: {}", std::fs::read_to_string(log).unwrap_or_default());
    }

    /// The alerts that are active there.
    pub async fn active(&self) -> Vec<serde_json::Value> {
        let url = format!("{}/api/v2/alerts?active=true", self.url);
        reqwest::get(url).await.unwrap().json().await.unwrap()
    }
}
