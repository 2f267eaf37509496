"""A full export of 300,000 rows takes no more memory than one of a tenth of them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from infrastructure.clickhouse import drop_database, fresh_database
from query.exports.columns import columns_of
from query.exports.request import FORMAT_NAMES, Format
from query.question import UTC_ZONE
from query_log import Log, asked, open_log
from sinks.settings import ClickHouseSettings

COLUMNS = ("occurred_at", "event_id", "tenant_id", "event_code", "actor_name", "ip", "details", "kafka_offset")
#: What the engine and the allocator may keep more of, over ten times the rows: far below the rows themselves.
GROWTH_BYTES = 60 << 20

PROGRAM = """
import json, resource, sys
from query import open_reader, Question
from query.exports import ExportJobs, ExportRequest, ExportSettings, Requester
from sinks.settings import ClickHouseSettings

clickhouse, storage, name, columns = sys.argv[1:]
jobs = ExportJobs(ExportSettings(storage=storage))
request = ExportRequest(Question(), Requester("t"), name, full=True, columns=tuple(columns.split(",")))
peaks = {}

def note(rows):
    peaks[rows] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

with open_reader(ClickHouseSettings.model_validate_json(clickhouse)) as reader:
    job = jobs.make(request, reader, note)
early = max(peak for rows, peak in peaks.items() if rows <= 30_000)
print(json.dumps({"rows": job.manifest["rows"], "early": early, "late": max(peaks.values()), "id": job.id}))
"""


@pytest.fixture(scope="module")
def log(clickhouse_served: ClickHouseSettings) -> Iterator[Log]:
    settings = fresh_database(clickhouse_served)
    with open_log(settings) as opened:
        for part in range(6):
            day = 1_767_225_600_000_000 + part * 86_400_000_000
            opened.store([{"occurred_at": day + i * 1000, "actor_name": f"n{i}"} for i in range(50_000)])
        yield opened
    drop_database(settings)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", sorted(set(FORMAT_NAMES.values())))
def test_memory_stays_flat_over_300_000_rows(log: Log, tmp_path: Path, name: Format) -> None:
    secret = log.settings.password.get_secret_value()
    connection = json.dumps({**log.settings.model_dump(mode="json"), "password": secret})
    arguments = [connection, str(tmp_path / "ex"), name, ",".join(COLUMNS)]
    done = subprocess.run([sys.executable, "-c", PROGRAM, *arguments], capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    assert found["rows"] == 300_000 == log.reader.count(asked())
    assert found["late"] - found["early"] < GROWTH_BYTES
    if name == "parquet":
        table = pq.read_table(tmp_path / "ex" / "files" / f"{found['id']}.parquet")
        assert len(set(table["kafka_offset"].to_pylist())) == 300_000
        assert table.schema.equals(pa.schema([(c.name, c.arrow) for c in columns_of(COLUMNS, UTC_ZONE, {})]))
