package mtkport

import "fmt"

// Severity weighs a finding.
type Severity int

// The three weights, in rising order.
const (
	Note    Severity = iota // worth knowing
	Risk                    // may misbehave
	Blocker                 // will not work, or must not be done
)

var severityNames = [...]string{"note", "risk", "blocker"}

// String returns note, risk or blocker.
func (s Severity) String() string {
	if s < 0 || int(s) >= len(severityNames) {
		return fmt.Sprintf("severity(%d)", int(s))
	}
	return severityNames[s]
}

// MarshalText makes the name the form in JSON and YAML.
func (s Severity) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads the name back.
func (s *Severity) UnmarshalText(b []byte) error {
	for i, n := range severityNames {
		if n == string(b) {
			*s = Severity(i)
			return nil
		}
	}
	return fmt.Errorf("severity %q: want note, risk or blocker", b)
}

// Finding is one difference or danger, with what proves it and what to do.
type Finding struct {
	Code     string     `json:"code" yaml:"code"`                             // stable, kebab-case; docs and tests use it
	Severity Severity   `json:"severity" yaml:"severity"`                     // note, risk, blocker
	Subject  string     `json:"subject,omitempty" yaml:"subject,omitempty"`   // the partition, path, driver it is about
	Text     string     `json:"text" yaml:"text"`                             // one sentence
	Evidence []Evidence `json:"evidence,omitempty" yaml:"evidence,omitempty"` // where it was seen
	Symptom  string     `json:"symptom,omitempty" yaml:"symptom,omitempty"`   // what a user of the phone would see
	Fix      string     `json:"fix,omitempty" yaml:"fix,omitempty"`           // what to do
}

// Evidence is one place where a fact was read.
type Evidence struct {
	Side  string `json:"side,omitempty" yaml:"side,omitempty"`     // donor, target, or empty
	File  string `json:"file,omitempty" yaml:"file,omitempty"`     // file, or path inside a ROM
	Off   *int64 `json:"offset,omitempty" yaml:"offset,omitempty"` // bytes; nil when no byte can be named
	Value string `json:"value" yaml:"value"`                       // what was read there
}

// At returns a pointer to off, for Evidence.Off.
func At(off int64) *int64 { return &off }
