package splice

import (
	"bytes"
	"io"
	"strings"

	"mtkport"
	"mtkport/bootimg"
	"mtkport/port/plan"
	"mtkport/ramdisk"
)

// bootImage makes boot.img: the target's, with what the plan changes in its
// ramdisk. It returns the paths it changed.
func bootImage(in *Input, w io.Writer, buildType string) (changed []string, err error) {
	e := in.Target.Boot.Edit()
	if in.Target.Boot.Section(bootimg.Ramdisk) != nil {
		if changed, err = editRamdisk(in, buildType); err != nil {
			return nil, err
		}
	}
	if len(changed) > 0 {
		a, err := in.Target.Ramdisk()
		if err != nil {
			return nil, err
		}
		b, err := a.Bytes()
		if err != nil {
			return nil, err
		}
		if err := e.SetPayload(bootimg.Ramdisk, bytes.NewReader(b), int64(len(b))); err != nil {
			return nil, err
		}
	}
	size, err := e.Size()
	if err != nil {
		return nil, err
	}
	if limit := in.partition(bootPartition); limit > 0 && size > limit {
		return nil, tooBig(BootName, size, in.partitionName(bootPartition), limit)
	}
	_, err = e.WriteTo(w)
	return changed, err
}

// editRamdisk carries the plan's decisions for ramdisk/… out on the target's
// ramdisk.
func editRamdisk(in *Input, buildType string) ([]string, error) {
	a, err := in.Target.Ramdisk()
	if err != nil {
		return nil, err
	}
	donor, err := ramdiskTexts(in.Donor)
	if err != nil {
		return nil, err
	}
	var changed []string
	for i := range in.Plan.Decisions {
		d := &in.Plan.Decisions[i]
		name, ok := strings.CutPrefix(d.Path, "ramdisk/")
		if !ok || d.Take == plan.Target || d.Take == plan.Drop && d.Target < 0 {
			continue
		}
		did, err := editEntry(in, a, d, name, donor, buildType)
		if err != nil {
			return nil, mtkport.InFile(err, d.Path)
		}
		if did {
			changed = append(changed, d.Path)
		}
	}
	return changed, nil
}

func editEntry(in *Input, a *ramdisk.Archive, d *plan.Decision, name string, donor [][]byte, buildType string) (bool, error) {
	switch {
	case d.Take == plan.Drop:
		return true, a.Remove(name)
	case d.Take == plan.Donor:
		return true, takeEntry(in, a, name)
	case d.Merge != plan.MergeBCP:
		return false, nil // by hand: the target's stays
	}
	old, err := a.ReadFile(name)
	if err != nil {
		return false, err
	}
	merged := plan.MergeBootClassPath(old, donor, buildType)
	if bytes.Equal(old, merged) {
		return false, nil
	}
	return true, a.Put(name, merged)
}

// takeEntry puts the donor's file or link into the target's ramdisk.
func takeEntry(in *Input, a *ramdisk.Archive, name string) error {
	from, err := in.Donor.Ramdisk()
	if err != nil {
		return err
	}
	e := from.Lookup(name)
	if e == nil {
		return &mtkport.Error{Off: mtkport.NoOffset, Found: "none in the donor's ramdisk", Want: "a file", Err: mtkport.ErrFormat}
	}
	if e.Type() == ramdisk.TypeSymlink {
		return a.Symlink(e.Target(), name)
	}
	if err := a.Put(name, from.Content(e)); err != nil {
		return err
	}
	return a.Chmod(name, e.Perm())
}
