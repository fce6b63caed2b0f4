#!/usr/bin/env bash
# A foreign flasher against the simulated phone: mtkclient (GPL-3, its own
# project) reads and writes what mtkport reads and writes. Downloads nothing.
#
#   mtkclient.sh CHECKOUT [MTKPORT]
#
# CHECKOUT is an unmodified checkout of mtkclient. Needed: bash, and a python3
# with pyserial, pyusb, pycryptodomex and colorama (Debian: python3-serial
# python3-usb python3-pycryptodome python3-colorama; PYTHON names another).
#
# Two things of a pseudo-terminal are bridged from outside, by a sitecustomize.py
# on PYTHONPATH: pyserial's flush after each write throws bytes away on a pty, and
# its port list knows no ptys.
set -eu
checkout=$(cd "$1" && pwd)
here=$(cd "$(dirname "$0")" && pwd)
python=${PYTHON:-python3}
work=$(mktemp -d)
sim=
trap '[ -z "$sim" ] || { kill -INT "$sim" 2>/dev/null; wait "$sim"; } || true; rm -rf "$work"' EXIT
mtkport=${2:-$work/mtkport}
[ $# -gt 1 ] || (cd "$here" && go build -o "$mtkport" mtkport/cmd/mtkport)
"$python" -c 'import serial, usb, Cryptodome, colorama' || { echo "mtkclient.sh: needs pyserial pyusb pycryptodomex colorama"; exit 77; }

mkdir -p "$work/shim" "$work/run/logs"
cat > "$work/shim/sitecustomize.py" <<'PY'
import os
import serial
import serial.tools.list_ports as lp
serial.Serial.flushOutput = lambda self: None
serial.Serial.reset_output_buffer = lambda self: None
class Port:
    device, vid, pid = os.environ["PEER_PORT"], 0x0E8D, 0x2000
lp.comports = lambda *a, **k: [Port()]
PY

port=$work/ttyACM77
"$mtkport" sim --store "$work/phone" --link "$port" --emmc-boot-head --record "$work/record.json" > "$work/sim.out" 2>&1 &
sim=$!
for _ in $(seq 100); do [ -e "$work/phone/MTK_AllInOne_DA.bin" ] && [ -L "$port" ] && break; sleep 0.1; done
da=$work/MTK_AllInOne_DA_mt6590.bin # mtkclient takes the old chips' agents only from a file of this name
cp "$work/phone/MTK_AllInOne_DA.bin" "$da"

peer() {
	(cd "$work/run" && PEER_PORT=$port PYTHONPATH=$work/shim:$checkout timeout 120 "$python" "$checkout/mtk.py" "$@" \
		--stock --loader "$da" --serialport "$port" > "$work/peer.log" 2>&1) || { tail -30 "$work/peer.log"; echo "mtkclient.sh: mtkclient failed: $*"; exit 1; }
}
user=$work/phone/user.bin
slice() { tail -c +$(($1 + 1)) "$user" | head -c "$2"; } # offset length

nvram=$((0x5e0000)) nvram_len=$((0x500000)) logo=$((0x2c20000))

echo "mtkclient finds the chip, loads the agent and reads NVRAM"
peer r NVRAM "$work/nvram.bin"
grep -q "MT6572" "$work/peer.log" || { cat "$work/peer.log"; echo "mtkclient.sh: the chip was not recognised"; exit 1; }
slice $nvram $nvram_len | cmp - "$work/nvram.bin"

echo "mtkport reads the same bytes"
"$mtkport" device read USER:$nvram+$nvram_len -o "$work/ours.bin" --port "$port" --da "$da" --quiet
cmp "$work/ours.bin" "$work/nvram.bin"

echo "mtkclient writes LOGO"
head -c 1500000 /dev/urandom > "$work/logo.bin"
peer w LOGO "$work/logo.bin"
slice $logo 1500000 | cmp - "$work/logo.bin"
"$mtkport" device read USER:$logo+1500160 -o "$work/back.bin" --port "$port" --da "$da" --quiet
head -c 1500000 "$work/back.bin" | cmp - "$work/logo.bin"

kill -INT "$sim"
wait "$sim" || true
sim=
grep -q '"protected_writes": null' "$work/record.json" || { cat "$work/record.json"; echo "mtkclient.sh: a protected range was written"; exit 1; }
echo "ok"
