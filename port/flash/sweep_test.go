package flash_test

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"mtkport/port/flash"
	"mtkport/port/flash/brom"
	"mtkport/port/flash/simphone"
	"mtkport/profiles/scatter"
)

// MTKPORT_SWEEP=all cuts at every message of a whole flash, as disconnect and as
// SIGKILL of the real program, and prints its figures:
//
//	MTKPORT_SWEEP=all go test ./port/flash -run Sweep -v -timeout 2h
func wholeSweep() bool { return os.Getenv("MTKPORT_SWEEP") == "all" }

// quickDir is a temporary folder in memory where there is one: a sweep syncs
// files some hundred thousand times.
func quickDir(t testing.TB) string {
	t.Helper()
	if st, err := os.Stat("/dev/shm"); err != nil || !st.IsDir() {
		return t.TempDir()
	}
	dir, err := os.MkdirTemp("/dev/shm", "mtkport-test-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// sweep is one phone and firmware with the result of an undisturbed flash.
type sweep struct {
	t        *testing.T
	b        *bench
	fw       string
	start    *simphone.Flash
	want     *simphone.Flash
	messages int64
}

func newSweep(t *testing.T, storage string) *sweep {
	t.Helper()
	s := &sweep{t: t, b: newBench(t, storage)}
	s.fw = firmware(t, s.b, 1<<20+1<<18)
	s.start, _ = s.b.phone.Flash.Clone()
	if err := s.flash(s.b, quickDir(t)); err != nil {
		t.Fatal(err)
	}
	s.b.serve.Wait()
	s.want, s.messages = s.b.phone.Flash, first(s.b.phone.Moved())
	return s
}

func first(a, _ int64) int64 { return a }

func (s *sweep) flash(b *bench, dir string) error {
	set, err := flash.OpenFolder(s.fw, flash.SetOptions{})
	if err != nil {
		return err
	}
	defer set.Close()
	cfg := b.config()
	cfg.BROM.Poll = 4 * time.Millisecond
	_, err = flash.Write(s.t.Context(), cfg, set, opts(dir))
	b.serve.Wait()
	return err
}

// phone is a fresh phone as it was before the flash.
func (s *sweep) phone() *bench {
	f, err := s.start.Clone()
	if err != nil {
		s.t.Fatal(err)
	}
	b := &bench{t: s.t, layout: s.b.layout, guard: s.b.guard}
	b.phone = simphone.New(s.b.phone.Profile, f)
	b.phone.Guard(s.b.guard)
	return b
}

// cutAt is a hook that cuts at one message, at a byte of it.
func cutAt(seq int64, share float64) simphone.Hook {
	return func(m simphone.Message) simphone.Action {
		if m.Seq == seq {
			return simphone.Action{Act: simphone.Cut, Byte: int(share * float64(m.Len+1))}
		}
		return simphone.Action{}
	}
}

// judge says why a phone is lost, or "".
func (s *sweep) judge(b *bench, dir string) string {
	if c := b.phone.Crimes(); len(c) > 0 {
		return fmt.Sprintf("protected bytes written: %v", c)
	}
	if where, same := s.want.Equal(b.phone.Flash); !same {
		return "flash differs at " + where
	}
	runs, err := filepath.Glob(filepath.Join(dir, "phone-*", "flash-*", "backup"))
	if err != nil || len(runs) == 0 {
		return "no backup"
	}
	if why := s.backup(runs[0]); why != "" {
		return why
	}
	return ""
}

// backup holds the first run's backup against the phone as it was.
func (s *sweep) backup(dir string) string {
	k, _, err := flash.OpenBackup(dir)
	if err != nil {
		return err.Error()
	}
	was := simphone.New(s.b.phone.Profile, s.start)
	for _, it := range k.Items {
		got, err := os.ReadFile(filepath.Join(dir, it.File))
		if err != nil {
			return err.Error()
		}
		want := make([]byte, it.Len)
		if err := was.Load(it.Region, want, it.Off); err != nil {
			return err.Error()
		}
		if string(got) != string(want) {
			return "backup of " + it.Name + " differs"
		}
	}
	return ""
}

// cuts lists the messages to cut at: all, or some from all over the flash.
func (s *sweep) cuts(few int64) []int64 {
	step := max(1, s.messages/few)
	if wholeSweep() {
		step = 1
	}
	var out []int64
	for k := int64(1); k <= s.messages; k += step {
		out = append(out, k)
	}
	return out
}

func TestSweepDisconnect(t *testing.T) {
	t.Parallel()
	for _, storage := range []string{scatter.EMMC, scatter.NAND} {
		t.Run(storage, func(t *testing.T) {
			s := newSweep(t, storage)
			rng := rand.New(rand.NewPCG(4, 2))
			lost, tried := 0, 0
			for _, k := range s.cuts(8) {
				b, dir := s.phone(), quickDir(t)
				share, second := rng.Float64(), rng.Int64N(4*s.messages)
				tried++
				b.phone.Hook = cutAt(k, share)
				_ = s.flash(b, dir)
				if second < s.messages { // sometimes the second try is cut too
					tried++
					b.phone.Hook = cutAt(k+second, share)
					_ = s.flash(b, dir)
				}
				b.phone.Hook = nil
				err := s.flash(b, dir)
				why := s.judge(b, dir)
				if err != nil {
					why = err.Error()
				}
				if why != "" {
					lost++
					t.Errorf("cut at message %d of %d (share %.2f): %s", k, s.messages, share, why)
				}
				_ = os.RemoveAll(dir)
			}
			t.Logf("%s disconnect: messages %d, cuts tried %d, phones lost: %d", storage, s.messages, tried, lost)
		})
	}
}

// program builds the real mtkport once.
var program = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "mtkport-test-")
	if err != nil {
		return "", err
	}
	out := filepath.Join(dir, "mtkport")
	b, err := exec.Command("go", "build", "-o", out, "mtkport/cmd/mtkport").CombinedOutput()
	if err != nil {
		err = fmt.Errorf("%w: %s", err, b)
	}
	return out, err
})

