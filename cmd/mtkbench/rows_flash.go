package main

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"strconv"

	"mtkport/port/flash"
	"mtkport/port/flash/da"
	"mtkport/port/flash/usb"
)

// simUp starts a simulated phone on a pseudo-terminal, its flash in files.
const simUp = `"$MTKPORT" sim --store st --user-size 0x30000000 $HEAD --link ttyACM77 >/dev/null 2>&1 &
sim=$!
trap 'kill -INT $sim; wait $sim || true' EXIT
while ! [ -L ttyACM77 ]; do sleep 0.01; done
`

// peerUp brings mtkclient over two obstacles of a pseudo-terminal; see
// cmd/mtkport/testdata/mtkclient.sh.
const peerUp = `HEAD=--emmc-boot-head
` + simUp + `cp st/MTK_AllInOne_DA.bin DA_mt6590.bin
mkdir shim logs
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
peer() { PEER_PORT=$PWD/ttyACM77 PYTHONPATH=$PWD/shim:$MTKCLIENT "${PYTHON:-python3}" "$MTKCLIENT/mtk.py" "$@" --stock --loader "$PWD/DA_mt6590.bin" --serialport "$PWD/ttyACM77" >log 2>&1; }
`

func flashRows() []row {
	bench := func(*bed) (map[string]string, error) {
		self, err := os.Executable()
		return vars("MTKBENCH", self), err
	}
	client := func(b *bed) (map[string]string, error) {
		if os.Getenv("MTKCLIENT") == "" {
			return nil, errors.New("MTKCLIENT, the folder of a checkout of mtkclient")
		}
		if _, err := exec.LookPath("python3"); err != nil {
			return nil, err
		}
		return bench(b)
	}
	const read = simUp + `"$MTKPORT" device read USER:0+0x10000000 -o - --port ttyACM77 --da st/MTK_AllInOne_DA.bin -q >/dev/null`
	const write = simUp + `"$MTKBENCH" wire-write ttyACM77 st/MTK_AllInOne_DA.bin 0x10000000`
	return []row{
		{group: "flash", name: "read 256 MiB over a pty", peer: "bare copy through a pty", aim: ">= 0.9, < 64 MiB", setUp: bench,
			ours: read, theirs: simUp + `"$MTKBENCH" raw-pty down 0x10000000`},
		{group: "flash", name: "write 256 MiB over a pty", peer: "bare copy through a pty", aim: ">= 0.9, < 64 MiB", setUp: bench,
			ours: write, theirs: simUp + `"$MTKBENCH" raw-pty up 0x10000000`},
		{group: "flash", name: "read 256 MiB over a pty", peer: "mtkclient ro", aim: ">= 3", setUp: client,
			ours: read, theirs: peerUp + `peer ro 0 0x10000000 out.bin
test "$(wc -c < out.bin)" = 268435456`},
		{group: "flash", name: "write 256 MiB over a pty", peer: "mtkclient wo", aim: ">= 3", setUp: client,
			ours: write, theirs: peerUp + `head -c 268435456 /dev/zero > in.bin
peer wo 0x4000000 0x10000000 in.bin`},
	}
}

// wireWrite is the hidden command `mtkbench wire-write PORT DA BYTES`: it writes
// zeros to a simulated phone's USRDATA, so that the wire alone is measured; the
// flasher itself also backs up and reads back.
func wireWrite(ctx context.Context, argv []string) error {
	if len(argv) != 3 {
		return errors.New("wire-write PORT DA BYTES")
	}
	n, err := strconv.ParseInt(argv[2], 0, 64)
	if err != nil {
		return err
	}
	f, err := os.Open(argv[1])
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
	l, err := flash.ReadScatter("st/MT6572_Android_scatter.txt")
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
