#!/bin/sh
# publish.sh NUMBER: Debian's docker.io as version …+upstreamNUMBER in /srv/repository, signed with the key upstream@test.
set -eu
work=/root/work-$1 repository=/srv/repository
mkdir -p "$work" "$repository/pool" "$repository/dists/stable/main/binary-amd64"
cd "$work"
apt-get download docker.io
dpkg-deb --raw-extract docker.io_*.deb tree
sed -i "s/^Version: .*/&+upstream$1/" tree/DEBIAN/control
dpkg-deb -Zgzip -z1 --build tree "$repository/pool/docker.io_upstream$1_amd64.deb"
cd "$repository"
apt-ftparchive packages pool > dists/stable/main/binary-amd64/Packages
rm -f dists/stable/Release dists/stable/InRelease
apt-ftparchive -o APT::FTPArchive::Release::Suite=stable -o APT::FTPArchive::Release::Components=main \
  -o APT::FTPArchive::Release::Architectures=amd64 release dists/stable > /root/Release
mv /root/Release dists/stable/Release
for name in upstream other; do
  gpg --list-keys "$name@test" >/dev/null 2>&1 ||
    gpg --batch --passphrase '' --quick-generate-key "$name@test" default default never
  gpg --armor --export "$name@test" > "/root/$name.asc"
done
gpg --batch --local-user upstream@test --output dists/stable/InRelease --clear-sign dists/stable/Release
