package mtkport

import "io"

// Progress hears of long work. Rooms call it, the command line draws it. Its
// methods may be called from several goroutines. A nil Progress is silence:
// rooms use [Begin] and [Remark], which allow for it.
type Progress interface {
	// Start opens a task of total bytes (or items; -1 when unknown).
	Start(phase string, total int64) Task
	// Note says one thing worth a line of its own.
	Note(text string)
}

// Task is one running piece of work.
type Task interface {
	Add(n int64)
	Done(err error) // exactly once, nil for success
}

type silent struct{}

func (silent) Add(int64)  {}
func (silent) Done(error) {}

// Begin starts a task on p, or a silent one when p is nil.
func Begin(p Progress, phase string, total int64) Task {
	if p == nil {
		return silent{}
	}
	return p.Start(phase, total)
}

// Remark passes a note to p unless it is nil.
func Remark(p Progress, text string) {
	if p != nil {
		p.Note(text)
	}
}

// CountReader reports what is read through it.
func CountReader(r io.Reader, t Task) io.Reader { return &countReader{r, t} }

type countReader struct {
	r io.Reader
	t Task
}

func (c *countReader) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.t.Add(int64(n))
	return n, err
}

// CountWriter reports what is written through it.
func CountWriter(w io.Writer, t Task) io.Writer { return &countWriter{w, t} }

type countWriter struct {
	w io.Writer
	t Task
}

func (c *countWriter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.t.Add(int64(n))
	return n, err
}
