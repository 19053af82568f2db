# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What makes two machines of one saved state different, and brings a saved state to the present."""

from __future__ import annotations

import base64
import secrets
import time

_SCRIPT = """\
name={name}
printf '%s\\n' "$name" > /etc/hostname
hostname "$name"
sed -i "s/^127\\.0\\.1\\.1 .*/127.0.1.1 $name/" /etc/hosts
"""

# RNDRESEEDCRNG (random(4)) makes the kernel use the new bytes at once, not minutes later.
_PRESENT = """\
date --set=@{now:.3f} >/dev/null
python3 -c 'import base64, fcntl
with open("/dev/urandom", "wb") as pool:
    pool.write(base64.b64decode("{seed}"))
    pool.flush()
    fcntl.ioctl(pool, 0x5207)'
printf '%s\\n' {machine_id} > /etc/machine-id
systemctl restart systemd-journald
"""


def identity_script(name: str, *, from_saved_state: bool) -> str:
    """A shell script for root: the host name; after a saved state also time, randomness and machine id."""
    script = _SCRIPT.format(name=name)
    if from_saved_state:
        seed = base64.b64encode(secrets.token_bytes(64)).decode()
        script += _PRESENT.format(now=time.time(), seed=seed, machine_id=secrets.token_hex(16))
    return script
