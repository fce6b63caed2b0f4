// Command mtkbench runs mtkport and the installed peers side by side on the
// same inputs and prints medians and ratios.
//
//	go run ./cmd/mtkbench                 every row whose programs are here
//	go run ./cmd/mtkbench boot sparse     the rows of these groups
//	go run ./cmd/mtkbench -n 9 -json ext4
//
// A ratio is peer ÷ ours: above 1 mtkport is ahead. Runs alternate, and the
// ratio is the median of those of neighbours, so that what else the machine does
// falls on both. A row whose peer or input is
// missing is listed with what it needs. Inputs are real files where the row
// says so ($MTKPORT_REAL, or shared/real beside the checkout), made ones else.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "mtkbench: error:", err)
		os.Exit(1)
	}
}

// run also knows two measuring tools for the rows of group flash.
func run(ctx context.Context, argv []string) error {
	switch {
	case len(argv) > 0 && argv[0] == "raw-pty":
		return rawMain(argv[1:])
	case len(argv) > 0 && argv[0] == "wire-write":
		return wireWrite(ctx, argv[1:])
	}
	return bench(ctx, argv)
}

func bench(ctx context.Context, argv []string) error {
	fl := flag.NewFlagSet("mtkbench", flag.ContinueOnError)
	runs := fl.Int("n", 5, "runs of each side")
	asJSON := fl.Bool("json", false, "print the rows as JSON")
	bin := fl.String("mtkport", "", "the mtkport binary (default: built from this module)")
	keep := fl.String("work", "", "folder for inputs and outputs (default: a temporary one)")
	if err := fl.Parse(argv); err != nil {
		return err
	}
	b, err := newBed(ctx, *bin, *keep)
	if err != nil {
		return err
	}
	defer b.close()
	var out []result
	for _, r := range rows() {
		if fl.NArg() > 0 && !slices.Contains(fl.Args(), r.group) {
			continue
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		fmt.Fprintf(os.Stderr, "%s: %s\n", r.group, r.name)
		out = append(out, b.measure(ctx, r, *runs))
	}
	if *asJSON {
		enc := json.NewEncoder(os.Stdout)
		enc.SetIndent("", "  ")
		return enc.Encode(out)
	}
	return print(out)
}

func print(rs []result) error {
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "group\twhat\tours\tcpu\trss\tpeer\ttheirs\tcpu\trss\tratio\taim")
	for _, r := range rs {
		if r.Missing != "" {
			fmt.Fprintf(w, "%s\t%s\t\t\t\t%s\t\t\t\t\tneeds %s\n", r.Group, r.Name, r.Peer, r.Missing)
			continue
		}
		theirs, cpu, rss, ratio := "", "", "", ""
		if r.Peer != "" {
			theirs, cpu, rss, ratio = ms(r.Theirs.Wall), ms(r.Theirs.CPU), mib(r.Theirs.RSS), fmt.Sprintf("%.2f", r.Ratio)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", r.Group, r.Name,
			ms(r.Ours.Wall), ms(r.Ours.CPU), mib(r.Ours.RSS), r.Peer, theirs, cpu, rss, ratio, r.Aim)
	}
	return w.Flush()
}

func ms(sec float64) string  { return fmt.Sprintf("%.0f ms", sec*1000) }
func mib(bytes int64) string { return fmt.Sprintf("%.0f MiB", float64(bytes)/(1<<20)) }

// bed is where the rows run: the binary, a folder, and inputs made once.
type bed struct {
	mtkport string
	dir     string
	temp    bool
	made    map[string]string
}

func newBed(ctx context.Context, bin, dir string) (*bed, error) {
	b := &bed{mtkport: bin, dir: dir, made: map[string]string{}}
	var err error
	if dir == "" {
		b.temp = true
		if b.dir, err = os.MkdirTemp("", "mtkbench-*"); err != nil {
			return nil, err
		}
	} else if b.dir, err = filepath.Abs(dir); err != nil {
		return nil, err
	}
	if bin != "" {
		b.mtkport, err = filepath.Abs(bin)
		return b, err
	}
	b.mtkport = filepath.Join(b.dir, "mtkport")
	cmd := exec.CommandContext(ctx, "go", "build", "-o", b.mtkport, "mtkport/cmd/mtkport")
	if out, err := cmd.CombinedOutput(); err != nil {
		b.close()
		return nil, fmt.Errorf("building mtkport: %w\n%s", err, out)
	}
	return b, nil
}

func (b *bed) close() {
	if b.temp {
		_ = os.RemoveAll(b.dir)
	}
}

// input makes a shared input once and returns its path.
func (b *bed) input(name string, mk func(path string) error) (string, error) {
	if p, ok := b.made[name]; ok {
		return p, nil
	}
	p := filepath.Join(b.dir, "in-"+name)
	if _, err := os.Stat(p); err != nil {
		if err := mk(p); err != nil {
			return "", err
		}
	}
	b.made[name] = p
	return p, nil
}

// real returns a file of the real firmware folder.
func (b *bed) real(name string) (string, error) {
	root := os.Getenv("MTKPORT_REAL")
	if root == "" {
		root = filepath.Join("..", "shared", "real")
	}
	p, err := filepath.Abs(filepath.Join(root, filepath.FromSlash(name)))
	if err != nil {
		return "", err
	}
	if _, err := os.Stat(p); err != nil {
		return "", missing{"the real file " + name}
	}
	return p, nil
}

// missing says what a row needs and did not find.
type missing struct{ what string }

func (m missing) Error() string { return m.what }

func need(progs ...string) error {
	var gone []string
	for _, p := range progs {
		if _, err := exec.LookPath(p); err != nil {
			gone = append(gone, p)
		}
	}
	if len(gone) > 0 {
		return missing{strings.Join(gone, ", ")}
	}
	return nil
}
