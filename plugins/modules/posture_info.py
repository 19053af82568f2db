#!/usr/bin/python
# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Read the security posture of a container host."""

from __future__ import annotations

DOCUMENTATION = r"""
module: posture_info
short_description: Read the security posture of a container host
version_added: "0.1.0"
author: "The Bulkhead authors (@bulkhead)"
description:
  - Reads in one call what is in force on a host that runs containers. The host, its kernel, Docker, Podman,
    the engines of unprivileged users, and every running container whatever started it.
  - Measures the effective state instead of files. Each fact names its witness, and a fact that could not be
    read says so with the reason.
  - Reads only. It sends no signal, executes nothing in a container, starts no engine that does not run and
    loads no kernel module.
  - Collects no secrets. Environment variables, command lines of containers, credentials and keys do not
    enter the document.
requirements:
  - Linux, and to see everything, root
  - Python 3.9 or later, nothing beyond its standard library
options:
  gather:
    description:
      - The parts to read. A part that is left out is null in the document.
      - V(containers) brings C(rootless_engines) with it. V(bulkhead) is what this collection has left open.
    type: list
    elements: str
    choices: [host, kernel, docker, podman, containers, rootless, bulkhead]
    default: [host, kernel, docker, podman, containers, rootless, bulkhead]
  users:
    description:
      - Accounts that V(rootless) looks at in any case, and that the controls judge without an engine too.
      - The others are found. Looked at is who has subordinate ids, linger, a session or a running container.
    type: list
    elements: str
    default: []
    version_added: "0.2.0"
  users_most:
    description:
      - Of how many other accounts V(rootless) looks at the files, the likeliest users of an engine first.
      - Each costs some milliseconds, and none is begun after 60 seconds.
      - When some are left out, C(rootless.all_looked_at) is unreadable and names them.
    type: int
    default: 200
    version_added: "0.2.0"
attributes:
  check_mode:
    description: Can run in check mode and return what it returns without it.
    support: full
  diff_mode:
    description: Returns what has changed, or would be changed.
    support: N/A
    details: It changes nothing.
"""

EXAMPLES = r"""
- name: Read the posture of the host
  bulkhead.hardening.posture_info:
  become: true
  register: host

- name: No container is privileged
  ansible.builtin.assert:
    that: host.posture.containers | selectattr('privileged.in_force', 'true') | length == 0

- name: Read what the kernel and Docker enforce
  bulkhead.hardening.posture_info:
    gather: [kernel, docker]
  become: true
  register: engine
"""

