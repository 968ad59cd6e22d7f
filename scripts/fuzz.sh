#!/usr/bin/env bash
# Runs fuzz targets, each for so many seconds; docs/fuzzing.md says more.
#   scripts/fuzz.sh SECONDS [TARGET...]
# A stable toolchain will do: coverage comes from the compiler's own pass, and no
# sanitizer is used, since the house has no unsafe code. With `cargo install
# cargo-fuzz` the same targets run under it.
set -euo pipefail
cd "$(dirname "$0")/../fuzz"
seconds=$1
shift
targets=("$@")
[ "${#targets[@]}" -gt 0 ] || targets=(config template csv parquet answer body reply prices quantity quotas token words)

cp ../Cargo.lock Cargo.lock
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$PWD/../target/fuzz}"
# Only the house's own code is watched, so that dependencies need not be built anew.
export RUSTC_WRAPPER="$PWD/instrument.sh"
cargo build --release --bins
for target in "${targets[@]}"; do
  mkdir -p "corpus/$target" "$CARGO_TARGET_DIR/found/$target" "$CARGO_TARGET_DIR/artifacts"
  echo "== $target, $seconds s"
  "$CARGO_TARGET_DIR/release/$target" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -max_len=16384 \
    -print_final_stats=1 -artifact_prefix="$CARGO_TARGET_DIR/artifacts/$target-" \
    "$CARGO_TARGET_DIR/found/$target" "corpus/$target"
done
