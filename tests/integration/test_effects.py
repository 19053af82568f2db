# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The table of effects against real engines: 20.10 (debian-12), 26.1 (debian-13) and 28.5 (debian-sid).

Of each class of keys the effect is observed, and a rollback keeps every container. On the machine the
functions run as the modules have them; engine_host.py makes the engine and looks at it.
"""

from __future__ import annotations

import base64
import io
import json
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from lab.laboratory import Laboratory, Wanted
from lab.platforms import recipe_for
from lab.progress import Progress

# The first one may have to build the image.
pytestmark = [pytest.mark.lab, pytest.mark.timeout(1800)]

CHECKOUT = Path(__file__).resolve().parents[2]
PACKAGE = "ansible_collections/bulkhead/hardening/plugins/module_utils"
ON_HOST = "/root/effects"

Host = Callable[[str], Any]


def _sources() -> str:
    """module_utils and engine_host.py as a tar, in base64."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as archive:
        for path in sorted((CHECKOUT / "plugins/module_utils").glob("*.py")):
            archive.add(path, f"{PACKAGE}/{path.name}")
        archive.add(Path(__file__).with_name("engine_host.py"), "engine_host.py")
    return base64.b64encode(content.getvalue()).decode()


@pytest.fixture(
    scope="module",
    params=["debian-12", "debian-13", pytest.param("debian-sid", marks=pytest.mark.all_platforms)],
)
def host(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """Runs Python on the machine after `from engine_host import *`; returns what it leaves in `seen`."""
    platform: str = request.param
    laboratory = Laboratory(tmp_path_factory.mktemp("effects"), Progress())
    laboratory.up([Wanted(platform, recipe_for(platform))])
    try:
        machine = laboratory.machine(platform)
        unpack = f"mkdir -p {ON_HOST}\nbase64 -d <<'END' | tar -xz -C {ON_HOST}\n{_sources()}\nEND\n"
        machine.run(unpack)

        def run(program: str) -> Any:
            lines = f"import json\nfrom engine_host import *\n{program}\nprint(json.dumps(seen))\n"
            script = f"cd {ON_HOST} && PYTHONPATH={ON_HOST} python3 - <<'END'\n{lines}END\n"
            return json.loads(machine.run(script, limit=300).splitlines()[-1])

        run("make_images(); seen = None")
        yield run
    finally:
        laboratory.down([instance.name for instance in laboratory.instances()])


def test_a_reload_brings_a_label_into_force_and_does_not_see_it_go(host: Host) -> None:
    seen = host("""
fresh()
before = containers()
steps = change({"labels": ["a=1"]}, ["labels"]).steps
labels = info("Labels")
write_keys({}); service.reload(); service.await_answer()
seen = [before == containers(), steps, labels, info("Labels")]
""")
    assert seen == [True, ["reload"], ["a=1"], ["a=1"]]


def test_a_reload_does_not_switch_off_live_restore_that_the_file_does_not_name(host: Host) -> None:
    seen = host("""
fresh()
change({"live-restore": True}, ["live-restore"])
on = info("LiveRestoreEnabled")
write_keys({}); service.reload(); service.await_answer()
gone = info("LiveRestoreEnabled")
write_keys({"live-restore": False}); service.reload(); service.await_answer()
seen = [on, gone, info("LiveRestoreEnabled")]
""")
    assert seen == [True, True, False]


def test_no_new_privileges_reaches_only_containers_created_afterwards(host: Host) -> None:
    seen = host("""
fresh()
before = containers()
activation = change({"live-restore": True, "no-new-privileges": True}, ["live-restore", "no-new-privileges"])
kept = before == containers()
old = no_new_privileges("web")
restart("web")
run("new")
seen = [activation.steps, [effect.effect for effect in activation.effects], kept,
        old, no_new_privileges("web"), no_new_privileges("new")]
""")
    assert seen == [
        ["reload", "await_live_restore", "restart"],
        ["reload", "new_containers"],
        True,
        "0",
        "0",
        "1",
    ]


def test_default_ulimits_reach_a_container_at_its_next_start(host: Host) -> None:
    seen = host("""
fresh(b'{"live-restore": true}')
limits = {"nofile": {"Name": "nofile", "Hard": 1234, "Soft": 1234}}
change({"live-restore": True, "default-ulimits": limits}, ["default-ulimits"])
before = "1234" in read_proc("web", "limits")
restart("web")
seen = [before, "1234" in read_proc("web", "limits")]
""")
    assert seen == [False, True]


def test_options_of_the_bridge_wait_for_a_start_without_containers(host: Host) -> None:
    seen = host("""
fresh(b'{"live-restore": true}')
before = containers()
options = {"icc": False, "mtu": 1400, "ip": "127.0.0.1", "ip-masq": False}
names = ["bridge.enable_icc", "driver.mtu", "bridge.host_binding_ipv4", "bridge.enable_ip_masquerade"]
found = [bridge_option(name) for name in names]
kept = change({"live-restore": True, **options}, list(options))
service.restart(); service.await_answer()
after_restart = [bridge_option(name) for name in names]
same = before == containers()
done = change({"live-restore": True, **options}, list(options), allow="stop_containers")
seen = [kept.steps, sorted(kept.pending), after_restart == found, same,
        done.steps, [bridge_option(name) for name in names], sorted(containers())]
""")
    assert seen == [
        [],
        ["icc", "ip", "ip-masq", "mtu"],
        True,
        True,
        ["stop_containers", "restart", "start_containers"],
        ["false", "1400", "127.0.0.1", "false"],
        ["web"],
    ]


def test_a_restart_without_live_restore_ends_containers_as_planned(host: Host) -> None:
    seen = host("""
fresh()
planned = change({"no-new-privileges": True}, ["no-new-privileges"])
still = sorted(containers())
service.restart(); service.await_answer()
seen = [planned.steps, planned.pending["no-new-privileges"], still, sorted(containers())]
""")
    assert seen[0] == []
    assert "so that a restart would stop: web" in seen[1]
    assert seen[2:] == [["web"], []]


def test_containers_run_with_rm_end_where_the_plan_says_so(host: Host) -> None:
    seen = host("""
fresh(b'{"live-restore": true}', auto_remove=True)
planned = decide(service.state(), [WrittenKey("log-opts", None, in_force=False, differs=True)],
                 live_restore_wanted=True)
service.restart(); service.await_answer()
lost = [name for effect in planned.effects for name in effect.containers]
seen = [sorted({"web", "job"} - containers().keys()), lost]
""")
    assert seen[0] == seen[1]


def test_moved_data_comes_after_the_last_container_and_goes_back(host: Host) -> None:
    seen = host("""
fresh(b'{"live-restore": true}')
old = FILE.read_bytes()
before = [{"id": entry.id, "name": entry.name} for entry in service.state().containers]
refused = change({"live-restore": True, "userns-remap": "default"}, ["userns-remap"]).pending
write(old)
found = preflight()
moved = change({"live-restore": True, "userns-remap": "default"}, ["userns-remap"], allow="move_data")
images = api("GET", "/images/json")
problems = health({})
outcome = restore(old, before)
seen = [list(refused), [entry["name"] for entry in found["containers"]], found["second_store"]["enough"],
        moved.steps, images, problems, outcome["actions"], sorted(containers()), FILE.read_bytes() == old]
""")
    assert seen == [
        ["userns-remap"],
        ["web"],
        True,
        ["stop_containers", "prove_none_left", "restart"],
        [],
        [],
        ["restart", "start_containers"],
        ["web"],
        True,
    ]


def test_containers_left_behind_by_moved_data_are_found(host: Host) -> None:
    seen = host("""
fresh(b'{"live-restore": true}')
before = containers()
old = FILE.read_bytes()
write_keys({"live-restore": True, "userns-remap": "default"})
service.restart(); service.await_answer()
problems = health({})
restore(old)
seen = [problems, before == containers()]
""")
    assert len(seen[0]) == 1
    assert "runs, and the engine does not list it" in seen[0][0]
    assert seen[1], "the engine takes its container over again"


@pytest.mark.parametrize(
    "content", ["None", 'b"{}"', """b'{"labels": ["a=1"]}'""", """b'{"live-restore": false}'"""]
)
def test_a_rollback_keeps_every_container(host: Host, content: str) -> None:
    seen = host(f"""
old = {content}
fresh(old)
before = containers()
change({{"live-restore": True, "no-new-privileges": True}}, ["live-restore", "no-new-privileges"])
outcome = restore(old)
run("after")
seen = [outcome["actions"], outcome["survivors"], {{"web": containers()["web"]}} == before,
        info("LiveRestoreEnabled"), no_new_privileges("after"),
        (FILE.read_bytes() if FILE.exists() else None) == old]
""")
    assert seen == [["restart", "reload"], ["web"], True, False, "0", True]


def test_a_rollback_of_what_was_only_written_touches_nothing(host: Host) -> None:
    seen = host("""
fresh()
before, taken_at = containers(), system.now()
write_keys({"no-new-privileges": True})
outcome = restore(None, taken_at=taken_at)
seen = [outcome["actions"], before == containers(), FILE.exists()]
""")
    assert seen == [[], True, False]


def test_a_rollback_of_a_reload_is_a_reload(host: Host) -> None:
    seen = host("""
fresh()
before = containers()
change({"live-restore": True, "labels": ["a=1"]}, ["live-restore", "labels"])
outcome = restore(None)
seen = [outcome["actions"], before == containers(), info("LiveRestoreEnabled"), info("Labels"), FILE.exists()]
""")
    assert seen == [["reload"], True, False, [], False]


def test_a_rollback_starts_an_engine_that_is_down_and_keeps_every_container(host: Host) -> None:
    seen = host("""
fresh()
before = containers()
change({"live-restore": True}, ["live-restore"])
write(b'{"live-restore": true, "no-such-key": 1}')
command("systemctl", "restart", "docker.service", check=False)
down = command("systemctl", "is-active", "docker.service", check=False) != "active"
outcome = restore(None)
seen = [down, outcome["actions"], before == containers(), info("LiveRestoreEnabled"), FILE.exists(),
        health(before)]
""")
    assert seen == [True, ["start", "reload"], True, False, False, []]


def test_the_probe_container_starts_or_says_why_not(host: Host) -> None:
    seen = host("""
fresh()
before = containers()
seen = [health(before), health(before, image=PROBE), health(before, image="localhost/missing:1"),
        health({**before, "gone": [1, 1]})]
""")
    assert seen[:2] == [[], []]
    assert seen[2] == ["not probed: the image localhost/missing:1 is not on this host"]
    assert seen[3] == ["container gone ran before and does not run any more"]


def test_a_rule_in_docker_user_survives_restarts_and_not_a_flush(host: Host) -> None:
    """Flushed by an empty file, as netfilter-persistent restores one at a reload of its rules.

    With a container that runs on, 28.5 makes the chain anew, 20.10 and 26.1 do not.
    """
    seen = host("""
def restarted():
    service.restart()
    service.await_answer()
    return docker_user(rule)
rule = "-A DOCKER-USER -s 198.51.100.0/24 -j DROP"
fresh(b'{"live-restore": true}')
command("iptables", "-I", *rule.split()[1:])
kept = restarted()
Path("/root/flush.rules").write_text("*filter\\nCOMMIT\\n")
command("iptables-restore", "/root/flush.rules")
seen = [kept, docker_user(rule), restarted(), int(info("ServerVersion").split(".")[0])]
""")
    anew = seen.pop() >= 28
    assert seen == [
        {"exists": True, "jumped_to": True, "rule": True},
        {"exists": False, "jumped_to": False, "rule": False},
        {"exists": anew, "jumped_to": anew, "rule": False},
    ]


def test_a_key_that_takes_a_restart_comes_by_one_that_keeps_containers(host: Host) -> None:
    seen = host("""
fresh(b'{"live-restore": true}')
run("old", port=8080)
before, proxies = containers(), [proxy_of(8080)]
activation = change({"live-restore": True, "userland-proxy": False}, ["userland-proxy"])
kept = before == containers()
run("new", port=8081)
seen = [activation.steps, [effect.effect for effect in activation.effects], kept, [*proxies, proxy_of(8081)]]
""")
    assert seen == [["restart"], ["restart"], True, [True, False]]


def test_a_value_that_is_in_force_already_costs_nothing(host: Host) -> None:
    seen = host("""
fresh(b'{"live-restore": true, "labels": ["a=1"]}')
before = containers()
key = WrittenKey("labels", None, in_force=info("Labels") == ["a=1"], differs=False)
planned = decide(service.state(), [key], live_restore_wanted=True)
service.reload()
seen = [planned.steps, [effect.effect for effect in planned.effects], before == containers(), info("Labels")]
""")
    assert seen == [[], ["none"], True, ["a=1"]]


def test_a_swarm_takes_no_live_restore_and_loses_containers_by_a_restart(host: Host) -> None:
    seen = host("""
fresh()
command("docker", "swarm", "init", "--advertise-addr", "127.0.0.1")
try:
    planned = change({"userland-proxy": False}, ["userland-proxy"])
    write_keys({"live-restore": True})
    refused = [reload_is_refused(), info("LiveRestoreEnabled")]
    write(None)
    service.restart(); service.await_answer()
    seen = [planned.steps, planned.pending["userland-proxy"], refused, sorted(containers())]
finally:
    command("docker", "swarm", "leave", "--force")
""")
    assert seen[0] == []
    assert "swarm" in seen[1]
    assert "web" in seen[1]
    assert seen[2:] == [[True, False], []]


def test_apparmor_s_parser_takes_a_grant_of_user_namespaces(host: Host) -> None:
    """Where it knows them, from 4.0 on; older hosts restrict none."""
    knows, status, said = host("""
from ansible_collections.bulkhead.hardening.plugins.module_utils._rootless_apparmor import grant_lines
grant = Path("/root/grant")
grant.write_text("\\n".join(grant_lines("/usr/bin/podman")) + "\\n")
parsed = subprocess.run(["apparmor_parser", "-QTK", grant], capture_output=True, text=True, check=False)
seen = [Path("/etc/apparmor.d/abi/4.0").exists(), parsed.returncode, parsed.stderr]
""")
    assert (status == 0) is knows, said
