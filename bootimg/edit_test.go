package bootimg_test

import (
	"bytes"
	"crypto/sha1"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"pgregory.net/rapid"

	"mtkport"
	"mtkport/bootimg"
)

// stock is an image as MediaTek makes it.
func stock(t testing.TB, kernel, ramdisk []byte) []byte {
	t.Helper()
	spec := bootimg.Spec{Header: bootimg.Header{Name: "1361338361"}, Sections: map[bootimg.Kind]bootimg.Payload{
		bootimg.Kernel:  {R: bytes.NewReader(kernel), Size: int64(len(kernel)), Part: "KERNEL"},
		bootimg.Ramdisk: {R: bytes.NewReader(ramdisk), Size: int64(len(ramdisk)), Part: "ROOTFS"},
	}}
	spec.Header.StockAddresses()
	var b bytes.Buffer
	if err := bootimg.Build(&b, spec); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func partOf(t testing.TB, name string, payload []byte) []byte {
	t.Helper()
	p, err := bootimg.NewPartHeader(name)
	if err != nil {
		t.Fatal(err)
	}
	b := append(p.Bytes(), payload...)
	binary.LittleEndian.PutUint32(b[4:], uint32(len(payload)))
	return b
}

func set(t testing.TB, e *bootimg.Editor, k bootimg.Kind, b []byte) {
	t.Helper()
	if err := e.SetPayload(k, bytes.NewReader(b), int64(len(b))); err != nil {
		t.Fatal(err)
	}
}

// TestReplaceIsFresh: replacing a section gives what building with it gives,
// whether the new file comes bare, with a part header, or with a porter's page
// padding behind it.
func TestReplaceIsFresh(t *testing.T) {
	kernel, ramdisk, fresh := noise("k", 10000), noise("r", 3000), noise("new", 7777)
	img, want := stock(t, kernel, ramdisk), stock(t, kernel, fresh)
	headed := partOf(t, "ROOTFS", fresh)
	for name, in := range map[string][]byte{
		"bare": fresh, "headed": headed, "padded": append(bytes.Clone(headed), make([]byte, 1240)...), "recovery": partOf(t, "recovery", fresh),
	} {
		e := open(t, img).Edit()
		set(t, e, bootimg.Ramdisk, in)
		if got := write(t, e); !bytes.Equal(got, want) {
			t.Errorf("%s: not what a build gives", name)
		}
	}
}

// TestKeepsTheRest: one section replaced, all else stays byte-identical. The
// original has surplus bytes, odd padding and a lower-case part name.
func TestKeepsTheRest(t *testing.T) {
	img := stock(t, noise("k", 10000), noise("r", 3000))
	binary.LittleEndian.PutUint32(img[8:], 512+10000+100) // surplus
	copy(img[2048+512+10000:], noise("odd", 150))         // surplus and padding
	copy(img[2048+8:], "kernel")
	img[1700] = 7 // unknown header byte
	e := open(t, img).Edit()
	set(t, e, bootimg.Ramdisk, noise("new", 9000))
	got := write(t, e)
	want := bytes.Clone(img[:len(img)-4096])
	copy(want[16:20], got[16:20]) // ramdisk_size
	if !bytes.Equal(got[:len(want)], want) {
		t.Error("bytes outside the ramdisk changed")
	}
	m := open(t, got)
	if s := m.Section(bootimg.Ramdisk); s.Size != 512+9000 || s.Part.Size != 9000 {
		t.Errorf("ramdisk section %d, part %d", s.Size, s.Part.Size)
	}
	if rule, _ := m.IDRule(); rule != bootimg.IDOther {
		t.Errorf("id rule %q: an id from no rule must stay", rule)
	}
}

func TestIDFollowsRule(t *testing.T) {
	img := stock(t, noise("k", 10000), noise("r", 3000))
	e := open(t, img).Edit()
	set(t, e, bootimg.Kernel, noise("new", 5000))
	m := open(t, write(t, e))
	h := sha1.New() // by hand
	for _, p := range [][]byte{partOf(t, "KERNEL", noise("new", 5000)), partOf(t, "ROOTFS", noise("r", 3000)), nil} {
		h.Write(p)
		_ = binary.Write(h, binary.LittleEndian, uint32(len(p)))
	}
	if id := m.Header().ID; !bytes.Equal(id[:20], h.Sum(nil)) {
		t.Errorf("id %x, want %x", id, h.Sum(nil))
	}
	e = open(t, img).Edit()
	e.SetID(bootimg.IDKeep)
	set(t, e, bootimg.Kernel, noise("new", 5000))
	if m := open(t, write(t, e)); m.Header().ID != open(t, img).Header().ID {
		t.Error("IDKeep changed the id")
	}
}

// TestRename: a part header's name changes and nothing else, surplus included.
func TestRename(t *testing.T) {
	img := stock(t, noise("k", 10000), noise("r", 3000))
	binary.LittleEndian.PutUint32(img[8:], 512+10000+100)
	copy(img[2048+512+10000:], noise("odd", 100))
	e := open(t, img).Edit()
	if err := e.SetPart(bootimg.Kernel, "kernel"); err != nil {
		t.Fatal(err)
	}
	want := bytes.Clone(img)
	copy(want[2048+8:], "kernel")
	if !bytes.Equal(write(t, e), want) {
		t.Error("more than the name changed")
	}
}

// TestExtended: the later form of the part header passes through, with only its
// size rewritten.
func TestExtended(t *testing.T) {
	b := partOf(t, "lk", noise("lk", 1000))
	binary.LittleEndian.PutUint32(b[48:], 0x58891689)
	binary.LittleEndian.PutUint32(b[52:], 512)
	binary.LittleEndian.PutUint32(b[56:], 1)
	p, err := bootimg.OpenPart(bytes.NewReader(b), int64(len(b)))
	if err != nil || !p.Part.Extended || !p.Part.Is("LK") {
		t.Fatalf("%+v, %v", p, err)
	}
	e := p.Edit()
	if err := e.SetPayload(bytes.NewReader(noise("new", 600)), 600); err != nil {
		t.Fatal(err)
	}
	want := append(bytes.Clone(b[:512]), noise("new", 600)...)
	binary.LittleEndian.PutUint32(want[4:], 600)
	if !bytes.Equal(write(t, e), want) {
		t.Error("more than size and payload changed")
	}
}

// TestPartition: a dump keeps its size while its contents grow, and refuses
// when they outgrow it.
func TestPartition(t *testing.T) {
	for _, fill := range []byte{0, 0xff} {
		img := stock(t, noise("k", 10000), noise("r", 3000))
		dump := append(img, bytes.Repeat([]byte{fill}, 256<<10-len(img))...)
		roundTrip(t, dump)
		e := open(t, dump).Edit()
		set(t, e, bootimg.Ramdisk, noise("new", 100000))
		got := write(t, e)
		if len(got) != len(dump) || got[len(got)-1] != fill || !bytes.Equal(got[:2048+12288], stock(t, noise("k", 10000), noise("new", 100000))[:2048+12288]) {
			t.Errorf("fill %x: %d bytes, want %d, contents as built", fill, len(got), len(dump))
		}
		set(t, e, bootimg.Ramdisk, noise("new", 300000))
		var b bytes.Buffer
		_, err := e.WriteTo(&b)
		var x *mtkport.Error
		if !errors.Is(err, mtkport.ErrTooBig) || !errors.As(err, &x) || x.Found != "315392 bytes" || x.Want != "at most 262144, the size of the partition" || b.Len() > 0 {
			t.Errorf("too large: %v, %d bytes written", err, b.Len())
		}
		e.SetResize(1 << 20)
		if n, err := e.Size(); n != 1<<20 || err != nil {
			t.Errorf("Exact: %d, %v", n, err)
		}
	}
}

func TestPageSize(t *testing.T) {
	img := stock(t, noise("k", 10000), noise("r", 3000))
	m := open(t, img)
	h := m.Header()
	h.PageSize = 16384
	e := m.Edit()
	if err := e.SetHeader(h); err != nil {
		t.Fatal(err)
	}
	wide := write(t, e)
	roundTrip(t, wide)
	w := open(t, wide)
	e = w.Edit()
	h.PageSize = 2048
	if err := e.SetHeader(h); err != nil {
		t.Fatal(err)
	}
	if back := write(t, e); !bytes.Equal(back, img) {
		t.Error("2048 → 16384 → 2048: not the same")
	}
}

func TestRefusals(t *testing.T) {
	img := stock(t, noise("k", 10000), noise("r", 3000))
	for _, c := range []struct {
		name  string
		do    func(e *bootimg.Editor) error
		class error
	}{
		{"ramdisk as kernel", func(e *bootimg.Editor) error { return put(e, bootimg.Kernel, partOf(t, "ROOTFS", noise("x", 99))) }, mtkport.ErrRefused},
		{"boot image as kernel", func(e *bootimg.Editor) error { return put(e, bootimg.Kernel, img) }, mtkport.ErrRefused},
		{"cut part", func(e *bootimg.Editor) error {
			return put(e, bootimg.Kernel, partOf(t, "KERNEL", noise("x", 99))[:600])
		}, mtkport.ErrDamaged},
		{"dtb in v0", func(e *bootimg.Editor) error { return put(e, bootimg.DTB, noise("x", 99)) }, mtkport.ErrUnsupported},
		{"tiny dt", func(e *bootimg.Editor) error { return put(e, bootimg.DT, noise("x", 3)) }, mtkport.ErrRefused},
		{"long name", func(e *bootimg.Editor) error {
			h := e.Header()
			h.Name = "seventeen letters"
			return e.SetHeader(h)
		}, mtkport.ErrTooBig},
		{"page size", func(e *bootimg.Editor) error {
			h := e.Header()
			h.PageSize = 1000
			return e.SetHeader(h)
		}, mtkport.ErrRefused},
	} {
		if err := c.do(open(t, img).Edit()); !errors.Is(err, c.class) {
			t.Errorf("%s: %v, want class %v", c.name, err, c.class)
		}
	}
}

func put(e *bootimg.Editor, k bootimg.Kind, b []byte) error {
	return e.SetPayload(k, bytes.NewReader(b), int64(len(b)))
}

// TestDT: the old flavour keeps a device tree's size where later versions keep
// their number.
func TestDT(t *testing.T) {
	img := stock(t, noise("k", 10000), noise("r", 3000))
	e := open(t, img).Edit()
	set(t, e, bootimg.DT, noise("dt", 5000))
	got := write(t, e)
	roundTrip(t, got)
	m := open(t, got)
	if h := m.Header(); !h.DT || h.Version != 0 || h.DTSize != 5000 {
		t.Errorf("header %+v", h)
	}
	if rule, _ := m.IDRule(); rule != bootimg.IDSHA1 {
		t.Errorf("id rule %q", rule)
	}
	e = m.Edit()
	e.Remove(bootimg.DT)
	if !bytes.Equal(write(t, e), img) {
		t.Error("dt added and removed: not the same")
	}
}

// TestSideFile edits an unpacked folder as a person would.
func TestSideFile(t *testing.T) {
	img := stock(t, noise("k", 10000), noise("r", 3000))
	t.Run("field", func(t *testing.T) {
		dir := unpack(t, img)
		editSide(t, dir, `name: "1361338361"`, `name: bench`)
		editSide(t, dir, `tags_addr: 0x10000100`, `tags_addr: 0x10000200`)
		out, r := repack(t, dir)
		if h := open(t, out).Header(); h.Name != "bench" || h.TagsAddr != 0x10000200 || r.Identical() || len(r.Changed) != 1 {
			t.Errorf("header %+v, changed %v", h, r.Changed)
		}
	})
	t.Run("file", func(t *testing.T) {
		dir := unpack(t, img)
		if err := os.WriteFile(filepath.Join(dir, "ramdisk"), partOf(t, "ROOTFS", noise("new", 7777)), 0o644); err != nil {
			t.Fatal(err)
		}
		out, r := repack(t, dir)
		if !bytes.Equal(out, stock(t, noise("k", 10000), noise("new", 7777))) || len(r.Changed) != 1 || r.Changed[0] != "ramdisk" {
			t.Errorf("not what a build gives; changed %v", r.Changed)
		}
	})
	t.Run("dump", func(t *testing.T) {
		dir := unpack(t, append(bytes.Clone(img), make([]byte, 128<<10-len(img))...))
		if err := os.WriteFile(filepath.Join(dir, "ramdisk"), noise("new", 50000), 0o644); err != nil {
			t.Fatal(err)
		}
		out, _ := repack(t, dir)
		want := stock(t, noise("k", 10000), noise("new", 50000))
		if len(out) != 128<<10 || !bytes.Equal(out[:len(want)], want) {
			t.Errorf("%d bytes, want a dump of %d with the new ramdisk", len(out), 128<<10)
		}
	})
	t.Run("drop and add", func(t *testing.T) {
		dir := unpack(t, img)
		editSide(t, dir, "sections:\n", "sections:\n- kind: second\n  file: extra\n")
		if err := os.WriteFile(filepath.Join(dir, "extra"), noise("second", 99), 0o644); err != nil {
			t.Fatal(err)
		}
		out, r := repack(t, dir)
		if s := open(t, out).Section(bootimg.Second); s == nil || s.Part != nil || s.Size != 99 || len(r.Changed) != 1 {
			t.Errorf("second %+v, changed %v", s, r.Changed)
		}
		back := unpack(t, out)
		b, _ := os.ReadFile(filepath.Join(back, bootimg.SideName))
		a := bytes.Index(b, []byte("- kind: second"))
		z := bytes.Index(b, []byte("original:"))
		editSide(t, back, string(b[a:z]), "")
		if out, _ := repack(t, back); !bytes.Equal(out, img) {
			t.Error("second added and dropped: not the same")
		}
	})
	t.Run("part", func(t *testing.T) {
		dir := unpack(t, img)
		editSide(t, dir, "    name: ROOTFS\n", "    name: RECOVERY\n")
		out, _ := repack(t, dir)
		if p := open(t, out).Section(bootimg.Ramdisk).Part; p.Name != "RECOVERY" || p.Size != 3000 {
			t.Errorf("part %+v", p)
		}
	})
	t.Run("missing", func(t *testing.T) {
		dir := unpack(t, img)
		if err := os.Remove(filepath.Join(dir, "kernel")); err != nil {
			t.Fatal(err)
		}
		root, _ := os.OpenRoot(dir)
		defer root.Close()
		if _, err := bootimg.Repack(t.Context(), root); !errors.Is(err, os.ErrNotExist) || mtkport.HintOf(err) == "" {
			t.Errorf("error %v, want not found and a hint", err)
		}
	})
	t.Run("escape", func(t *testing.T) {
		dir := unpack(t, img)
		editSide(t, dir, "file: kernel", "file: ../../etc/passwd")
		root, _ := os.OpenRoot(dir)
		defer root.Close()
		if _, err := bootimg.Repack(t.Context(), root); err == nil {
			t.Error("a file outside the folder was opened")
		}
	})
}

// TestRandom: any image of random sections, with random odd bytes, survives
// both round trips; and an edit undone gives the original.
func TestRandom(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		version := rapid.IntRange(0, 2).Draw(rt, "version")
		spec := bootimg.Spec{Header: bootimg.Header{Version: version, PageSize: 2048 << rapid.IntRange(0, 3).Draw(rt, "page"),
			Cmdline: rapid.StringMatching(`[ -~]{0,80}`).Draw(rt, "cmdline")}, Sections: map[bootimg.Kind]bootimg.Payload{}}
		for k := bootimg.Kernel; k <= bootimg.DTB; k++ {
			if k == bootimg.DT && version > 0 || k == bootimg.RecoveryDTBO && version < 1 || k == bootimg.DTB && version < 2 || rapid.Bool().Draw(rt, "absent") {
				continue
			}
			b := noise(k.String(), rapid.IntRange(40, 9000).Draw(rt, "size"))
			spec.Sections[k] = bootimg.Payload{R: bytes.NewReader(b), Size: int64(len(b)), Part: rapid.SampledFrom([]string{"", "KERNEL", "rootfs"}).Draw(rt, "part")}
		}
		var buf bytes.Buffer
		if err := bootimg.Build(&buf, spec); err != nil {
			rt.Fatal(err)
		}
		img := append(buf.Bytes(), noise("tail", rapid.IntRange(0, 9000).Draw(rt, "tail"))...)
		for range rapid.IntRange(0, 20).Draw(rt, "odd") { // behind the fields that matter
			img[rapid.IntRange(1700, len(img)-1).Draw(rt, "at")] ^= 0x55
		}
		m, err := bootimg.Open(bytes.NewReader(img), int64(len(img)))
		if err != nil {
			rt.Fatal(err)
		}
		if same, err := m.Edit().Identical(); !same || err != nil {
			rt.Fatalf("not identical: %v", err)
		}
	})
}
