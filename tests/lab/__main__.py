# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The command line: python -m lab COMMAND …"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from types import FrameType

from lab.accelerator import choose_accelerator
from lab.errors import LabError
from lab.image import image_for
from lab.instance import checked_name
from lab.laboratory import Laboratory, Wanted, lab_directory
from lab.machine import Machine
from lab.platforms import accepted_names, recipe_for
from lab.progress import Progress

_NAMES = f"accepted: {', '.join(accepted_names())}"


def parser() -> argparse.ArgumentParser:
    commands = argparse.ArgumentParser(prog="python -m lab", description=__doc__)
    sub = commands.add_subparsers(dest="command", required=True, metavar="COMMAND")

    up = sub.add_parser("up", help="start machines and print the path of their inventory")
    up.add_argument("names", nargs="+", metavar="PLATFORM", help=f"PLATFORM or NAME=PLATFORM; {_NAMES}")
    up.add_argument("--count", type=int, default=1, help="that many of each, called PLATFORM-1 and so on")
    up.add_argument("--as", dest="alias", metavar="NAME", help="the name of the (single) machine")
    up.add_argument("--cold", action="store_true", help="boot for real, not from the saved state")

    ssh = sub.add_parser("ssh", help="log in as root, or run a command")
    ssh.add_argument("name", metavar="NAME")
    ssh.add_argument("remote", nargs=argparse.REMAINDER, metavar="COMMAND")

    down = sub.add_parser("down", help="end machines and remove what is theirs; without a name: all")
    down.add_argument("names", nargs="*", metavar="NAME")

    for command, text in (
        ("reboot", "reboot and wait for ssh"),
        ("power-cut", "end at once, as if the power failed; the disk stays"),
        ("power-on", "start a machine that is off"),
    ):
        sub.add_parser(command, help=text).add_argument("name", metavar="NAME")

    sub.add_parser("list", help="every machine of this lab, and whether it is up")
    build = sub.add_parser("build", help="build images into the cache")
    build.add_argument("names", nargs="+", metavar="PLATFORM", help=_NAMES)
    probe = sub.add_parser("probe", help="say whether machines run on KVM or are emulated")
    probe.add_argument("platform", nargs="?", default="debian-13", metavar="PLATFORM", help=_NAMES)
    return commands


def wanted_machines(names: Sequence[str], *, count: int = 1, alias: str | None = None) -> list[Wanted]:
    """What `up` shall start. Each name is a platform, or NAME=PLATFORM; LabError for what is not accepted."""
    if count < 1:
        raise LabError(f"--count is {count}; accepted are 1 and more")
    if alias is not None and (len(names) > 1 or count > 1):
        raise LabError("--as names one machine; give one platform and no --count (or use NAME=PLATFORM)")
    wanted = []
    for given in names:
        own, separator, platform = given.rpartition("=")
        recipe = recipe_for(platform)
        base = alias or (own if separator else platform)
        each = [base] if count == 1 else [f"{base}-{number}" for number in range(1, count + 1)]
        wanted += [Wanted(checked_name(name), recipe) for name in each]
    doubled = sorted({one.name for one in wanted if [other.name for other in wanted].count(one.name) > 1})
    if doubled:
        raise LabError(f"more than one machine would be called {', '.join(doubled)}; use NAME=PLATFORM")
    return wanted


def run(options: argparse.Namespace, laboratory: Laboratory) -> None:
    """Carry out one command; results go to stdout, progress to stderr."""
    progress = laboratory.progress
    if options.command == "up":
        laboratory.up(
            wanted_machines(options.names, count=options.count, alias=options.alias), cold=options.cold
        )
        print(laboratory.inventory)
    elif options.command == "down":
        for name in options.names:
            laboratory.instance(name)
        laboratory.down(options.names or [instance.name for instance in laboratory.instances()])
    elif options.command == "ssh":
        argv = [*laboratory.machine(options.name).ssh_arguments(), *options.remote]
        os.execv(argv[0], argv)
    elif options.command == "list":
        for instance in laboratory.instances():
            print(f"{instance.name}\t{'up' if instance.pid() is not None else 'off'}")
    elif options.command == "build":
        for name in options.names:
            print(laboratory.build(recipe_for(name)).directory)
    elif options.command == "probe":
        print(choose_accelerator(image_for(recipe_for(options.platform), progress), progress).name)
    else:
        change_power(options.command, laboratory.machine(options.name))
        laboratory.write_inventory()


def change_power(command: str, machine: Machine) -> None:
    """Reboot, cut the power of, or start an existing machine."""
    if command == "reboot":
        machine.reboot()
    elif command == "power-cut":
        machine.power_cut()
    else:
        machine.power_on()


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status: 0, or 1 after an error that was printed, or 130 after an interrupt."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    options = parser().parse_args(arguments)
    try:
        run(options, Laboratory(lab_directory(), Progress()))
    except LabError as error:
        print(f"lab: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("lab: interrupted; what this command had started is ended", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
