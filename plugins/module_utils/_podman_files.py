# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which configuration files a release of Podman reads, in which order, for root and for a user. Pure.

Source: ``pkg/config/config.go`` and ``new.go`` of common 0.33.4, 0.50.1, 0.62.2 and 0.67.1,
``pkg/sysregistriesv2`` of image 5.10.3 to 5.39.2, ``types/options.go`` of storage 1.43.0 and 1.57.2, and
``pkg/configfile/parse.go`` of storage 1.64.0, from which Podman 6 reads all three. Tried with Podman 3.0.1,
4.3.1, 5.4.2, 5.8.6 and 6.1.1:

- 3.0.1 reads no drop-ins of containers.conf. 4.3.1 does; which release between them began is not known here.
- Up to 5.8 a user's own registries.conf (root's too) takes the place of all in /etc, drop-ins included.
- Podman 6 takes one main file, the user's before /etc's, and pools the drop-ins of all places by name.
- storage.conf has drop-ins where the storage library is 1.64: with Podman 6, and with Debian's 5.8.6.
  ``podman info`` of these has no ``store.configFile``.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ansible_collections.bulkhead.hardening.plugins.module_utils._docker_keys import parse_version

__all__ = ["DROP_IN", "ETC", "FILES", "ROOT", "USER_DROP_IN", "USR", "Account", "Reader"]

FILES = ("containers", "storage", "registries")
ETC = "/etc/containers"
USR = "/usr/share/containers"

# Of one pool the user's has to be read later: "." sorts before most, and "c" before "u".
DROP_IN = "99-bulkhead.conf"
USER_DROP_IN = "99-bulkhead.user.conf"


@dataclass(frozen=True)
class Account:
    """Whose Podman it is.

    :ivar home: where ``.config/containers`` is; a user who sets XDG_CONFIG_HOME has it elsewhere
    """

    name: str
    uid: int
    home: str

    @property
    def configuration(self) -> str:
        return f"{self.home}/.config/containers"


ROOT = Account("root", 0, "/root")


@dataclass(frozen=True)
class Reader:
    """A release of Podman as a reader of its files.

    :ivar version: ``5.4.2``
    :ivar storage_drop_ins: whether its storage library reads drop-ins
    """

    version: str
    storage_drop_ins: bool

    def _since(self, *release: int) -> bool:
        return parse_version(self.version) >= release

    def pooled(self, file: str) -> bool:
        """Whether drop-ins of all places are pooled by their names."""
        return self._since(6) or (file == "storage" and self.storage_drop_ins)

    def has_drop_ins(self, file: str) -> bool:
        """Whether a drop-in in /etc is read."""
        return self.pooled(file) or file == "registries" or (file == "containers" and self._since(4, 3))

    def own_file(self, file: str, account: Account = ROOT) -> str:
        """Where a policy for this account goes; for root it is every account's default.

        A user's file is root's where the release has a place in /etc for it, and else lies in their home,
        where they can change it.
        """
        if account.uid == 0:
            return f"{ETC}/{file}.conf.d/{DROP_IN}" if self.has_drop_ins(file) else f"{ETC}/{file}.conf"
        if self.pooled(file) or (file == "containers" and self._since(5, 8)):
            return f"{ETC}/{file}.rootless.conf.d/{account.uid}/{USER_DROP_IN}"
        if self.has_drop_ins(file):
            return f"{account.configuration}/{file}.conf.d/{USER_DROP_IN}"
        return f"{account.configuration}/{file}.conf"

    def reading_order(self, file: str, paths: Iterable[str], account: Account = ROOT) -> list[str]:
        """Which of the paths are read for this account; a later one's value replaces an earlier one's."""
        there = set(paths)
        if self.pooled(file):
            return _pooled(file, there, account)
        return {
            "containers": self._containers,
            "registries": self._registries,
            "storage": _storage,
        }[file](there, account)

    def _containers(self, there: set[str], account: Account) -> list[str]:
        main = [f"{USR}/containers.conf", f"{ETC}/containers.conf"]
        own = f"{account.configuration}/containers.conf"
        # 3.0 and 4.3 read root's own file not, 5.4 does; the safe side for those between
        own_read = account.uid != 0 or self._since(4, 4)
        if not self._since(4, 3):
            return _present([*main, *([own] if own_read else [])], there)
        order = [*main, *_drop_ins(f"{ETC}/containers.conf.d", there)]
        if account.uid != 0 and self._since(5, 8):
            special = f"{ETC}/containers.rootless.conf"
            order += [special, *_drop_ins(f"{special}.d", there)]
            order += _drop_ins(f"{special}.d/{account.uid}", there)
        if own_read:
            order += [own, *_drop_ins(f"{own}.d", there)]
        return _present(order, there)

    def _registries(self, there: set[str], account: Account) -> list[str]:
        own = f"{account.configuration}/registries.conf"
        drop_ins = _drop_ins(f"{own}.d", there)
        if own in there:
            return [own, *drop_ins]
        system = [f"{ETC}/registries.conf", *_drop_ins(f"{ETC}/registries.conf.d", there)]
        return _present([*system, *drop_ins], there)


def _storage(there: set[str], account: Account) -> list[str]:
    if account.uid != 0:
        return _present([f"{account.configuration}/storage.conf"], there)
    return _present([f"{ETC}/storage.conf", f"{USR}/storage.conf"], there)[:1]


def _pooled(file: str, there: set[str], account: Account) -> list[str]:
    own = f"{account.configuration}/{file}.conf"
    main = _present([own, f"{ETC}/{file}.conf", f"{USR}/{file}.conf"], there)[:1]
    special = "rootful" if account.uid == 0 else "rootless"
    by_name: dict[str, str] = {}
    for place in (USR, ETC):
        directories = [f"{place}/{file}.conf.d", f"{place}/{file}.{special}.conf.d"]
        if account.uid != 0:
            directories.append(f"{directories[-1]}/{account.uid}")
        for directory in directories:
            by_name.update((path.rpartition("/")[2], path) for path in _drop_ins(directory, there))
    by_name.update((path.rpartition("/")[2], path) for path in _drop_ins(f"{own}.d", there))
    return main + [by_name[name] for name in sorted(by_name)]


def _drop_ins(directory: str, there: Iterable[str]) -> list[str]:
    return sorted(path for path in there if path.rpartition("/")[0] == directory and path.endswith(".conf"))


def _present(paths: Iterable[str], there: set[str]) -> list[str]:
    return [path for path in paths if path in there]
