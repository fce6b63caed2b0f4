package ramdisk

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"runtime"
	"strings"
	"testing"

	"mtkport"
)

// member is a newc entry with any text in its fields.
func member(name, data string, fields map[int]string) string {
	h := encode(magicNewc, Header{Ino: 1, Mode: TypeFile | 0o644, NLink: 1}.values(len(data), len(name)+1), nil, false)
	for i, v := range fields {
		copy(h.field(i), v)
	}
	pad := func(s string) string { return s + strings.Repeat("\x00", int(pad4(int64(len(s))))) }
	return pad(pad(string(h[:])+name+"\x00") + data)
}

func trailer() string { return member(trailerName, "", nil) }

// TestBadArchives: what is damaged is named with its place, and classed.
func TestBadArchives(t *testing.T) {
	good := member("a", "data", nil)
	gz := func(s string) string {
		var b bytes.Buffer
		if err := encodeGzip(&b, []byte(s), settings{}); err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	flip := func(s string, at int) string {
		b := []byte(s)
		b[at] ^= 0xff
		return string(b)
	}
	packedGood := gz(good + trailer())
	for _, tt := range []struct {
		name, in, want string
		class          error
	}{
		{"empty", "", "found nothing", mtkport.ErrFormat},
		{"other", "PK\x03\x04", "0x0 ramdisk magic: found 50 4b 03 04, want a cpio archive", mtkport.ErrFormat},
		{"part header", "\x88\x16\x88\x58....", "found a MediaTek part header", mtkport.ErrFormat},
		{"new lz4 frame", "\x04\x22\x4d\x18....", "an lz4 frame of the new form", mtkport.ErrUnsupported},
		{"odc form", "070707" + strings.Repeat("0", 100), `cpio magic: found "070707"`, mtkport.ErrFormat},
		{"short header", good[:60], "0x0 cpio header: found 60 bytes", mtkport.ErrDamaged},
		{"short name", good[:111], "0x5e cpio namesize: found 2, want 1 to 1", mtkport.ErrDamaged},
		{"short data", good[:114], `0x36 cpio filesize of "a": found 4, want at most the 2 bytes left`, mtkport.ErrDamaged},
		{"second header", good + "070701zz", "0x74 cpio header: found 8 bytes", mtkport.ErrDamaged},
		{"second magic", good + "0707XX" + good[6:], `0x74 cpio magic: found "0707XX"`, mtkport.ErrDamaged},
		{"negative size", member("a", "", map[int]string{fieldFileSize: "-0000001"}), `0x36 cpio filesize: found "-0000001", want eight hex digits`, mtkport.ErrDamaged},
		{"no hex", member("a", "", map[int]string{fieldUID: "zzzzzzzz"}), `0x16 cpio uid: found "zzzzzzzz"`, mtkport.ErrDamaged},
		{"blank", member("a", "", map[int]string{fieldCheck: "       0"}), `0x66 cpio check`, mtkport.ErrDamaged},
		{"absurd size", member("a", "", map[int]string{fieldFileSize: "ffffffff"}), "found 4294967295", mtkport.ErrDamaged},
		{"no name", member("a", "", map[int]string{fieldNameSize: "00000000"}), "cpio namesize: found 0", mtkport.ErrDamaged},
		{"absurd name", member("a", strings.Repeat("x", 9000), map[int]string{fieldNameSize: "00002000"}), "cpio namesize: found 8192, want 1 to 4096", mtkport.ErrDamaged},
		{"packed", gz(good + "0707XX"), "unpacked gzip: 0x74 cpio header", mtkport.ErrDamaged},
		{"gzip method", flip(packedGood, 2), "0x2 gzip method", mtkport.ErrDamaged},
		{"gzip crc", flip(packedGood, len(packedGood)-5), "gzip crc32", mtkport.ErrDamaged},
		{"gzip size", flip(packedGood, len(packedGood)-1), "gzip isize", mtkport.ErrDamaged},
		{"gzip stream", packedGood[:10] + "\xff\xff\xff", "gzip stream: found bytes that deflate cannot have written", mtkport.ErrDamaged},
		{"gzip cut", packedGood[:20], "the end of the stream", mtkport.ErrDamaged},
		{"gzip name cut", "\x1f\x8b\x08\x08\x00\x00\x00\x00\x00\x03name", "the end of the stream", mtkport.ErrDamaged},
		{"gzip of something", gz("hello, world"), `cpio magic: found "hello,"`, mtkport.ErrFormat},
		{"gzip of nothing", gz(""), `cpio magic: found ""`, mtkport.ErrFormat},
		{"lzma dictionary", "\x5d\x00\x00\x00\x40" + strings.Repeat("\xff", 8) + strings.Repeat("\x00", 64), "0x1 lzma dictionary: found 1073741824 bytes, want at most 67108864", mtkport.ErrTooBig},
		{"lz4 block", "\x02\x21\x4c\x18\xff\xff\xff\xff....", "0x4 lz4 block size", mtkport.ErrDamaged},
		{"lzop block", string(lzopHead()) + "\x7f\xff\xff\xff\x00\x00\x00\x01....", "lzop block: found 2147483647 bytes packed to 1", mtkport.ErrDamaged},
	} {
		_, err := Open(strings.NewReader(tt.in), int64(len(tt.in)))
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
		if !errors.Is(err, tt.class) {
			t.Errorf("%s: %v, want class %v", tt.name, err, tt.class)
		}
	}
}

// bomb is a gzip stream of an entry that claims 4 GiB of zeros and has them.
func bomb(t *testing.T) []byte {
	t.Helper()
	var b bytes.Buffer
	b.Write(minigzipHead)
	z, err := flate.NewWriter(&b, 9)
	if err != nil {
		t.Fatal(err)
	}
	chunk := func(p []byte) []byte {
		start := b.Len()
		if _, err := z.Write(p); err != nil {
			t.Fatal(err)
		}
		if err := z.Flush(); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()[start:]
	}
	chunk([]byte(member("bomb", "", map[int]string{fieldFileSize: "fffffff0"})))
	chunk(make([]byte, 1<<20))
	zeros := bytes.Clone(chunk(make([]byte, 1<<20))) // refers to zeros before it only
	for range 4096 - 2 {
		b.Write(zeros)
	}
	return b.Bytes()
}

// TestBombs: memory stays within the bound, whatever the stream promises.
func TestBombs(t *testing.T) {
	b := bomb(t)
	t.Logf("a bomb of %d bytes", len(b))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	const limit = 16 << 20
	_, err := OpenWith(bytes.NewReader(b), int64(len(b)), Options{MaxUnpacked: limit})
	runtime.ReadMemStats(&after)
	if !errors.Is(err, mtkport.ErrTooBig) || !strings.Contains(err.Error(), "more than 16777216 bytes") {
		t.Errorf("the bomb: %v", err)
	}
	if n := after.TotalAlloc - before.TotalAlloc; n > 8*limit { // all that was ever allocated while growing
		t.Errorf("%d bytes allocated under a bound of %d", n, limit)
	}
	dict := "\x5d\x00\x00\x00\x40" + strings.Repeat("\xff", 8) + strings.Repeat("\x00", 64)
	runtime.ReadMemStats(&before)
	_, err = Open(strings.NewReader(dict), int64(len(dict)))
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; n > 1<<20 || !errors.Is(err, mtkport.ErrTooBig) {
		t.Errorf("1 GiB dictionary: %d bytes allocated, %v", n, err)
	}
}

// TestXZDictionary: an xz stream that asks for 1 GiB is refused. Its header says
// so behind a checksum, so the stream is made by hand.
func TestXZDictionary(t *testing.T) {
	var good bytes.Buffer
	if err := encodeXZ(&good, []byte(trailer()), settings{}); err != nil {
		t.Fatal(err)
	}
	b := good.Bytes()
	n := (int(b[12]) + 1) * 4 // block header
	at := bytes.Index(b[12:12+n], []byte{0x21, 1})
	b[12+at+2] = 36 // 1 GiB (2 MiB << 9)
	binary.LittleEndian.PutUint32(b[12+n-4:], crc32.ChecksumIEEE(b[12:12+n-4]))
	_, err := Open(bytes.NewReader(b), int64(len(b)))
	if !errors.Is(err, mtkport.ErrTooBig) {
		t.Errorf("%v, want class does not fit", err)
	}
}

// TestNotes: oddities are told, not refused.
func TestNotes(t *testing.T) {
	in := member("../evil", "x", nil) + member("/abs", "x", nil) + member("twice", "1", nil) + member("./twice", "2", nil) + trailer() +
		strings.Repeat("\x00", 12) + member("more", "y", nil) + trailer() + "junk"
	a := open(t, []byte(in))
	var codes []string
	for _, f := range a.Notes() {
		codes = append(codes, f.Code)
	}
	want := "[ramdisk-name-escapes ramdisk-name-escapes ramdisk-name-twice ramdisk-several-archives ramdisk-junk]"
	if got := fmt.Sprint(codes); got != want {
		t.Errorf("notes %s, want %s", got, want)
	}
	if b, err := a.ReadFile("twice"); err != nil || string(b) != "2" {
		t.Errorf("of two entries with one name: %q, %v; a kernel keeps the last", b, err)
	}
	if !bytes.Equal(packed(t, a), []byte(in)) {
		t.Error("not the same bytes")
	}
}
