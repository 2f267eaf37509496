"""Java programs from Maven's repository, fetched once and kept in the user's cache by version."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from infrastructure.requirements import Unavailable

KAFKA_VERSION = "4.1.1"
#: 3.x has no all-in-one archive; 2.6 speaks the Confluent API under /apis/ccompat/v7.
REGISTRY_VERSION = "2.6.13.Final"

_PLUGIN = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1"
_FETCH_TIMEOUT_S = 900.0
_MINIMUM_JAVA = 17

# slf4j-simple because Kafka brings no logger of its own and would otherwise be silent about its failures.
_KAFKA_POM = f"""<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>auditstream.tests</groupId><artifactId>kafka</artifactId><version>1</version>
  <dependencies>
    <dependency>
      <groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>{KAFKA_VERSION}</version>
    </dependency>
    <dependency>
      <groupId>org.slf4j</groupId><artifactId>slf4j-simple</artifactId><version>1.7.36</version>
    </dependency>
  </dependencies>
</project>
"""


def java() -> str:
    """Return the path of a Java that is new enough.

    Raises:
        Unavailable: There is none on the path.
    """
    program = shutil.which("java")
    if program is None:
        raise Unavailable(["no java on the path"])
    # `java -version` writes `openjdk version "17.0.15" …`
    answer = subprocess.run([program, "-version"], capture_output=True, text=True, timeout=60, check=False)
    version = answer.stderr.partition('"')[2].partition('"')[0]
    major = version.partition(".")[0]
    if not major.isdigit() or int(major) < _MINIMUM_JAVA:
        raise Unavailable([f"Java {_MINIMUM_JAVA} is needed, {program} is {version or 'of unknown version'}"])
    return program


def kafka_libraries() -> Path:
    """Return the directory with Apache Kafka's jars, fetching them when they are not there yet.

    Raises:
        Unavailable: Maven is missing or could not fetch them.
    """
    return _cached(f"kafka-{KAFKA_VERSION}", _fetch_kafka)


def registry_directory() -> Path:
    """Return the directory with Apicurio Registry's jars, fetching them when they are not there yet.

    Raises:
        Unavailable: Maven is missing or could not fetch them.
    """
    return _cached(f"apicurio-registry-{REGISTRY_VERSION}", _fetch_registry)


def _fetch_kafka(directory: Path) -> None:
    (directory / "pom.xml").write_text(_KAFKA_POM, "utf-8")
    goal = f"{_PLUGIN}:copy-dependencies"
    _maven(directory, goal, "-DincludeScope=runtime", f"-DoutputDirectory={directory}")


def _fetch_registry(directory: Path) -> None:
    artifact = f"io.apicurio:apicurio-registry-app:{REGISTRY_VERSION}:tar.gz:all"
    _maven(directory, f"{_PLUGIN}:copy", f"-Dartifact={artifact}", f"-DoutputDirectory={directory}")
    archive = next(directory.glob("*.tar.gz"))
    with tarfile.open(archive) as tar:
        tar.extractall(directory, filter="data")
    archive.unlink()


def _maven(directory: Path, *arguments: str) -> None:
    program = shutil.which("mvn")
    if program is None:
        raise Unavailable(["no mvn on the path to fetch the jars"])
    command = [program, "-q", "-B", *arguments]
    try:
        answer = subprocess.run(
            command, cwd=directory, capture_output=True, text=True, timeout=_FETCH_TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired:
        raise Unavailable([f"Maven did not answer within {_FETCH_TIMEOUT_S:g} s"]) from None
    if answer.returncode != 0:
        raise Unavailable([f"Maven failed: {(answer.stdout + answer.stderr).strip()[-600:]}"])


def _cached(name: str, fetch: Callable[[Path], None]) -> Path:
    root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "auditstream"
    root.mkdir(parents=True, exist_ok=True)
    final = root / name
    with _locked(root / f"{name}.lock"):
        if not final.exists():
            _fetch_whole(final, fetch)
    return final


def _fetch_whole(final: Path, fetch: Callable[[Path], None]) -> None:
    # The rename makes it appear whole or not at all, also when the machine stops in between.
    part = final.with_name(f"{final.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir()
    fetch(part)
    part.rename(final)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # released by closing; a second test run waits for the first one's download
        yield
