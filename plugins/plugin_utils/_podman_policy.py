# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The profiles of the role `podman_policy` as data, and the files that a host and its users get.

A policy is a default for containers to come, not a fence: a user's own file is read after it
(`_podman_files`), and an option of the command line goes before
both. `_podman_verdict` says who overrides what.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.bulkhead.hardening.plugins.module_utils._docker_keys import parse_version
from ansible_collections.bulkhead.hardening.plugins.module_utils._podman_files import (
    DROP_IN,
    ETC,
    FILES,
    ROOT,
    USER_DROP_IN,
    USR,
    Account,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._podman_keys import (
    MOVES_DATA,
    PODMAN_KEYS,
    check_key,
    unknown_to,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._sensitive import without_credentials
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._podman_registries import registry_keys
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._podman_state import (
    Effective,
    Found,
    PodmanPolicyError,
    PodmanState,
)
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._wanted_keys import KeyPath, leaves

__all__ = ["PROFILES", "Policy", "ProfileKey", "podman_policy"]

_TABLES = ("containers", "engine", "network", "storage")
_DEFAULT_CAPABILITIES = (
    *(
        "CHOWN",
        "DAC_OVERRIDE",
        "FOWNER",
        "FSETID",
        "KILL",
        "NET_BIND_SERVICE",
        "SETFCAP",
        "SETGID",
        "SETPCAP",
    ),
    *("SETUID", "SYS_CHROOT"),
)  # host.security.capabilities of podman info, 3.0.1 to 6.1.1
_STRICT_CAPABILITIES = ("CHOWN", "DAC_OVERRIDE", "FOWNER", "KILL", "NET_BIND_SERVICE", "SETGID", "SETUID")

# What moves data: its key -> where podman info says what it is now. Of the others nothing does.
_NOW: dict[KeyPath, tuple[str, ...]] = {
    ("storage", "driver"): ("store", "graphDriverName"),
    ("storage", "graphroot"): ("store", "graphRoot"),
    ("storage", "runroot"): ("store", "runRoot"),
    ("storage", "transient_store"): ("store", "transientStore"),
    ("engine", "volume_path"): ("store", "volumePath"),
    ("engine", "database_backend"): ("host", "databaseBackend"),
    ("network", "network_backend"): ("host", "networkBackend"),
}
_STORAGE_CORE = tuple(path for path in _NOW if path[0] == "storage" and path[1] != "transient_store")


def _is(*values: Any) -> Callable[[Any], bool]:
    return lambda found: any(found == value and type(found) is type(value) for value in values)


def _is_not(*values: Any) -> Callable[[Any], bool]:
    return lambda found: found not in values


def _up_to(limit: int, lowest: int = 1) -> Callable[[Any], bool]:
    return lambda found: isinstance(found, int) and not isinstance(found, bool) and lowest <= found <= limit


def _capability(name: str) -> str:
    return name.upper().removeprefix("CAP_")


def _within(capabilities: Sequence[str]) -> Callable[[Any], bool]:
    # an empty list stands for the program's own default (containers.conf(5))
    return lambda found: (
        isinstance(found, list)
        and found != []
        and {_capability(str(item)) for item in found} <= set(capabilities)
    )


@dataclass(frozen=True)
class ProfileKey:
    """A key of a profile.

    :ivar as_strong: whether a value of somebody else stays
    :ivar when_absent: whether the key is set where nobody has set it; otherwise the program's default
        is as strong
    """

    path: KeyPath
    value: Any
    as_strong: Callable[[Any], bool]
    when_absent: bool = False


def _weak_only(path: str, value: Any, *weak: Any) -> ProfileKey:
    return ProfileKey(tuple(path.split(".")), value, _is_not(*weak))


BASELINE: tuple[ProfileKey, ...] = (
    ProfileKey(("containers", "pids_limit"), 2048, _up_to(2048), when_absent=True),
    ProfileKey(("containers", "log_size_max"), 10485760, _up_to(10485760, 8192), when_absent=True),
    ProfileKey(
        ("containers", "default_capabilities"), list(_DEFAULT_CAPABILITIES), _within(_DEFAULT_CAPABILITIES)
    ),
    _weak_only("containers.seccomp_profile", "/usr/share/containers/seccomp.json", "unconfined"),
    _weak_only("containers.privileged", False, True),
    _weak_only("containers.env_host", False, True),
    _weak_only("containers.keyring", True, False),
    _weak_only("containers.label", True, False),
    _weak_only("containers.cgroupns", "private", "host"),
    _weak_only("containers.ipcns", "private", "host"),
    _weak_only("containers.pidns", "private", "host"),
    _weak_only("containers.utsns", "private", "host"),
    _weak_only("containers.netns", "private", "host"),
    _weak_only("engine.no_pivot_root", False, True),
)

STRICT: tuple[ProfileKey, ...] = (
    ProfileKey(
        ("containers", "default_capabilities"),
        list(_STRICT_CAPABILITIES),
        _within(_STRICT_CAPABILITIES),
        when_absent=True,
    ),
    ProfileKey(("containers", "ipcns"), "private", _is("private", "none"), when_absent=True),
    ProfileKey(("containers", "http_proxy"), False, _is(False), when_absent=True),
)


def _profile(name: str) -> tuple[ProfileKey, ...]:
    keys = {"none": (), "baseline": BASELINE, "strict": (*BASELINE, *STRICT)}[name]
    return tuple({key.path: key for key in keys}.values())


PROFILES: dict[str, tuple[ProfileKey, ...]] = {
    name: _profile(name) for name in ("none", "baseline", "strict")
}


@dataclass
class Policy:
    """The files of a host and its users.

    :ivar files: the option of owned_config: ``path``, ``format``, ``keys`` and ``validate``. A file whose
        keys are empty is there so that what an earlier run set in it goes back
    :ivar owners: path -> the account whose Podman the file is for; root's are everybody's defaults
    :ivar notices: what was left out, and why
    """

    files: list[dict[str, Any]] = field(default_factory=list)
    owners: dict[str, str] = field(default_factory=dict)
    notices: list[str] = field(default_factory=list)


def podman_policy(
    state: PodmanState,
    *,
    profile: str,
    settings: Mapping[str, Any],
    users: Mapping[str, Mapping[str, Any]] | None = None,
    check_mode: bool = False,
) -> Policy:
    """Which keys the files of a host and its users get.

    :param settings: values by table and key as in the files (``containers``, ``engine``, ``network``,
        ``storage``), and ``registries`` (`registry_keys`); they go before the profile, also where they are
        weaker
    :param users: name -> settings of one user, in the same form
    :param check_mode: a user's Podman that has no storage yet was not asked, because it would make one
    :raises PodmanPolicyError: what was asked for by name cannot be had; every problem in one text
    """
    policy, problems = Policy(), []
    for name, account in state.accounts.items():
        wanted = settings if name == ROOT.name else (users or {}).get(name, {})
        draft = _Draft(state, account, profile if name == ROOT.name else "none", wanted)
        draft.unasked = check_mode and account.uid != 0 and not state.info.get(name)
        draft.work()
        problems += draft.problems
        policy.notices += draft.notices
        for file in draft.files():
            policy.files.append(file)
            policy.owners[file["path"]] = name
    problems += [
        f"users: found {name}, accepted is one of the users of this host that were looked at: "
        f"{', '.join(other for other in state.accounts if other != ROOT.name) or 'none'}."
        for name in users or {}
        if name not in state.accounts or name == ROOT.name
    ]
    if problems:
        lines = "".join(f"\n- {without_credentials(problem)}" for problem in problems)
        raise PodmanPolicyError(f"podman_policy: nothing was changed, because of{lines}")
    return policy


class _Draft:
    """The policy of one account while it is worked out."""

    def __init__(
        self, state: PodmanState, account: Account, profile: str, settings: Mapping[str, Any]
    ) -> None:
        self.state = state
        self.account = account
        self.profile = profile
        self.settings = settings
        self.unasked = False
        self.notices: list[str] = []
        self.problems: list[str] = []
        self.keys: dict[str, dict[str, Any]] = {file: {} for file in FILES}
        self.where = "" if account.uid == 0 else f"users.{account.name}: "
        self.own = {file: state.reader.own_file(file, account) for file in FILES}
        self.others: dict[str, Effective] = {
            file: state.effective(file, account, without=self._drop_ins(file)) for file in FILES
        }

    def work(self) -> None:
        """Fill `keys`, `notices` and `problems`."""
        self._refuse_unreadable()
        named = self._by_name()
        for entry in PROFILES[self.profile]:
            if not any(path[: len(entry.path)] == entry.path for path in named):
                self._from_profile(entry)
        if self.profile == "strict":
            self._overlay(named)
            self.notices.append(
                "no_new_privileges: left out: no release of Podman has a default for it. Give each container "
                "--security-opt=no-new-privileges, or NoNewPrivileges=true in its Quadlet file."
            )
        self._registries()
        if self.keys["storage"]:
            self._complete_storage()
        unchecked = [self.own[file] for file in FILES if self.keys[file] and self._is_out_of_reach(file)]
        if unchecked:
            self.notices.append(
                f"{self.where}{', '.join(unchecked)}: written without a look of Podman's, which does not run "
                "for this user."
            )

    def files(self) -> list[dict[str, Any]]:
        """The files with their keys, then the places that other releases have for them, without."""
        made = [
            {
                "path": self.own[file],
                "format": "toml",
                "keys": self.keys[file],
                "validate": self._validation(file),
            }
            for file in FILES
        ]
        for file in FILES:
            base = ETC if self.account.uid == 0 else self.account.configuration
            main = [] if file == "registries" else [f"{base}/{file}.conf"]
            for path in [*self._drop_ins(file), *main]:
                if path != self.own[file]:
                    made.append({"path": path, "format": "toml", "keys": {}, "validate": []})
        return made

    def _validation(self, file: str) -> list[str]:
        """Podman itself on the new text alone. Of storage.conf it would open the storage that the text names.

        Podman 3.0.1 takes no notice of CONTAINERS_REGISTRIES_CONF (tried); 4.3.1 does. owned_config runs it
        as the user whose home the file is in, for it starts programs that the text names (conmon_path). A
        Podman without the user's session would leave wrong paths in the user's database.
        """
        variable = {"containers": "CONTAINERS_CONF", "registries": "CONTAINERS_REGISTRIES_CONF"}.get(file)
        old = parse_version(self.state.version) < (4, 3)
        if variable is None or (file == "registries" and old) or self._is_out_of_reach(file):
            return []
        return ["env", f"{variable}=%s", "podman", "info"]

    def _is_out_of_reach(self, file: str) -> bool:
        """Whether a file is in the home of a user for whom no Podman runs."""
        in_a_home = not self.own[file].startswith(f"{ETC}/")
        return in_a_home and not self.state.info[self.account.name]

    def _drop_ins(self, file: str) -> list[str]:
        """Where releases of Podman have a file that is ours alone."""
        if self.account.uid == 0:
            return [f"{ETC}/{file}.conf.d/{DROP_IN}"]
        return [
            f"{ETC}/{file}.rootless.conf.d/{self.account.uid}/{USER_DROP_IN}",
            f"{self.account.configuration}/{file}.conf.d/{USER_DROP_IN}",
        ]

    def _refuse_unreadable(self) -> None:
        """Root's files have to be known, so that nothing is loosened. A user's are no reason to stop."""
        for effective in self.others.values():
            for path, reason in effective.unreadable.items():
                if path.startswith((f"{ETC}/", f"{USR}/", f"{ROOT.configuration}/")):
                    if self.account.uid == 0:
                        self.problems.append(f"{path}: {reason}; accepted is a file that Podman reads.")
                else:
                    self.notices.append(f"{self.where}{path}: {reason}, and it may override the policy.")
        main = f"{ETC}/registries.conf"
        document = self.state.document(main) if main in self.state.files else {}
        old = isinstance(document, Mapping) and isinstance(document.get("registries"), Mapping)
        if old and self.account.uid == 0 and parse_version(self.state.version) >= (6,):
            self.problems.append(
                f"{main}: found version 1 of its format ([registries.search]), accepted by Podman "
                f"{self.state.version} is version 2."
            )

    def _by_name(self) -> dict[KeyPath, Any]:
        named: dict[KeyPath, Any] = {}
        for table, members in self.settings.items():
            if table == "registries":
                continue
            if table not in _TABLES or not isinstance(members, Mapping):
                self.problems.append(
                    f"{self.where}{table}: found {type(members).__name__}, accepted are objects named: "
                    f"{', '.join((*_TABLES, 'registries'))}."
                )
                continue
            named.update(_settings_of(table, members))
        for path, value in named.items():
            self._named(path, value)
        return named

    def _named(self, path: KeyPath, value: Any) -> None:
        problem = check_key(path, value, self.state.version)
        if problem is not None:
            self.problems.append(self.where + problem)
            return
        row = PODMAN_KEYS[path]
        unknown = unknown_to(self.state.version, row)
        if unknown is not None:
            self.notices.append(f"{self.where}{row.dotted}: left out: {unknown}.")
        elif row.reach == MOVES_DATA:
            self._moving(path, value)
        elif self._fits(path, value):
            self._put(row.file, path, value)

    def _moving(self, path: KeyPath, value: Any) -> None:
        now = self.state.fact(self.account, *_NOW[path]) if path in _NOW else None
        if now is None and self.unasked:
            self._note_unasked(path)
        elif now is None:
            self.problems.append(
                f"{self.where}{'.'.join(path)}: found {value!r}, and what it is now is not known. It "
                "moves images, volumes or containers; accepted is to leave it out."
            )
        elif now != value:
            self.problems.append(
                f"{self.where}{'.'.join(path)}: found {value!r}, accepted is {now!r}, which the storage or "
                "the database has: another value leaves images, volumes or containers behind."
            )

    def _note_unasked(self, path: KeyPath) -> None:
        self.notices.append(
            f"{self.where}{'.'.join(path)}: left out in check mode: what it is says podman info, which would "
            "make this account's first storage. A run compares it."
        )

    def _fits(self, path: KeyPath, value: Any) -> bool:
        """Whether the host can have a value that is right in itself."""
        mode = str(value).partition(":")[0]
        if path == ("containers", "userns") and mode == "auto" and self.account.uid == 0:
            if self.state.auto_userns_ids is False:
                self.problems.append(
                    f"{self.where}containers.userns: found {value!r}, and the user containers (or "
                    "storage.options.root-auto-userns-user) has no subordinate ids: no container would "
                    "start. Accepted is another value, or a range for it in /etc/subuid and /etc/subgid."
                )
                return False
            if self.state.auto_userns_ids is None:
                self.notices.append(
                    "containers.userns: it is not known whether the user containers has subordinate ids, "
                    "without which no container starts."
                )
        if path == ("containers", "apparmor_profile") and self.account.uid != 0:
            self.notices.append(
                f"{self.where}containers.apparmor_profile: left out: it has no effect rootless."
            )
            return False
        return True

    def _put(self, file: str, path: KeyPath, value: Any) -> None:
        place = self.keys[file]
        for name in path[:-1]:
            place = place.setdefault(name, {})
        place[path[-1]] = value

    def _from_profile(self, entry: ProfileKey) -> None:
        row = PODMAN_KEYS[entry.path]
        found = self.others[row.file].keys.get(entry.path)
        if found is None and not entry.when_absent:
            return
        if found is not None and entry.as_strong(found.value) and found.value != entry.value:
            self.notices.append(f"{row.dotted}: {found.path} has a value as strong, which stays.")
            return
        unknown = unknown_to(self.state.version, row)
        if unknown is not None:
            self.notices.append(f"{row.dotted}: left out: {unknown}.")
            return
        self._note_later(row.file, found)
        self._put(row.file, entry.path, entry.value)

    def _note_later(self, file: str, found: Found | None) -> None:
        """Name a file that is read after ours; ours is set all the same, and the verdict says so again."""
        own = self.own[file]
        order = self.state.reader.reading_order(file, [*self.state.files, own], self.account)
        if found is None or own not in order or found.path not in order:
            return
        if order.index(own) < order.index(found.path):
            self.notices.append(f"{self.where}{found.path}: it is read after {own} and overrides it.")

    def _overlay(self, named: Mapping[KeyPath, Any]) -> None:
        path = ("storage", "options", "overlay", "mountopt")
        driver = self.state.fact(self.account, "store", "graphDriverName")
        if path in named:
            return
        if driver != "overlay":
            self.notices.append(f"{'.'.join(path)}: left out: the storage driver is {driver or 'not known'}.")
            return
        keys = self.others["storage"].keys
        found = keys.get(path) or keys.get(("storage", "options", "mountopt"))
        options = [item for item in str(found.value).split(",") if item] if found is not None else []
        ours = [option for option in options if option not in ("dev", "nodev")]
        self._put("storage", path, ",".join(["nodev", *ours] if "nodev" not in options else options))

    def _registries(self) -> None:
        settings = self.settings.get("registries") or {}
        if not isinstance(settings, Mapping):
            self.problems.append(f"{self.where}registries: found {settings!r}, accepted is an object.")
            return
        made = registry_keys(
            settings, self.others["registries"], self.state.version, strict=self.profile == "strict"
        )
        self.keys["registries"] = made.keys
        self.notices += [self.where + notice for notice in made.notices]
        self.problems += [self.where + problem for problem in made.problems]

    def _complete_storage(self) -> None:
        """Make a storage.conf that stands alone: it takes the place of the vendor's (storage before 1.64).

        The three keys are what podman info says, so that they change nothing; they are wanted in every run,
        or the next one would take them out again. The vendor's keys go over as long as nobody edits them.
        """
        if self.state.reader.pooled("storage"):
            return
        own = self.own["storage"]
        there = self.state.document(own) if own in self.state.files else None
        vendor = (
            self.state.document(f"{USR}/storage.conf") if f"{USR}/storage.conf" in self.state.files else {}
        )
        ours = leaves(self.keys["storage"])
        if self.account.uid == 0 and isinstance(vendor, Mapping):
            present = leaves(there) if isinstance(there, Mapping) else {}
            for path, value in leaves(vendor).items():
                if path not in ours and (there is None or present.get(path) == value):
                    self._put("storage", path, value)
        for path in _STORAGE_CORE:
            now = self.state.fact(self.account, *_NOW[path])
            if now is None and self.unasked:
                self._note_unasked(path)
            elif now is None:
                self.problems.append(
                    f"{self.where}{own}: found no {'.'.join(path)} in the answer of podman info, accepted is "
                    "an answer that has it: without it Podman would not start."
                )
            else:
                self._put("storage", path, now)


def _settings_of(table: str, members: Mapping[str, Any]) -> dict[KeyPath, Any]:
    """The values by path; a value that is an object itself (runtimes) stays whole."""
    found: dict[KeyPath, Any] = {}
    for path, value in leaves({table: members}).items():
        whole = next((path[:depth] for depth in range(2, len(path)) if path[:depth] in PODMAN_KEYS), path)
        found[whole] = members[whole[1]] if whole != path else value
    return found
