package bootimg

import (
	"bytes"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"hash"
	"io"
)

// IDRule tells how the header's id field was made.
type IDRule string

// The rules. mkbootimg hashes each section and its size, part headers included;
// lk does not look at the id, and many tools leave it empty or stale.
const (
	IDNone   IDRule = "none"   // all zero
	IDSHA1   IDRule = "sha1"   // AOSP's rule
	IDSHA256 IDRule = "sha256" // the same over SHA-256, as some builders write
	IDOther  IDRule = "other"  // what is there follows from no rule we know
)

// IDMode says what an edit does to the id.
type IDMode int

// The modes. IDAuto computes the id anew when the original's obeyed a rule and
// something changed, and keeps it otherwise.
const (
	IDAuto IDMode = iota
	IDKeep
	IDCompute // by SHA-1, or by SHA-256 when the original's was
)

// IDRule finds the rule that the image's id obeys. It reads all sections.
func (m *Image) IDRule() (IDRule, error) {
	id := m.hdr.ID
	if id == [lenID]byte{} {
		return IDNone, nil
	}
	rule, h := IDSHA256, sha256.New()
	if bytes.Equal(id[sha1.Size:], make([]byte, lenID-sha1.Size)) {
		rule, h = IDSHA1, sha1.New()
	}
	got, err := idOver(h, m.Edit().placed(), m.hdr)
	if err != nil {
		return "", err
	}
	if got != id {
		return IDOther, nil
	}
	return rule, nil
}

// idOver computes the id: each section's bytes, then its size as 32 bits. The
// first three count even when empty, the dt only when present, the later ones
// from the version that has them.
func idOver(h hash.Hash, ps []placed, hdr Header) (id [lenID]byte, err error) {
	buf := make([]byte, copyBuf)
	for k := Kernel; k < numKinds; k++ {
		if !k.fits(hdr) {
			continue
		}
		var size int64
		for _, p := range ps {
			if p.kind == k {
				size = p.size
				for _, s := range p.body {
					if _, err := s.writeTo(h, buf); err != nil {
						return id, err
					}
				}
			}
		}
		if k != DT || size > 0 {
			_ = binary.Write(h, binary.LittleEndian, uint32(size))
		}
	}
	copy(id[:], h.Sum(nil))
	return id, nil
}

// writeID puts the id into raw if the mode and the original ask for it.
func (e *Editor) writeID(raw rawHeader, ps []placed) error {
	if e.id == IDKeep || e.want.ID != e.img.hdr.ID || e.id == IDAuto && !e.touched() {
		return nil
	}
	rule, err := e.rule()
	if err != nil {
		return err
	}
	if e.id == IDAuto && rule != IDSHA1 && rule != IDSHA256 {
		return nil
	}
	h := sha1.New()
	if rule == IDSHA256 {
		h = sha256.New()
	}
	id, err := idOver(h, ps, e.img.hdr)
	copy(raw[offID:], id[:])
	return err
}

// touched reports whether a section changes.
func (e *Editor) touched() bool {
	for _, rp := range e.repl {
		if rp != nil {
			return true
		}
	}
	return false
}

// rule is the original's id rule, found once.
func (e *Editor) rule() (IDRule, error) {
	if e.ruleSet {
		return e.idRule, nil
	}
	rule, err := e.img.IDRule()
	if err == nil {
		e.idRule, e.ruleSet = rule, true
	}
	return rule, err
}

// IDKept reports whether a section changes and the id stays, because the
// original's followed from no rule: worth a note to the user.
func (e *Editor) IDKept() (bool, error) {
	if e.id != IDAuto || e.want.ID != e.img.hdr.ID || !e.touched() {
		return false, nil
	}
	rule, err := e.rule()
	return rule == IDOther || rule == IDNone, err
}

// identical compares an output with a source of n bytes.
func identical(ss segments, src io.ReaderAt, n int64) (bool, error) {
	if ss.size() != n {
		return false, nil
	}
	_, err := ss.WriteTo(&sameAs{src: src})
	if errors.Is(err, errDiffers) {
		return false, nil
	}
	return err == nil, err
}
