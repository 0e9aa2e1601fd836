package testjobs

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/envelope"
	"github.com/kyujobs/kyu/worker"
)

// record writes a line about a job to the file TEST_RECORD, as the Ruby classes of the same names
// do: the job as it arrived, and the Ruby types of its arguments.
func record(ctx context.Context, event string) error {
	path := os.Getenv("TEST_RECORD")
	if path == "" {
		return fmt.Errorf("TEST_RECORD is not set: it names the file that the Test:: jobs write to")
	}
	j := queue.JobFrom(ctx)
	_, args := j.Unwrapped()
	list, err := envelope.SplitArgs(args)
	if err != nil {
		return err
	}
	types := []string{}
	for _, a := range list {
		types = append(types, rubyType(string(a)))
	}
	var line bytes.Buffer
	e := json.NewEncoder(&line)
	e.SetEscapeHTML(false) // the arguments as they came
	if err := e.Encode(map[string]any{"by": "go", "event": event, "jid": j.JID, "args": args,
		"types": types,
		"attrs": j.CurrentAttributes(), "job": json.RawMessage(j.Raw())}); err != nil {
		return err
	}
	worker.LogFrom(ctx).Debug("recorded", "event", event)
	return appendLine(path, strings.TrimSpace(line.String()))
}

// rubyType is the class that Ruby would give a JSON token.
func rubyType(token string) string {
	switch {
	case token[0] == '"':
		return "String"
	case token[0] == '[':
		return "Array"
	case token[0] == '{':
		return "Hash"
	case token == "null":
		return "NilClass"
	case token == "true":
		return "TrueClass"
	case token == "false":
		return "FalseClass"
	case strings.ContainsAny(token, ".eE"):
		return "Float"
	default:
		return "Integer"
	}
}

// appendLine writes a line with one write to a file opened for appending, so
// that lines of several processes do not mix and what was written survives a
// kill.
func appendLine(path, line string) error {
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = f.WriteString(line + "\n")
	return err
}

func slow(ctx context.Context, a millis) error {
	if err := record(ctx, "run"); err != nil {
		return err
	}
	if err := sleep(ctx, a.duration()); err != nil {
		return err
	}
	return record(ctx, "end")
}

type iterArgs struct {
	Steps int
	MS    int64
}

// iter makes Steps steps of MS milliseconds each, and records each step and each call of a
// callback.
var iter = worker.Iterable[iterArgs, int, int]{
	Items: func(_ context.Context, a iterArgs, cursor *int, yield func(int, int) bool) error {
		first := 0
		if cursor != nil {
			first = *cursor
		}
		for i := first; i < a.Steps && yield(i, i); i++ {
		}
		return nil
	},
	Each: func(ctx context.Context, a iterArgs, i int) error {
		if err := record(ctx, fmt.Sprint("step ", i)); err != nil {
			return err
		}
		return sleep(ctx, time.Duration(a.MS)*time.Millisecond)
	},
	OnStart: turn("start"), OnResume: turn("resume"), OnStop: turn("stop"),
	OnCancel: turn("cancel"), OnComplete: turn("complete"),
}

func turn(event string) func(context.Context, iterArgs) error {
	return func(ctx context.Context, _ iterArgs) error { return record(ctx, event) }
}
