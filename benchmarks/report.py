"""The table of the README and the plot, from results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
PLOT = ROOT / "docs" / "benchmarks.svg"
BEGIN, END = "<!-- bench: written by `make bench` -->", "<!-- end of bench -->"

_WIDTH, _LABEL, _BAR, _ROW = 760, 330, 320, 30

Results = Mapping[str, Any]

#: Key of the results, what it is, and how it is written.
ROWS: Sequence[tuple[str, str, str]] = (
    ("worker_events_per_cpu_s", "whole path of a worker, engine and merges included", "{:,} events per CPU-second"),
    (
        "clickhouse_avro_events_per_cpu_s",
        "ClickHouse's own Avro reader, one thread, same table",
        "{:,} events per CPU-second",
    ),
    (
        "naive_events_per_cpu_s",
        "plain Python worker (fastavro, rows, insert), same table",
        "{:,} events per CPU-second",
    ),
    ("worker_vs_clickhouse_avro", "worker compared with ClickHouse's reader", "{:.2f} times"),
    ("worker_vs_naive", "worker compared with the plain worker", "{:.1f} times"),
    ("worker_only_events_per_cpu_s", "worker alone, database elsewhere over HTTP", "{:,} events per CPU-second"),
    ("database_only_us_per_event", "the database's share of that", "{:.1f} µs of CPU an event"),
    ("scaling_two_workers", "two workers compared with one, database left out", "{:.2f} times"),
    ("worker_rss_mib", "largest memory of a worker: 1 KB, 100 KB and 1 MB messages", "{:,} MiB"),
    ("latency_p50_ms", "produced until queryable, 5,000 events/s, 12 partitions: median", "{:,} ms"),
    ("latency_p99_ms", "… 99th percentile", "{:,} ms"),
    ("parts_created_per_s", "… parts of the table created", "{:.1f} a second"),
    ("startup_s", "start of the process until the first poll", "{:.1f} s"),
    ("query_store_rows", "reads: rows of the store", "{:,}"),
    ("query_first_page_ms", "… slowest first page of one filter", "{:,.0f} ms"),
    ("query_fewer_rows_than_plain", "… rows read by a plain table by time, least of these", "{:.1f} times"),
    ("query_count_ms", "… slowest count of one filter", "{:,.0f} ms"),
    ("query_deep_page_ms", "… page 1,001", "{:,.0f} ms"),
    ("query_export_ms", "… the newest 20,000 rows for an export", "{:,.0f} ms"),
    (
        "stored_vs_avro_zstd3",
        "stored bytes of an event beside its Avro bytes by zstd -3, indexes apart, in large parts",
        "{:.2f} times",
    ),
    ("stored_small_parts_vs_avro_zstd3", "… in parts of less than 256 MiB", "{:.2f} times"),
    ("submit_events_per_cpu_s", "`AuditProducer.submit`, all threads of the process", "{:,} events per CPU-second"),
    ("submit_p50_us", "… wait of the calling thread: median", "{:.0f} µs"),
    ("submit_p99_us", "… 99th percentile", "{:.0f} µs"),
)
#: Bars of the plot: key and label.
BARS: Sequence[tuple[str, str]] = (
    ("worker_only_events_per_cpu_s", "worker alone, database over HTTP"),
    ("worker_events_per_cpu_s", "worker with the engine: the whole path"),
    ("clickhouse_avro_events_per_cpu_s", "ClickHouse's own Avro reader"),
    ("naive_events_per_cpu_s", "plain Python worker"),
)


class MarkersMissing(ValueError):
    """The README has no place for the table."""


def table(results: Results) -> str:
    """Return the figures as a Markdown table, with the machine and the date below."""
    lines = ["| | |", "|---|---|"]
    lines += [f"| {what} | {form.format(results[key])} |" for key, what, form in ROWS if key in results]
    machine, at = results["machine"], results["load"][0]["at"][:10]
    lines += [
        "",
        f"Measured on {machine['cpu']} ({machine['cores']} cores, {machine['memory_gib']} GiB), {at},"
        f" events of {results['events']['mean_bytes']} bytes; load of the machine before it began"
        f" {results['load'][0]['load_1m']}. Ratios count, absolute figures belong to the machine.",
    ]
    return "\n".join(lines)


def text(results: Results) -> str:
    """Return the figures for a terminal."""
    return "\n".join(f"{what:75} {form.format(results[key])}" for key, what, form in ROWS if key in results)


def plot(results: Results) -> str:
    """Return a bar chart of events per CPU-second as SVG."""
    bars = [(label, int(results[key])) for key, label in BARS if key in results]
    top = max(value for _, value in bars)
    height = 50 + _ROW * len(bars)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" height="{height}"'
        ' font-family="sans-serif" font-size="14" role="img">',
        "<title>Events per CPU-second, higher is better</title>",
        f'<rect width="{_WIDTH}" height="{height}" fill="#ffffff"/>',
        '<text x="10" y="24" font-weight="bold" fill="#1f2933">Events per CPU-second (higher is better)</text>',
        *(line for number, (label, value) in enumerate(bars) for line in _bar(number, label, value, top)),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _bar(number: int, label: str, value: int, top: int) -> list[str]:
    y = 40 + _ROW * number
    width = max(1, round(_BAR * value / top))
    colour = "#0b6e4f" if label.startswith("worker") else "#9aa5b1"
    return [
        f'<text x="{_LABEL - 10}" y="{y + 16}" text-anchor="end" fill="#1f2933">{escape(label)}</text>',
        f'<rect x="{_LABEL}" y="{y}" width="{width}" height="{_ROW - 8}" fill="{colour}"/>',
        f'<text x="{_LABEL + width + 8}" y="{y + 16}" fill="#1f2933">{value:,}</text>',
    ]


def placed(readme: str, content: str) -> str:
    """Return a README with ``content`` between the markers.

    Raises:
        MarkersMissing: It does not have exactly one place for it.
    """
    if readme.count(BEGIN) != 1 or readme.count(END) != 1:
        raise MarkersMissing(f"expected one {BEGIN} and one {END}")
    head, _, rest = readme.partition(BEGIN)
    return f"{head}{BEGIN}\n\n{content}\n\n{END}{rest.partition(END)[2]}"


def write(results: Results) -> None:
    """Write the plot and the table of the README.

    Raises:
        MarkersMissing: The README has no place for the table.
    """
    PLOT.write_text(plot(results), encoding="utf-8")
    content = table(results) + "\n\n![events per CPU-second](docs/benchmarks.svg)"
    README.write_text(placed(README.read_text(encoding="utf-8"), content), encoding="utf-8")
