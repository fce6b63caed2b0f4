package bootimg

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"

	"mtkport"
)

// SideName is the file in an unpacked folder that describes the image.
const SideName = "boot.yaml"

const (
	sideFormat = "mtkport-boot/1"
	maxSide    = 4 << 20 // a side file is some kilobytes; more is not one of ours
	maxSource  = 1 << 36 // 64 GiB, more than any phone of this kind stores
)

const sideHead = `# Written by mtkport boot unpack. mtkport boot repack makes the image again from
# this folder: the same bytes while nothing is changed. Edit the fields under
# header and sections, or replace the files beside this one. What is under
# original are the image's odd bytes: leave them.
#
# id_rule: sha1 and sha256 compute the id anew when a section changes; none and
# other keep the id as it is. A part's size and a section's size and sha256 tell
# what was unpacked; repack computes its own.
`

type sideFile struct {
	Format   string        `yaml:"format"`
	Source   sideSource    `yaml:"source"`
	Header   *sideHeader   `yaml:"header,omitempty"`
	Sections []sideSection `yaml:"sections"`
	Original []sideRun     `yaml:"original"`
}

type sideSource struct {
	Size   int64  `yaml:"size"`
	SHA256 string `yaml:"sha256"`
}

type sideHeader struct {
	Version    int    `yaml:"version"`
	DT         bool   `yaml:"dt_flavour,omitempty"`
	PageSize   int    `yaml:"page_size"`
	Kernel     hexNum `yaml:"kernel_addr"`
	Ramdisk    hexNum `yaml:"ramdisk_addr"`
	Second     hexNum `yaml:"second_addr"`
	Tags       hexNum `yaml:"tags_addr"`
	DTB        hexNum `yaml:"dtb_addr,omitempty"`
	OSVersion  string `yaml:"os_version"`
	PatchLevel string `yaml:"os_patch_level"`
	Name       Text   `yaml:"name"`
	Cmdline    Text   `yaml:"cmdline"`
	Extra      Text   `yaml:"extra_cmdline"`
	ID         string `yaml:"id"`
	IDRule     IDRule `yaml:"id_rule"`
}

type sideSection struct {
	Kind   string    `yaml:"kind"`
	File   string    `yaml:"file"`
	Is     string    `yaml:"is,omitempty"`
	Size   int64     `yaml:"size,omitempty"`
	SHA256 string    `yaml:"sha256,omitempty"`
	Part   *sidePart `yaml:"part,omitempty"`
}

type sidePart struct {
	Name Text   `yaml:"name"`
	Form string `yaml:"form,omitempty"`
	Size uint32 `yaml:"size,omitempty"`
}

// sideRun is a stretch of the original: exactly one of its sources is set.
type sideRun struct {
	Size    int64    `yaml:"size"`
	Section string   `yaml:"section,omitempty"`
	Fill    *hexByte `yaml:"fill,omitempty"`
	Bytes   string   `yaml:"base64,omitempty"`
	File    string   `yaml:"file,omitempty"`
}

// hexNum is a number that YAML shows in hex.
type hexNum uint64

// MarshalYAML writes 0x….
func (h hexNum) MarshalYAML() ([]byte, error) { return fmt.Appendf(nil, "0x%08x", uint64(h)), nil }

// UnmarshalYAML reads hex or decimal.
func (h *hexNum) UnmarshalYAML(b []byte) error {
	v, err := strconv.ParseUint(strings.TrimSpace(string(b)), 0, 64)
	*h = hexNum(v)
	return err
}

// hexByte is a byte that YAML shows in hex.
type hexByte uint8

// MarshalYAML writes 0x….
func (h hexByte) MarshalYAML() ([]byte, error) { return fmt.Appendf(nil, "0x%02x", uint8(h)), nil }

// UnmarshalYAML reads hex or decimal.
func (h *hexByte) UnmarshalYAML(b []byte) error {
	v, err := strconv.ParseUint(strings.TrimSpace(string(b)), 0, 8)
	*h = hexByte(v)
	return err
}

