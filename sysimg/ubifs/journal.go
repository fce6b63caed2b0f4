package ubifs

import (
	"cmp"
	"slices"

	"mtkport/sysimg/ubifs/ubi"
)

// found is a node's place and rank, kept while nodes are put in order.
type found struct {
	sqnum uint64
	at    place
	key   key
	typ   byte
}

func find(n node, at place) found { return found{n.sqnum, at, parseKey(n.b[chSize:]), n.typ} }

// scanLEB calls fn for each good node of LEB lnum from offs on. It returns the
// offset where the nodes end, and whether only erased flash follows. With
// resync it looks for further nodes behind broken ones.
func (f *FS) scanLEB(buf []byte, lnum, offs int, resync bool, fn func(n node, at place)) (end int, clean bool) {
	buf = buf[:f.lebSize]
	if err := f.src.ReadLEB(buf, lnum, 0); err != nil {
		if buf = f.readPart(buf, lnum); buf == nil {
			return offs, false
		}
	}
	clean = true
	tries := 4 * len(buf) // bytes to spend on what looks like a node and is none
	for offs+8 <= len(buf) {
		if buf[offs] == padByte || buf[offs] == 0xff {
			next := skipPadding(buf, offs)
			if next == offs {
				next += 8
			}
			offs = next
			continue
		}
		n, ok := parseNode(buf[offs:])
		if !ok {
			clean = false
			_, length, looks := parseHeader(buf[offs:])
			if looks {
				tries -= length
			}
			if !resync || tries < 0 {
				return offs, false
			}
			offs += 8
			continue
		}
		if n.typ == padNode {
			offs = align8(offs + padSize + min(int(le.Uint32(n.b[24:])), len(buf)))
			continue
		}
		fn(n, place{uint32(lnum), uint32(offs), uint32(len(n.b))})
		offs = align8(offs + len(n.b))
	}
	return offs, clean
}

// readPart reads what the image has of a LEB that it ends in.
func (f *FS) readPart(buf []byte, lnum int) []byte {
	for n := len(buf) &^ 511; n > 0; n -= 512 {
		if f.src.ReadLEB(buf[:n], lnum, 0) == nil {
			return buf[:n]
		}
	}
	return nil
}

// skipPadding steps over bytes that carry nothing, to a multiple of 8.
func skipPadding(buf []byte, offs int) int {
	p := offs
	for p < len(buf) && buf[p] == buf[offs] {
		p++
	}
	return p &^ 7
}

// replay applies on top of the committed index what the journal holds: the nodes
// in the LEBs ("buds") that the log refers to.
func (f *FS) replay() {
	var nodes []found
	buf := make([]byte, f.lebSize)
	for _, bud := range f.buds(buf) {
		var group []found
		_, clean := f.scanLEB(buf, int(bud.lnum), int(bud.offs), false, func(n node, at place) {
			group = append(group, find(n, at))
			if n.group != groupIn { // a group counts only when it is whole
				nodes = append(nodes, group...)
				group = group[:0]
			}
		})
		if !clean {
			f.problem("ubifs-unclean", int64(bud.lnum), "", "journal block %d ends in a broken node: what was written last before the power went is lost", bud.lnum)
		}
	}
	f.applySorted(nodes)
}

// applySorted applies nodes by rising sequence number.
func (f *FS) applySorted(nodes []found) {
	slices.SortStableFunc(nodes, func(a, b found) int { return cmp.Compare(a.sqnum, b.sqnum) })
	cache := newLEBCache(f, 8)
	for _, fd := range nodes {
		if fd.typ > truncNode {
			continue
		}
		if fd.typ == dataNode && fd.key.typ() == dataNode {
			f.st.order++
			f.st.addPiece(fd.key, fd.at)
			continue
		}
		raw, err := cache.get(fd.at)
		if err != nil {
			continue // read a moment ago; what fails now is the file under us
		}
		if n, ok := parseNode(raw); !ok || !f.st.apply(n, fd.at) {
			f.problem("ubifs-bad-node", int64(fd.at.lnum), "", "block %d: the node at 0x%x makes no sense", fd.at.lnum, fd.at.offs)
		}
	}
}

// buds lists the journal's LEBs, from the log.
func (f *FS) buds(buf []byte) []place {
	var out []place
	var start uint64
	logLEBs := int(f.sb.logLEBs)
	lnum := int(f.mst.logLNum)
	if logLEBs <= 0 || logLEBs > int(f.sb.lebCnt) || lnum < logLNum || lnum >= logLNum+logLEBs {
		f.problem("ubifs-bad-log", int64(lnum), "", "the log of %d blocks cannot start at block %d", logLEBs, lnum)
		return nil
	}
	for range logLEBs {
		n := 0
		stop := false
		f.scanLEB(buf, lnum, 0, false, func(nd node, _ place) {
			n++
			switch {
			case nd.typ == csNode && start == 0 && le.Uint64(nd.b[24:]) == f.mst.cmtNo:
				start = nd.sqnum
			case start == 0 || nd.sqnum < start:
				stop = true
			case nd.typ == refNode && !stop:
				out = append(out, place{lnum: le.Uint32(nd.b[24:]), offs: le.Uint32(nd.b[28:])})
			}
		})
		if n == 0 || stop {
			break
		}
		if lnum++; lnum == logLNum+logLEBs {
			lnum = logLNum
		}
	}
	return slices.DeleteFunc(out, func(p place) bool { return int(p.offs) > f.lebSize })
}

// rescue builds the state from every good node in the image, for when the index
// cannot be followed: the highest sequence number wins. Deleted files whose
// deletion has been garbage collected may come back.
func (f *FS) rescue() {
	f.st = newState()
	var nodes []found
	buf := make([]byte, f.lebSize)
	for _, lnum := range f.src.Mapped() {
		if lnum < f.mainFirst() {
			continue
		}
		_, clean := f.scanLEB(buf, lnum, 0, true, func(n node, at place) {
			if n.typ <= truncNode {
				nodes = append(nodes, find(n, at))
			}
		})
		if !clean {
			f.problem("ubifs-broken-nodes", int64(lnum), "", "block %d holds broken nodes", lnum)
		}
	}
	f.applySorted(nodes)
}

// mainFirst is the first LEB that holds files.
func (f *FS) mainFirst() int {
	return logLNum + int(f.sb.logLEBs) + int(f.sb.lptLEBs) + int(f.sb.orphLEBs)
}

// lastMaster finds the newest good master node in LEBs 1 and 2.
func (f *FS) lastMaster() *master {
	var best *master
	var sqnum uint64
	buf := make([]byte, f.lebSize)
	for lnum := masterLNum; lnum < masterLNum+masterLEBs; lnum++ {
		if !f.src.Has(lnum) {
			continue
		}
		f.scanLEB(buf, lnum, 0, true, func(n node, _ place) {
			if n.typ == masterNode && (best == nil || n.sqnum > sqnum) {
				best, sqnum = parseMaster(n.b), n.sqnum
			}
		})
	}
	return best
}

var _ source = (*ubi.Volume)(nil)
