package flash_test

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"mtkport/port/flash"
	"mtkport/port/flash/brom"
	"mtkport/port/flash/da"
	"mtkport/port/flash/simphone"
	"mtkport/port/flash/usb"
	"mtkport/profiles/identity"
	"mtkport/profiles/scatter"
)

var (
	fastBROM = brom.Timing{Poll: 20 * time.Millisecond, Quiet: time.Millisecond, Answer: 3 * time.Second, Total: 5 * time.Second}
	fastDA   = da.Timing{Answer: 3 * time.Second, Sync: 3 * time.Second, Settle: 500 * time.Millisecond, Flash: 3 * time.Second, Quiet: 2 * time.Millisecond}
)

// bench is a phone with everything that a flash of it needs.
type bench struct {
	t      testing.TB
	phone  *simphone.Phone
	layout *scatter.Layout
	guard  *identity.Guard
	mu     sync.Mutex
	serve  sync.WaitGroup
	gone   error // Dial fails with it when set
}

func newBench(t testing.TB, storage string) *bench {
	t.Helper()
	raw, err := simphone.PracticeLayout(storage, true)
	if err != nil {
		t.Fatal(err)
	}
	l, err := scatter.Parse(raw, "MT6572_Android_scatter.txt")
	if err != nil {
		t.Fatal(err)
	}
	p := simphone.PracticeProfile(storage, true)
	b := &bench{t: t, phone: simphone.New(p, simphone.NewFlash(p)), layout: l}
	if b.guard, err = b.phone.Fill(l, simphone.Noise(1), storage == scatter.EMMC); err != nil {
		t.Fatal(err)
	}
	return b
}

// config connects in memory: each dial is the phone plugged in anew.
func (b *bench) config() flash.Config {
	return flash.Config{DA: practiceDA(b.t), BROM: fastBROM, DATimes: fastDA, Dial: func(ctx context.Context) (*usb.Link, error) {
		if b.gone != nil {
			return nil, b.gone
		}
		host, dev := usb.Pipe()
		b.serve.Add(1)
		go func() {
			defer b.serve.Done()
			b.mu.Lock() // one connection at a time
			defer b.mu.Unlock()
			_ = b.phone.Serve(context.WithoutCancel(ctx), dev)
		}()
		return usb.NewLink(host, usb.Port{Name: "memory", Terminal: true}, nil), nil
	}}
}

var daBytes = sync.OnceValue(func() []byte {
	var buf bytes.Buffer
	if err := simphone.PracticeDA(&buf); err != nil {
		panic(err)
	}
	return buf.Bytes()
})

func practiceDA(t testing.TB) *da.Container {
	t.Helper()
	c, err := da.Open(bytes.NewReader(daBytes()), int64(len(daBytes())))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func noise(seed uint64, n int) []byte {
	rng := rand.New(rand.NewPCG(seed, 99))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(rng.Uint32())
	}
	return b
}

// firmware makes a folder of images for the layout, with a scatter that wants
// NVRAM and the loader written too.
func firmware(t testing.TB, b *bench, system int) string {
	t.Helper()
	dir := t.TempDir()
	write := func(name string, data []byte) {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("boot.img", noise(11, 200<<10))
	write("recovery.img", noise(12, 100<<10+13)) // not whole sectors
	write("logo.bin", noise(13, 40<<10))
	write("system.img", noise(14, system))
	write("cache.img", noise(15, 64<<10))
	write("lk.bin", noise(16, 32<<10))
	write("nvram.bin", noise(17, 32<<10))
	l, err := scatter.Parse(b.layout.Bytes(), "MT6572_Android_scatter.txt")
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{l.SetFile("NVRAM", "nvram.bin"), l.SetDownload("NVRAM", true), l.SetDownload("UBOOT", true)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	write("MT6572_Android_scatter.txt", l.Bytes())
	return dir
}

func openSet(t testing.TB, dir string) *flash.Set {
	t.Helper()
	s, err := flash.OpenFolder(dir, flash.SetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// holds checks that the phone holds an image at a partition.
func (b *bench) holds(partition, file string) {
	b.t.Helper()
	want, err := os.ReadFile(file)
	if err != nil {
		b.t.Fatal(err)
	}
	got := b.read(partition, len(want))
	if !bytes.Equal(got, want) {
		b.t.Errorf("%s does not hold %s", partition, filepath.Base(file))
	}
}

// read reads a partition through a flasher of its own.
func (b *bench) read(partition string, n int) []byte {
	b.t.Helper()
	var buf bytes.Buffer
	if _, err := flash.Fetch(b.t.Context(), b.config(), partition, b.layout, func(p []byte) error { buf.Write(p); return nil }); err != nil {
		b.t.Fatal(err)
	}
	return buf.Bytes()[:n]
}

func (b *bench) innocent() {
	b.t.Helper()
	if c := b.phone.Crimes(); len(c) > 0 {
		b.t.Fatalf("protected bytes were written: %v", c)
	}
}

func opts(dir string) flash.Options {
	return flash.Options{Dir: dir, UnprovenNAND: true, Chunk: 1 << 20}
}

var errStop = errors.New("the user said no")
