package mtkport

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/goccy/go-yaml"
)

// maxYAMLDepth bounds how deep lists and maps may nest: ours go five deep. The
// library's time and memory grow with the square of the depth.
const maxYAMLDepth = 64

// tooDeep returns the line on which more lists and maps open in a row, or more
// marks (list entries, anchors, tags, questions) follow each other, than any of our
// documents has; 0 for none. Quotes are not looked at.
func tooDeep(b []byte) int {
	line, open, marks := 1, 0, 0
	opened, between := false, true // on this line; words
	for _, c := range b {
		switch c {
		case '[', '{':
			open, opened = open+1, true
		case ']', '}':
			open = 0
		case '\n':
			if !opened {
				open = 0
			}
			line, marks, opened = line+1, 0, false
		}
		space := c == ' ' || c == '\t' || c == '\n'
		if between && !space {
			if marks++; strings.IndexByte("-?:&*!", c) < 0 {
				marks = 0
			}
		}
		between = space
		if open > maxYAMLDepth || marks > maxYAMLDepth {
			return line
		}
	}
	return 0
}

// ParseYAML reads one YAML document into v. A key that v has no field for is an
// error; an empty document is none. The error is one line, and begins with
// the place as the library tells it: "[line:column]".
func ParseYAML(b []byte, v any) (err error) {
	if line := tooDeep(b); line > 0 {
		return fmt.Errorf("[%d:1] lists or maps nested more than %d deep", line, maxYAMLDepth)
	}
	// The library panics on some documents (an anchor or a tag with nothing
	// behind it where a list belongs): to the caller that is a bad document.
	defer func() {
		if recover() != nil {
			err = errors.New("a document that the YAML reader cannot take")
		}
	}()
	err = yaml.UnmarshalWithOptions(b, v, yaml.Strict())
	if err == nil || errors.Is(err, io.EOF) {
		return nil
	}
	msg, _, _ := strings.Cut(err.Error(), "\n") // it draws the place over several lines
	return errors.New(strings.TrimSpace(msg))
}
