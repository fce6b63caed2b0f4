package main

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"

	"mtkport/port/flash"
	"mtkport/port/flash/da"
	"mtkport/port/flash/usb"
)

// phoneUp starts a simulated phone on a pseudo-terminal, its flash in files.
const phoneUp = `"$MTKPORT" sim --store st --user-size 0x30000000 --link phone >/dev/null &
pids=$!
`

// peerUp starts one more that mtkclient gets along with, and bridges what a
// pseudo-terminal lacks for it; see cmd/mtkport/testdata/mtkclient.sh.
const peerUp = `"$MTKPORT" sim --store peer --user-size 0x30000000 --emmc-boot-head --link ttyACM77 >/dev/null &
pids="$pids $!"
mkdir shim
cat > shim/sitecustomize.py <<'PY'
import os
import serial
import serial.tools.list_ports as lp
serial.Serial.flushOutput = lambda self: None
serial.Serial.reset_output_buffer = lambda self: None
class Port:
    device, vid, pid = os.environ["PEER_PORT"], 0x0E8D, 0x2000
lp.comports = lambda *a, **k: [Port()]
PY
while ! [ -L ttyACM77 ]; do sleep 0.01; done
cp peer/MTK_AllInOne_DA.bin DA_mt6590.bin
`

// served waits for the end.
const served = `while ! [ -L phone ]; do sleep 0.01; done
trap 'kill -INT $pids' INT
: > ready
wait || wait || true
`

// peer runs mtkclient.
const peer = `mkdir logs
peer() {
	PEER_PORT=$SERVE/ttyACM77 PYTHONPATH=$SERVE/shim:$MTKCLIENT "$PYTHON" "$MTKCLIENT/mtk.py" "$@" --stock --loader "$SERVE/DA_mt6590.bin" --serialport "$SERVE/ttyACM77" >log 2>&1 || { tail -5 log; exit 1; }
}
`

func flashRows() []row {
	const read = `"$MTKPORT" device read USER:0+0x10000000 -o - --port "$SERVE/phone" --da "$SERVE/st/MTK_AllInOne_DA.bin" -q >/dev/null`
	const write = `"$MTKBENCH" wire-write "$SERVE/phone" "$SERVE/st" 0x10000000`
	const alone, both = phoneUp + served, phoneUp + peerUp + served
	return []row{
		{group: "flash", name: "read 256 MiB over a pty", peer: "bare copy through a pty", aim: ">= 0.9, < 64 MiB", setUp: benchVars,
			serve: alone, ours: read, theirs: `"$MTKBENCH" raw-pty down 0x10000000`},
		{group: "flash", name: "write 256 MiB over a pty", peer: "bare copy through a pty", aim: ">= 0.9, < 64 MiB", setUp: benchVars,
			serve: alone, ours: write, theirs: `"$MTKBENCH" raw-pty up 0x10000000`},
		{group: "flash", name: "read 256 MiB over a pty", peer: "mtkclient ro", aim: ">= 3", setUp: clientVars,
			serve: both, ours: read, theirs: peer + `peer ro 0 0x10000000 out.bin
test "$(wc -c < out.bin)" = 268435456`},
		{group: "flash", name: "write 256 MiB over a pty", peer: "mtkclient wo", aim: ">= 3", setUp: clientVars,
			serve: both, ours: write, theirs: peer + `head -c 268435456 /dev/zero > in.bin
peer wo 0x4000000 0x10000000 in.bin`},
	}
}

func benchVars(*bed) (map[string]string, error) {
	self, err := os.Executable()
	return vars("MTKBENCH", self), err
}

// clientVars finds mtkclient and a Python that has what it imports.
func clientVars(b *bed) (map[string]string, error) {
	dir := os.Getenv("MTKCLIENT")
	if dir == "" {
		return nil, missing{"MTKCLIENT, the folder of a checkout of mtkclient"}
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	for _, python := range []string{os.Getenv("PYTHON"), "python3", "/usr/bin/python3"} {
		if python != "" && exec.Command(python, "-c", "import serial, usb, Cryptodome, colorama").Run() == nil {
			v, err := benchVars(b)
			if err == nil {
				v["MTKCLIENT"], v["PYTHON"] = dir, python
			}
			return v, err
		}
	}
	return nil, missing{"a python3 with pyserial, pyusb, pycryptodomex and colorama (PYTHON names it)"}
}

// wireWrite is the hidden command `mtkbench wire-write PORT STORE BYTES`: it writes
// zeros to a simulated phone's USRDATA, so that the wire alone is measured; the
// flasher itself also backs up and reads back.
func wireWrite(ctx context.Context, argv []string) error {
	if len(argv) != 3 {
		return errors.New("wire-write PORT STORE BYTES")
	}
	n, err := strconv.ParseInt(argv[2], 0, 64)
	if err != nil {
		return err
	}
	f, err := os.Open(filepath.Join(argv[1], "MTK_AllInOne_DA.bin"))
	if err != nil {
		return err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return err
	}
	box, err := da.Open(f, st.Size())
	if err != nil {
		return err
	}
	d, err := flash.Connect(ctx, flash.Config{Addr: usb.Parse(argv[0]), DA: box})
	if err != nil {
		return err
	}
	defer d.Close()
	l, err := flash.ReadScatter(filepath.Join(argv[1], "MT6572_Android_scatter.txt"))
	if err != nil {
		return err
	}
	m, err := d.Map(ctx, l)
	if err != nil {
		return err
	}
	r, ok := m.Place("USRDATA")
	if !ok {
		return errors.New("no USRDATA")
	}
	c, err := m.Guard.Clear(r.Region, r.Off, n, "measuring")
	if err != nil {
		return err
	}
	return d.Agent.Write(ctx, c, io.LimitReader(zeros{}, n))
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) {
	clear(b)
	return len(b), nil
}
