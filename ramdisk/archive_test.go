package ramdisk

import (
	"bytes"
	"testing"
)

func open(t testing.TB, b []byte) *Archive {
	t.Helper()
	a, err := Open(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func packed(t testing.TB, a *Archive) []byte {
	t.Helper()
	b, err := a.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestRealUntouched(t *testing.T) {
	for name, b := range realRamdisks(t) {
		a := open(t, b)
		if a.Changed() {
			t.Errorf("%s: changed after opening", name)
		}
		if !bytes.Equal(packed(t, a), b) {
			t.Errorf("%s: not the same bytes", name)
		}
		m := a.Maker()
		t.Logf("%s: %d entries, %s, %v %v", name, len(a.Entries()), m, a.Notes(), a.upper)
	}
}
