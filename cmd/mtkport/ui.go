package main

// The rules of what mtkport prints.
//
// Results go to stdout: aligned tables for people, or one JSON document with
// --json. Progress, notes, errors and hints go to stderr. Colour only on a
// terminal, never with NO_COLOR or --no-color, and never as the only carrier of
// a fact. Sizes are exact in JSON (bytes) and short in tables (6 MiB). Offsets
// are hex with 0x.

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/mattn/go-runewidth"
	"golang.org/x/term"

	"mtkport"
)

func colorOn(w io.Writer, forbidden bool) bool {
	if forbidden || os.Getenv("NO_COLOR") != "" || os.Getenv("TERM") == "dumb" {
		return false
	}
	return isTerminal(w)
}

func isTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

func termWidth(w io.Writer) int {
	if f, ok := w.(*os.File); ok {
		if n, _, err := term.GetSize(int(f.Fd())); err == nil && n > 20 {
			return n
		}
	}
	return 80
}

// style is an SGR code.
type style string

const (
	bold   style = "1"
	dim    style = "2"
	red    style = "31"
	green  style = "32"
	yellow style = "33"
	blue   style = "34"
	purple style = "35"
	cyan   style = "36"
)

func (e *env) paint(s style, text string) string {
	if !e.color || text == "" {
		return text
	}
	return "\x1b[" + string(s) + "m" + text + "\x1b[0m"
}

func severityStyle(s mtkport.Severity) style {
	switch s {
	case mtkport.Blocker:
		return red
	case mtkport.Risk:
		return yellow
	}
	return dim
}

// printJSON prints v as one indented JSON document.
func (e *env) printJSON(v any) error {
	enc := json.NewEncoder(e.stdout)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

// printJSONLine prints v as one JSON line, for streams of objects.
func (e *env) printJSONLine(v any) error {
	enc := json.NewEncoder(e.stdout)
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

func (e *env) printf(format string, a ...any) { fmt.Fprintf(e.stdout, format, a...) }

// notef says one thing on stderr unless --quiet.
func (e *env) notef(format string, a ...any) {
	if !e.quiet {
		e.progress.Note(fmt.Sprintf(format, a...))
	}
}

// cell is text with a style; numbers align right.
type cell struct {
	text  string
	style style
	right bool
}

func num(text string) cell { return cell{text: text, right: true} }

// table prints aligned columns, two blanks apart. It measures what a terminal
// shows, so wide letters and colours do not shift it.
type table struct {
	e    *env
	rows [][]cell
}

func (e *env) newTable(heads ...string) *table {
	t := &table{e: e}
	if len(heads) > 0 {
		row := make([]cell, len(heads))
		for i, h := range heads {
			row[i] = cell{text: h, style: bold}
		}
		t.rows = append(t.rows, row)
	}
	return t
}

// row adds a line; each value is a cell, a string or anything fmt prints.
func (t *table) row(vals ...any) {
	row := make([]cell, len(vals))
	for i, v := range vals {
		switch v := v.(type) {
		case cell:
			row[i] = v
		case string:
			row[i] = cell{text: v}
		default:
			row[i] = cell{text: fmt.Sprint(v), right: true}
		}
	}
	t.rows = append(t.rows, row)
}

func (t *table) print() {
	var widths []int
	var rights []bool
	for _, r := range t.rows {
		for i, c := range r {
			if i == len(widths) {
				widths, rights = append(widths, 0), append(rights, false)
			}
			widths[i] = max(widths[i], runewidth.StringWidth(c.text))
			rights[i] = rights[i] || c.right
		}
	}
	out := bufio.NewWriter(t.e.stdout)
	defer out.Flush()
	for _, r := range t.rows {
		var b strings.Builder
		for i, c := range r {
			pad := strings.Repeat(" ", widths[i]-runewidth.StringWidth(c.text))
			text := t.e.paint(c.style, clean(c.text))
			switch {
			case rights[i]:
				b.WriteString(pad + text)
			case i < len(r)-1:
				b.WriteString(text + pad)
			default:
				b.WriteString(text)
			}
			if i < len(r)-1 {
				b.WriteString("  ")
			}
		}
		fmt.Fprintln(out, strings.TrimRight(b.String(), " "))
	}
}

// clean keeps control characters of names out of the terminal.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if r < 0x20 || r == 0x7f {
			return '?'
		}
		return r
	}, s)
}

// printFindings prints findings as people read them: weight, code, sentence,
// then evidence, symptom and what to do.
func (e *env) printFindings(fs []mtkport.Finding) {
	for _, f := range fs {
		head := e.paint(severityStyle(f.Severity), fmt.Sprintf("%-7s", f.Severity))
		e.printf("%s  %s  %s\n", head, e.paint(bold, f.Code), clean(f.Text))
		for _, ev := range f.Evidence {
			e.printf("         %s\n", e.paint(dim, evidenceLine(ev)))
		}
		if f.Symptom != "" {
			e.printf("         you would see: %s\n", clean(f.Symptom))
		}
		if f.Fix != "" {
			e.printf("         do: %s\n", clean(f.Fix))
		}
	}
}

func evidenceLine(ev mtkport.Evidence) string {
	var parts []string
	for _, s := range []string{ev.Side, ev.File} {
		if s != "" {
			parts = append(parts, clean(s))
		}
	}
	if ev.Off != nil {
		parts = append(parts, fmt.Sprintf("0x%x", *ev.Off))
	}
	return strings.TrimPrefix(strings.Join(parts, " ")+": "+clean(ev.Value), ": ")
}

// size renders bytes for people: 512 B, 6 MiB, 1.4 GiB.
func size(n int64) string {
	const units = "KMGTPE"
	if n > -1024 && n < 1024 {
		return fmt.Sprintf("%d B", n)
	}
	f, u := float64(n)/1024, 0
	for (f >= 1024 || f <= -1024) && u < len(units)-1 {
		f /= 1024
		u++
	}
	s := fmt.Sprintf("%.1f", f)
	return strings.TrimSuffix(s, ".0") + " " + units[u:u+1] + "iB"
}

func hex(n int64) string { return fmt.Sprintf("0x%x", n) }