func TestMain(m *testing.M) {
	code := m.Run()
	if p, err := program0(); err == nil {
		_ = os.RemoveAll(filepath.Dir(p))
	}
	os.Exit(code)
}

var built bool

func program0() (string, error) {
	if !built {
		return "", os.ErrNotExist
	}
	return program()
}

// killed runs the program against a phone on TCP and kills it at message k; 0
// never. It returns the program's error.
func (s *sweep) killed(bin string, b *bench, dir, agent string, k int64) error {
	line, err := simphone.ListenTCP("127.0.0.1:0")
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(s.t.Context())
	cmd := exec.CommandContext(ctx, bin, "flash", s.fw, "--port", line.Name(), "--da", agent, "--backup", dir, "--yes", "--quiet", "--unproven-nand", "--reconnect", "0", "--wait", "20s")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	started := make(chan struct{}) // the phone may hear of the program before Start returns
	base, _ := b.phone.Moved()
	b.phone.Hook = func(m simphone.Message) simphone.Action {
		if k > 0 && m.Seq == base+k {
			<-started
			_ = cmd.Process.Kill()
			return simphone.Action{Act: simphone.Cut, Byte: m.Len / 2}
		}
		return simphone.Action{}
	}
	done := make(chan error, 1)
	go func() { done <- (&simphone.Server{Phone: b.phone, Line: line}).Run(ctx) }()
	err = cmd.Start()
	close(started)
	if err == nil {
		err = cmd.Wait()
	}
	cancel()
	if serr := <-done; serr != nil && err == nil && !isClosed(serr) {
		err = serr
	}
	if err != nil {
		err = fmt.Errorf("%w: %s", err, out.String())
	}
	return err
}

func isClosed(err error) bool { return err == nil || context.Canceled == err || net.ErrClosed == err }

func TestSweepKill(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("builds the program")
	}
	bin, err := program()
	built = true
	if err != nil {
		t.Fatal(err)
	}
	agent := filepath.Join(t.TempDir(), "MTK_AllInOne_DA.bin")
	if err := os.WriteFile(agent, daBytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, storage := range []string{scatter.EMMC, scatter.NAND} {
		t.Run(storage, func(t *testing.T) {
			s := newSweep(t, storage)
			lost, tried := 0, 0
			for _, k := range s.cuts(2) {
				b, dir := s.phone(), quickDir(t)
				tried++
				_ = s.killed(bin, b, dir, agent, k)
				err := s.killed(bin, b, dir, agent, 0)
				why := s.judge(b, dir)
				if err != nil {
					why = err.Error()
				}
				if why != "" {
					lost++
					t.Errorf("killed at message %d of %d: %s", k, s.messages, why)
				}
				_ = os.RemoveAll(dir)
			}
			t.Logf("%s SIGKILL: messages %d, cuts tried %d, phones lost: %d", storage, s.messages, tried, lost)
		})
	}
}

// TestAgentLeftRunning: a phone that stays plugged in while the program dies
// still has its agent; the next run restarts it.
func TestAgentLeftRunning(t *testing.T) {
	t.Parallel()
	s := newSweep(t, scatter.EMMC)
	b, dir := s.phone(), quickDir(t)
	b.phone.Profile.KeepDA = true
	b.phone.Hook = cutAt(s.messages/2, 0.5)
	if err := s.flash(b, dir); err == nil {
		t.Fatal("the cut did nothing")
	}
	b.phone.Hook = nil
	if err := s.flash(b, dir); err != nil {
		t.Fatal(err)
	}
	if why := s.judge(b, dir); why != "" {
		t.Fatal(why)
	}
	if b.phone.Profile.Mode != brom.ModePreloader {
		t.Fatal(b.phone.Profile.Mode)
	}
}
