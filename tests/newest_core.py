"""``python -m newest_core``: the tests of what runs in Ansible, once more on the newest ansible-core.

The tools run on the machine's own Python, which may be too old for the newest ansible-core. If a newer Python
is there, a second virtual environment has it; if none is, this says so and ends well.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import interpreters

CHECKOUT = Path(__file__).resolve().parents[1]
ENVIRONMENT = CHECKOUT / "build" / "venv-newest"
REQUIREMENTS = CHECKOUT / "tests" / "requirements.txt"
OLDEST_OF_NEWEST_CORE = (3, 12)
# What of the tests imports nothing of ansible-core, and tests nothing that does.
WITHOUT_ANSIBLE = ("plugins/module_utils", "benchmark", "faults", "lab")


def newest_interpreter() -> Path | None:
    """The newest Python on this machine that is newer than the one that runs this, and new enough."""
    running = sys.version_info[:2]
    for version in reversed(interpreters.VERSIONS):
        major, minor = (int(part) for part in version.split("."))
        if (major, minor) >= OLDEST_OF_NEWEST_CORE and (major, minor) > running:
            found = interpreters.find(version)
            if found:
                return found
    return None


def prepare(interpreter: Path) -> Path:
    """The environment's own Python, made anew when the requirements are newer than it."""
    stamp = ENVIRONMENT / ".complete"
    python = ENVIRONMENT / "bin" / "python"
    if not stamp.exists() or stamp.stat().st_mtime < REQUIREMENTS.stat().st_mtime:
        subprocess.run([interpreter, "-m", "venv", "--clear", ENVIRONMENT], check=True)
        install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([python, *install, "--requirement", REQUIREMENTS], check=True)
        stamp.touch()
    return python


def main() -> int:
    """Run the tests; the exit status is pytest's."""
    interpreter = newest_interpreter()
    if interpreter is None:
        print("newest ansible-core: skipped, no Python newer than this one (3.12 or later) on this machine")
        return 0
    python = prepare(interpreter)
    subprocess.run([ENVIRONMENT / "bin" / "ansible", "--version"], check=True)
    command = [
        *(str(python), "-m", "pytest", "--quiet", "--numprocesses", "2", "-m", "not lab and not browser"),
        *(f"--ignore=tests/unit/{directory}" for directory in WITHOUT_ANSIBLE),
    ]
    return subprocess.run(command, cwd=CHECKOUT, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
