package kernel

import (
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"

	"mtkport"
)

// libcameracustom.so is the user's half of MediaTek's camera: a sensor that the
// kernel lists and this library does not, or the reverse, never opens.
//
//	SensorList  { id; drvname[32]; …functions }  ended by a record of zeros
//	LensList    { sensor id; lens id; drvname[32]; init function }

const maxCamLib = 16 << 20

// camLib is an opened camera library.
type camLib struct {
	f    *elf.File
	syms []elf.Symbol
	raw  []byte
}

func openCamLib(r io.ReaderAt, size int64) (*camLib, error) {
	if size > maxCamLib {
		return nil, camError("larger than any camera library")
	}
	f, err := elf.NewFile(io.NewSectionReader(r, 0, size))
	if err != nil {
		return nil, &mtkport.Error{Off: 0, Field: "elf header", Found: err.Error(), Want: "libcameracustom.so", Err: mtkport.ErrDamaged}
	}
	if f.Type != elf.ET_DYN {
		return nil, camError(f.Type.String())
	}
	c := &camLib{f: f, raw: make([]byte, size)}
	if _, err := r.ReadAt(c.raw, 0); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	c.syms, err = f.DynamicSymbols()
	if err != nil && !errors.Is(err, elf.ErrNoSymbols) {
		return nil, &mtkport.Error{Off: mtkport.NoOffset, Field: "symbol table", Found: err.Error(), Want: "libcameracustom.so", Err: mtkport.ErrDamaged}
	}
	return c, nil
}

func camError(found string) error {
	return &mtkport.Error{Off: mtkport.NoOffset, Field: "file", Found: found, Want: "libcameracustom.so", Err: mtkport.ErrFormat}
}

// drivers lists the sensors and lenses of the library.
func (c *camLib) drivers() (*Drivers, error) {
	d := &Drivers{Source: "libcameracustom"}
	d.List = append(c.sensors(), c.lenses()...)
	if len(d.List) == 0 && !bytes.Contains(c.raw, []byte("SensorDrive_getDefaultData")) {
		return nil, camError("a library without sensor tables")
	}
	d.finish([]Kind{Camera, Lens})
	return d, nil
}

// object returns the bytes of a data symbol and their offset in the file.
func (c *camLib) object(name string) ([]byte, int64) {
	for _, s := range c.syms {
		if s.Name != name || int(s.Section) >= len(c.f.Sections) || s.Section == elf.SHN_UNDEF {
			continue
		}
		sec := c.f.Sections[s.Section]
		off := s.Value - sec.Addr + sec.Offset
		if sec.Type != elf.SHT_PROGBITS || s.Value < sec.Addr || off+s.Size > uint64(len(c.raw)) || off > uint64(len(c.raw)) {
			return nil, 0
		}
		return c.raw[off : off+s.Size], int64(off)
	}
	return nil, 0
}

// camRecordAt reads a record of n words of ids before a name.
func camRecordAt(b []byte, at, ids int) (id uint32, name string, ok bool) {
	if at+4*ids+camNameLen > len(b) {
		return 0, "", false
	}
	name, ok = field(b[at+4*ids : at+4*ids+camNameLen])
	return le32(b[at:]), name, ok
}

// recordSize finds how long a list's records are: the size at which all of
// them are whole up to the zeros that end the list.
func recordSize(b []byte, ids int) int {
	best, most := 0, 0
	for size := 4*ids + camNameLen + 4; size <= 96; size += 4 {
		if len(b)%size != 0 {
			continue
		}
		n := 0
		for at := 0; at+size <= len(b); at += size {
			if _, _, ok := camRecordAt(b, at, ids); !ok {
				break
			}
			n++
		}
		if n > most {
			best, most = size, n
		}
	}
	return best
}

func (c *camLib) sensors() []Driver {
	b, off := c.object("SensorList")
	var out []Driver
	if size := recordSize(b, 1); size > 0 {
		for at := 0; at+size <= len(b); at += size {
			id, name, ok := camRecordAt(b, at, 1)
			if !ok {
				break
			}
			out = append(out, Driver{Kind: Camera, Name: name, ID: fmt.Sprintf("0x%x", id), State: Compiled,
				Evidence: []Evidence{{FromTable, off + int64(at), "SensorList"}}})
		}
	}
	if len(out) == 0 {
		out = c.sensorsByName()
	}
	return out
}

var (
	drvName = regexp.MustCompile(`\x00SENSOR_DRVNAME_([A-Z0-9_]+)\x00`)
	yuvID   = regexp.MustCompile(`YUVSensorInfoILj([0-9]+)E`)
)

// sensorsByName is for libraries that hide their list: the names that messages
// carry, else the ids in the symbols.
func (c *camLib) sensorsByName() []Driver {
	var out []Driver
	for _, m := range drvName.FindAllSubmatchIndex(c.raw, -1) {
		name := strings.ToLower(string(c.raw[m[2]:m[3]]))
		out = append(out, Driver{Kind: Camera, Name: name, State: Compiled,
			Evidence: []Evidence{{FromString, int64(m[2]), string(c.raw[m[0]+1 : m[1]-1])}}})
	}
	if len(out) > 0 {
		return out
	}
	seen := map[string]bool{}
	for _, s := range c.syms {
		m := yuvID.FindStringSubmatch(s.Name)
		if m == nil || seen[m[1]] {
			continue
		}
		seen[m[1]] = true
		if n, err := strconv.ParseUint(m[1], 10, 32); err == nil {
			id := fmt.Sprintf("0x%x", n)
			out = append(out, Driver{Kind: Camera, Name: "sensor_" + id, ID: id, State: Compiled,
				Evidence: []Evidence{{FromSymbol, -1, s.Name}}})
		}
	}
	return out
}

// lenses lists the focus motors. The dummy and the sensor's own node are no lens.
func (c *camLib) lenses() []Driver {
	b, off := c.object("LensList")
	size := recordSize(b, 2)
	var out []Driver
	for at := 0; size > 0 && at+size <= len(b); at += size {
		_, name, ok := camRecordAt(b, at, 2)
		if !ok {
			break
		}
		if strings.EqualFold(name, "dummy") || name == "kd_camera_hw" {
			continue
		}
		out = append(out, Driver{Kind: Lens, Name: name, ID: fmt.Sprintf("0x%x", le32(b[at+4:])), State: Compiled,
			Evidence: []Evidence{{FromTable, off + int64(at), fmt.Sprintf("LensList, sensor 0x%x", le32(b[at:]))}}})
	}
	return out
}

// FindDrivers tells what r is — a kernel, an lk, or libcameracustom.so — and
// lists its drivers. Boot images are opened with package bootimg first. When rec
// is nil, the recognisers are those of [Builtin].
func FindDrivers(r io.ReaderAt, size int64, rec *Recognisers) (*Drivers, error) {
	if rec == nil {
		go Builtin() // meanwhile
	}
	head := make([]byte, 20)
	if n, err := r.ReadAt(head, 0); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	} else if n == len(head) && string(head[:4]) == elf.ELFMAG && elf.Type(le16(head[16:])) == elf.ET_DYN {
		c, err := openCamLib(r, size)
		if err != nil {
			return nil, err
		}
		return c.drivers()
	}
	k, err := Open(r, size)
	if err == nil {
		return k.Drivers(rec), nil
	}
	if errors.Is(err, mtkport.ErrFormat) {
		if v, lkErr := openLK(r, size); lkErr == nil {
			return lkDrivers(v), nil
		}
	}
	return nil, err
}
