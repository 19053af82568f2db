# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which sysctls, kernel options and modules the posture reads."""

from __future__ import annotations

__all__ = ["KERNEL_MODULES", "KERNEL_OPTIONS", "SYSCTLS"]

SYSCTLS: tuple[str, ...] = (
    # what an unprivileged user or a container may learn of and do to the kernel
    "kernel.unprivileged_bpf_disabled",
    "net.core.bpf_jit_enable",
    "net.core.bpf_jit_harden",
    "kernel.kptr_restrict",
    "kernel.dmesg_restrict",
    "kernel.yama.ptrace_scope",
    "kernel.randomize_va_space",
    "kernel.kexec_load_disabled",
    "kernel.perf_event_paranoid",
    "kernel.modules_disabled",
    "kernel.sysrq",
    "kernel.io_uring_disabled",
    "dev.tty.ldisc_autoload",
    "vm.mmap_min_addr",
    "vm.unprivileged_userfaultfd",
    # files
    "fs.protected_symlinks",
    "fs.protected_hardlinks",
    "fs.protected_fifos",
    "fs.protected_regular",
    "fs.suid_dumpable",
    # user namespaces
    "user.max_user_namespaces",
    "kernel.unprivileged_userns_clone",
    "kernel.apparmor_restrict_unprivileged_userns",
    # network
    "net.ipv4.ip_forward",
    "net.ipv4.conf.all.forwarding",
    "net.ipv6.conf.all.forwarding",
    "net.ipv6.conf.default.forwarding",
    "net.ipv4.conf.all.rp_filter",
    "net.ipv4.conf.default.rp_filter",
    "net.ipv4.conf.all.route_localnet",
    "net.ipv4.conf.default.route_localnet",
    "net.ipv4.conf.all.accept_redirects",
    "net.ipv4.conf.default.accept_redirects",
    "net.ipv6.conf.all.accept_redirects",
    "net.ipv6.conf.default.accept_redirects",
    "net.ipv4.conf.all.accept_source_route",
    "net.ipv4.conf.all.send_redirects",
    "net.ipv4.tcp_syncookies",
    "net.bridge.bridge-nf-call-iptables",
    "net.bridge.bridge-nf-call-ip6tables",
    "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.ping_group_range",
    # what the kubelet demands, and capacity
    "vm.overcommit_memory",
    "vm.panic_on_oom",
    "kernel.panic",
    "kernel.panic_on_oops",
    "kernel.keys.root_maxkeys",
    "kernel.keys.root_maxbytes",
    "kernel.pid_max",
    "fs.file-max",
    "fs.inotify.max_user_instances",
    "fs.inotify.max_user_watches",
)

# moby contrib/check-config.sh at docker-v29.7.2, "generally necessary"
_NECESSARY = """
    NAMESPACES NET_NS PID_NS IPC_NS UTS_NS CGROUPS CGROUP_CPUACCT CGROUP_DEVICE CGROUP_FREEZER CGROUP_SCHED
    CPUSETS MEMCG KEYS VETH BRIDGE BRIDGE_NETFILTER IP_NF_FILTER IP_NF_MANGLE IP_NF_TARGET_MASQUERADE
    IP6_NF_FILTER IP6_NF_MANGLE IP6_NF_TARGET_MASQUERADE NETFILTER_XT_MATCH_ADDRTYPE
    NETFILTER_XT_MATCH_CONNTRACK NETFILTER_XT_MATCH_IPVS NETFILTER_XT_MARK
    IP_NF_RAW IP_NF_NAT NF_NAT IP6_NF_RAW IP6_NF_NAT POSIX_MQUEUE
    CGROUP_BPF
"""
# the same script, "optional features" that bear on isolation, firewalling or storage
_OPTIONAL = """
    USER_NS SECCOMP SECCOMP_FILTER CGROUP_PIDS BLK_CGROUP BLK_DEV_THROTTLING CGROUP_PERF CGROUP_HUGETLB
    NET_CLS_CGROUP CGROUP_NET_PRIO CFS_BANDWIDTH FAIR_GROUP_SCHED SECURITY_SELINUX SECURITY_APPARMOR
    NF_TABLES NFT_CT NFT_FIB NFT_FIB_IPV4 NFT_FIB_IPV6 NFT_MASQ NFT_NAT VXLAN OVERLAY_FS EXT4_FS_POSIX_ACL
    EXT4_FS_SECURITY LEGACY_VSYSCALL_NONE LEGACY_VSYSCALL_XONLY LEGACY_VSYSCALL_EMULATE
"""
# kernel-hardening-checker, checks.py
_HARDENING = """
    SECURITY_YAMA SECURITY_LANDLOCK SECURITY_LOCKDOWN_LSM MODULE_SIG MODULE_SIG_FORCE BPF_UNPRIV_DEFAULT_OFF
    HARDENED_USERCOPY INIT_ON_ALLOC_DEFAULT_ON SLAB_FREELIST_RANDOM SLAB_FREELIST_HARDENED RANDOMIZE_BASE
    STACKPROTECTOR_STRONG VMAP_STACK STRICT_KERNEL_RWX DEBUG_INFO_BTF
"""
KERNEL_OPTIONS: tuple[str, ...] = tuple(
    f"CONFIG_{name}" for name in f"{_NECESSARY} {_OPTIONAL} {_HARDENING}".split()
)

KERNEL_MODULES: tuple[str, ...] = (
    # what engines need
    "br_netfilter",
    "bridge",
    "fuse",
    "ip6_tables",
    "ip_tables",
    "ip_vs",
    "nf_conntrack",
    "nf_nat",
    "nf_tables",
    "overlay",
    "tun",
    "veth",
    "vxlan",
    "xt_addrtype",
    # what hardly any container host needs, and attackers like
    "cramfs",
    "dccp",
    "freevxfs",
    "hfs",
    "hfsplus",
    "jffs2",
    "n_hdlc",
    "rds",
    "sctp",
    "tipc",
    "udf",
    "usb_storage",
    # Falco's own driver
    "scap",
)
