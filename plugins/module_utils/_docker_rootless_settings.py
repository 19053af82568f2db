# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a user's own daemon.json says of the keys that decide which others the daemon starts with."""

from __future__ import annotations

import pwd
from typing import Any

from ansible_collections.bulkhead.hardening.plugins.module_utils._docker_keys import check_key
from ansible_collections.bulkhead.hardening.plugins.module_utils._ports import PortError
from ansible_collections.bulkhead.hardening.plugins.module_utils._unix_http import parse_json
from ansible_collections.bulkhead.hardening.plugins.module_utils._user_files import UserFileError, read_as

__all__ = ["DAEMON_JSON", "DECISIVE", "decisive_settings"]

DAEMON_JSON = ".config/docker/daemon.json"
# None of them can carry a credential.
DECISIVE = (
    "bip",
    "bridge",
    "default-runtime",
    "exec-opts",
    "features",
    "firewall-backend",
    "icc",
    "ip-forward",
    "ip6tables",
    "iptables",
    "ipv6",
    "log-driver",
    "runtimes",
)
_LIMIT = 1024 * 1024


def decisive_settings(account: pwd.struct_passwd) -> dict[str, Any]:
    """The keys of `DECISIVE` that the user's file has, read as the user; of `runtimes` the names alone.

    A file that cannot be read has none of them here: `owned_config` reads it next, and says why.
    """
    path = f"{account.pw_dir}/{DAEMON_JSON}"
    try:
        content = read_as(account.pw_uid, account.pw_gid, path, _LIMIT) or b""
        document = parse_json(content.decode("utf-8", "replace")) if content.strip() else {}
    except (UserFileError, PortError):
        return {}
    if not isinstance(document, dict):
        return {}
    found = {
        name: document[name]
        for name in DECISIVE
        if name in document and check_key(name, document[name], None) is None
    }
    if "runtimes" in found:
        found["runtimes"] = {name: {} for name in found["runtimes"]}
    return found
