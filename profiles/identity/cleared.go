package identity

// Cleared is a write that a [Guard] has allowed: the argument that the wire's
// write call takes. Its fields are unexported and only [Guard.Clear] and
// [Guard.ClearRestore] fill them, so no other code can make one; the zero value
// writes nothing.
type Cleared struct {
	guard     *Guard
	region    string
	off, n    int64
	partition string
	why       string
	restore   bool
}

// Ok tells whether a guard made it.
func (c Cleared) Ok() bool { return c.guard != nil && c.n > 0 }

// By tells whether this guard, or one bound from it, made it.
func (c Cleared) By(g *Guard) bool {
	if c.guard == nil || g == nil || (c.guard.phone != nil && g.phone != nil && *c.guard.phone != *g.phone) {
		return false
	}
	for name, a := range g.areas {
		if c.guard.areas[name] != a {
			return false
		}
	}
	return len(g.areas) == len(c.guard.areas)
}

// Region is the hardware area.
func (c Cleared) Region() string { return c.region }

// Offset is the first byte, physical in the region.
func (c Cleared) Offset() int64 { return c.off }

// Len is the number of bytes.
func (c Cleared) Len() int64 { return c.n }

// Partition is the name of the partition, in the layout's spelling.
func (c Cleared) Partition() string { return c.partition }

// Why says what is written.
func (c Cleared) Why() string { return c.why }

// Restore tells whether it writes the phone's own backup back.
func (c Cleared) Restore() bool { return c.restore }

// Door says how far a restore may go.
type Door int

// The two doors.
const (
	NoBootloader   Door = iota // identity, firmware, modem, user and reserved partitions
	WithBootloader             // loaders and tables too: the owner asked for it in so many words
)

// ClearRestore allows a write of the phone's own backup. It needs the proof that
// the backup is of this phone, and the guard must be bound to the phone by
// [Guard.For]. The range must lie inside one partition. Boot loaders, tables and
// boot regions need [WithBootloader]; RPMB and a NAND's bad block pool are never
// written. The error is of class ErrRefused.
func (g *Guard) ClearRestore(region string, off, length int64, why string, proof SamePhone, door Door) (Cleared, error) {
	a, s, err := g.place(region, off, length)
	if err != nil {
		return Cleared{}, err
	}
	if proof.by == "" || g.phone == nil || proof.phone != *g.phone {
		return Cleared{}, refuse(region, off, length, "no proof that the backup is of this phone", "a backup goes back only to the phone it was made of")
	}
	home := -1
	for i, r := range a.all {
		if r.Off >= s.end || s.off >= r.Off+r.Len {
			continue
		}
		if no := a.noRestore(r, door); no != "" {
			return Cleared{}, refuse(region, off, length, r.String(), no)
		}
		if home < 0 && s.off >= r.Off && s.end <= r.Off+r.Len {
			home = i
		}
	}
	if home < 0 {
		return Cleared{}, a.refusal(off, length, s)
	}
	return Cleared{guard: g, region: region, off: off, n: length, partition: a.all[home].Partition, why: why, restore: true}, nil
}

// noRestore says why a range must not be restored, or "".
func (a *area) noRestore(r Range, door Door) string {
	n, _ := Lookup(r.Partition)
	switch {
	case a.Name == EMMCRPMB:
		return "RPMB cannot be written without its key"
	case a.Name == NAND && n.Canonical == "bmtpool":
		return "the bad block pool belongs to the chip as it is now"
	case a.Name != EMMCUser && a.Name != NAND && a.Name != EMMCBoot1 && a.Name != EMMCBoot2:
		return "this region is never written"
	case door == WithBootloader:
		return ""
	case n.Class == Bootloader || a.Name == EMMCBoot1 || a.Name == EMMCBoot2 || n.Canonical == "bmtpool":
		return "boot loaders and tables are written back only after an explicit --bootloader"
	}
	return ""
}
