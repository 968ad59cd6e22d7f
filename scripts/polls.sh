#!/usr/bin/env bash
# How long tasks keep the async threads busy: the daemon over a real Prometheus
# with a simulated fleet, while one caller asks for its largest answers and a
# gateway polls quotas. Prints the turns of each task, and those of more than a
# millisecond; and by the log, of each task and route, the longest of those. Needs
# prometheus, promtool and curl.
# usage: scripts/polls.sh [TENANTS [DAYS [SECONDS]]]
set -euo pipefail
cd "$(dirname "$0")/.."
tenants=${1:-100} days=${2:-7} seconds=${3:-60}
plimsoll=${PLIMSOLL:-target/release/plimsoll}
plimsoll=$(realpath "$plimsoll")
folder=$(mktemp -d)
prometheus='' daemon=''
trap 'kill $daemon $prometheus 2>/dev/null || true; wait; rm -rf "$folder"' EXIT
"$plimsoll" simulate --tenants "$tenants" --days "$days" --seed 7 --output "$folder/simulated.om"
# The simulated past ends at a fixed date; it is moved to end now.
last=$(awk '$3 > last { last = $3 } END { printf "%d", last }' <(grep '^tenant_' "$folder/simulated.om" | tail -1))
awk -v by=$((($(date +%s) - last) / 300 * 300)) '/^tenant_/ { $3 = sprintf("%d", $3 + by) } { print }' \
  "$folder/simulated.om" >"$folder/fleet.om"
promtool tsdb create-blocks-from openmetrics --quiet --max-block-duration=168h "$folder/fleet.om" "$folder/tsdb"
echo 'global: {}' >"$folder/prometheus.yml"
prometheus --config.file="$folder/prometheus.yml" --storage.tsdb.path="$folder/tsdb" \
  --storage.tsdb.retention.time=400d --web.listen-address=127.0.0.1:19090 >"$folder/prometheus.log" 2>&1 &
prometheus=$!
token=plim_a-token-for-measuring
{
  printf '[server]\nlisten_address = "127.0.0.1:17117"\ntoken = "%s"\n[store]\npath = "data"\n' "$token"
  printf '[prometheus]\nurl = "http://127.0.0.1:19090"\n[tenants]\ndiscover = "PREMIUM"\n[cycle]\nevery = "5s"\n[costs]\n'
  printf '[log]\nlevel = "info,plimsoll::telemetry::polls=debug"\n'
  for resource in $(sed -n 's/^# TYPE tenant_\([a-z_]*\) gauge/\1/p' "$folder/fleet.om"); do
    printf '[resources.%s]\nexpression = "max by (tenant) (tenant_%s)"\n' "$resource" "$resource"
  done
} >"$folder/plimsoll.toml"
(cd "$folder" && exec "$plimsoll" serve --config.file plimsoll.toml >daemon.log 2>&1) & daemon=$!
url=http://127.0.0.1:17117
ask() { curl -fsS -o "${2:-/dev/null}" -H "Authorization: Bearer $token" "$url$1" || true; }
until curl -fs "$url/-/ready" >/dev/null; do
  kill -0 $daemon || { cat "$folder/daemon.log"; exit 1; }
  sleep 1
done
tenant=$(curl -fsS -H "Authorization: Bearer $token" "$url/v1/tenants?limit=1" | sed 's/.*"id":"\([^"]*\)".*/\1/')
end=$((SECONDS + seconds))
# Meanwhile a gateway polls.
while [ $SECONDS -lt $end ]; do ask "/v1/tenants/$tenant/quotas#[1-1000]"; done &
poller=$!
while [ $SECONDS -lt $end ]; do
  for path in /v1/fleet?limit=500 /v1/summary /v1/costs /v1/costs/tenants /v1/costs/focus /v1/reports/fleet \
    '/v1/recommendations?limit=500' '/v1/audit?limit=500' /metrics /metrics/tenants /openapi.json /v1/costs/savings; do
    ask "$path"
  done
done
wait $poller
ask /metrics "$folder/metrics"
awk -F'[{}" ]+' '
  /^plimsoll_async_poll_duration_seconds_bucket/ { task = $3 == "+Inf" ? $5 : $3 }
  /^plimsoll_async_poll_duration_seconds_count/ { count[$3] = $NF }
  /^plimsoll_async_long_polls_total/ { long[$3] = $NF }
  END { printf "%-12s %10s %10s\n", "task", "polls", "> 1 ms"
    for (task in count) printf "%-12s %10d %10d\n", task, count[task], long[task] }' "$folder/metrics"
echo "the longest of each, and how many, by the log:"
sed 's/\x1b\[[0-9;]*m//g' "$folder/daemon.log" | grep 'kept an async thread busy' |
  sed 's/.*route="\([^"]*\)".* task="\([a-z]*\)" took=\([0-9.]*[mµ]*s\).*/\3 \2 \1/; s/.* task="\([a-z]*\)" took=\([0-9.]*[mµ]*s\).*/\2 \1/' |
  awk '{ took = $1 + 0; if ($1 ~ /[0-9]s$/) took *= 1000; what = $2 " " $3; count[what]++; if (took > most[what]) most[what] = took }
    END { for (what in count) printf "%8.1f ms %6d  %s\n", most[what], count[what], what }' | sort -rn
