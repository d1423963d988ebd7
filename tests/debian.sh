# How tests/chroot, world/prepare and packaging/test-deb make a Debian; their `cannot` says
# what becomes of one that cannot be made.
# shellcheck shell=sh

# make_debian SUITE FOLDER LOG
make_debian() {
  mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' |
    grep -v security | head -1)
  [ -n "$mirror" ] || cannot "apt names no mirror"
  rm -rf --one-file-system "$2"
  mkdir -p "$2"
  # A debootstrap older than the suite has no script for it; all are sid's.
  timeout 400 debootstrap --variant=minbase --include=ca-certificates "$1" "$2" \
    "$mirror" /usr/share/debootstrap/scripts/sid >"$3" 2>&1 ||
    cannot "debootstrap: $(tail -n 1 "$3")"
}

# share_index FOLDER: the package index as this machine has it, but for what lies on its
# own disk.
share_index() {
  cp /etc/ssl/certs/ca-certificates.crt "$1/etc/ssl/certs/"
  {
    echo "[global]"
    python3 -m pip config list | grep -v "'file:" | sed -nE \
      "s/^(:env:|global)\.(index-url|extra-index-url|proxy|trusted-host|cert)='(.*)'/\2 = \3/p"
  } | awk '!seen[$1]++' >"$1/etc/pip.conf"
}
