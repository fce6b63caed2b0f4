package bootimg

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"os"
)

// maxInline is how many odd bytes of one gap go into the side file; more
// become a file of their own.
const maxInline = 4 << 10

// Unpack writes the payloads and the side file into root, which must be empty.
// [Repack] needs nothing else to make the same bytes again.
func (f *File) Unpack(ctx context.Context, root *os.Root) error {
	u := &unpacker{ctx: ctx, root: root, src: f.source(), whole: sha256.New()}
	s := &sideFile{Format: sideFormat, Source: sideSource{Size: f.Size()}}
	if m := f.Image; m != nil {
		rule, err := m.IDRule()
		if err != nil {
			return err
		}
		s.Header = sideHeaderOf(m.hdr, rule)
	}
	var at int64
	for _, p := range f.payloads() {
		if err := u.gap(s, at, p.off-at); err != nil {
			return err
		}
		sec, err := u.payload(p)
		if err != nil {
			return err
		}
		s.Sections = append(s.Sections, sec)
		s.Original = append(s.Original, sideRun{Size: p.n, Section: p.kind})
		at = p.off + p.n
	}
	if err := u.gap(s, at, f.Size()-at); err != nil {
		return err
	}
	s.Source.SHA256 = hex.EncodeToString(u.whole.Sum(nil))
	b, err := s.encode()
	if err != nil {
		return err
	}
	return root.WriteFile(SideName, b, 0o644)
}

type unpacker struct {
	ctx   context.Context
	root  *os.Root
	src   io.ReaderAt
	whole hash.Hash // over all bytes in order: every byte passes here once
	buf   []byte
}

func (u *unpacker) payload(p payload) (sideSection, error) {
	sec := sideSection{Kind: p.kind, File: p.file, Is: p.is, Size: p.n}
	if p.part != nil {
		sec.Part = &sidePart{Name: Text(p.part.Name), Form: p.part.Form(), Size: p.part.Size}
	}
	h := sha256.New()
	if err := u.save(p.file, p.off, p.n, h); err != nil {
		return sec, err
	}
	sec.SHA256 = hex.EncodeToString(h.Sum(nil))
	return sec, nil
}

// save copies a stretch of the source into a file and through extra.
func (u *unpacker) save(name string, off, n int64, extra io.Writer) error {
	w, err := u.root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	err = u.copy(io.MultiWriter(w, u.whole, extra), fromSource(u.src, off, n))
	if cerr := w.Close(); err == nil {
		err = cerr
	}
	return err
}

func (u *unpacker) copy(w io.Writer, s segment) error {
	if u.buf == nil {
		u.buf = make([]byte, copyBuf)
	}
	_, err := s.writeTo(ctxWriter{u.ctx, w}, u.buf)
	return err
}

// gap records what lies between two payloads: short literals and fills in the
// side file, anything longer in a file.
func (u *unpacker) gap(s *sideFile, off, n int64) error {
	data, fill, err := tail{src: u.src, off: off, n: n}.split()
	if err != nil {
		return err
	}
	runs, err := u.literal(off, data)
	if err != nil {
		return err
	}
	if pad := n - data; pad > 0 {
		runs = append(runs, fillRun(fill, pad))
		if err := u.copy(u.whole, filled(fill, pad)); err != nil {
			return err
		}
	}
	s.Original = append(s.Original, runs...)
	return nil
}

func (u *unpacker) literal(off, n int64) ([]sideRun, error) {
	if n <= copyBuf {
		b := make([]byte, n)
		if err := readAt(u.src, b, off); err != nil {
			return nil, err
		}
		if runs := encodeRuns(b); literals(runs) <= maxInline {
			u.whole.Write(b)
			return runs, nil
		}
	}
	name := fmt.Sprintf("rest-0x%x.bin", off)
	return []sideRun{{Size: n, File: name}}, u.save(name, off, n, io.Discard)
}

func literals(runs []sideRun) (n int64) {
	for _, r := range runs {
		if r.Fill == nil {
			n += r.Size
		}
	}
	return n
}

// ctxWriter stops a copy when the context ends.
type ctxWriter struct {
	ctx context.Context
	w   io.Writer
}

func (c ctxWriter) Write(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.w.Write(p)
}
