package mtkport

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"

	"github.com/goccy/go-yaml"
)

// maxYAMLDepth bounds how deep lists and maps may nest: ours go five deep. The
// library's time and memory grow with the square of the depth.
const maxYAMLDepth = 64

// stacked matches more openings in a row than any of our documents has: of lists
// and maps, or of anchors, tags and questions.
var stacked = regexp.MustCompile(fmt.Sprintf(`(?:[\[{](?:[^][{}\n]*\n?)){%d}|(?:(?:[-?:]|[&*!][^\s]*)[ \t]+){%[1]d}`, maxYAMLDepth))

// ParseYAML reads one YAML document into v. A key that v has no field for is an
// error; an empty document is none. The error is one line, and begins with
// the place as the library tells it: "[line:column]".
func ParseYAML(b []byte, v any) (err error) {
	if at := stacked.FindIndex(b); at != nil {
		return fmt.Errorf("[%d:1] lists or maps nested more than %d deep", 1+bytes.Count(b[:at[0]], []byte("\n")), maxYAMLDepth)
	}
	// The library panics on some documents (an anchor or a tag with nothing
	// behind it where a list belongs): to the caller that is a bad document.
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("a document that the YAML reader cannot take: %v", p)
		}
	}()
	err = yaml.UnmarshalWithOptions(b, v, yaml.Strict())
	if err == nil || errors.Is(err, io.EOF) {
		return nil
	}
	msg, _, _ := strings.Cut(err.Error(), "\n") // it draws the place over several lines
	return errors.New(strings.TrimSpace(msg))
}
