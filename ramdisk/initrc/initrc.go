// Package initrc reads Android's init scripts (init.rc and the files it
// imports): services, triggers and commands, each with its line, and edits
// single exports in place.
//
//	f := initrc.Parse(b)
//	for _, s := range f.Services { fmt.Println(s.Name, s.Binary()) }
//
// It follows system/core/init/parser.c of Android 4.2–5.x: one statement a
// line, "#" begins a comment where a word could begin, a backslash at the end
// joins lines, double quotes group.
package initrc

import (
	"bytes"
	"strings"
)

// Command is one statement of a trigger.
type Command struct {
	Line int      // 1-based
	Args []string // Args[0] is the command
}

// Trigger is an `on` section.
type Trigger struct {
	Line     int
	Name     string // "boot", "property:ro.debuggable=1", "fs_property:ro.mount.fs=EXT4"
	Commands []Command
}

// Service is a `service` section.
type Service struct {
	Line    int
	Name    string
	Args    []string // program and its arguments
	Options []Command
}

// Binary is the program of the service, "" when the line is cut.
func (s Service) Binary() string {
	if len(s.Args) == 0 {
		return ""
	}
	return s.Args[0]
}

// Option returns the arguments of an option ("user", "class", …).
func (s Service) Option(name string) ([]string, bool) {
	for _, o := range s.Options {
		if o.Args[0] == name {
			return o.Args[1:], true
		}
	}
	return nil, false
}

// File is one init script.
type File struct {
	Imports  []string
	Triggers []Trigger
	Services []Service

	raw []byte
}

// Parse reads a script. Nothing is refused: what init would skip with a
// complaint is skipped here.
func Parse(b []byte) *File {
	f := &File{raw: bytes.Clone(b)}
	var trigger *Trigger
	var service *Service
	for _, st := range statements(b) {
		switch st.Args[0] {
		case "import":
			f.Imports = append(f.Imports, st.Args[1:]...)
			trigger, service = nil, nil
		case "on":
			f.Triggers = append(f.Triggers, Trigger{Line: st.Line, Name: strings.Join(st.Args[1:], " ")})
			trigger, service = &f.Triggers[len(f.Triggers)-1], nil
		case "service":
			s := Service{Line: st.Line}
			if len(st.Args) > 1 {
				s.Name, s.Args = st.Args[1], st.Args[2:]
			}
			f.Services = append(f.Services, s)
			trigger, service = nil, &f.Services[len(f.Services)-1]
		default:
			switch {
			case trigger != nil:
				trigger.Commands = append(trigger.Commands, st)
			case service != nil:
				service.Options = append(service.Options, st)
			}
		}
	}
	return f
}

// statements splits a script into its lines' words.
func statements(b []byte) []Command {
	var out []Command
	var cur Command
	lines := strings.Split(string(b), "\n")
	for i := 0; i < len(lines); i++ {
		if len(cur.Args) == 0 {
			cur.Line = i + 1
		}
		text := strings.TrimSuffix(lines[i], "\r")
		joined := strings.HasSuffix(text, "\\")
		cur.Args = append(cur.Args, words(strings.TrimSuffix(text, "\\"))...)
		if joined && i+1 < len(lines) {
			continue
		}
		if len(cur.Args) > 0 {
			out = append(out, cur)
		}
		cur = Command{}
	}
	return out
}

func words(s string) []string {
	var out []string
	for {
		s = strings.TrimLeft(s, " \t\r")
		if s == "" || s[0] == '#' {
			return out
		}
		var w strings.Builder
		quoted := false
		i := 0
		for ; i < len(s); i++ {
			c := s[i]
			if c == '"' {
				quoted = !quoted
				continue
			}
			if !quoted && (c == ' ' || c == '\t') {
				break
			}
			w.WriteByte(c)
		}
		out = append(out, w.String())
		s = s[i:]
	}
}

// Commands returns every command of the given name in the order of the file,
// with the trigger that runs it.
func (f *File) Commands(name string) []Run {
	var out []Run
	for _, t := range f.Triggers {
		for _, c := range t.Commands {
			if c.Args[0] == name {
				out = append(out, Run{t.Name, c})
			}
		}
	}
	return out
}

// Run is a command with the trigger that runs it.
type Run struct {
	Trigger string
	Command
}

// Exports returns the values that `export KEY VALUE` gives key, each once, in
// order.
func (f *File) Exports(key string) []string {
	var out []string
	seen := map[string]bool{}
	for _, r := range f.Commands("export") {
		if len(r.Args) >= 3 && r.Args[1] == key && !seen[r.Args[2]] {
			seen[r.Args[2]] = true
			out = append(out, r.Args[2])
		}
	}
	return out
}

// SetExport gives every `export KEY …` of the script the value, leaves every
// other byte, and returns the script and how many lines it changed.
func SetExport(b []byte, key, value string) ([]byte, int) {
	n := 0
	var out bytes.Buffer
	for len(b) > 0 {
		i := bytes.IndexByte(b, '\n') + 1
		if i == 0 {
			i = len(b)
		}
		l := b[:i]
		b = b[i:]
		w := words(string(bytes.TrimRight(l, "\r\n")))
		if len(w) < 3 || w[0] != "export" || w[1] != key || w[2] == value {
			out.Write(l)
			continue
		}
		n++
		at := bytes.Index(l, []byte(key)) + len(key)
		for at < len(l) && (l[at] == ' ' || l[at] == '\t') {
			at++
		}
		end := len(bytes.TrimRight(l, "\r\n"))
		out.Write(l[:at])
		out.WriteString(value)
		out.Write(l[end:])
	}
	return out.Bytes(), n
}

// Bytes returns the script as it was parsed.
func (f *File) Bytes() []byte { return f.raw }
