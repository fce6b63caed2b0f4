package ubifs

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"

	"mtkport"
	"mtkport/sysimg/tree"
	"mtkport/sysimg/ubifs/ubi"
)

// Write writes t as an image of layout l to w, an empty file, from its start on.
// Errors: ErrTooBig when the files do not fit l.MaxLEBs or the UBI volume, with
// the sizes needed and there; ErrRefused for a layout or an entry that UBIFS
// cannot have.
func Write(ctx context.Context, w io.WriterAt, t *tree.Tree, l Layout) error {
	return WriteProgress(ctx, w, t, l, mtkport.Begin(nil, "", 0))
}

// WriteProgress is Write that tells task of the bytes of files it has packed.
func WriteProgress(ctx context.Context, w io.WriterAt, t *tree.Tree, l Layout, task mtkport.Task) error {
	l, err := l.settled()
	if err != nil {
		return err
	}
	items, highest, err := inventory(t)
	if err != nil {
		return err
	}
	if err := l.size(items); err != nil {
		return err
	}
	a, err := plan(l)
	if err != nil {
		return err
	}
	if l.UBI == nil {
		b := &maker{a: a, sink: &bareSink{w, make([]byte, l.LEBSize)}, task: task}
		_, err := b.run(ctx, items, highest)
		return err
	}
	return writeUBI(ctx, w, a, items, highest, task)
}

// writeUBI writes the file system into a UBI image, behind the volumes that were
// beside it.
func writeUBI(ctx context.Context, w io.WriterAt, a *areas, items []*item, highest uint32, task mtkport.Task) error {
	v := a.UBI
	vols, err := ubi.Specs(v.Geometry, v.Others)
	if err != nil {
		return err
	}
	vols = append(vols, ubi.VolumeSpec{ID: v.ID, Name: v.Name, LEBs: 1, DataLEBs: ubi.Growing, Autoresize: v.Autoresize})
	u, err := ubi.NewWriter(w, v.Geometry, vols)
	if err != nil {
		return err
	}
	for i, o := range v.Others {
		if err := u.CopyVolume(i, o); err != nil {
			return err
		}
	}
	b := &maker{a: a, sink: &ubiSink{u, len(vols) - 1}, task: task}
	used, err := b.run(ctx, items, highest)
	if err != nil {
		return err
	}
	u.Reserve(len(vols)-1, max(v.LEBs, used))
	return u.Close()
}

// size chooses how many LEBs the file system may have when nobody said.
func (l *Layout) size(items []*item) error {
	if l.MaxLEBs == 0 && l.UBI != nil {
		l.MaxLEBs = l.UBI.LEBs
	}
	if l.MaxLEBs == 0 {
		usable := int64(l.LEBSize - dataSize - blockSize)
		if usable < int64(l.LEBSize)/2 {
			usable = int64(l.LEBSize) / 2
		}
		n := bound(items)/usable*5/4 + 100
		if n > maxLEBCount {
			return refused("files", fmt.Sprintf("some %d LEBs of them", n), fmt.Sprintf("at most %d", maxLEBCount))
		}
		l.MaxLEBs = int(n)
	}
	l.MaxLEBs = max(l.MaxLEBs, l.LEBs)
	return nil
}

// leaf is an index entry: where the node with this key is. name, a number in the
// maker's list, orders entries whose names have the same hash.
type leaf struct {
	key key
	place
	name uint32
}

// maker makes one file system.
type maker struct {
	a      *areas
	sink   sink
	h      head
	leaves []leaf
	names  []string // of entries; the first is of what has none
	mst    master
	task   mtkport.Task
}

// run writes everything and returns how many LEBs the file system spans.
func (b *maker) run(ctx context.Context, items []*item, highest uint32) (int, error) {
	b.h = head{a: b.a, sink: b.sink}
	b.mst = master{highestIno: uint64(highest), flags: masterNoOrphans, logLNum: logLNum}
	if err := b.files(ctx, items); err != nil {
		return 0, err
	}
	if err := b.index(); err != nil {
		return 0, err
	}
	b.collector()
	spans, err := b.span()
	if err != nil {
		return 0, err
	}
	if err := b.a.writeLPT(b.sink, b.h.props, &b.mst); err != nil {
		return 0, err
	}
	return spans, b.front(spans)
}

