# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""On a machine that had no engine: the distribution's is there, and the baseline is in force."""

from __future__ import annotations

import json

from testinfra.host import Host


def test_the_engine_runs_with_the_baseline(host: Host) -> None:
    assert host.package("docker.io").is_installed
    assert host.service("docker").is_running
    answer = host.check_output(
        "python3 -c \"import http.client, socket; c = http.client.HTTPConnection('x'); "
        "c.sock = socket.socket(socket.AF_UNIX); c.sock.connect('/run/docker.sock'); "
        "c.request('GET', '/info'); print(c.getresponse().read().decode())\""
    )
    assert json.loads(answer)["LiveRestoreEnabled"] is True


def test_its_file_holds_the_baseline_and_nothing_else(host: Host) -> None:
    document = json.loads(host.file("/etc/docker/daemon.json").content_string)
    assert document == {"live-restore": True, "log-opts": {"max-size": "10m", "max-file": "3"}}
