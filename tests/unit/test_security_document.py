"""What docs/security.md says is tested, is."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCUMENT = (ROOT / "docs" / "security.md").read_text()
NAMED = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", DOCUMENT)


def test_every_test_that_it_names_is_there() -> None:
    for file, name in NAMED:
        tree = ast.parse((ROOT / file).read_text())
        tests = {node.name for node in tree.body if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")}
        assert tests, file
        assert not name or name in tests, f"{file}::{name}"


def test_every_risk_of_the_list_has_one() -> None:
    rows = [line.split("|") for line in DOCUMENT.splitlines() if re.match(r"\| API\d", line)]
    assert [int(re.findall(r"\d+", row[1])[0]) for row in rows] == list(range(1, 11))
    assert all("`tests/" in row[3] for row in rows)
    assert len(NAMED) > 40
