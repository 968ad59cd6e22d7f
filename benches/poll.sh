#!/bin/sh
# How long a poll of a tenant's quotas takes, beside a plain axum handler that
# sends the same bytes, with wrk over loopback. Rounds take turns, so that the
# noise of the machine meets both. Needs wrk and curl.
# usage: benches/poll.sh [ROUNDS]
set -eu
cd "$(dirname "$0")/.."
cargo build --release --quiet --bin plimsoll
plain=$(cargo bench --profile release --bench poll --no-run --message-format=json 2>/dev/null |
  sed -n 's/.*"name":"poll".*"executable":"\([^"]*\)".*/\1/p')
target=$(cargo metadata --format-version 1 --no-deps | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')
folder=$(mktemp -d)
trap 'kill $ceiling $daemon 2>/dev/null || true; wait; rm -rf "$folder"' EXIT
daemon= ceiling=
token=plim_a-token-for-benches
cat >"$folder/plimsoll.toml" <<END
[server]
listen_address = "127.0.0.1:17117"
token = "$token"
[access]
requests_per_second = 1000000
[prometheus]
url = "http://127.0.0.1:9"
[resources.cpu_cores]
expression = "max by (tenant) (tenant_cpu_cores)"
END
(cd "$folder" && exec "$target/release/plimsoll" serve --config.file plimsoll.toml >log 2>&1) & daemon=$!
url=http://127.0.0.1:17117
until curl -fs "$url/-/healthy" >/dev/null; do
  kill -0 $daemon || { cat "$folder/log"; exit 1; }
  sleep 0.1
done
curl -fs -H "Authorization: Bearer $token" -H 'Content-Type: application/json' \
  -d '{"id": "acme", "tier": "PREMIUM"}' "$url/v1/tenants" >/dev/null
curl -fs -H "Authorization: Bearer $token" -D "$folder/head" "$url/v1/tenants/acme/quotas" >"$folder/body"
tag=$(tr -d '\r' <"$folder/head" | sed -n 's/^etag: //p')
"$plain" 127.0.0.1:17118 "$folder/body" & ceiling=$!
sleep 0.5

# wrk keeps no rate; each connection rests 0 to 4 ms between requests instead,
# which comes to about 10,000 a second.
echo 'function delay() return math.random(0, 4) end' >"$folder/paced.lua"
run() { # NAME URL LUA [HEADER...]
  name=$1 place=$2 lua=$3; shift 3
  wrk -t1 -c"$connections" -d5s --latency $lua "$@" "$place" >"$folder/out"
  awk -v name="$name" '/50%/ {p50=$2} /99%/ {p99=$2} /Requests\/sec/ {rate=$2} /Non-2xx/ {bad=" BAD " $0}
    END {printf "%-22s %9.0f /s  p50 %9s  p99 %9s%s\n", name, rate, p50, p99, bad}' "$folder/out"
}
quotas=$url/v1/tenants/acme/quotas
for round in $(seq "${1:-5}"); do
  for pace in paced full; do
    case $pace in paced) lua="-s $folder/paced.lua" connections=25 ;; full) lua= connections=8 ;; esac
    run "$pace plain" http://127.0.0.1:17118/ "$lua"
    run "$pace 200" "$quotas" "$lua" -H "Authorization: Bearer $token"
    run "$pace 304" "$quotas" "$lua" -H "Authorization: Bearer $token" -H "If-None-Match: $tag"
  done
done
