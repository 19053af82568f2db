#!/bin/sh
# Makes a careless container host of a fresh machine that has Docker and Podman: what one finds in the wild.
set -eu

image=localhost/careless:1
user=alice
rootfs=$(mktemp -d)
trap 'rm -rf "$rootfs" /tmp/rootfs.tar' EXIT

echo 'an image of static busybox'
mkdir "$rootfs/bin"
cp /bin/busybox "$rootfs/bin/busybox"
ln -s busybox "$rootfs/bin/sh"
tar --create --file /tmp/rootfs.tar --directory "$rootfs" .
docker import /tmp/rootfs.tar "$image" >/dev/null

echo 'an ordinary container, web, with a published port and a password among its variables'
docker run --detach --name web --env DB_PASSWORD=hunter2-planted --publish 8080:80 "$image" /bin/busybox httpd -f -p 80 >/dev/null

echo "a privileged container, agent, that holds the engine's socket"
docker run --detach --name agent --privileged --volume /var/run/docker.sock:/var/run/docker.sock \
  "$image" /bin/busybox sleep 1000000 >/dev/null

echo "a user, $user, who may drive the engine (root in all but name) and runs a container of rootless Podman"
useradd --create-home --groups docker --shell /bin/bash "$user"
loginctl enable-linger "$user"
runtime=/run/user/$(id --user "$user")
until [ -S "$runtime/bus" ]; do sleep 1; done
as_user() { runuser --user "$user" -- env --chdir "/home/$user" XDG_RUNTIME_DIR="$runtime" "$@"; }
as_user podman import --quiet /tmp/rootfs.tar "$image" >/dev/null
as_user podman run --detach --name worker "$image" /bin/busybox sleep 1000000 >/dev/null

echo "a file that takes the limit of processes from all containers of Podman, root's and the user's"
mkdir --parents /etc/containers/containers.conf.d
printf '[containers]\npids_limit = 0\n' >/etc/containers/containers.conf.d/50-careless.conf
