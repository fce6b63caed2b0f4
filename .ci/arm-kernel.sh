#!/usr/bin/env bash
# usage: .ci/arm-kernel.sh FOLDER
# Fetches Debian's armhf kernel into FOLDER, once, and prints its path. The
# ramdisk tests boot it: MTKPORT_ARM_KERNEL=$(.ci/arm-kernel.sh FOLDER) go test ./ramdisk
# It uses this machine's own apt sources with package lists of its own, so the
# system's architecture and lists stay as they are. 43 MB.
set -euo pipefail
dir=${1:?usage: .ci/arm-kernel.sh FOLDER}
mkdir -p "$dir"
dir=$(cd "$dir" && pwd)

kernel() { find "$dir/root/boot" -name 'vmlinuz-*-armmp' 2>/dev/null | sort -V | tail -n 1; }

if [ -z "$(kernel)" ]; then
  mkdir -p "$dir/lists/partial" "$dir/cache/archives/partial"
  opts=(-oAPT::Architecture=armhf -oAPT::Architectures=armhf
    -oDir::State::Lists="$dir/lists" -oDir::Cache="$dir/cache" -oDir::State::status=/dev/null)
  # One suite in the middle of a sync is no reason to stop: another has a kernel.
  apt-get "${opts[@]}" -qq update >&2 || echo "arm-kernel: some lists failed, going on with the others" >&2
  pkg=$(apt-cache "${opts[@]}" depends linux-image-armmp | awk '$1 == "Depends:" && $2 ~ /^linux-image-/ {print $2; exit}')
  [ -n "$pkg" ] || { echo "arm-kernel: linux-image-armmp depends on no kernel" >&2; exit 1; }
  (cd "$dir" && apt-get "${opts[@]}" -qq download "$pkg" >&2)
  dpkg -x "$dir"/linux-image-*.deb "$dir/root"
  rm -rf "$dir"/linux-image-*.deb "$dir/root/lib" "$dir/cache" "$dir/lists"
fi
kernel
