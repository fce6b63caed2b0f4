//go:build linux

package usb

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"mtkport"
)

// tree makes a sysfs of two ttys: a modem and a preloader.
func tree(t *testing.T) roots {
	t.Helper()
	r := roots{sys: t.TempDir(), dev: "/dev", proc: t.TempDir()}
	add := func(tty, bus, vid, pid string) {
		dev := filepath.Join(r.sys, "devices", bus)
		iface := filepath.Join(dev, bus+":1.0")
		class := filepath.Join(r.sys, "class/tty", tty)
		for _, d := range []string{iface, class} {
			if err := os.MkdirAll(d, 0o755); err != nil {
				t.Fatal(err)
			}
		}
		for name, text := range map[string]string{"idVendor": vid, "idProduct": pid, "product": "MT65xx Preloader"} {
			if err := os.WriteFile(filepath.Join(dev, name), []byte(text+"\n"), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Symlink(iface, filepath.Join(class, "device")); err != nil {
			t.Fatal(err)
		}
	}
	add("ttyACM0", "1-1", "1bc7", "0021")
	add("ttyACM1", "1-2.3", "0e8d", "2000")
	return r
}

func TestList(t *testing.T) {
	got, err := tree(t).list()
	if err != nil || len(got) != 2 {
		t.Fatal(got, err)
	}
	if p := got[0]; p.Name != "/dev/ttyACM1" || p.Kind() != KindPreloader || p.Bus != "1-2.3" || p.String() != "/dev/ttyACM1 (0e8d:2000)" {
		t.Errorf("%+v", p)
	}
	if p, ok := pick(got, "1-2.3"); !ok || p.Name != "/dev/ttyACM1" {
		t.Error(p)
	}
	if _, ok := pick(got[1:], ""); ok {
		t.Error("a modem was taken for a phone")
	}
}

func TestPickKeepsThePlace(t *testing.T) {
	ports := []Port{{Name: "a", VID: 0x0e8d, PID: 0x2000, Bus: "1-1"}, {Name: "b", VID: 0x0e8d, PID: 3, Bus: "1-2"}}
	if p, _ := pick(ports, "1-2"); p.Name != "b" {
		t.Error(p)
	}
	if p, _ := pick(ports, ""); p.Name != "a" {
		t.Error(p)
	}
}

func TestHolders(t *testing.T) {
	r := tree(t)
	fds := filepath.Join(r.proc, "812", "fd")
	if err := os.MkdirAll(fds, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(r.proc, "812", "comm"), []byte("ModemManager\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/dev/null", filepath.Join(fds, "9")); err != nil {
		t.Fatal(err)
	}
	h := r.holders("/dev/null")
	if len(h) != 1 || modemManager(h) != "ModemManager (pid 812)" {
		t.Fatal(h)
	}
	if hint := busyHint(h); !strings.Contains(hint, "systemctl stop ModemManager") || !strings.Contains(hint, "1003") {
		t.Error(hint)
	}
	if hint := busyHint([]string{"flash_tool (pid 3)"}); !strings.Contains(hint, "flash_tool (pid 3)") {
		t.Error(hint)
	}
}

func TestExplain(t *testing.T) {
	for _, tc := range []struct {
		err  error
		hint string
		gone bool
	}{
		{syscall.EBUSY, "S_COM_PORT_OPEN_FAIL", false},
		{os.ErrPermission, "dialout", false},
		{os.ErrNotExist, "plug the phone in", true},
		{syscall.ECONNREFUSED, "nobody listens", true},
	} {
		err := explain(Port{Name: "/dev/ttyACM9"}, tc.err)
		if !strings.Contains(mtkport.HintOf(err), tc.hint) || errors.Is(err, ErrGone) != tc.gone {
			t.Errorf("%v: %v, hint %q", tc.err, err, mtkport.HintOf(err))
		}
	}
}

func TestWaitGivesUpAndTellsOnce(t *testing.T) {
	told := 0
	w := Waiter{Every: time.Millisecond, For: 400 * time.Millisecond, Tell: func(string) { told++ }, List: func() ([]Port, error) { return nil, nil }}
	_, err := w.Open(t.Context())
	if !errors.Is(err, errNoPhone) || told != 1 || !strings.Contains(mtkport.HintOf(err), "volume") {
		t.Fatal(told, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	w.For = 0
	if _, err := w.Open(ctx); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
}

// TestOneAtATime: a name is claimed by one, in either way, and nothing is left.
func TestOneAtATime(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	long := "/dev/" + strings.Repeat("x", 200)
	ways := map[string]func(string) (func(), error){"kernel": lockName, "file": func(n string) (func(), error) { return lockFile(fileOf(n)) }}
	for way, claim := range ways {
		for _, name := range []string{"/dev/ttyACM0", "tcp:127.0.0.1:1", long} {
			free, err := claim(name)
			if err != nil {
				t.Fatal(way, err)
			}
			if _, err := claim(name); !errors.Is(err, ErrInUse) {
				t.Errorf("%s: %s claimed twice: %v", way, name, err)
			}
			free()
			free, err = claim(name)
			if err != nil {
				t.Fatal(way, err)
			}
			free()
		}
	}
	if left, _ := os.ReadDir(os.TempDir()); len(left) > 0 {
		t.Error("left behind:", left)
	}
}

// TestLockFileChangesHands: many take and give a lock file; never two have it.
func TestLockFileChangesHands(t *testing.T) {
	file := filepath.Join(t.TempDir(), "lock")
	var inside, most, turns atomic.Int32
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for turns.Load() < 200 {
				l, err := ours(file)
				if err != nil {
					if !errors.Is(err, ErrInUse) {
						t.Error(err)
						return
					}
					continue
				}
				most.Store(max(most.Load(), inside.Add(1)))
				turns.Add(1)
				inside.Add(-1)
				_ = os.Remove(file)
				_ = l.Unlock()
			}
		})
	}
	wg.Wait()
	if most.Load() != 1 {
		t.Error(most.Load(), "had the lock at once")
	}
}

func TestPipeDeadlines(t *testing.T) {
	a, b := Pipe()
	l := NewLink(a, Port{Name: "pipe"}, nil)
	var buf [4]byte
	if err := l.ReadFull(t.Context(), buf[:], 5*time.Millisecond); !errors.Is(err, ErrTimeout) {
		t.Fatal(err)
	}
	if err := l.Write(t.Context(), make([]byte, pipeSize+1), 5*time.Millisecond); !errors.Is(err, ErrTimeout) {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(5*time.Millisecond, cancel)
	if err := l.ReadFull(ctx, buf[:], time.Minute); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	b.Close()
	if err := l.ReadFull(t.Context(), buf[:], time.Minute); !errors.Is(err, ErrGone) {
		t.Fatal(err)
	}
}

// FuzzParse: addresses are text of the user; none of them panics.
func FuzzParse(f *testing.F) {
	for _, s := range []string{"auto", "", "tcp:1.2.3.4:5", "/dev/ttyACM0"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		a := Parse(s)
		if hp, ok := a.TCP(); ok && "tcp:"+hp != s {
			t.Fatal(hp)
		}
		if a.String() == "" {
			t.Fatal("no name")
		}
	})
}
