package kernel

import (
	"bufio"
	"bytes"
	"io"
	"sort"
	"strings"

	"github.com/klauspost/compress/gzip"

	"mtkport"
)

// Option is one option of a kernel's configuration.
type Option struct {
	Name     string     `json:"name"`  // CONFIG_EXT4_FS, or a name of ProjectConfig.mk
	Value    string     `json:"value"` // y, m, n, a number, a quoted string; ProjectConfig: as written
	Inferred bool       `json:"inferred"`
	Evidence []Evidence `json:"evidence,omitempty"` // of an inferred option
}

// ConfigSource is where a configuration came from.
type ConfigSource string

// The sources.
const (
	Embedded      ConfigSource = "embedded"         // the kernel carries it (IKCONFIG)
	InferredFrom  ConfigSource = "inferred"         // from symbols, strings and parameters
	DotConfig     ConfigSource = ".config"          // a file of the build
	ProjectConfig ConfigSource = "ProjectConfig.mk" // MediaTek's file of the build
)

// Config is the configuration of a kernel or a project.
type Config struct {
	Source  ConfigSource
	Off     int64  // of the embedded configuration in the unpacked kernel, bytes; -1 otherwise
	Text    []byte // as the build wrote it; nil when inferred
	Options []Option
	byName  map[string]int
}

const maxConfig = 2 << 20

// Lookup finds an option by its whole name.
func (c *Config) Lookup(name string) (Option, bool) {
	i, ok := c.byName[name]
	if !ok {
		return Option{}, false
	}
	return c.Options[i], true
}

func (c *Config) index() *Config {
	c.byName = make(map[string]int, len(c.Options))
	for i, o := range c.Options {
		c.byName[o.Name] = i
	}
	return c
}

// Config returns the embedded configuration, or, when the kernel carries none,
// what its symbols, strings and parameters show of it.
func (k *Kernel) Config() *Config {
	k.cfgOnce.Do(func() {
		if k.config = k.embeddedConfig(); k.config == nil {
			k.config = k.inferConfig()
		}
	})
	return k.config
}

// Marks around the embedded configuration (kernel/configs.c).
const (
	configStart = "IKCFG_ST"
	configEnd   = "IKCFG_ED"
)

func (k *Kernel) embeddedConfig() *Config {
	b := k.image.data
	for at := 0; ; {
		n := bytes.Index(b[at:], []byte(configStart))
		if n < 0 {
			return nil
		}
		at += n + len(configStart)
		end := bytes.Index(b[at:], []byte(configEnd))
		if end < 0 {
			return nil
		}
		z, err := gzip.NewReader(bytes.NewReader(b[at : at+end]))
		if err != nil {
			continue
		}
		text, err := drain(z, maxConfig, 0, alone)
		if err != nil {
			continue
		}
		c := parseDotConfig(text)
		c.Source, c.Off = Embedded, int64(at)
		return c
	}
}

// ParseConfig reads a .config or a ProjectConfig.mk, told apart by its lines.
func ParseConfig(r io.Reader) (*Config, error) {
	text, err := io.ReadAll(io.LimitReader(r, maxConfig+1))
	if err != nil {
		return nil, err
	}
	if len(text) <= maxConfig && !bytes.ContainsRune(text, 0) {
		if c := parseDotConfig(text); len(c.Options) > 0 {
			return c, nil
		}
		if c := parseProjectConfig(text); len(c.Options) > 0 {
			return c, nil
		}
	}
	return nil, &mtkport.Error{Off: mtkport.NoOffset, Field: "configuration", Found: "no option", Want: "a .config or a ProjectConfig.mk", Err: mtkport.ErrFormat}
}

// parseDotConfig reads `CONFIG_X=value` and `# CONFIG_X is not set`.
func parseDotConfig(text []byte) *Config {
	c := &Config{Source: DotConfig, Off: -1, Text: text}
	eachLine(text, func(line string) {
		if name, ok := strings.CutPrefix(line, "# CONFIG_"); ok {
			if name, ok = strings.CutSuffix(name, " is not set"); ok {
				c.Options = append(c.Options, Option{Name: "CONFIG_" + name, Value: "n"})
			}
			return
		}
		if name, value, ok := strings.Cut(line, "="); ok && strings.HasPrefix(name, "CONFIG_") {
			c.Options = append(c.Options, Option{Name: strings.TrimSpace(name), Value: strings.TrimSpace(value)})
		}
	})
	return c.index()
}

// parseProjectConfig reads `NAME = value`, with comments after #.
func parseProjectConfig(text []byte) *Config {
	c := &Config{Source: ProjectConfig, Off: -1, Text: text}
	eachLine(text, func(line string) {
		line, _, _ = strings.Cut(line, "#")
		name, value, ok := strings.Cut(line, "=")
		name = strings.TrimRight(strings.TrimSpace(name), ":+? ")
		if ok && identifier(name) {
			c.Options = append(c.Options, Option{Name: name, Value: strings.TrimSpace(value)})
		}
	})
	return c.index()
}

func eachLine(text []byte, do func(line string)) {
	s := bufio.NewScanner(bytes.NewReader(text))
	s.Buffer(nil, maxConfig+1)
	for s.Scan() {
		do(strings.TrimSpace(s.Text()))
	}
}

// sorted returns the options by name.
func (c *Config) sorted() []Option {
	out := append([]Option(nil), c.Options...)
	sort.SliceStable(out, func(i, j int) bool { return out[i].Name < out[j].Name })
	return out
}
