"""``python -m sanity``: every ansible-test sanity test, on every Python version that this machine can run.

ansible-test insists on a path that ends in ``ansible_collections/bulkhead/hardening`` and takes the first
``pythonX.Y`` on the path as usable, so the checkout is copied there and only interpreters that really start
are offered.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import interpreters

CHECKOUT = Path(__file__).resolve().parents[2]
BUILD = CHECKOUT / "build" / "sanity"
COPY = BUILD / "ansible_collections" / "bulkhead" / "hardening"
INTERPRETERS = BUILD / "interpreters"
READ_BY_ANSIBLE_TEST = {"tests/config.yml", "tests/sanity/ignore-2.19.txt"}

# ansible-test fetches this script to put pip into its virtual environments. Where it cannot, it takes the one
# that lies in its cache; the standard library's ensurepip does the same work.
PIP_BOOTSTRAP = """\
import ensurepip
import sys

sys.exit(ensurepip._main(["--upgrade", "--default-pip"]))
"""


def shipped_files() -> list[str]:
    """Paths that the collection ships or ansible-test reads, of all that git tracks or would track.

    The tests are not shipped; ruff and mypy look at them.
    """
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=CHECKOUT,
        check=True,
        capture_output=True,
        text=True,
    )
    paths = [path for path in listed.stdout.split("\0") if path and (CHECKOUT / path).is_file()]
    return [path for path in paths if not path.startswith("tests/") or path in READ_BY_ANSIBLE_TEST]


def copy_checkout() -> None:
    """Make ``COPY`` equal to the checkout, as a git repository (ansible-test lists files by git)."""
    shutil.rmtree(COPY, ignore_errors=True)
    for path in shipped_files():
        target = COPY / path
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(CHECKOUT / path, target)
    subprocess.run(["git", "init", "--quiet"], cwd=COPY, check=True)
    subprocess.run(["git", "add", "--all"], cwd=COPY, check=True)


def offer_interpreters() -> list[str]:
    """Link every working interpreter into ``INTERPRETERS``; returns their versions."""
    shutil.rmtree(INTERPRETERS, ignore_errors=True)
    INTERPRETERS.mkdir(parents=True)
    offered = []
    for version in interpreters.VERSIONS:
        working = interpreters.find(version)
        if working:
            (INTERPRETERS / f"python{version}").symlink_to(working)
            offered.append(version)
    return offered


def search_path() -> str:
    """The path for ansible-test: our interpreters, the tools, the system; no version manager's shims."""
    ours = [str(INTERPRETERS), str(Path(sys.executable).parent)]
    return os.pathsep.join([*ours, "/usr/local/bin", "/usr/bin", "/usr/sbin", "/bin", "/sbin"])


def seed_pip_bootstrap() -> None:
    """Put the pip bootstrap where ansible-test looks for it before it tries to download one."""
    cache = Path("~/.ansible/test/cache").expanduser()
    cache.mkdir(parents=True, exist_ok=True)
    for name in pip_bootstrap_names():
        if not (cache / name).exists():
            (cache / name).write_text(PIP_BOOTSTRAP, encoding="utf-8")


def pip_bootstrap_names() -> set[str]:
    """File names of the bootstrap scripts that this ansible-test may ask for: one per pip version it pins."""
    spec = importlib.util.find_spec("ansible_test")
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit("sanity: ansible-test is not installed; run `make tools`")
    source = Path(spec.submodule_search_locations[0]) / "_internal" / "python_requirements.py"
    versions = re.findall(r"\bpip='([0-9.]+)'", source.read_text(encoding="utf-8"))
    return {f"get_pip_{version.replace('.', '_')}.py" for version in versions}


def main() -> int:
    """Copy, offer interpreters, run; the exit status is ansible-test's."""
    copy_checkout()
    versions = offer_interpreters()
    absent = [version for version in interpreters.VERSIONS if version not in versions]
    print(f"sanity: Python {', '.join(versions)}; not on this machine: {', '.join(absent) or 'none'}")
    seed_pip_bootstrap()
    environment = {**os.environ, "PATH": search_path()}
    command = ["ansible-test", "sanity", "--requirements", "--color", "no"]
    return subprocess.run(command, cwd=COPY, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