// files writes the main area: for each name its entry, for each inode its
// attributes, itself and its data.
func (b *maker) files(ctx context.Context, items []*item) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	jobs, err := pipeline(ctx, items, b.a.Compression)
	if err != nil {
		return err
	}
	b.leaves, b.names = make([]leaf, 0, min(leaves(items), maxReserve)), []string{""}
	for _, it := range items {
		if err := b.entry(it); err != nil {
			return err
		}
		if err := b.data(ctx, it, jobs); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// maxReserve bounds what room is made for index entries before there are any.
const maxReserve = 1 << 20

// leaves counts the index entries of items, holes among a file's blocks included.
func leaves(items []*item) (n int) {
	for _, it := range items {
		n += 2 + 2*len(it.attrs)
		for _, r := range it.runs() {
			n += r.n
		}
	}
	return n
}

func (b *maker) entry(it *item) error {
	if it.path != "." {
		k := makeKey(it.parent, dentNode, hashName(it.name))
		if err := b.node(dent{uint64(it.ino), dentType(it.node), it.name}.bytes(k), dentNode, k, it.name); err != nil {
			return err
		}
	}
	if !it.first {
		return nil
	}
	for _, at := range it.attrs {
		k := makeKey(it.ino, xentNode, hashName(at.name))
		if err := b.node(dent{uint64(at.ino), 0, at.name}.bytes(k), xentNode, k, at.name); err != nil {
			return err
		}
		in := inode{nlink: 1, mode: tree.Regular | 0o777, flags: flagXattr, size: uint64(len(at.data)), data: at.data}
		if err := b.inode(&in, at.ino); err != nil {
			return err
		}
	}
	in := it.inode(b.a.Compression)
	return b.inode(&in, it.ino)
}

func (b *maker) inode(in *inode, ino uint32) error {
	k := makeKey(ino, inoNode, 0)
	return b.node(in.bytes(k, b.h.sqnum+1), inoNode, k, "")
}

func (b *maker) node(raw []byte, typ byte, k key, name string) error {
	at, err := b.h.add(raw, typ)
	l := leaf{key: k, place: at}
	if name != "" {
		l.name = uint32(len(b.names))
		b.names = append(b.names, name)
	}
	b.leaves = append(b.leaves, l)
	return err
}

// data takes the packed blocks of it, which come next from jobs.
func (b *maker) data(ctx context.Context, it *item, jobs <-chan *job) error {
	for range it.runs() {
		j, ok := <-jobs
		if !ok {
			return ctx.Err()
		}
		<-j.done
		if err := cmp.Or(j.err, ctx.Err()); err != nil {
			return err
		}
		b.task.Add(int64(len(j.nodes)) * blockSize)
		for i, n := range j.nodes {
			if n == nil {
				continue
			}
			if err := b.node(n, dataNode, makeKey(it.ino, dataNode, uint32(j.first)+uint32(i)), ""); err != nil {
				return err
			}
		}
	}
	return nil
}

// index writes the B-tree over all leaves, lowest level first.
func (b *maker) index() error {
	if err := b.h.close(); err != nil {
		return err
	}
	b.h.index = true
	slices.SortFunc(b.leaves, func(x, y leaf) int {
		if x.key != y.key {
			if x.key.less(y.key) {
				return -1
			}
			return 1
		}
		return cmp.Compare(b.names[x.name], b.names[y.name])
	})
	level := b.leaves
	for depth := 0; depth == 0 || len(level) > 1; depth++ {
		var up []leaf
		for i := 0; i < len(level); i += b.a.Fanout {
			kids := level[i:min(i+b.a.Fanout, len(level))]
			at, err := b.h.add(indexNode(kids, depth), idxNode)
			if err != nil {
				return err
			}
			b.mst.indexSize += uint64(align8(int(at.length)))
			up = append(up, leaf{key: kids[0].key, place: at})
		}
		level = up
	}
	b.leaves, b.names = nil, nil
	root := level[0].place
	b.mst.rootLNum, b.mst.rootOffs, b.mst.rootLen = root.lnum, root.offs, root.length
	b.mst.iheadLNum, b.mst.iheadOffs = uint32(b.h.lnum()), uint32(alignTo(len(b.h.buf), b.a.MinIO))
	return b.h.close()
}

func indexNode(kids []leaf, level int) []byte {
	n := make([]byte, idxSize+len(kids)*branchSize)
	le.PutUint16(n[24:], uint16(len(kids)))
	le.PutUint16(n[26:], uint16(level))
	for i, k := range kids {
		e := n[idxSize+i*branchSize:]
		le.PutUint32(e, k.lnum)
		le.PutUint32(e[4:], k.offs)
		le.PutUint32(e[8:], k.length)
		k.key.put(e[12:])
	}
	return n
}

// collector sets an empty LEB aside for the garbage collector.
func (b *maker) collector() {
	b.mst.gcLNum = uint32(b.h.lnum())
	b.h.props = append(b.h.props, leb{free: b.a.LEBSize})
}

// room is how many LEBs there are: those of the volume, when it cannot grow.
func (a *areas) room() int {
	if a.UBI != nil && a.UBI.LEBs > 0 && !a.UBI.Autoresize {
		return min(a.MaxLEBs, a.UBI.LEBs)
	}
	return a.MaxLEBs
}

// span decides how many LEBs the file system has, and whether they are there.
func (b *maker) span() (int, error) {
	a := b.a
	used := len(b.h.props)
	lebs := a.mainFirst + max(used, a.minMain())
	room := a.room()
	if lebs > room {
		return 0, &mtkport.Error{
			Off: mtkport.NoOffset, Field: "UBIFS volume", Found: fmt.Sprintf("%d bytes of files and index (%d LEBs)", int64(lebs)*int64(a.LEBSize), lebs),
			Want: fmt.Sprintf("at most %d bytes (%d LEBs)", int64(room)*int64(a.LEBSize), room),
			Hint: "take files out, pack with zlib, or give the volume more LEBs", Err: mtkport.ErrTooBig,
		}
	}
	lebs = max(lebs, min(a.LEBs, room))
	for a.mainFirst+len(b.h.props) < lebs {
		b.h.props = append(b.h.props, leb{free: a.LEBSize})
	}
	b.totals(lebs)
	return lebs, nil
}

// totals sums the LEBs up as the kernel does: dead space is too small for any
// node, dark space too small for some.
func (b *maker) totals(lebs int) {
	m, a := &b.mst, b.a
	m.lebCnt, m.lscanLNum = uint32(lebs), uint32(a.mainFirst)
	for _, p := range b.h.props {
		m.totalFree += uint64(p.free)
		m.totalDirty += uint64(p.dirty)
		if p.free == a.LEBSize {
			m.emptyLEBs++
		}
		if p.index {
			m.idxLEBs++
			continue
		}
		spc := p.free + p.dirty
		m.totalUsed += uint64(a.LEBSize - spc)
		if spc < alignTo(minWrite, a.MinIO) {
			m.totalDead += uint64(spc)
		} else {
			m.totalDark += uint64(dark(spc, alignTo(maxNode, a.MinIO)))
		}
	}
}

const (
	minWrite = dataSize + 8        // the least that is worth writing
	maxNode  = inoSize + maxInline // the largest node
)

func dark(spc, watermark int) int {
	switch {
	case spc < watermark:
		return spc
	case spc-watermark < minWrite:
		return spc - minWrite
	}
	return watermark
}

// front writes superblock, log and, last, the two masters, whose sequence number
// is the highest.
func (b *maker) front(lebs int) error {
	a := b.a
	sb := superblock{
		minIO: uint32(a.MinIO), lebSize: uint32(a.LEBSize), lebCnt: uint32(lebs), maxLEBCnt: uint32(a.MaxLEBs),
		maxBudBytes: uint64(a.MaxBudBytes), logLEBs: uint32(a.LogLEBs), lptLEBs: uint32(a.lptLEBs), orphLEBs: uint32(a.OrphanLEBs),
		journalHeads: 1, fanout: uint32(a.Fanout), lsaveCnt: defaultLsave, format: 4, compression: uint16(a.Compression),
		rpUID: a.ReservedUID, rpGID: a.ReservedGID, rpSize: uint64(a.Reserved), timeGran: 1, uuid: a.UUID,
	}
	if a.big {
		sb.flags |= sbBigLPT
	}
	if a.SpaceFixup {
		sb.flags |= sbSpaceFixup
	}
	if err := b.alone(sbLNum, sb.bytes(), sbNode); err != nil {
		return err
	}
	if err := b.alone(logLNum, make([]byte, csSize), csNode); err != nil {
		return err
	}
	if err := b.empty(); err != nil {
		return err
	}
	for i := range masterLEBs {
		if err := b.alone(masterLNum+i, b.mst.bytes(), masterNode); err != nil {
			return err
		}
	}
	return nil
}

// alone writes a LEB that begins with one node and is padded to a whole page.
func (b *maker) alone(lnum int, raw []byte, typ byte) error {
	padded := b.h.pad(raw) // first, so that the node's sequence number is the higher one
	b.h.sqnum++
	putHeader(padded[:len(raw)], typ, b.h.sqnum)
	return b.sink.WriteLEB(lnum, padded)
}

// empty writes the LEBs before the main area and in it that hold nothing, so
// that a bare image has no gaps. The tail of the volume is left out.
func (b *maker) empty() error {
	var lnums []int
	for l := logLNum + 1; l < b.a.lptFirst; l++ {
		lnums = append(lnums, l)
	}
	for l := b.a.lptFirst; l < b.a.orphFirst; l++ {
		if int(b.mst.nheadLNum) < l {
			lnums = append(lnums, l)
		}
	}
	for l := b.a.orphFirst; l < b.a.mainFirst; l++ {
		lnums = append(lnums, l)
	}
	lnums = append(lnums, int(b.mst.gcLNum))
	for _, l := range lnums {
		if err := b.sink.WriteLEB(l, nil); err != nil {
			return err
		}
	}
	return nil
}
