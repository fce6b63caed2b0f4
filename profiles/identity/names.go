package identity

import (
	_ "embed"
	"fmt"
	"strings"
	"sync"

	"mtkport"
)

// Class says what kind of bytes a partition holds.
type Class string

// The classes. Reserved also stands for every name that the table lacks.
const (
	Identity   Class = "identity"   // what makes the phone itself
	Bootloader Class = "bootloader" // loaders and partition tables: a wrong one bricks
	Firmware   Class = "firmware"   // what a ROM brings
	Modem      Class = "modem"      // modem firmware in partitions of its own
	User       Class = "user"       // what the owner made
	Reserved   Class = "reserved"   // bad block maps, logs, vendor areas, unknown names
)

// Classes lists all classes, in the order that tables and legends show them.
func Classes() []Class {
	return []Class{Bootloader, Identity, Firmware, Modem, User, Reserved}
}

// Name is one entry of the table.
type Name struct {
	Canonical string   `yaml:"name"`
	Class     Class    `yaml:"class"`
	Guarded   bool     `yaml:"guard"` // a port never writes it
	Aliases   []string `yaml:"aliases"`
	Holds     string   `yaml:"holds"` // what lies there
}

//go:embed names.yaml
var namesYAML []byte

var table = sync.OnceValues(func() (map[string]Name, error) { return load(namesYAML) })

func load(b []byte) (map[string]Name, error) {
	var list []Name
	if err := mtkport.ParseYAML(b, &list); err != nil {
		return nil, fmt.Errorf("names.yaml: %w", err)
	}
	m := make(map[string]Name, 2*len(list))
	for _, n := range list {
		for _, a := range append([]string{n.Canonical}, n.Aliases...) {
			if old, twice := m[a]; twice {
				return nil, fmt.Errorf("names.yaml: %q names %s and %s", a, old.Canonical, n.Canonical)
			}
			m[a] = n
		}
	}
	return m, nil
}

// Lookup finds a partition by any of its names. A slot of later chips (boot_a,
// lk_b) has the class of its bare name, and is guarded. For a name that the table
// lacks it returns false and a guarded entry of class reserved whose canonical
// name is the bare name in lower case.
func Lookup(name string) (Name, bool) {
	bare := strings.ToLower(Bare(name))
	m, err := table()
	if n, ok := m[bare]; ok && err == nil {
		return n, true
	}
	if base := strings.TrimSuffix(strings.TrimSuffix(bare, "_a"), "_b"); len(base) == len(bare)-2 && err == nil {
		if n, ok := m[base]; ok {
			return Name{Canonical: bare, Class: n.Class, Guarded: true, Holds: n.Holds}, true
		}
	}
	return Name{Canonical: bare, Class: Reserved, Guarded: true, Holds: "unknown"}, false
}

// Bare strips the marks of the brace form, __NODL_ and __NODL_RSV_, and blanks.
func Bare(name string) string {
	name = strings.TrimSpace(name)
	if len(name) > len(noDownload) && strings.EqualFold(name[:len(noDownload)], noDownload) {
		return name[len(noDownload):]
	}
	return name
}

const noDownload = "__NODL_"

// Classify returns the canonical name and the class of a partition name.
func Classify(name string) (canonical string, c Class) {
	n, _ := Lookup(name)
	return n.Canonical, n.Class
}

// Guarded tells whether a port must never write the partition of this name.
// Unknown names are guarded.
func Guarded(name string) bool {
	n, _ := Lookup(name)
	return n.Guarded || !writable(n.Class)
}

func writable(c Class) bool { return c == Firmware || c == Modem || c == User }
