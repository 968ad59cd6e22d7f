#!/usr/bin/env bash
# Runs one step and says how long it took: step.sh NAME COMMAND...
set -uo pipefail
name=$1
shift
printf '==> %s\n' "$name"
begun=$(date +%s)
"$@"
code=$?
took=$(($(date +%s) - begun))
if [ "$code" -eq 0 ]; then
  printf '    %s: done in %d s\n' "$name" "$took"
else
  printf '    %s: failed after %d s\n' "$name" "$took" >&2
fi
exit "$code"
