//! A real OpenTelemetry collector: rotel from PyPI, which writes down each span
//! that it takes.

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::process::{Process, free_address};
use super::python::python_package;

const VERSION: &str = "0.0.1a15";
const PATIENCE: Duration = Duration::from_secs(60);

/// A span as the collector took it.
#[derive(Debug, Clone, Default)]
pub struct Span {
    pub name: String,
    pub trace: String,
    pub id: String,
    pub parent: String,
    /// The traces that it is linked with.
    pub links: Vec<String>,
    /// Everything that was said of it.
    pub text: String,
}

/// The collector.
pub struct Collector {
    /// Where it takes OTLP over HTTP.
    pub url: String,
    process: Process,
    folder: TempDir,
}

impl Collector {
    /// Starts one; `None`, and a word of it, where it can't be had.
    pub async fn start() -> Option<Collector> {
        let program = program()?;
        let folder = TempDir::new().unwrap();
        let (http, grpc) = (free_address(), free_address());
        let mut command = Command::new(program);
        command.args(["start", "--exporter", "blackhole", "--debug-log", "traces"]);
        command.args(["--debug-log-verbosity", "detailed", "--disable-batching"]);
        command.args(["--otlp-http-endpoint", &http, "--otlp-grpc-endpoint", &grpc]);
        let process = Process::start(&mut command, &folder.path().join("rotel.log")).unwrap();
        let begin = Instant::now();
        while tokio::net::TcpStream::connect(&http).await.is_err() {
            assert!(begin.elapsed() < PATIENCE, "the collector did not start: {}", process.said());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Some(Collector { url: format!("http://{http}"), process, folder })
    }

    /// What it has taken so far.
    pub fn said(&self) -> String {
        self.process.said()
    }

    /// The spans that it has taken so far.
    pub fn spans(&self) -> Vec<Span> {
        let said = self.said();
        said.split("\nSpan #").skip(1).map(span).collect()
    }
}

fn span(text: &str) -> Span {
    let mut span = Span { text: text.to_owned(), ..Span::default() };
    for line in text.lines() {
        let Some((key, value)) = line.split_once(':') else { continue };
        let value = value.trim().to_owned();
        match key.trim() {
            "Trace ID" => span.trace = value,
            "Parent ID" => span.parent = value,
            "ID" => span.id = value,
            "Name" => span.name = value,
            "-> Trace ID" => span.links.push(value),
            _ => {}
        }
    }
    span
}

/// The package holds a program, and no script that starts it.
fn program() -> Option<PathBuf> {
    let programs = python_package("rotel", VERSION)?;
    let found = std::fs::read_dir(programs.parent()?.join("lib")).ok()?.filter_map(Result::ok);
    let program = |folder: PathBuf| folder.join("site-packages/rotel/rotel-agent");
    let mut all = found.map(|entry| program(entry.path())).filter(|path| path.is_file());
    Some(all.next().expect("the package rotel holds no rotel-agent"))
}
