#!/bin/sh
# Bring this host to as many idle Docker containers as the argument says, named benchmark-1 and so on.
# The image is made of the host's own static busybox, since no registry may be in reach.
set -eu
wanted=$1

if ! docker image inspect bulkhead-benchmark >/dev/null 2>&1; then
    tree=$(mktemp -d)
    mkdir "$tree/bin"
    cp "$(command -v busybox)" "$tree/bin/busybox"
    tar -C "$tree" -c . | docker import - bulkhead-benchmark >/dev/null
    rm -r "$tree"
fi

docker ps --all --quiet | xargs --no-run-if-empty docker rm --force >/dev/null
number=1
while [ "$number" -le "$wanted" ]; do
    docker run --detach --name "benchmark-$number" bulkhead-benchmark /bin/busybox sleep 1000000 >/dev/null
    number=$((number + 1))
done
