#!/bin/sh
# A registry with TLS on 127.0.0.1:5443, keys, and images that are signed, unsigned, or signed wrongly.
# Run as root on a test machine, with sigstore_key.py beside it. What it makes lies in /srv/image-trust.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
base=/srv/image-trust
host=127.0.0.1:5443
mkdir -p "$base/tls" "$base/registry" "$base/lookaside" "$base/registries.d" "$base/keys" "/etc/containers/certs.d/$host"
cd "$base"

openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 7 -subj /CN=image-trust-test \
  -keyout tls/key.pem -out tls/cert.pem -addext subjectAltName=IP:127.0.0.1 2>openssl.log
cp tls/cert.pem "/etc/containers/certs.d/$host/ca.crt"
cat >registry.yml <<END
version: 0.1
storage: {filesystem: {rootdirectory: $base/registry}}
http: {addr: "$host", tls: {certificate: $base/tls/cert.pem, key: $base/tls/key.pem}}
END
systemd-run --quiet --collect --unit=image-trust-registry docker-registry serve "$base/registry.yml"

export GNUPGHOME="$base/gnupg"
mkdir -m 0700 "$GNUPGHOME"
for name in one two; do
  gpg --batch --quiet --passphrase '' --quick-generate-key "$name@example.com" rsa2048 sign never
  gpg --batch --armor --export "$name@example.com" >"keys/$name.asc"
  openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "keys/$name.pem" 2>>openssl.log
  openssl pkey -in "keys/$name.pem" -pubout -out "keys/$name.pub"
  openssl pkcs8 -topk8 -nocrypt -outform DER -in "keys/$name.pem" | python3 "$here/sigstore_key.py" >"keys/$name.key"
done
printf test >passphrase

cat >registries.d/signing.yaml <<END
default-docker: {lookaside: "file://$base/lookaside"}
docker:
  $host/sig: {use-sigstore-attachments: true}
  $host/repository: {use-sigstore-attachments: true}
END
printf '{"default": [{"type": "insecureAcceptAnything"}]}' >anything.json

# Two images that differ, so that an unsigned one has no signature under another name.
for name in first second; do
  mkdir -p "root-$name/bin"
  cp /bin/busybox "root-$name/bin/busybox"
  ln -sf busybox "root-$name/bin/sh"
  echo "$name" >"root-$name/name"
  tar -C "root-$name" -cf "$name.tar" .
  podman import --quiet "$name.tar" "localhost/$name:1" >/dev/null
  skopeo --policy anything.json copy --quiet "containers-storage:localhost/$name:1" "dir:$base/$name"
done

push() { # IMAGE REFERENCE [OPTION...]
  image=$1 reference=$2
  shift 2
  skopeo --policy "$base/anything.json" --registries.d "$base/registries.d" copy --quiet "$@" "dir:$base/$image" "docker://$host/$reference"
}
gpg_one="--sign-by $(gpg --batch --list-keys --with-colons one@example.com | awk -F: '/^fpr/ {print $10; exit}')"
gpg_two="--sign-by $(gpg --batch --list-keys --with-colons two@example.com | awk -F: '/^fpr/ {print $10; exit}')"
sig_one="--sign-by-sigstore-private-key keys/one.key --sign-passphrase-file passphrase"
sig_two="--sign-by-sigstore-private-key keys/two.key --sign-passphrase-file passphrase"

# shellcheck disable=SC2086 # options and their values
{
  # The Skopeo of Debian 12 makes no sigstore signature: there the images are without.
  if ! push first sig/trial:1 $sig_one 2>sigstore.log; then
    grep --quiet 'sigstore disabled' sigstore.log
    sig_one='' sig_two=''
  fi
  push first gpg/app:signed $gpg_one
  push second gpg/app:unsigned
  push first gpg/other-key:signed $gpg_two
  push first gpg/wrong-repository:signed $gpg_one --sign-identity "$host/gpg/app:signed"
  push first gpg/moved:tag $gpg_one
  push second gpg/moved:tag
  push first sig/app:signed $sig_one
  push second sig/app:unsigned
  push first sig/app:second-tag
  push first sig/other-key:signed $sig_two
  push first repository/app:signed $sig_one
  push first repository/app:second-tag
  push first free/app:unsigned
  push first nobody/app:unsigned
}
