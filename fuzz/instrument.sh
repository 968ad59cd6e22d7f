#!/usr/bin/env bash
# Stands before rustc: has the house's own crates say which branches they take.
rustc=$1 previous=
shift
for argument in "$@"; do
  case $previous in
    --crate-name)
      case $argument in
        plimsoll | entries | config | template | csv | parquet | answer | body | reply | prices | quantity | quotas | token | \
          words) watch=yes ;;
      esac ;;
  esac
  previous=$argument
  case $argument in */registry/src/*) watch= ;; esac
done
[ -n "${watch:-}" ] || exec "$rustc" "$@"
exec "$rustc" "$@" --cfg fuzzing -Cpasses=sancov-module \
  -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
  -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares
