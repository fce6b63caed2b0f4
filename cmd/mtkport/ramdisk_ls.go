package main

import (
	"fmt"
	"strconv"

	"github.com/urfave/cli/v2"

	"mtkport"
	"mtkport/ramdisk"
)

// ramdiskJSON is what `ramdisk ls --json` prints.
type ramdiskJSON struct {
	Holder      string             `json:"holder,omitempty"`
	Compression string             `json:"compression"`
	Maker       string             `json:"maker"`
	Exact       bool               `json:"exact"`
	Size        int64              `json:"size"`
	Entries     []ramdiskEntryJSON `json:"entries"`
	Notes       []mtkport.Finding  `json:"notes,omitempty"`
}

type ramdiskEntryJSON struct {
	Name   string  `json:"name"`
	Type   string  `json:"type"`
	Mode   string  `json:"mode"`
	UID    uint32  `json:"uid"`
	GID    uint32  `json:"gid"`
	Size   int64   `json:"size"`
	MTime  uint32  `json:"mtime"`
	Ino    uint32  `json:"ino"`
	NLink  uint32  `json:"nlink"`
	Target string  `json:"target,omitempty"`
	Major  *uint32 `json:"major,omitempty"`
	Minor  *uint32 `json:"minor,omitempty"`
	Offset int64   `json:"offset"`
}

func ramdiskLs(c *cli.Context) error {
	args, err := arity(c, "RAMDISK")
	if err != nil {
		return err
	}
	d, a, err := openRamdisk(c, args[0])
	if err != nil {
		return err
	}
	defer d.f.Close()
	e := envOf(c)
	if e.json {
		return e.printJSON(ramdiskReport(d, a))
	}
	t := e.newTable()
	for _, en := range a.Entries() {
		t.row(modeLetters(en.Mode), fmt.Sprintf("%d:%d", en.UID, en.GID), num(sizeOrNumbers(a, en)), listedName(en))
	}
	t.print()
	m := a.Maker()
	e.notef("%d entries, %s, by %s", len(a.Entries()), a.Compression(), m)
	if !e.quiet {
		for _, f := range a.Notes() {
			e.notef("%s %s: %s", f.Code, f.Subject, f.Text)
		}
	}
	return nil
}

func isNode(en *ramdisk.Entry) bool {
	return en.Type() == ramdisk.TypeChar || en.Type() == ramdisk.TypeBlock
}

func ramdiskReport(d *ramdiskFile, a *ramdisk.Archive) ramdiskJSON {
	m := a.Maker()
	r := ramdiskJSON{Holder: d.holder, Compression: string(a.Compression()), Maker: m.String(), Exact: m.Exact,
		Size: d.payload.Size(), Entries: []ramdiskEntryJSON{}, Notes: a.Notes()}
	for _, en := range a.Entries() {
		j := ramdiskEntryJSON{Name: en.Name(), Type: en.TypeName(), Mode: fmt.Sprintf("%04o", en.Perm()), UID: en.UID, GID: en.GID,
			Size: int64(len(a.Content(en))), MTime: en.MTime, Ino: en.Ino, NLink: en.NLink, Target: en.Target(), Offset: en.Offset()}
		if isNode(en) {
			j.Major, j.Minor = &en.RdevMajor, &en.RdevMinor
		}
		r.Entries = append(r.Entries, j)
	}
	return r
}

func sizeOrNumbers(a *ramdisk.Archive, en *ramdisk.Entry) string {
	if isNode(en) {
		return fmt.Sprintf("%d,%d", en.RdevMajor, en.RdevMinor)
	}
	return strconv.Itoa(len(a.Content(en)))
}

func listedName(en *ramdisk.Entry) string {
	if t := en.Target(); t != "" {
		return en.Name() + " -> " + t
	}
	return en.Name()
}

// modeLetters renders a Linux mode as ls does.
func modeLetters(m uint32) string {
	letters := map[uint32]byte{ramdisk.TypeDir: 'd', ramdisk.TypeSymlink: 'l', ramdisk.TypeFile: '-', ramdisk.TypeChar: 'c',
		ramdisk.TypeBlock: 'b', ramdisk.TypeFIFO: 'p', ramdisk.TypeSocket: 's'}
	b := []byte("?rwxrwxrwx")
	if l, ok := letters[m&ramdisk.TypeMask]; ok {
		b[0] = l
	}
	for i := range 9 {
		if m>>(8-i)&1 == 0 {
			b[i+1] = '-'
		}
	}
	for i, s := range []struct {
		bit    uint32
		on, no byte
	}{{0o4000, 's', 'S'}, {0o2000, 's', 'S'}, {0o1000, 't', 'T'}} {
		if m&s.bit != 0 {
			if at := 3 + 3*i; b[at] == '-' {
				b[at] = s.no
			} else {
				b[at] = s.on
			}
		}
	}
	return string(b)
}
