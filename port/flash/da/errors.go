package da

import (
	_ "embed"
	"fmt"
	"sync"

	"mtkport"
)

// Status is one error of SP Flash Tool, which is also what the agent itself
// sends. Numbers moved between the tool's generations; names did not.
type Status struct {
	Name  string `yaml:"name" json:"name"`
	No    int    `yaml:"no" json:"no"` // smartphone generation
	When  string `yaml:"when" json:"when"`
	Cause string `yaml:"cause" json:"cause"`
	Hint  string `yaml:"hint" json:"hint"`
}

//go:embed errors.yaml
var errorsYAML []byte

var statuses = sync.OnceValues(func() ([]Status, error) {
	var list []Status
	if err := mtkport.ParseYAML(errorsYAML, &list); err != nil {
		return nil, fmt.Errorf("errors.yaml: %w", err)
	}
	return list, nil
})

// Statuses lists the errors known.
func Statuses() []Status {
	list, _ := statuses() // a test proves that the embedded file parses
	return list
}

// ByNumber finds an error by its number.
func ByNumber(no int) (Status, bool) {
	for _, s := range Statuses() {
		if s.No == no {
			return s, true
		}
	}
	return Status{}, false
}

// ByName finds an error by its name, with or without its prefix S_ and the like.
func ByName(name string) (Status, bool) {
	for _, s := range Statuses() {
		if s.Name == name {
			return s, true
		}
	}
	return Status{}, false
}
