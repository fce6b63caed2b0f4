package sparse

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"sort"
	"strconv"
	"strings"

	"mtkport"
	"mtkport/sysimg/tree"
)

// dataBlock is the block size of transfer lists, bytes (fixed in Android's
// blockimgdiff).
const dataBlock = 4096

// OpenData opens a system.new.dat by its transfer list, versions 1 to 4: blocks
// named by "new" commands come from the data one after the other, those of
// "zero" and "erase" are zeros. Lists that patch an older image (move, bsdiff,
// imgdiff, stash) are refused: they need that image.
//
// The image's length is that of the highest block named; blocks that no command
// names read as zeros.
func OpenData(r io.ReaderAt, size int64, list []byte) (*Image, error) {
	p := dataParser{r: r, size: size, m: &Image{blockSize: dataBlock, files: 1}}
	sc := bufio.NewScanner(bytes.NewReader(list))
	sc.Buffer(nil, 16<<20)
	for sc.Scan() {
		p.line++
		if err := p.command(strings.Fields(sc.Text())); err != nil {
			return nil, err
		}
	}
	if err := sc.Err(); err != nil || p.version == 0 {
		return nil, &mtkport.Error{Off: mtkport.NoOffset, Field: "transfer list", Found: "no version in its first line", Want: "1 to 4", Err: mtkport.ErrFormat}
	}
	m := p.m
	sort.SliceStable(m.runs, func(i, j int) bool { return m.runs[i].off < m.runs[j].off })
	for i := 1; i < len(m.runs); i++ {
		if prev := m.runs[i-1]; prev.off+prev.n > m.runs[i].off {
			return nil, p.bad("blocks", "a block written twice", "each block once")
		}
	}
	m.chunks = len(m.runs)
	return m, nil
}

type dataParser struct {
	r       io.ReaderAt
	size    int64
	m       *Image
	line    int
	version int
	pos     int64 // in the data
}

func (p *dataParser) bad(field, found, want string) error {
	return &mtkport.Error{Off: mtkport.NoOffset, Field: fmt.Sprintf("line %d, %s", p.line, field), Found: found, Want: want, Err: mtkport.ErrDamaged}
}

func (p *dataParser) command(words []string) error {
	if len(words) == 0 {
		return nil
	}
	if p.version == 0 {
		v, err := strconv.Atoi(words[0])
		if err != nil || v < 1 || v > 4 || len(words) != 1 {
			return &mtkport.Error{Off: mtkport.NoOffset, Field: "transfer list version", Found: strconv.Quote(words[0]), Want: "1 to 4", Err: mtkport.ErrFormat}
		}
		p.version = v
		return nil
	}
	if len(words) == 1 { // total blocks, and from version 2 on two lines about stashes
		if _, err := strconv.ParseUint(words[0], 10, 32); err == nil && p.line <= 4 {
			return nil
		}
	}
	switch words[0] {
	case "new", "zero", "erase":
		if len(words) != 2 {
			return p.bad(words[0], fmt.Sprintf("%d words", len(words)), "2")
		}
		return p.ranges(words[0], words[1])
	case "move", "bsdiff", "imgdiff", "stash", "free":
		return &mtkport.Error{Off: mtkport.NoOffset, Field: fmt.Sprintf("line %d", p.line), Found: words[0] + ", a patch of an older image", Want: "a full image", Err: mtkport.ErrUnsupported}
	}
	return p.bad("command", strconv.Quote(words[0]), "new, zero or erase")
}

