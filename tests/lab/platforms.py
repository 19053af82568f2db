# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The platforms of the lab as plain facts: what is in each image and how it boots."""

from __future__ import annotations

from dataclasses import dataclass

from lab.errors import LabError

VARIANTS = ("full", "bare", "bootloader")

_SYSTEM = (
    *(
        "ca-certificates",
        "dbus",
        "init",
        "iproute2",
        "iputils-ping",
        "kmod",
        "libpam-systemd",
        "linux-image-amd64",
    ),
    *("netbase", "openssh-server", "procps", "python3", "sudo", "systemd", "systemd-sysv", "udev"),
)
_CONTAINER_HOST = (
    *(
        "acl",
        "apparmor",
        "apparmor-utils",
        "auditd",
        "busybox-static",
        "curl",
        "dbus-user-session",
        "docker.io",
    ),
    *("fuse-overlayfs", "iptables", "podman", "slirp4netns", "uidmap"),
)
# What a rootless Docker starts in; Debian 11 is not known to have it.
_ROOTLESS_DOCKER = ("rootlesskit",)
# A registry on loopback and what signs images.
_IMAGE_TRUST = ("docker-registry", "gnupg", "openssl", "skopeo")
# grub-install and update-grub without grub-pc's installation questions.
_BOOT_LOADER = ("grub-common", "grub-pc-bin", "grub2-common")


@dataclass(frozen=True)
class Platform:
    """One release: its suite, what a container host needs there beyond the common packages, apt options."""

    name: str
    suite: str
    container_packages: tuple[str, ...] = ()
    apt_options: tuple[str, ...] = ()


PLATFORMS = (
    Platform("debian-11", "bullseye"),
    Platform("debian-12", "bookworm", ("aardvark-dns", "netavark", *_ROOTLESS_DOCKER, *_IMAGE_TRUST)),
    Platform(
        "debian-13",
        "trixie",
        ("aardvark-dns", "docker-cli", "netavark", "passt", *_ROOTLESS_DOCKER, *_IMAGE_TRUST),
    ),
    Platform(
        "debian-sid",
        "sid",
        ("aardvark-dns", "docker-cli", "netavark", "passt", *_ROOTLESS_DOCKER),
        (
            'Acquire::Check-Valid-Until "false"',
        ),  # a copy of the archive may be older than its Release file allows
    ),
)


@dataclass(frozen=True)
class Recipe:
    """Everything that decides what is in an image; two equal recipes give the same cached image."""

    name: str
    suite: str
    variant: str
    packages: tuple[str, ...]
    apt_options: tuple[str, ...]
    disk_gib: int = 8

    @property
    def boots_itself(self) -> bool:
        """Whether it starts through its own boot loader, so that a changed command line takes effect."""
        return self.variant == "bootloader"


def accepted_names() -> list[str]:
    """Every name that `up` and `build` take."""
    return [
        platform.name if variant == "full" else f"{platform.name}-{variant}"
        for platform in PLATFORMS
        for variant in VARIANTS
    ]


def recipe_for(name: str) -> Recipe:
    """The recipe of a name such as `debian-13` or `debian-12-bare`; LabError lists the accepted names."""
    for platform in PLATFORMS:
        for variant in VARIANTS:
            if name == (platform.name if variant == "full" else f"{platform.name}-{variant}"):
                return _recipe(name, platform, variant)
    raise LabError(f"no platform is called {name!r}; accepted are: {', '.join(accepted_names())}")


def _recipe(name: str, platform: Platform, variant: str) -> Recipe:
    packages = set(_SYSTEM)
    if variant != "bare":
        packages.update(_CONTAINER_HOST, platform.container_packages)
    if variant == "bootloader":
        packages.update(_BOOT_LOADER)
    return Recipe(name, platform.suite, variant, tuple(sorted(packages)), platform.apt_options)
