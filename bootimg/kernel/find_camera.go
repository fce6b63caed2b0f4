package kernel

import (
	"fmt"
	"sort"
	"strings"
)

// The sensor list of MediaTek's camera driver, kdSensorList: 40-byte records of
// struct ACDK_KD_SENSOR_INIT_FUNCTION_STRUCT (kd_imgsensor.h): id, name[32],
// init function. A record of zeros ends it.
const (
	camRecord  = 40
	camName    = 4
	camNameLen = 32
	camInit    = 36
	camMaxID   = 1 << 24
)

// findCameras finds records through the sensors' init functions, then takes
// their neighbours in: a list is contiguous, whatever its functions are called.
func (f *finder) findCameras() {
	found := map[int]bool{}
	for _, at := range f.anchors(cameraAnchor) {
		if rec := at - camInit; f.isCamera(rec) {
			f.growCameras(rec, found)
		}
	}
	if len(f.syms.List) == 0 {
		f.camerasByShape(found)
	}
	offs := make([]int, 0, len(found))
	for rec := range found {
		offs = append(offs, rec)
	}
	sort.Ints(offs)
	for _, rec := range offs {
		name, _ := field(f.v.data[rec+camName : rec+camInit])
		f.add(Camera, name, fmt.Sprintf("0x%x", f.v.word(rec)), Compiled,
			table(rec, "sensor list, init %s", f.funcName(f.v.word(rec+camInit))))
	}
}

func (f *finder) isCamera(rec int) bool {
	if rec < 0 || rec+camRecord > len(f.v.data) {
		return false
	}
	id := f.v.word(rec)
	name, ok := field(f.v.data[rec+camName : rec+camInit])
	return ok && id != 0 && id < camMaxID && len(name) >= 4 && !strings.ContainsAny(name, " %/") && f.code(f.v.word(rec+camInit))
}

func (f *finder) growCameras(rec int, found map[int]bool) {
	for _, step := range []int{camRecord, -camRecord} {
		for at := rec; f.isCamera(at) && (at == rec || !found[at]); at += step {
			found[at] = true
		}
	}
}

// camerasByShape is for kernels without symbols: records whose name says what
// it is.
func (f *finder) camerasByShape(found map[int]bool) {
	for rec := 0; rec+camRecord <= len(f.v.data); rec += 4 {
		if id := f.v.word(rec); id == 0 || id >= camMaxID || !f.isCamera(rec) {
			continue
		}
		name, _ := field(f.v.data[rec+camName : rec+camInit])
		if f.rec.isSensor(name) {
			f.growCameras(rec, found)
		}
	}
}
