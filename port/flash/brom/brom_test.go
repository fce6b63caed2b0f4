package brom_test

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"time"

	"mtkport"
	"mtkport/port/flash/brom"
	"mtkport/port/flash/simphone"
	"mtkport/port/flash/usb"
)

var fast = brom.Timing{Poll: 10 * time.Millisecond, Quiet: 2 * time.Millisecond, Answer: time.Second, Total: 2 * time.Second}

func plug(t *testing.T, p simphone.Profile, hook simphone.Hook) *usb.Link {
	t.Helper()
	host, dev := usb.Pipe()
	ctx, cancel := context.WithCancel(t.Context())
	ph := simphone.New(p, simphone.NewFlash(p))
	ph.Hook = hook
	done := make(chan struct{})
	go func() { defer close(done); _ = ph.Serve(ctx, dev) }()
	t.Cleanup(func() { cancel(); <-done })
	return usb.NewLink(host, usb.Port{Name: "pipe"}, nil)
}

func TestHandshakeAndRegisters(t *testing.T) {
	for _, mode := range []brom.Mode{brom.ModeBROM, brom.ModePreloader} {
		p := simphone.EMMCProfile(8 << 20)
		p.Mode, p.Ready = mode, 3*time.Millisecond
		c, err := brom.Connect(t.Context(), plug(t, p, nil), fast)
		if err != nil {
			t.Fatal(mode, err)
		}
		in, err := c.Identify(t.Context())
		if err != nil || in.Mode != mode || in.HWCode != 0x6572 || in.HWVer != 0xCA00 || in.HWSub != 0x8A00 {
			t.Fatal(in, err)
		}
		if err := c.StopWatchdog(t.Context(), brom.MT6572); err != nil {
			t.Fatal(err)
		}
		if err := c.Write16(t.Context(), 0x10005000, 0x1234); err != nil {
			t.Fatal(err)
		}
		r, err := c.Read32(t.Context(), 0x08000008, 3)
		if err != nil || len(r) != 3 || r[0] != 0x6572 {
			t.Fatal(r, err)
		}
		h, err := c.Read16(t.Context(), 0x08000008, 1)
		if err != nil || h[0] != 0x6572 {
			t.Fatal(h, err)
		}
		if _, err := c.Read32(t.Context(), 0x08000001, 1); err == nil {
			t.Fatal("a crooked address was read")
		}
		if err := c.JumpDA(t.Context(), 0x2007000); err == nil {
			t.Fatal("jumped without an agent")
		}
		// After the handshake A0 is echoed: a second program finds itself in command mode.
		if _, err := brom.Connect(t.Context(), c.Link(), fast); mode == brom.ModePreloader && err != nil {
			t.Fatal(err)
		}
	}
}

func TestWrongUploadSum(t *testing.T) {
	hook, err := simphone.ParseFaults("spoil@SEND_DA sum")
	if err != nil {
		t.Fatal(err)
	}
	c, err := brom.Connect(t.Context(), plug(t, simphone.EMMCProfile(8<<20), hook), fast)
	if err != nil {
		t.Fatal(err)
	}
	err = c.SendDA(t.Context(), 0x2007000, bytes.Repeat([]byte{1, 2, 3}, 1111), 0)
	if err == nil || mtkport.HintOf(err) == "" {
		t.Fatal(err)
	}
}

func TestNobodyThere(t *testing.T) {
	host, dev := usb.Pipe()
	defer dev.Close()
	l := usb.NewLink(host, usb.Port{Name: "dead"}, nil)
	short := fast
	short.Total = 100 * time.Millisecond
	if _, err := brom.Connect(t.Context(), l, short); !errors.Is(err, brom.ErrHandshake) || mtkport.HintOf(err) == "" {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := brom.Connect(ctx, l, short); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	dev.Close()
	if _, err := brom.Connect(t.Context(), l, short); !errors.Is(err, usb.ErrGone) {
		t.Fatal(err)
	}
}

func TestSum16(t *testing.T) {
	for _, tc := range []struct {
		b    []byte
		want uint16
	}{{nil, 0}, {[]byte{0x34, 0x12}, 0x1234}, {[]byte{0x34, 0x12, 0xFF}, 0x12CB}} {
		if got := brom.Sum16(tc.b); got != tc.want {
			t.Errorf("% x: 0x%04x, want 0x%04x", tc.b, got, tc.want)
		}
	}
}

func TestWords(t *testing.T) {
	if !(brom.SecureBoot | brom.EPP).Secure() || brom.EPP.Secure() || brom.Config(0).String() != "open" || brom.Status(0x1D0D).OK() || !brom.Status(0x7015).Secure() {
		t.Error("the words are wrong")
	}
}
