"""The README says what is true."""

import re
import subprocess
import sys
from pathlib import Path

import dislayers
import dislosses
import dismetrics
import dismodels

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_python_example_runs() -> None:
    (example,) = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    result = subprocess.run([sys.executable, "-c", example], capture_output=True, text=True, check=True)
    assert 0 <= float(result.stdout) <= 1


def test_names_in_the_table_exist() -> None:
    for package in (dislayers, dislosses, dismetrics, dismodels):
        rows = re.findall(rf"^\| `{package.__name__}`[^|]*\| (.*?) \| ", README, flags=re.MULTILINE)
        names = re.findall(r"`(\w+)", " ".join(rows))
        assert names
        assert all(hasattr(package, name) for name in names)


def test_files_it_links_to_exist() -> None:
    for target in re.findall(r"\]\(([^)#]+)", README):
        assert (ROOT / target).exists(), target
