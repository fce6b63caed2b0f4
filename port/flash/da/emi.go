package da

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"strconv"

	"mtkport"
)

// EMI are the memory settings that a preloader carries for the memory chips its
// board may have. Only boot ROM mode needs them.
type EMI struct {
	Version uint32 // from MTK_BLOADER_INFO_vNN
	Records [][]byte
}

// Tags around the settings in a preloader file.
const (
	emiTag     = "MTK_BLOADER_INFO_v"
	emiBin     = "MTK_BIN\x00"
	maxEMIFile = 8 << 20
	maxEMI     = 64
)

// emiShape is the length of a record and where its id lies, by version.
// Measured on stock MT6572 preloaders (v11) and one with v20.
var emiShape = map[uint32]struct{ size, id, idLen int }{
	11: {168, 4, 9},
	20: {188, 10 + 2, 9},
}

// FindEMI reads the settings out of a preloader file.
func FindEMI(r io.ReaderAt, size int64) (*EMI, error) {
	if size > maxEMIFile {
		return nil, noEMI(fmt.Sprintf("%d bytes", size), "a preloader file of at most 8 MiB")
	}
	b := make([]byte, size)
	if _, err := r.ReadAt(b, 0); err != nil && err != io.EOF {
		return nil, err
	}
	at := bytes.LastIndex(b, []byte(emiTag))
	if at < 0 || at+len(emiTag)+2 > len(b) {
		return nil, noEMI("no "+emiTag+"NN", "a preloader file with memory settings")
	}
	v, err := strconv.ParseUint(string(b[at+len(emiTag):at+len(emiTag)+2]), 10, 32)
	if err != nil {
		return nil, noEMI(fmt.Sprintf("%q", b[at:at+len(emiTag)+2]), "a version number")
	}
	shape, ok := emiShape[uint32(v)]
	if !ok {
		return nil, noEMI(fmt.Sprintf("version %d", v), "version 11 or 20, as MT6572 preloaders have")
	}
	bin := bytes.Index(b[at:], []byte(emiBin))
	if bin < 0 || at+bin+len(emiBin)+4 > len(b) {
		return nil, noEMI("no MTK_BIN", "the list of records")
	}
	rest := b[at+bin+len(emiBin):]
	n := binary.LittleEndian.Uint32(rest)
	rest = rest[4:]
	if n == 0 || n > maxEMI || int(n)*shape.size > len(rest) {
		return nil, noEMI(fmt.Sprintf("%d records", n), "1…64 inside the file")
	}
	e := &EMI{Version: uint32(v)}
	for i := range int(n) {
		e.Records = append(e.Records, rest[i*shape.size:(i+1)*shape.size])
	}
	return e, nil
}

func noEMI(found, want string) error {
	return &mtkport.Error{Off: mtkport.NoOffset, Field: "memory settings", Found: found, Want: want, Err: mtkport.ErrFormat,
		Hint: "SP Flash Tool: S_DL_GET_DRAM_SETTING_FAIL (5054). Take the preloader of this very board, or use preloader mode, which needs none"}
}

// Select finds the record for the flash id that the agent printed: 9 bytes, as
// given or with the bytes of each word reversed.
func (e *EMI) Select(id []byte) ([]byte, error) {
	shape := emiShape[e.Version]
	swapped := make([]byte, len(id))
	for i := range id {
		if j := i/4*4 + 3 - i%4; j < len(id) {
			swapped[i] = id[j]
		}
	}
	for _, r := range e.Records {
		want := r[shape.id : shape.id+shape.idLen]
		if bytes.HasPrefix(id, want) || bytes.HasPrefix(swapped, want) {
			return r, nil
		}
	}
	s, _ := ByName("S_FT_ENABLE_DRAM_FAIL")
	return nil, &mtkport.Error{Off: mtkport.NoOffset, Field: "memory settings", Found: fmt.Sprintf("flash id % x", id), Want: fmt.Sprintf("one of %d records of the preloader", len(e.Records)), Err: mtkport.ErrRefused,
		Hint: "this memory chip is not in this preloader: it belongs to another board or variant. " + s.Hint}
}
