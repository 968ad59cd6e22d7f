"""What the notebooks read: the history that Plimsoll keeps, its reports, its API.

Where that is stands in the environment:
  PLIMSOLL_HISTORY  the folder `history` in the daemon's store.path
  PLIMSOLL_REPORT   what `plimsoll report --format parquet` wrote
  PLIMSOLL_SERVER   the daemon's address, such as http://127.0.0.1:7117
  PLIMSOLL_TOKEN    a token that may read (`plimsoll token create NAME --role viewer`)
  PLIMSOLL_PROGRAM  the program, where `plimsoll` is not on the path
"""

import os
import subprocess
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import polars as pl
import requests

BLUE, ORANGE, GREEN, RED, GREY = "#1f5fa8", "#d9772b", "#2e8b6f", "#b8323a", "#8a94a0"

plt.rcParams.update({
    "figure.dpi": 80,
    "figure.constrained_layout.use": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e3e7ec",
    "font.size": 10,
    "axes.titlesize": 11,
    "axes.titlelocation": "left",
    "legend.frameon": False,
})
pl.Config.set_tbl_cols(20)
pl.Config.set_tbl_rows(20)
pl.Config.set_tbl_hide_dataframe_shape(True)
pl.Config.set_tbl_hide_column_data_types(True)
pl.Config.set_float_precision(2)
pl.Config.set_fmt_str_lengths(80)


def ask(path: str, **query) -> dict:
    """What the API answers, such as ask("/v1/costs")."""
    token = os.environ["PLIMSOLL_TOKEN"]
    answer = requests.get(
        os.environ["PLIMSOLL_SERVER"] + path,
        params=query,
        headers={"Authorization": f"Bearer {token}"},
        timeout=30,
    )
    answer.raise_for_status()
    return answer.json()


def all_of(path: str, **query) -> list[dict]:
    """All pages of a list of the API."""
    items, cursor = [], None
    while True:
        page = ask(path, **query, **({"cursor": cursor} if cursor else {}))
        items += page["items"]
        cursor = page.get("next")
        if not cursor:
            return items


def history(resource: str) -> pl.DataFrame:
    """The samples of a resource: tenant, ds, y, in order of time.

    A sample may lie in several segments; the one with the highest number wins.
    """
    folder = Path(os.environ["PLIMSOLL_HISTORY"]) / resource
    segments = sorted(folder.glob("*.parquet"), key=lambda path: int(path.stem.split("_")[2]))
    if not segments:
        raise FileNotFoundError(f"there are no segments in {folder}; see PLIMSOLL_HISTORY")
    samples = pl.concat([pl.read_parquet(path) for path in segments])
    return samples.unique(["tenant", "ds"], keep="last", maintain_order=True).sort("tenant", "ds")


def quotas() -> pl.DataFrame:
    """The quotas that stand: one row for each tenant's resource, with price and proposal."""
    rows = []
    for resource in ask("/v1/fleet", limit=1)["resources"]:
        for tenant in all_of("/v1/fleet", resource=resource):
            rows += [{**tenant, **quota} for quota in tenant["quotas"] if quota["resource"] == resource]
    plain = ["tenant", "name", "tier", "resource", "limit", "budget", "peak", "slack", "violations", "proposed"]
    money = ["price", "cost_now", "cost_recommended"]
    return pl.DataFrame(
        [{key: row[key] for key in plain} | {key: row[key] and float(row[key]["amount"]) for key in money} for row in rows],
        infer_schema_length=None,
    )


def report() -> pl.DataFrame:
    """The figures of a report: part, tenant, tier, resource, at, what, value, unit, text."""
    return pl.read_parquet(os.environ["PLIMSOLL_REPORT"])


def computed(command: str, series: pl.DataFrame, *arguments: str) -> pl.DataFrame:
    """What a command such as forecast or replay writes for series (unique_id, ds, y)."""
    program = os.environ.get("PLIMSOLL_PROGRAM", "plimsoll")
    with tempfile.TemporaryDirectory() as folder:
        given, made = Path(folder) / "given.parquet", Path(folder) / "made.parquet"
        series.write_parquet(given)
        done = subprocess.run(
            [program, command, "--input", given, "--output", made, *arguments],
            capture_output=True, text=True,
        )
        if done.returncode:
            raise RuntimeError(done.stderr)
        return pl.read_parquet(made)


def hourly_peaks(samples: pl.DataFrame) -> pl.DataFrame:
    """The largest sample of each hour: tenant, ds, y."""
    return samples.group_by("tenant", pl.col("ds").dt.truncate("1h")).agg(pl.col("y").max()).sort("tenant", "ds")
