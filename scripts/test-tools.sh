#!/usr/bin/env bash
# Installs what the tests need and is not there yet: Debian's prometheus (with
# promtool), Alertmanager and kubectl, Chromium with node, cargo-nextest and
# cargo-deny. What the tests want of npm and PyPI they fetch themselves, pinned.
set -euo pipefail
cd "$(dirname "$0")/.."

as_root() { if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi; }

packages=()
command -v prometheus >/dev/null && command -v promtool >/dev/null || packages+=(prometheus)
command -v prometheus-alertmanager >/dev/null || packages+=(prometheus-alertmanager)
command -v kubectl >/dev/null || packages+=(kubernetes-client)
command -v python3 >/dev/null || packages+=(python3)
python3 -c 'import venv, ensurepip' 2>/dev/null || packages+=(python3-venv)
command -v chromium >/dev/null || packages+=(chromium)
command -v node >/dev/null || packages+=(nodejs)
command -v npm >/dev/null || packages+=(npm)
command -v curl >/dev/null || packages+=(curl)
command -v openssl >/dev/null || packages+=(openssl)
command -v kill >/dev/null || packages+=(procps)
if [ "${#packages[@]}" -gt 0 ]; then
  echo "installing ${packages[*]}"
  as_root apt-get update -qq
  # The package would start a server of its own; the tests start theirs.
  as_root env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get install -y -qq --no-install-recommends "${packages[@]}"
fi

command -v cargo-nextest >/dev/null || cargo install --locked cargo-nextest
scripts/deny.sh --version
