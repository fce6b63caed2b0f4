package rom

import "mtkport/sysimg"

// openSystem opens a system image, whatever holds it.
func openSystem(f *File) (*sysimg.Image, error) { return sysimg.Open(f.R, f.Size) }
