#!/bin/sh
# An image to probe the engine with, a container that comes back by itself, and a rootless user with one of Podman's.
docker import --change 'CMD ["/bin/busybox", "true"]' /root/image.tar localhost/bulkhead-probe:latest >/dev/null
docker run --detach --name always --restart always --env TOKEN=hunter2-planted localhost/busybox:1 /bin/busybox sleep 1000000 >/dev/null
useradd --create-home --shell /bin/bash rootless
loginctl enable-linger rootless
runtime=/run/user/$(id --user rootless)
until [ -S "$runtime/bus" ]; do sleep 1; done
chmod 644 /root/image.tar
cp /root/image.tar /home/rootless/image.tar
chown rootless /home/rootless/image.tar
as_user() { runuser --user rootless -- env --chdir /home/rootless XDG_RUNTIME_DIR="$runtime" "$@"; }
as_user podman import --quiet image.tar localhost/busybox:1 >/dev/null
as_user podman run --detach --name worker localhost/busybox:1 /bin/busybox sleep 1000000 >/dev/null
touch /root/containers.prepared
