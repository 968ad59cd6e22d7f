//! The real daemon.

use std::process::{Command, ExitStatus, Output};

use reqwest::{Method, RequestBuilder};
use tempfile::TempDir;

use super::process::Process;

/// A running `plimsoll serve`.
pub struct Daemon {
    /// Where it listens.
    pub url: String,
    /// The bearer token of its config; empty where that has none.
    pub token: String,
    // Before the folder, so that it is gone when its files are removed.
    process: Process,
    folder: TempDir,
    http: reqwest::Client,
}

impl Daemon {
    /// Starts one on a config that gives `[server] listen_address` (see
    /// [`free_address`](super::free_address)) and `token`. The config lies in a
    /// folder of its own, where relative paths begin.
    pub async fn start(config: &str) -> Daemon {
        Daemon::start_among(config, &[]).await
    }

    /// The same with more variables in its environment.
    pub async fn start_among(config: &str, environment: &[(&str, &str)]) -> Daemon {
        let folder = TempDir::new().unwrap();
        std::fs::write(folder.path().join("plimsoll.toml"), config).unwrap();
        let table: toml::Table = config.parse().expect("the config is no TOML");
        let server = |key: &str| table.get("server").and_then(|server| server.get(key)?.as_str());
        let url =
            format!("http://{}", server("listen_address").expect("the config has no server.listen_address"));
        let token = server("token").unwrap_or_default().to_owned();
        let http = reqwest::Client::new();
        let process = serve(&folder, &http, &url, environment).await;
        Daemon { url, token, process, folder, http }
    }

    /// Starts it again with the same config and files, after it has ended.
    pub async fn start_again(&mut self) {
        self.process = serve(&self.folder, &self.http, &self.url, &[]).await;
    }

    /// A request to a path such as `/v1/tenants`, with the token.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.url)).bearer_auth(&self.token)
    }

    /// A `GET` with the token.
    pub fn get(&self, path: &str) -> RequestBuilder {
        self.request(Method::GET, path)
    }

    /// What the command line says of it, asked with its token.
    pub fn asked(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_plimsoll"))
            .args(arguments)
            .args(["--server", &self.url])
            .env("PLIMSOLL_TOKEN", &self.token)
            .output()
            .unwrap()
    }

    /// The client, for requests without the token.
    pub fn http(&self) -> &reqwest::Client {
        &self.http
    }

    /// The folder of its config.
    pub fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Ends it at once, as `kill -9` does, and waits until it is gone.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Puts another config in the place of its own; it is not read by that.
    pub fn write_config(&self, config: &str) {
        std::fs::write(self.folder.path().join("plimsoll.toml"), config).unwrap();
    }

    /// Asks it to read its config again with SIGHUP.
    pub fn hang_up(&self) {
        self.process.hang_up();
    }

    /// Asks it to end with SIGTERM.
    pub fn terminate(&self) {
        self.process.terminate();
    }

    /// Waits until it has ended.
    pub async fn wait(&mut self) -> ExitStatus {
        self.process.wait().await
    }

    /// What it has logged so far.
    pub fn said(&self) -> String {
        self.process.said()
    }
}

async fn serve(folder: &TempDir, http: &reqwest::Client, url: &str, environment: &[(&str, &str)]) -> Process {
    let mut command = Command::new(env!("CARGO_BIN_EXE_plimsoll"));
    command
        .current_dir(folder.path())
        .envs(environment.iter().copied())
        .arg("serve")
        .arg("--config.file")
        .arg(folder.path().join("plimsoll.toml"));
    let mut process = Process::start(&mut command, &folder.path().join("plimsoll.log")).unwrap();
    if !process.answers(http, &format!("{url}/-/healthy")).await {
        panic!("the daemon ended before it was healthy:\n{}", process.said());
    }
    process
}
