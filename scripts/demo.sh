#!/usr/bin/env bash
# Builds the release binary and runs the demo: demo.sh [ARGUMENTS OF plimsoll demo]
set -euo pipefail
cd "$(dirname "$0")/.."
if ! command -v cargo >/dev/null; then
  echo "cargo is missing: install Rust from https://rustup.rs first" >&2
  exit 1
fi
bash scripts/step.sh "build (minutes from an empty target folder, seconds after)" \
  cargo build --release --locked --bin plimsoll
exec "${CARGO_TARGET_DIR:-target}/release/plimsoll" demo "$@"