// ranges reads "2N,from,to,from,to…"; to is the block past the last.
func (p *dataParser) ranges(cmd, text string) error {
	var nums []int64
	for _, s := range strings.Split(text, ",") {
		v, err := strconv.ParseUint(s, 10, 32)
		if err != nil {
			return p.bad("range", strconv.Quote(s), "a block number")
		}
		nums = append(nums, int64(v))
	}
	if len(nums) < 3 || nums[0] != int64(len(nums)-1) || nums[0]%2 != 0 {
		return p.bad("range", fmt.Sprintf("%d numbers", len(nums)-1), fmt.Sprintf("%d, as it says", nums[0]))
	}
	for i := 1; i < len(nums); i += 2 {
		off, n := nums[i]*dataBlock, (nums[i+1]-nums[i])*dataBlock
		if n <= 0 {
			return p.bad("range", fmt.Sprintf("%d to %d", nums[i], nums[i+1]), "a rising pair")
		}
		p.m.size = max(p.m.size, off+n)
		if cmd != "new" {
			continue
		}
		if len(p.m.runs) >= maxChunks {
			return p.bad("ranges", "more", strconv.Itoa(maxChunks))
		}
		if n > p.size-p.pos {
			return p.bad("data", fmt.Sprintf("%d bytes left", p.size-p.pos), fmt.Sprintf("%d bytes", n))
		}
		p.m.runs = append(p.m.runs, run{off: off, n: n, src: p.r, at: p.pos})
		p.pos += n
	}
	return nil
}

// EncodeData makes the system.new.dat of an image and its transfer list: the
// blocks that hold something as "new", the rest as "zero", in the form of the
// given version, 1 to 4. The length is padded to a whole block.
func EncodeData(ctx context.Context, src io.ReaderAt, size int64, version int, opt Options) (*Encoded, []byte, error) {
	if version < 1 || version > 4 {
		return nil, nil, &mtkport.Error{Off: mtkport.NoOffset, Field: "transfer list version", Found: strconv.Itoa(version), Want: "1 to 4", Err: mtkport.ErrUnsupported}
	}
	opt.BlockSize = dataBlock
	runs, err := scan(ctx, src, size, &opt)
	if err != nil {
		return nil, nil, err
	}
	e := &Encoded{chunks: len(runs)}
	for _, r := range runs {
		switch {
		case r.kind == raw:
			err = e.addRaw(src, size, r.block*dataBlock, r.n*dataBlock)
		case r.kind == fill && r.fill != 0:
			n := r.n * dataBlock
			e.pieces = append(e.pieces, tree.Piece{Off: e.size, Len: n, Src: pattern(r.fill)})
			e.size += n
		}
		if err != nil {
			return nil, nil, err
		}
	}
	return e, dataList(runs, version), nil
}

// dataList writes the transfer list of runs.
func dataList(runs []chunkRun, version int) []byte {
	var b strings.Builder
	var total int64
	var fresh, zero []int64
	for _, r := range runs {
		if r.kind == dontCare {
			continue
		}
		total += r.n
		if r.kind == fill && r.fill == 0 {
			zero = extend(zero, r.block, r.n)
		} else {
			fresh = extend(fresh, r.block, r.n)
		}
	}
	fmt.Fprintf(&b, "%d\n%d\n", version, total)
	if version > 1 {
		b.WriteString("0\n0\n") // stash entries and blocks: none
	}
	for _, c := range []struct {
		name string
		nums []int64
	}{{"zero", zero}, {"new", fresh}} {
		// 1022 numbers a line: updaters of version 1 read at most 512 pairs
		for nums := c.nums; len(nums) > 0; {
			part := nums[:min(1022, len(nums))]
			nums = nums[len(part):]
			fmt.Fprintf(&b, "%s %d", c.name, len(part))
			for _, v := range part {
				fmt.Fprintf(&b, ",%d", v)
			}
			b.WriteString("\n")
		}
	}
	return []byte(b.String())
}

// extend adds a run to a list of pairs, joined where it goes on.
func extend(pairs []int64, block, n int64) []int64 {
	if k := len(pairs); k > 0 && pairs[k-1] == block {
		pairs[k-1] += n
		return pairs
	}
	return append(pairs, block, block+n)
}

var _ tree.Placed = (*Image)(nil)