func sideHeaderOf(h Header, rule IDRule) *sideHeader {
	return &sideHeader{
		Version: h.Version, DT: h.DT, PageSize: h.PageSize,
		Kernel: hexNum(h.KernelAddr), Ramdisk: hexNum(h.RamdiskAddr), Second: hexNum(h.SecondAddr), Tags: hexNum(h.TagsAddr), DTB: hexNum(h.DTBAddr),
		OSVersion: h.OSVersion, PatchLevel: h.PatchLevel,
		Name: Text(h.Name), Cmdline: Text(h.Cmdline), Extra: Text(h.ExtraCmdline),
		ID: hex.EncodeToString(h.ID[:]), IDRule: rule,
	}
}

// header turns the edited fields into a Header; have gives what is not there.
func (s *sideHeader) header(have Header) (Header, error) {
	h := have
	h.Version, h.DT, h.PageSize = s.Version, s.DT, s.PageSize
	h.OSVersion, h.PatchLevel = s.OSVersion, s.PatchLevel
	h.Name, h.ExtraCmdline, h.DTBAddr = string(s.Name), string(s.Extra), uint64(s.DTB)
	h.Cmdline = string(s.Cmdline)
	if h.Cmdline != have.Cmdline && len(h.Cmdline) > lenCmdline && h.ExtraCmdline == "" {
		if err := h.SetCommandLine(h.Cmdline); err != nil {
			return h, err
		}
	}
	for _, a := range []struct {
		field string
		dst   *uint32
		v     hexNum
	}{
		{"kernel_addr", &h.KernelAddr, s.Kernel}, {"ramdisk_addr", &h.RamdiskAddr, s.Ramdisk},
		{"second_addr", &h.SecondAddr, s.Second}, {"tags_addr", &h.TagsAddr, s.Tags},
	} {
		if a.v > 0xffffffff {
			return h, badValue(a.field, fmt.Sprintf("0x%x", uint64(a.v)), "32 bits")
		}
		*a.dst = uint32(a.v)
	}
	id, err := hex.DecodeString(s.ID)
	if err != nil || len(id) != lenID {
		return h, badValue("id", s.ID, fmt.Sprintf("%d hex digits", 2*lenID))
	}
	h.ID = [lenID]byte(id)
	return h, nil
}

func (s *sideFile) encode() ([]byte, error) {
	b, err := yaml.Marshal(s)
	return append([]byte(sideHead), b...), err
}

// readSide reads boot.yaml out of an unpacked folder.
func readSide(root *os.Root) (*sideFile, error) {
	f, err := root.Open(SideName)
	if err != nil {
		return nil, &mtkport.Error{File: SideName, Off: mtkport.NoOffset, Hint: "name a folder that boot unpack made", Err: err}
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxSide+1))
	if err != nil {
		return nil, err
	}
	if len(b) > maxSide {
		return nil, sideErr("size", "more", fmt.Sprintf("at most %d bytes", maxSide))
	}
	var s sideFile
	if err := mtkport.ParseYAML(b, &s); err != nil {
		return nil, &mtkport.Error{File: SideName, Off: mtkport.NoOffset, Field: "yaml", Found: err.Error(), Err: mtkport.ErrFormat}
	}
	if s.Format != sideFormat {
		return nil, sideErr("format", strconv.Quote(s.Format), sideFormat)
	}
	return &s, nil
}

func sideErr(field, found, want string) error {
	return &mtkport.Error{File: SideName, Off: mtkport.NoOffset, Field: field, Found: found, Want: want, Err: mtkport.ErrFormat}
}

// encodeRuns splits b into runs of one byte and literal bytes.
func encodeRuns(b []byte) []sideRun {
	const worth = 32 // a shorter run costs more as a line of its own
	var runs []sideRun
	lit := 0
	literal := func(end int) {
		if end > lit {
			runs = append(runs, sideRun{Size: int64(end - lit), Bytes: base64.StdEncoding.EncodeToString(b[lit:end])})
		}
	}
	for i := 0; i < len(b); {
		j := i + 1
		for j < len(b) && b[j] == b[i] {
			j++
		}
		if j-i >= worth {
			literal(i)
			runs = append(runs, fillRun(b[i], int64(j-i)))
			lit = j
		}
		i = j
	}
	literal(len(b))
	return runs
}

func fillRun(c byte, n int64) sideRun {
	v := hexByte(c)
	return sideRun{Size: n, Fill: &v}
}
