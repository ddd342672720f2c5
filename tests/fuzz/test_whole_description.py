"""Every call of the published description with what it allows and what it does not, against a running server.

No 5xx, no status, content type, header or body that the description does not state, nothing wrong taken in, for each
role and without a key. FUZZ_EXAMPLES is how much is tried: some 45 s in all with the default. FUZZ_SEED repeats a run;
a failure tells it.
"""

import os
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.api import description
from tests.support.databases import Databases
from tests.support.web import make_key, web_process

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "20"))
"""Cases for each call, and as many walks over several calls. A number and no time: the same seed gives the same run."""

SEED = int(os.environ.get("FUZZ_SEED", "0")) or random.SystemRandom().randrange(1, 1_000_000)

CONFIGURATION = Path(__file__).with_name("schemathesis.toml")

CALLS = sum(len(methods) for methods in description()["paths"].values())

PHASES = {
    "operator": "examples,coverage,fuzzing,stateful",
    "producer": "examples,fuzzing",
    "viewer": "examples,fuzzing",
    "nobody": "coverage",
}


@pytest.fixture(scope="module")
def environment(databases: Databases, broker_url: str) -> dict[str, str]:
    return {**os.environ, "DATABASE_URL": databases.migrated(), "BROKER_URL": broker_url, "LOG_LEVEL": "ERROR"}


@pytest.fixture(scope="module")
def url(environment: dict[str, str]) -> Iterator[str]:
    with web_process(environment) as port:
        yield f"http://127.0.0.1:{port}"


@pytest.mark.timeout(120 + 15 * EXAMPLES)
@pytest.mark.parametrize("role", list(PHASES))
def test_a_role_meets_nothing_that_is_not_described(
    environment: dict[str, str], url: str, role: str, tmp_path: Path
) -> None:
    command = [
        *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(CONFIGURATION), "--no-color"),
        *("run", f"{url}/api/schema/", "--seed", str(SEED), "--generation-database", "none"),
        *("--phases", PHASES[role], "--max-examples", str(EXAMPLES)),
        *("--no-shrink", "--warnings", "off", "--continue-on-failure"),
    ]
    if role != "nobody":
        command += ["--header", f"Authorization: Bearer {make_key(environment, f'fuzz-{role}', role)}"]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    report = f"FUZZ_SEED={SEED} FUZZ_EXAMPLES={EXAMPLES}\n{run.stdout[-20_000:]}{run.stderr[-2_000:]}"
    assert run.returncode == 0, report
    assert f"Selected: {CALLS}/{CALLS}" in run.stdout, report
    assert f"Tested: {CALLS}" in run.stdout, report
