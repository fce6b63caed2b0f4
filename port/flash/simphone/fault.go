package simphone

import (
	"fmt"
	"strconv"
	"strings"

	"mtkport"
)

// Dir is a direction on the cable.
type Dir int

// The directions, as the phone sees them.
const (
	In  Dir = iota // host to phone
	Out            // phone to host
)

// Message is one element of the dialogue: a command byte, a field, a packet.
type Message struct {
	Seq  int64  // counts from 1 over the phone's life
	Dir  Dir    // who sends
	What string // "READ data", "WRITE sum", "handshake", …
	Len  int    // bytes
	At   int64  // bytes moved before it, both ways, over the phone's life
}

// Act is what a hook does to a message.
type Act int

// The acts.
const (
	Pass  Act = iota
	Cut       // the cable comes off after Action.Byte bytes
	Stall     // nothing more is said or heard until the cable is off
	Short     // only Action.Byte bytes are sent
	Spoil     // one bit of what is sent is wrong
	Nack      // instead of the answer a refusal is sent
)

// Action is an act with its place.
type Action struct {
	Act  Act
	Byte int
}

// Hook decides on each message.
type Hook func(Message) Action

// fault is one condition of a text.
type fault struct {
	act  Act
	what string // prefix of Message.What, or empty
	seq  int64  // message number, or 0
	at   int64  // byte number, or -1
	nth  int64  // of messages that match what
	left int    // how often
	seen int64
}

var actNames = map[string]Act{"cut": Cut, "stall": Stall, "short": Short, "spoil": Spoil, "nack": Nack}

// ParseFaults makes a hook of a text: ACT@PLACE, several by commas. ACT is cut,
// stall, short, spoil or nack. PLACE is a byte number of all that was moved
// (cut@1048576), a message number (cut@m250), or a kind of message with the
// number of its occurrence ("spoil@READ data:3", "nack@WRITE answer"). Each
// happens once; "*" behind it makes it happen always.
func ParseFaults(s string) (Hook, error) {
	var list []*fault
	for _, f := range strings.Split(s, ",") {
		if f = strings.TrimSpace(f); f == "" {
			continue
		}
		p, err := parseFault(f)
		if err != nil {
			return nil, err
		}
		list = append(list, p)
	}
	return func(m Message) Action {
		for _, f := range list {
			if a, ok := f.hit(m); ok {
				return a
			}
		}
		return Action{}
	}, nil
}

func parseFault(s string) (*fault, error) {
	name, place, _ := strings.Cut(s, "@")
	act, ok := actNames[name]
	bad := &mtkport.Error{Off: mtkport.NoOffset, Field: "fault", Found: s, Want: "cut, stall, short, spoil or nack, then @ and a byte number, mNUMBER or the kind of a message", Err: mtkport.ErrFormat}
	if !ok || place == "" {
		return nil, bad
	}
	f := &fault{act: act, at: -1, left: 1, nth: 1}
	if p, always := strings.CutSuffix(place, "*"); always {
		place, f.left = p, 1<<30
	}
	if n, err := strconv.ParseInt(place, 0, 64); err == nil && n >= 0 {
		f.at = n
		return f, nil
	}
	if n, err := strconv.ParseInt(strings.TrimPrefix(place, "m"), 10, 64); err == nil && place[0] == 'm' && n > 0 {
		f.seq = n
		return f, nil
	}
	what, nth, many := strings.Cut(place, ":")
	f.what = what
	if many {
		n, err := strconv.ParseInt(nth, 10, 64)
		if err != nil || n < 1 {
			return nil, bad
		}
		f.nth = n
	}
	return f, nil
}

func (f *fault) hit(m Message) (Action, bool) {
	if f.left == 0 {
		return Action{}, false
	}
	byteNo := m.Len / 2
	switch {
	case f.at >= 0:
		if m.At+int64(m.Len) <= f.at || (f.act != Cut && f.act != Stall && m.Dir == In) {
			return Action{}, false
		}
		byteNo = int(max(0, f.at-m.At))
	case f.seq > 0:
		if m.Seq < f.seq {
			return Action{}, false
		}
	default:
		if !strings.HasPrefix(m.What, f.what) {
			return Action{}, false
		}
		if f.seen++; f.seen < f.nth {
			return Action{}, false
		}
	}
	f.left--
	return Action{f.act, byteNo}, true
}

// String names the message for transcripts.
func (m Message) String() string {
	arrow := ">"
	if m.Dir == Out {
		arrow = "<"
	}
	return fmt.Sprintf("%d %s %s %d", m.Seq, arrow, m.What, m.Len)
}
