package lanes

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/kyujobs/kyu/queue/envelope"
)

// WholeQueue is the lane of all jobs of a queue whose rule has no key.
const WholeQueue = "*"

// maxName is the most bytes of a lane's name. A longer value has its hash at the end.
const maxName = 200

// Key says which jobs share a lane: those with the same value at a path of the payload.
type Key struct {
	text    string
	path    []string
	filters []func(string) string
}

// filters change a value, which is a text.
var filters = map[string]func(string) string{
	"host":   host,
	"domain": func(v string) string { return strings.ToLower(v[strings.LastIndexByte(v, '@')+1:]) },
	"lower":  strings.ToLower,
}

// ParseKey parses a path with filters, such as args.2|host: the host of the URL that is the third
// argument. A path is class, args.N, args.N.NAME, or the name of a field of the payload, each with
// further names or positions from 0. The filters are host (of a URL, in lower case), domain (of a
// mail address) and lower. "" is one lane for all jobs of the queue.
func ParseKey(text string) (k Key, err error) {
	if text == "" {
		return k, nil
	}
	parts := strings.Split(text, "|")
	k.text, k.path = text, strings.Split(strings.TrimSpace(parts[0]), ".")
	if slices.Contains(k.path, "") {
		return k, fmt.Errorf("key %q: a path such as args.2 is wanted before the filters", text)
	}
	if k.path[0] == "args" {
		if len(k.path) < 2 {
			return k, fmt.Errorf("key %q: say which argument, such as args.0", text)
		}
		if n, err := strconv.Atoi(k.path[1]); err != nil || n < 0 {
			return k, fmt.Errorf("key %q: args.%s: want the position of an argument, from 0",
				text, k.path[1])
		}
	}
	for _, name := range parts[1:] {
		f := filters[strings.TrimSpace(name)]
		if f == nil {
			return k, fmt.Errorf("key %q: no filter %q: want host, domain or lower", text, name)
		}
		k.filters = append(k.filters, f)
	}
	return k, nil
}

// String returns the text of the key.
func (k Key) String() string { return k.text }

// Lane returns the lane of a payload. It is "", which has no limits, if the payload is not a job or
// has no text, number or boolean at the path.
func (k Key) Lane(payload string) string {
	if k.text == "" {
		return WholeQueue
	}
	j, err := envelope.ParseJob(payload)
	if err != nil {
		return ""
	}
	v := k.value(j)
	for _, f := range k.filters {
		v = f(v)
	}
	if len(v) > maxName {
		sum := sha256.Sum256([]byte(v))
		v = v[:maxName-17] + "#" + hex.EncodeToString(sum[:8])
	}
	return v
}

// value returns the value at the path as a text, or "".
func (k Key) value(j *envelope.Job) string {
	class, args := j.Unwrapped()
	switch k.path[0] {
	case "class":
		return class
	case "args":
		return at(args, k.path[1:])
	default:
		return at(json.RawMessage(j.Field(k.path[0])), k.path[1:])
	}
}

// at returns the value at a path of JSON as a text, or "".
func at(token json.RawMessage, path []string) string {
	for _, name := range path {
		token = member(token, name)
	}
	switch {
	case len(token) == 0 || token[0] == '{' || token[0] == '[' || string(token) == "null":
		return ""
	case token[0] == '"':
		text, _ := envelope.Unquote(string(token))
		return text
	default:
		return string(token)
	}
}

// member returns an element of an array or a member of an object, or nothing.
func member(token json.RawMessage, name string) json.RawMessage {
	if len(token) > 0 && token[0] == '[' {
		list, err := envelope.SplitArgs(token)
		n, bad := strconv.Atoi(name)
		if err != nil || bad != nil || n < 0 || n >= len(list) {
			return nil
		}
		return list[n]
	}
	var members map[string]json.RawMessage
	if json.Unmarshal(token, &members) != nil {
		return nil
	}
	return members[name]
}

// host returns the host of a URL, in lower case, without its port.
func host(v string) string {
	u, err := url.Parse(v)
	if err != nil {
		return ""
	}
	return strings.ToLower(u.Hostname())
}