RETURN = r"""
posture:
  description: >-
    The document. A fact that does not exist on this host is null; one that exists but could not be
    read is C({"unreadable": reason}) in the place of its value, at whatever level; one that a sandbox
    hides is C({"not_applicable": reason}).
  returned: always
  type: dict
  contains:
    schema_version:
      description: Version of this format.
      type: str
    collected_at:
      description: When, in UTC (RFC 3339).
      type: str
    duration_seconds:
      description: How long it took on the host.
      type: float
    witnesses:
      description: Path of a fact (the longest one that begins it counts) to where that fact is read from.
      type: dict
    host:
      description: The machine.
      type: dict
      contains:
        hostname:
          description: Its name, as the kernel has it.
          type: str
        distribution:
          description: From os-release.
          type: dict
          contains:
            id:
              description: For example V(debian).
              type: str
            version_id:
              description: For example V(13); null on a rolling release.
              type: str
            codename:
              description: For example V(trixie).
              type: str
            name:
              description: The name for people.
              type: str
        virtualization:
          description: What systemd-detect-virt says; V(none) on metal.
          type: str
        init:
          description: The first process.
          type: dict
          contains:
            name:
              description: >-
                V(systemd), or its command name.
              type: str
            booted:
              description: Whether systemd runs the host.
              type: bool
        boot_time:
          description: When the kernel booted.
          type: str
    kernel:
      description: The kernel.
      type: dict
      contains:
        release:
          description: As C(uname -r) prints it.
          type: str
        version:
          description: The release's numbers.
          type: dict
          contains:
            major:
              description: First number.
              type: int
            minor:
              description: Second number.
              type: int
            patch:
              description: Third number.
              type: int
        machine:
          description: Processor architecture.
          type: str
        config:
          description: What it was built with.
          type: dict
          contains:
            source:
              description: The file that was read.
              type: str
            options:
              description: Option, such as V(CONFIG_SECCOMP_FILTER), to its value; null when not set.
              type: dict
        lsm:
          description: Linux security modules, in order.
          type: list
          elements: str
        apparmor:
          description: AppArmor.
          type: dict
          contains:
            enabled:
              description: Whether it is on.
              type: bool
            profiles:
              description: Mode to the number of loaded profiles in it; null when off.
              type: dict
        selinux:
          description: SELinux.
          type: dict
          contains:
            enabled:
              description: Whether it is on.
              type: bool
            mode:
              description: >-
                V(disabled), V(permissive) or V(enforcing).
              type: str
        lockdown:
          description: >-
            V(none), V(integrity), V(confidentiality); null when the kernel has no lockdown.
          type: str
        btf:
          description: Whether the kernel carries its BTF type information.
          type: bool
        cgroup:
          description: Control groups.
          type: dict
          contains:
            version:
              description: 1 or 2.
              type: int
            controllers:
              description: Those that are there.
              type: list
              elements: str
        user_namespaces:
          description: User namespaces, tried by a child process.
          type: dict
          contains:
            unprivileged:
              description: Whether an unprivileged user can use them.
              type: bool
            witness_detail:
              description: What was tried, and how it ended.
              type: str
        modules:
          description: Kernel module to whether it is loaded or built in.
          type: dict
        sysctls:
          description: Sysctl to its value as text; null when this kernel does not have it.
          type: dict
    docker:
      description: >-
        The rootful Docker engine. All but C(installed), C(packaging), C(binary) and C(running) are
        null when there is none, or when it comes from a snap.
      type: dict
      contains:
        installed:
          description: Whether there is one.
          type: bool
        packaging:
          description: >-
            V(deb), V(rpm), V(snap), V(other).
          type: str
        binary:
          description: Path of C(dockerd).
          type: str
        version:
          description: The numeric part.
          type: str
        version_text:
          description: As the engine says it.
          type: str
        installed_version:
          description: Version of the program that the next start runs.
          type: str
        upgrade_pending:
          description: Whether that is another one than runs.
          type: bool
        running:
          description: Whether it runs; null for a snap, which is not looked at.
          type: bool
        pid:
          description: Process id of the daemon.
          type: int
        started_at:
          description: When the daemon started.
          type: str
        last_reload_at:
          description: Its last reload through systemd.
          type: str
        needs_daemon_reload:
          description: Whether the unit on disk is newer than what systemd has loaded.
          type: bool
        exec_start:
          description:
            - The words of the command of its next start, with the variables of the unit as they are written.
              An object V(unreadable) where one of them may hold a credential.
          type: list
          elements: str
        configuration_file:
          description: The file that the next start reads (C(--config-file) is honoured).
          type: dict
          contains:
            path:
              description: Where it is.
              type: str
            exists:
              description: Whether it is there.
              type: bool
            changed_at:
              description: Its last change (ctime).
              type: str
            valid:
              description: Whether it is a JSON object; null when it is not there.
              type: bool
            error:
              description: What is wrong, without the file's content.
              type: str
            keys:
              description: The names of the keys in it.
              type: list
              elements: str
        flags:
          description: Settings in the command line, by the name of their key in daemon.json.
          type: dict
          contains:
            now:
              description: Of the running daemon.
              type: dict
            next:
              description: Of its next start.
              type: dict
        conflicts:
          description: >-
            Keys both in the file and among the next start's flags; with any of them the daemon does
            not start.
          type: list
          elements: str
        settings:
          description: >-
            Key of daemon.json to what is known of it; null for a key that this engine does not have.
            Each entry has the fields below.
          type: dict
          contains:
            value:
              description: What is in force. Values that can hold credentials are "set (not shown)".
              type: raw
            configured:
              description: What the next start or reload brings.
              type: raw
            origin:
              description: >-
                V(file), V(flag) or V(default).
              type: str
            unowned:
              description:
                - What the next start would give if the role docker_engine gave back what it owns. Only there
                  where that differs from C(configured).
              type: raw
            proof:
              description: >-
                V(proven), V(configured) (nothing shows it, the file has not changed since the daemon
                read it) or V(pending).
              type: str
            witness:
              description: How the value was learnt.
              type: str
        info:
          description: What the engine says of itself.
          type: dict
          contains:
            storage_driver:
              description: Storage driver.
              type: str
            logging_driver:
              description: Default logging driver.
              type: str
            cgroup_driver:
              description: >-
                V(systemd) or V(cgroupfs).
              type: str
            cgroup_version:
              description: >-
                V(1) or V(2).
              type: str
            security_options:
              description: For example V(name=apparmor).
              type: list
              elements: str
            swarm:
              description: State of swarm mode, V(inactive) when it is off.
              type: str
            runtimes:
              description: Names of the OCI runtimes.
              type: list
              elements: str
            default_runtime:
              description: The one that is used when none is named.
              type: str
            data_root:
              description: Where images and volumes are.
              type: str
            experimental:
              description: Whether experimental features are on.
              type: bool
            rootless:
              description: Whether it runs without root.
              type: bool
            containers_running:
              description: How many containers run.
              type: int
            warnings:
              description: The engine's own warnings.
              type: list
              elements: str
        data_root_is_mount_point:
          description: Whether the data root is a file system of its own.
          type: bool
        socket:
          description: The engine's socket.
          type: dict
          contains:
            path:
              description: Where it is.
              type: str
            exists:
              description: Whether it is there.
              type: bool
            owner:
              description: Owner.
              type: str
            group:
              description: Group.
              type: str
            mode:
              description: Four octal digits.
              type: str
        group_members:
          description: Members of the group docker, who are root in all but name.
          type: list
          elements: str
        listeners:
          description: TCP sockets on which the daemon listens for its API.
          type: list
          elements: dict
          contains:
            address:
              description: The address.
              type: str
            port:
              description: The port.
              type: int
            loopback:
              description: Whether only this host reaches it.
              type: bool
            client_certificate_required:
              description: Whether TLS client certificates are verified.
              type: bool
        networks:
          description: Bridge networks, each judged by itself.
          type: list
          elements: dict
          contains:
            name:
              description: Its name.
              type: str
            id:
              description: Its id.
              type: str
            driver:
              description: >-
                V(bridge).
              type: str
            default:
              description: Whether it is the default bridge.
              type: bool
            internal:
              description: Whether it is cut off from the outside.
              type: bool
            interface:
              description: The bridge on the host.
              type: str
            route_localnet:
              description: Whether packets with a loopback address pass the bridge.
              type: bool
            icc:
              description: Whether its containers reach each other.
              type: bool
            icc_witness:
              description: How that was learnt.
              type: str
            containers:
              description: Running containers on it.
              type: int
        other_bridges:
          description: Bridges of the host that the engine does not own, for example of libvirt or Podman.
          type: list
          elements: dict
          contains:
            name:
              description: Name of the interface.
              type: str
            route_localnet:
              description: Whether packets with a loopback address pass it.
              type: bool
            nf_call_iptables:
              description: Whether packets between its ports pass the packet filter.
              type: bool
            nf_call_ip6tables:
              description: The same for IPv6.
              type: bool
        firewall:
          description: What surrounds the engine's rules in the packet filter.
          type: dict
          contains:
            backend:
              description: >-
                V(iptables) or V(nftables); null when the engine was not asked.
              type: str
            user_chain:
              description: >-
                The chain DOCKER-USER, for the host's own rules; null where the engine makes none.
              type: dict
              contains:
                exists:
                  description: Whether it is there.
                  type: bool
                jumped_to:
                  description: Whether every forwarded packet enters it.
                  type: bool
            services:
              description: Firewall services that are installed.
              type: list
              elements: dict
              contains:
                name:
                  description: Name of the service.
                  type: str
                active:
                  description: Whether it is active.
                  type: bool
                enabled:
                  description: Whether it starts at boot.
                  type: bool
                keeps_other_rules:
                  description: Whether the engine's rules are there again after its start or reload.
                  type: bool
        socket_access:
          description: Who reaches the engine's socket beside its owner and C(group_members).
          type: dict
          contains:
            acl:
              description: Who may connect by a named entry of an access control list.
              type: list
              elements: dict
              contains:
                kind:
                  description: >-
                    V(user) or V(group).
                  type: str
                name:
                  description: The account's or group's name.
                  type: str
                id:
                  description: Its id.
                  type: int
            everybody:
              description: Whether every user of the host may connect.
              type: bool
            containers:
              description: Containers that have an engine's socket mounted.
              type: list
              elements: dict
              contains:
                name:
                  description: The container's name.
                  type: str
                id:
                  description: The first twelve digits of its id.
                  type: str
                engine:
                  description: The engine that holds it.
                  type: str
                user:
                  description: Who owns that engine.
                  type: str
                host_network:
                  description: Whether it is in the host's network namespace.
                  type: bool
                published:
                  description: Addresses and ports of the host on which it is reached; null without a record.
                  type: list
                  elements: str
        restarts:
          description: What restarts the engine without anybody deciding it.
          type: dict
          contains:
            needrestart:
              description: The program needrestart; null where it is not installed.
              type: dict
              contains:
                mode:
                  description: >-
                    V(list), V(ask) or V(automatic) by its configuration; null for its own default.
                  type: str
                docker:
                  description: >-
                    V(deferred), V(restarted) or V(unknown).
                  type: str
                containerd:
                  description: The same for containerd.
                  type: str
            unattended_upgrades:
              description: Unattended upgrades of Debian; null where they are not installed.
              type: dict
              contains:
                enabled:
                  description: Whether they are switched on.
                  type: bool
                not_excluded:
                  description: Installed packages of the engine that they may upgrade.
                  type: list
                  elements: str
        audit:
          description: What the kernel's audit watches of the engine's files.
          type: dict
          contains:
            installed:
              description: Whether C(auditctl) is there. Without it nothing is taken to be watched.
              type: bool
            paths:
              description: >-
                Each has the fields of C(dockerd); those that do not exist on this host have a null C(path).
              type: dict
              contains:
                dockerd:
                  description: >-
                    The daemon's program.
                  type: dict
                  contains:
                    path:
                      description: Where it is.
                      type: str
                    exists:
                      description: Whether it is there.
                      type: bool
                    watched:
                      description: Whether writes and changes of attributes there leave a record.
                      type: bool
                containerd_state:
                  description: >-
                    C(/run/containerd).
                  type: dict
                data_root:
                  description: >-
                    Images, containers and volumes.
                  type: dict
                configuration_directory:
                  description: >-
                    The directory of daemon.json.
                  type: dict
                service_unit:
                  description: >-
                    The unit of the service.
                  type: dict
                containerd_socket:
                  description: >-
                    The socket of containerd.
                  type: dict
                docker_socket:
                  description: >-
                    The engine's socket.
                  type: dict
                defaults_debian:
                  description: >-
                    C(/etc/default/docker).
                  type: dict
                daemon_json:
                  description: >-
                    The configuration file.
                  type: dict
                containerd_configuration:
                  description: >-
                    C(/etc/containerd/config.toml).
                  type: dict
                defaults_redhat:
                  description: >-
                    C(/etc/sysconfig/docker).
                  type: dict
                containerd:
                  description: >-
                    The program.
                  type: dict
                containerd_shim:
                  description: >-
                    The program.
                  type: dict
                containerd_shim_runc_v1:
                  description: >-
                    The program.
                  type: dict
                containerd_shim_runc_v2:
                  description: >-
                    The program.
                  type: dict
                runc:
                  description: >-
                    The program.
                  type: dict
        unlisted_containers:
          description: Ids of containers in Docker's cgroups that the engine does not list.
          type: list
          elements: str
        files:
          description: >-
            Files that decide on the daemon. Each has the fields of C(service_unit); those that do not
            apply have a null C(path).
          type: dict
          contains:
            service_unit:
              description: The unit of the service.
              type: dict
              contains:
                path:
                  description: Where it is.
                  type: str
                exists:
                  description: Whether it is there.
                  type: bool
                type:
                  description: >-
                    V(file), V(directory), V(socket) and so on.
                  type: str
                owner:
                  description: Owner.
                  type: str
                group:
                  description: Group.
                  type: str
                mode:
                  description: Four octal digits.
                  type: str
            socket_unit:
              description: The unit of the socket.
              type: dict
            configuration_directory:
              description: The directory of daemon.json.
              type: dict
            daemon_json:
              description: The configuration file.
              type: dict
            defaults_debian:
              description: >-
                C(/etc/default/docker).
              type: dict
            defaults_redhat:
              description: >-
                C(/etc/sysconfig/docker).
              type: dict
            docker_socket:
              description: The engine's socket.
              type: dict
            containerd_socket:
              description: The socket of containerd.
              type: dict
            tls_ca:
              description: The certificate authority of clients.
              type: dict
            tls_certificate:
              description: The daemon's certificate.
              type: dict
            tls_key:
              description: The daemon's key.
              type: dict
            registry_certificates:
              description: Everything below C(/etc/docker/certs.d).
              type: list
              elements: dict
    podman:
      description: Podman, as root uses it.
      type: dict
      contains:
        installed:
          description: Whether it is there.
          type: bool
        version:
          description: The numeric part.
          type: str
        version_text:
          description: As C(podman --version) says it.
          type: str
        policy_files:
          description: The configuration files in effect for root.
          type: list
          elements: dict
          contains:
            path:
              description: Where it is.
              type: str
            exists:
              description: Whether it is there.
              type: bool
            owner:
              description: Owner.
              type: str
            group:
              description: Group.
              type: str
            mode:
              description: Four octal digits.
              type: str
        image_policy_default:
          description: What policy.json says of images that no other rule names.
          type: str
        unqualified_search_registries:
          description: Where an image without a registry in its name is looked for.
          type: list
          elements: str
        insecure_registries:
          description: Registries that may be spoken to without TLS.
          type: list
          elements: str
        short_name_mode:
          description: >-
            V(enforcing), V(permissive) or V(disabled).
          type: str
        settings:
          description: >-
            Key of containers.conf to its value, to the same as C(configured), its C(proof) and
            the C(file) that says it (null for a default).
          type: dict
        image_trust:
          description: What policy.json trusts.
          type: dict
          contains:
            path:
              description: The file.
              type: str
            exists:
              description: Whether it is there.
              type: bool
            valid:
              description: Whether the engine takes it.
              type: bool
            error:
              description: What is wrong with it.
              type: str
            default:
              description: The strictest requirement of its default.
              type: str
            scopes:
              description: Its rules, one for each scope.
              type: list
              elements: dict
              contains:
                transport:
                  description: For example V(docker).
                  type: str
                scope:
                  description: Registry, repository or image.
                  type: str
                requirement:
                  description: The strictest requirement.
                  type: str
            accepting_scopes:
              description: Scopes of registries that let anything in.
              type: list
              elements: str
            keys:
              description: The files of the keys that it names.
              type: list
              elements: dict
              contains:
                path:
                  description: Where it is.
                  type: str
                exists:
                  description: Whether it is there.
                  type: bool
                owner:
                  description: Owner.
                  type: str
                mode:
                  description: Four octal digits.
                  type: str
            lookaside_files:
              description: The files in registries.d.
              type: list
              elements: dict
              contains:
                path:
                  description: Where it is.
                  type: str
                exists:
                  description: Whether it is there.
                  type: bool
                owner:
                  description: Owner.
                  type: str
                mode:
                  description: Four octal digits.
                  type: str
    rootless_engines:
      description: Engines of users other than root that have a running container.
      type: list
      elements: dict
      contains:
        engine:
          description: >-
            V(docker) or V(podman).
          type: str
        user:
          description: Whose it is.
          type: str
        uid:
          description: That user's id.
          type: int
        containers:
          description: Running containers.
          type: int
    containers:
      description: >-
        Every running container, whatever started it; measured from the kernel but for C(record),
        C(name) and C(image).
      type: list
      elements: dict
      contains:
        id:
          description: The engine's id, 64 hexadecimal digits.
          type: str
        short_id:
          description: Its first twelve.
          type: str
        name:
          description: Its name.
          type: str
        image:
          description: The image's name.
          type: str
        engine:
          description: >-
            V(docker), V(podman), V(containerd), V(crio), V(lxc), V(systemd-nspawn) or V(unknown).
          type: str
        user:
          description: Who owns the engine.
          type: str
        uid:
          description: That user's id.
          type: int
        unlisted_by:
          description: >-
            The engine in whose cgroups it runs and which does not know it, V(docker) or V(podman); null when
            it is known. Other engines are not asked.
          type: str
        sandbox:
          description: >-
            V(gvisor), V(kata) or null; in a sandbox, /proc shows the sandbox, and what it hides is
            not applicable.
          type: str
        init:
          description: Its first process.
          type: dict
          contains:
            pid:
              description: On the host.
              type: int
            started_at:
              description: When it started.
              type: str
            start_ticks:
              description: The same, in clock ticks since boot.
              type: int
            comm:
              description: Command name.
              type: str
            uid:
              description: User id as the host sees it.
              type: int
        cgroup:
          description: Its control group.
          type: str
        capabilities:
          description: Of its first process, by name.
          type: dict
          contains:
            effective:
              description: In use.
              type: list
              elements: str
            permitted:
              description: May be taken into use.
              type: list
              elements: str
            bounding:
              description: May be gained by executing a program.
              type: list
              elements: str
            inheritable:
              description: Kept over execution.
              type: list
              elements: str
            ambient:
              description: Given to programs without file capabilities.
              type: list
              elements: str
        seccomp:
          description: System call filter.
          type: dict
          contains:
            mode:
              description: >-
                V(disabled), V(strict) or V(filter).
              type: str
            filters:
              description: How many filters.
              type: int
        no_new_privileges:
          description: Whether executing a program can not raise privileges.
          type: bool
        lsm:
          description: Confinement by a Linux security module.
          type: dict
          contains:
            name:
              description: >-
                V(apparmor), V(selinux) or V(none).
              type: str
            label:
              description: The profile or context.
              type: str
            mode:
              description: >-
                V(enforce), V(complain), V(unconfined) and so on.
              type: str
        user_namespace:
          description: Its user namespace.
          type: dict
          contains:
            host:
              description: Whether it is the host's.
              type: bool
            root_is_host_root:
              description: Whether root inside is root outside.
              type: bool
            uid_map:
              description: User ids inside and outside.
              type: list
              elements: dict
              contains:
                inside:
                  description: First id inside.
                  type: int
                outside:
                  description: First id outside.
                  type: int
                count:
                  description: How many.
                  type: int
        namespaces:
          description: Each V(private) or V(host).
          type: dict
          contains:
            cgroup:
              description: Control groups.
              type: str
            ipc:
              description: System V IPC and message queues.
              type: str
            mnt:
              description: Mounts.
              type: str
            net:
              description: Network.
              type: str
            pid:
              description: Processes.
              type: str
            user:
              description: Users.
              type: str
            uts:
              description: Host name.
              type: str
        mounts:
          description: What of the host is mounted into it.
          type: list
          elements: dict
          contains:
            source:
              description: Path on the host.
              type: str
            destination:
              description: Path in the container.
              type: str
            read_only:
              description: Whether it is read-only.
              type: bool
            propagation:
              description: >-
                V(private), V(shared) or V(slave).
              type: str
            sensitive:
              description: >-
                V(engine_socket), V(root), V(boot), V(dev), V(etc), V(lib), V(proc), V(sys), V(usr),
                V(device) or null.
              type: str
        devices:
          description: Device nodes beyond the engine's standard set.
          type: list
          elements: str
        masked_paths:
          description: Paths hidden by an empty mount.
          type: list
          elements: str
        read_only_paths:
          description: Paths made read-only.
          type: list
          elements: str
        read_only_root:
          description: Whether its root file system is read-only.
          type: bool
        limits:
          description: From its control group; null is unlimited.
          type: dict
          contains:
            memory_bytes:
              description: Memory.
              type: int
            pids:
              description: Processes.
              type: int
            cpu_cores:
              description: Processor time, in cores.
              type: float
            cpu_weight:
              description: Share of processor time under contention.
              type: int
        privileged:
          description: Derived from what is in force.
          type: dict
          contains:
            in_force:
              description: Whether it is privileged in effect.
              type: bool
            reasons:
              description: Why.
              type: list
              elements: str
        extra_privilege_processes:
          description: Processes that hold more than its first one.
          type: list
          elements: dict
          contains:
            pid:
              description: On the host.
              type: int
            comm:
              description: Command name.
              type: str
            gained:
              description: The capabilities that they hold and the first process does not.
              type: list
              elements: str
            no_new_privileges:
              description: Whether executing a program can not raise privileges.
              type: bool
            seccomp:
              description: System call filter.
              type: dict
              contains:
                mode:
                  description: >-
                    V(disabled), V(strict) or V(filter).
                  type: str
                filters:
                  description: How many filters.
                  type: int
        processes:
          description: The processes in it.
          type: dict
          contains:
            count:
              description: How many.
              type: int
            sshd:
              description: Whether one of them is an ssh server.
              type: bool
        record:
          description: What the engine says of it; null when none does.
          type: dict
          contains:
            privileged:
              description: Whether it was asked to be privileged.
              type: bool
            user:
              description: The user it was asked to run as.
              type: str
            restart_policy:
              description: Restart policy.
              type: dict
              contains:
                name:
                  description: Its name.
                  type: str
                maximum_retry_count:
                  description: How often.
                  type: int
            ports:
              description: Published ports.
              type: list
              elements: dict
              contains:
                host_address:
                  description: Address on the host.
                  type: str
                host_port:
                  description: Port on the host.
                  type: int
                container_port:
                  description: Port in the container.
                  type: int
                protocol:
                  description: >-
                    V(tcp), V(udp) or V(sctp).
                  type: str
            publish_all_ports:
              description: Whether every exposed port is published.
              type: bool
            health_check:
              description: Whether it has one.
              type: bool
            network_mode:
              description: Network mode.
              type: str
            networks:
              description: Networks it is on.
              type: list
              elements: str
            userns_mode:
              description: User namespace mode.
              type: str
            pid_mode:
              description: Process namespace mode.
              type: str
            ipc_mode:
              description: IPC namespace mode.
              type: str
            uts_mode:
              description: UTS namespace mode.
              type: str
            cgroup_parent:
              description: Parent control group it asked for.
              type: str
            ulimits:
              description: Names of the limits it sets itself.
              type: list
              elements: str
            devices:
              description: Devices it was given.
              type: list
              elements: str
            device_rules:
              description: Device rules of its control group (a BPF program that cannot be read back).
              type: list
              elements: str
            capabilities_added:
              description: Capabilities asked for.
              type: list
              elements: str
            capabilities_dropped:
              description: Capabilities given up.
              type: list
              elements: str
            security_options:
              description: Names of its security options.
              type: list
              elements: str
            auto_remove:
              description: Whether it is removed when it ends.
              type: bool
            swarm_task:
              description: Whether a service of the swarm owns it, and replaces it when it ends.
              type: bool
            runtime:
              description: OCI runtime.
              type: str
            created_at:
              description: When it was created.
              type: str
            read_only_root:
              description: Whether a read-only root was asked for.
              type: bool
    rootless:
      description: Users of rootless engines, and what the host has for them.
      type: dict
      contains:
        id_programs:
          description: The programs newuidmap and newgidmap.
          type: list
          elements: dict
          contains:
            name:
              description: Which one.
              type: str
            path:
              description: Where it is.
              type: str
            owner:
              description: Owner.
              type: str
            mode:
              description: Four octal digits.
              type: str
            rights:
              description: >-
                V(setuid), V(capability) or V(none).
              type: str
        sysctls:
          description: >-
            Sysctl to its C(value), and to the C(boot_value) that the C(boot_file) gives it at
            boot.
          type: dict
        changed_at_boot:
          description: Sysctls of user namespaces that a reboot changes.
          type: list
          elements: str
        cgroup_version:
          description: 1 or 2.
          type: int
        delegation:
          description: What users' managers get at their next start.
          type: dict
          contains:
            controllers:
              description: Controllers.
              type: list
              elements: str
            files:
              description: The files that say so.
              type: list
              elements: str
        subids:
          description: All subordinate ids together.
          type: dict
          contains:
            source:
              description: >-
                V(files), or the directory that they come from.
              type: str
            collisions:
              description: Ranges that belong to somebody else too.
              type: list
              elements: str
            unusable_lines:
              description: Lines that programs read in different ways.
              type: list
              elements: str
        users:
          description: >-
            Accounts with subordinate ids, linger, a session or a container, and those that were
            named. Not root.
          type: list
          elements: dict
          contains:
            name:
              description: Its name.
              type: str
            uid:
              description: Its id.
              type: int
            home:
              description: Its home directory.
              type: str
            reasons:
              description: >-
                Why it was looked at. Some of V(named), V(containers), V(linger), V(session)
                and V(subids).
              type: list
              elements: str
            uses_engine:
              description: Whether it has storage, a unit, a daemon or a container of a rootless engine.
              type: bool
            judged:
              description: >-
                Whether the controls judge it. The facts from C(home_directory) on are null
                where not.
              type: bool
            linger:
              description: Whether its systemd manager starts at boot.
              type: bool
            runtime_directory:
              description: Where its sockets are.
              type: dict
              contains:
                path:
                  description: Where it is.
                  type: str
                exists:
                  description: Whether it is there.
                  type: bool
                owner:
                  description: Owner.
                  type: str
                mode:
                  description: Four octal digits.
                  type: str
            manager:
              description: Whether its systemd manager runs.
              type: bool
            manager_since:
              description: When that started; null while none runs.
              type: str
            bus:
              description: Its session bus.
              type: dict
              contains:
                usable:
                  description: Whether it can be asked.
                  type: bool
                reason:
                  description: Why not.
                  type: str
            controllers:
              description: Cgroup controllers of the running manager; null while none runs.
              type: list
              elements: str
            subids:
              description: Its subordinate ids.
              type: dict
              contains:
                source:
                  description: >-
                    V(files), or the directory that they come from.
                  type: str
                uid:
                  description: Subordinate uids.
                  type: dict
                  contains:
                    count:
                      description: How many.
                      type: int
                    ranges:
                      description: Where.
                      type: list
                      elements: dict
                      contains:
                        start:
                          description: The first id.
                          type: int
                        count:
                          description: How many.
                          type: int
                    collisions:
                      description: Who else has some of them.
                      type: list
                      elements: str
                gid:
                  description: Subordinate gids.
                  type: dict
                  contains:
                    count:
                      description: How many.
                      type: int
                    ranges:
                      description: Where.
                      type: list
                      elements: dict
                      contains:
                        start:
                          description: The first id.
                          type: int
                        count:
                          description: How many.
                          type: int
                    collisions:
                      description: Who else has some of them.
                      type: list
                      elements: str
            home_directory:
              description: Its home.
              type: dict
              contains:
                mode:
                  description: Four octal digits.
                  type: str
                owned:
                  description: Whether it is the account's.
                  type: bool
            home_file_system:
              description: What the home is on.
              type: dict
              contains:
                mount_point:
                  description: Where it is mounted.
                  type: str
                type:
                  description: For example V(ext4).
                  type: str
                nosuid:
                  description: Mount option.
                  type: bool
                nodev:
                  description: Mount option.
                  type: bool
                noexec:
                  description: Mount option.
                  type: bool
                overlay:
                  description: >-
                    V(works), V(fails) or V(unknown), by its type.
                  type: str
            drives_root_engine:
              description: Whether it is in the group docker.
              type: bool
            docker_host:
              description: Where its docker client goes.
              type: dict
              contains:
                variable:
                  description: >-
                    V(own), V(root), V(tcp) or V(other), by DOCKER_HOST in its files.
                  type: str
                context:
                  description: The current context.
                  type: str
            podman:
              description: Podman, as it applies to the user; null where it is not installed.
              type: dict
              contains:
                storage:
                  description: Whether there is storage.
                  type: bool
                socket:
                  description: The user's API socket.
                  type: dict
                  contains:
                    path:
                      description: Where it is.
                      type: str
                    exists:
                      description: Whether something is there.
                      type: bool
                    is_socket:
                      description: Whether that is a socket.
                      type: bool
                    owned:
                      description: Whether it is the user's.
                      type: bool
                    mode:
                      description: Four octal digits.
                      type: str
                    listening:
                      description: Whether something listens on it.
                      type: bool
                overrides:
                  description: The user's own files, without those of this collection.
                  type: list
                  elements: dict
                  contains:
                    file:
                      description: >-
                        V(containers), V(registries) or V(storage).
                      type: str
                    path:
                      description: Where it is, from the home on.
                      type: str
                    keys:
                      description: Keys in it.
                      type: list
                      elements: str
                settings:
                  description: As C(podman.settings), with the user's own files.
                  type: dict
                own_image_policy:
                  description: Whether the user has a policy.json.
                  type: bool
                image_policy_default:
                  description: The strictest requirement of the default that applies.
                  type: str
                unqualified_search_registries:
                  description: Where short names are looked for.
                  type: list
                  elements: str
                insecure_registries:
                  description: Registries that may be spoken to without TLS.
                  type: list
                  elements: str
                short_name_mode:
                  description: >-
                    V(enforcing), V(permissive) or V(disabled).
                  type: str
            docker:
              description: The user's Docker daemon; null where there is no sign of one.
              type: dict
              contains:
                storage:
                  description: Whether there is storage.
                  type: bool
                unit:
                  description: The user unit docker.service.
                  type: dict
                  contains:
                    exists:
                      description: Whether it is there.
                      type: bool
                    enabled:
                      description: Whether it starts with the manager.
                      type: bool
                    host_loopback:
                      description: Whether containers reach the host's loopback.
                      type: bool
                    network:
                      description: Network driver that it sets.
                      type: str
                    port_driver:
                      description: Port driver that it sets.
                      type: str
                socket:
                  description: The daemon's socket.
                  type: dict
                  contains:
                    path:
                      description: Where it is.
                      type: str
                    exists:
                      description: Whether something is there.
                      type: bool
                    is_socket:
                      description: Whether that is a socket.
                      type: bool
                    owned:
                      description: Whether it is the user's.
                      type: bool
                    mode:
                      description: Four octal digits.
                      type: str
                running:
                  description: Whether a daemon answers.
                  type: bool
                configuration_file:
                  description: Its daemon.json.
                  type: dict
                  contains:
                    path:
                      description: Where it is, from the home on.
                      type: str
                    exists:
                      description: Whether it is there.
                      type: bool
                    valid:
                      description: Whether it is a JSON object; null when it is not there.
                      type: bool
                    error:
                      description: What is wrong with it.
                      type: str
                    keys:
                      description: Keys in it.
                      type: list
                      elements: str
                settings:
                  description: >-
                    Key of daemon.json to its C(value), the C(configured) one, its
                    C(proof), as in C(docker.settings), and the C(file).
                  type: dict
                info:
                  description: What the daemon says of itself; null when none answers.
                  type: dict
                  contains:
                    version:
                      description: Its version.
                      type: str
                    security_options:
                      description: For example V(name=rootless).
                      type: list
                      elements: str
                    cgroup_driver:
                      description: >-
                        V(systemd), V(cgroupfs) or V(none).
                      type: str
                    cgroup_version:
                      description: >-
                        V(1) or V(2).
                      type: str
                    storage_driver:
                      description: Storage driver.
                      type: str
                    logging_driver:
                      description: Default logging driver.
                      type: str
                    live_restore:
                      description: Whether containers survive its restart.
                      type: bool
                    containers_running:
                      description: How many containers run.
                      type: int
                    data_root:
                      description: Where images and volumes are.
                      type: str
                    warnings:
                      description: Its own warnings.
                      type: list
                      elements: str
        unknown_users:
          description: Named accounts that do not exist.
          type: list
          elements: str
        all_looked_at:
          description: Whether no account was left out by a limit.
          type: bool
    bulkhead:
      description: What this collection itself has left open on the host.
      type: dict
      contains:
        present:
          description: Whether it keeps state there.
          type: bool
        pending:
          description: What roles were asked for and have not brought into force.
          type: list
          elements: dict
          contains:
            role:
              description: The role.
              type: str
            key:
              description: The key.
              type: str
            reason:
              description: Why.
              type: str
            since:
              description: The end of that run.
              type: str
        drift:
          description: Keys that a role owns and somebody has changed since.
          type: list
          elements: dict
          contains:
            path:
              description: The file.
              type: str
            key:
              description: The key, its names joined by dots; null when it is about the whole file.
              type: str
            owner:
              description: The role.
              type: str
            state:
              description: >-
                V(changed), V(absent), V(edited) (a format that the host cannot read) or V(unreadable).
              type: str
            set:
              description: What the role set.
              type: raw
            found:
              description: What is there.
              type: raw
        open_checkpoint:
          description: The checkpoint of a run that has not ended; null when there is none.
          type: dict
          contains:
            id:
              description: Its id.
              type: str
            opened_at:
              description: When.
              type: str
            holder:
              description: Who opened it.
              type: dict
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.bulkhead.hardening.plugins.module_utils._errors import BulkheadError
from ansible_collections.bulkhead.hardening.plugins.module_utils._ports import System
from ansible_collections.bulkhead.hardening.plugins.module_utils._posture import PARTS, collect_posture
from ansible_collections.bulkhead.hardening.plugins.module_utils._posture_rootless import USERS_MOST


def main() -> None:
    """Read the posture and return it."""
    module = AnsibleModule(
        argument_spec={
            "gather": {"type": "list", "elements": "str", "choices": list(PARTS), "default": list(PARTS)},
            "users": {"type": "list", "elements": "str", "default": []},
            "users_most": {"type": "int", "default": USERS_MOST},
        },
        supports_check_mode=True,
    )
    try:
        posture = collect_posture(
            System(),
            module.params["gather"],
            users=module.params["users"],
            users_most=module.params["users_most"],
        )
    except BulkheadError as error:
        module.fail_json(msg=f"The posture could not be read: {error}")
    module.exit_json(changed=False, posture=posture)


if __name__ == "__main__":
    main()
