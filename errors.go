package mtkport

import (
	"errors"
	"fmt"
	"strings"
)

// The classes of errors. Each error that a room returns wraps one of them where
// it can be told; the command line maps the class to its exit code.
var (
	// ErrFormat: the input is not of the format it was opened as.
	ErrFormat = errors.New("not of this format")
	// ErrDamaged: the input is of the format, and broken.
	ErrDamaged = errors.New("damaged")
	// ErrUnsupported: the input is valid, and this program does not handle it.
	ErrUnsupported = errors.New("unsupported")
	// ErrRefused: a law of the house forbids it (identity, storage, boot loader).
	ErrRefused = errors.New("refused")
	// ErrTooBig: the result does not fit where it must go.
	ErrTooBig = errors.New("does not fit")
	// ErrInterrupted: the work stopped half way and can be resumed.
	ErrInterrupted = errors.New("interrupted")
)

// NoOffset is the Off of an [Error] that is about no particular byte.
const NoOffset = -1

// Error is a fault with everything a person needs to find it and go on.
// Only Err (the class or the cause) is required.
type Error struct {
	File  string // the file or the path inside a container; may be filled later by [InFile]
	Off   int64  // byte offset in File, or NoOffset
	Field string // the field or thing that is wrong, in the format's own name
	Found string // what was there
	Want  string // what was expected
	Hint  string // what the user can do next, a sentence without period
	Err   error  // class or cause; errors.Is and errors.As look through it
}

// Error renders as `boot.img: 0x24 page_size: found 0, want a power of two …`.
func (e *Error) Error() string {
	var b strings.Builder
	if e.File != "" {
		b.WriteString(e.File + ": ")
	}
	if e.Off >= 0 {
		fmt.Fprintf(&b, "0x%x ", e.Off)
	}
	if e.Field != "" {
		b.WriteString(e.Field + ": ")
	}
	switch {
	case e.Found != "" && e.Want != "":
		fmt.Fprintf(&b, "found %s, want %s", e.Found, e.Want)
	case e.Found != "":
		b.WriteString("found " + e.Found)
	case e.Want != "":
		b.WriteString("want " + e.Want)
	}
	if e.Err != nil {
		if e.Found != "" || e.Want != "" {
			fmt.Fprintf(&b, " (%v)", e.Err)
		} else {
			fmt.Fprintf(&b, "%v", e.Err)
		}
	}
	return strings.TrimSuffix(strings.TrimRight(b.String(), " "), ":")
}

// Unwrap returns the class or cause.
func (e *Error) Unwrap() error { return e.Err }

// InFile names the file in the first [Error] of the chain that has none, or
// wraps any other error with the name. It returns nil for nil.
func InFile(err error, name string) error {
	if err == nil {
		return nil
	}
	var e *Error
	if errors.As(err, &e) {
		if e.File != "" {
			return err
		}
		if err == error(e) {
			c := *e
			c.File = name
			return &c
		}
	}
	return fmt.Errorf("%s: %w", name, err)
}

// HintOf returns the first hint in the chain, or "".
func HintOf(err error) string {
	for err != nil {
		var e *Error
		if !errors.As(err, &e) {
			return ""
		}
		if e.Hint != "" {
			return e.Hint
		}
		err = e.Err
	}
	return ""
}
