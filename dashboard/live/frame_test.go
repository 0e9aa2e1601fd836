package live

import (
	"bytes"
	"strings"
	"testing"
)

// parse reads a block as EventSource does: the fields, and the lines of data with ends of lines
// between them.
func parse(block []byte) (fields map[string]string, data string) {
	fields = map[string]string{}
	var lines []string
	block = bytes.ReplaceAll(bytes.ReplaceAll(block, []byte("\r\n"), []byte("\n")),
		[]byte("\r"), []byte("\n"))
	for line := range strings.SplitSeq(string(block), "\n") {
		name, value, _ := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		if name == "data" {
			lines = append(lines, value)
		} else if name != "" {
			fields[name] = value
		}
	}
	return fields, strings.Join(lines, "\n")
}

func TestFrame(t *testing.T) {
	t.Parallel()
	t.Run("a state has its id, its kind and its bytes", func(t *testing.T) {
		fields, data := parse(stateFrame([]byte(`{"n":1}`)).bytes)
		if len(fields) != 2 || len(fields["id"]) != 16 || fields["event"] != "state" ||
			data != `{"n":1}` {
			t.Errorf("%v, %s", fields, data)
		}
	})
	t.Run("lines of JSON become lines of data", func(t *testing.T) {
		fields, data := parse(stateFrame([]byte("{\r\n\"n\":\n\n1}\r\n")).bytes)
		if len(fields) != 2 || data != "{\n\"n\":\n1}" {
			t.Errorf("%v, %q", fields, data)
		}
	})
	t.Run("the same state has the same id, another state another", func(t *testing.T) {
		a, b, c := stateFrame([]byte("1")), stateFrame([]byte("1")), stateFrame([]byte("2"))
		if a.id != b.id || a.id == c.id {
			t.Errorf("%s, %s, %s", a.id, b.id, c.id)
		}
	})
	t.Run("trouble makes a client forget the id", func(t *testing.T) {
		fields, data := parse(trouble.bytes)
		if id, ok := fields["id"]; !ok || id != "" || fields["event"] != "trouble" || data == "" {
			t.Errorf("%v, %s", fields, data)
		}
	})
}

func FuzzFrame(f *testing.F) {
	f.Add([]byte(`{"a":"b"}`))
	f.Add([]byte("1\n\nevent: bye\r\rdata: x"))
	f.Fuzz(func(t *testing.T, state []byte) {
		fields, _ := parse(stateFrame(state).bytes)
		if len(fields) != 2 || fields["event"] != "state" {
			t.Errorf("a state makes fields: %q", fields)
		}
		if n := bytes.Count(stateFrame(state).bytes, []byte("\n\n")); n != 1 {
			t.Errorf("a state is %d blocks", n)
		}
	})
}
