package sysimg

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"mtkport"
	"mtkport/sysimg/ubifs/ubi"
)

// VolumesName is a UBI image, in the folder of an extraction, of the volumes that
// lay beside the file system. There is none when there were none.
const VolumesName = "volumes.ubi"

// others lists the volumes beside the file system.
func (l Layout) others() []*ubi.Volume {
	if l.UBIFS == nil || l.UBIFS.UBI == nil {
		return nil
	}
	return l.UBIFS.UBI.Others
}

// saveVolumes writes the volumes beside the file system into dir. One that the
// image has lost in part comes back as a finding, and none is written.
func saveVolumes(dir *os.Root, l Layout) ([]mtkport.Finding, error) {
	vols := l.others()
	if len(vols) == 0 {
		return nil, nil
	}
	f, err := dir.OpenFile(VolumesName, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return nil, err
	}
	err = ubi.WriteVolumes(f, l.UBIFS.UBI.Geometry, vols)
	if errors.Is(err, mtkport.ErrDamaged) || errors.Is(err, mtkport.ErrRefused) {
		lost := mtkport.Finding{Code: "volumes-lost", Severity: mtkport.Risk, Text: fmt.Sprintf("the volumes beside the file system do not read: %v", err)}
		return []mtkport.Finding{lost}, cmp.Or(f.Close(), dir.Remove(VolumesName))
	}
	return nil, cmp.Or(err, f.Close())
}

// loadVolumes adds to the layout the volumes that an extraction kept. The file
// stays open while the image is.
func (f *folder) loadVolumes(dir *os.Root) error {
	l := f.side.Layout.UBIFS
	if l == nil || l.UBI == nil {
		return nil
	}
	file, err := dir.Open(VolumesName)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	f.volumes = file
	st, err := file.Stat()
	if err != nil {
		return err
	}
	img, err := ubi.Open(file, st.Size())
	if err != nil {
		return mtkport.InFile(err, VolumesName)
	}
	l.UBI.Others = img.Volumes()
	return nil
}

// Close implements io.Closer.
func (f *folder) Close() error {
	if f.volumes == nil {
		return f.root.Close()
	}
	return errors.Join(f.volumes.Close(), f.root.Close())
}
