package rom

import (
	"mtkport"
	"mtkport/sysimg/tree"
)

// openSystem opens an image as a tree and says what it is.
func openSystem(f *File) (*tree.Tree, string, error) {
	return nil, "", &mtkport.Error{File: f.Name, Off: mtkport.NoOffset, Err: mtkport.ErrFormat}
}
