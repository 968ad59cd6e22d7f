//! The files for containers and clusters, judged by the tools that read them:
//! Helm's SDK, Kubernetes' schemas, hadolint, promtool, and the daemon's own check
//! of its config. Neither Docker nor a cluster runs here.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::rig::python_environment;

fn project() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Checks a config as the daemon would, with its token in a file that is here.
fn check_config(path: &Path, token_file: &str) {
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    std::fs::write(&token, "a-token-for-tests-only").unwrap();
    let text = std::fs::read_to_string(path).unwrap().replace(token_file, token.to_str().unwrap());
    let config = folder.path().join("plimsoll.toml");
    std::fs::write(&config, text).unwrap();
    let checked = Command::new(env!("CARGO_BIN_EXE_plimsoll"))
        .args(["check-config", "--config.file"])
        .arg(&config)
        .output()
        .unwrap();
    assert!(checked.status.success(), "{}: {}", path.display(), String::from_utf8_lossy(&checked.stderr));
}

#[test]
fn the_chart_and_the_container_files_are_what_their_tools_take() {
    let scripts = project().join("tests/packaging");
    let Some(programs) = python_environment(&scripts.join("requirements.txt")) else { return };
    let output = tempfile::tempdir().unwrap();
    let mut command = Command::new(programs.join("python"));
    command.arg(scripts.join("check.py")).arg(project()).arg(output.path());
    let checked = command.env("HOME", output.path()).output().unwrap();
    assert!(
        checked.status.success(),
        "{}{}",
        String::from_utf8_lossy(&checked.stdout),
        String::from_utf8_lossy(&checked.stderr)
    );
    let files = std::fs::read_dir(output.path()).unwrap().map(|file| file.unwrap().path());
    let configs: Vec<PathBuf> = files.filter(|path| path.extension().is_some_and(|e| e == "toml")).collect();
    assert_eq!(configs.len(), 3, "{configs:?}");
    for config in configs {
        check_config(&config, "/run/secrets/plimsoll/token");
    }
}

#[test]
fn the_configs_of_the_compose_file_are_valid() {
    let folder = project().join("config/docker");
    check_config(&folder.join("plimsoll.toml"), "/run/secrets/token");
    let checked = Command::new("promtool")
        .args(["check", "config", "--syntax-only"])
        .arg(folder.join("prometheus.yml"))
        .output()
        .expect("promtool is missing; `make test` installs it");
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
}
