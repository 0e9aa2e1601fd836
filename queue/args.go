package queue

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"

	"github.com/kyujobs/kyu/queue/envelope"
)

// Args are the arguments of the jobs of one class: a struct whose exported fields are the
// positional arguments, in order. Push and worker.HandleArgs share the type, so a pusher and a
// handler agree on the arguments. The tags are those of worker.Handle: `job:"optional"`,
// `job:"rest"` and `job:"-"`.
type Args interface {
	// JobClass returns the class of the jobs. If Ruby runs or pushes them too, it is the name of
	// the Ruby class. It must not depend on the fields.
	JobClass() string
}

// Push pushes a job of the class of args and returns its JID, or an error of Client.Push. Options
// may be left out. Trailing optional arguments that are zero are not sent. An *InvalidError means
// that args are no struct, or that a tag is wrong.
func Push(ctx context.Context, c *Client, args Args, options ...Options) (jid string, err error) {
	list, err := positional(args)
	if err != nil {
		return "", err
	}
	return c.Push(ctx, args.JobClass(), list, firstOf(options))
}

// PushAll pushes a job for each element of list, in order, and returns their JIDs, or an error of
// Client.PushBulk. Options may be left out. If an element is no struct or has a wrong tag, nothing
// is pushed.
func PushAll[A Args](ctx context.Context, c *Client, list []A,
	options ...Options) (jids []string, err error) {
	if len(list) == 0 {
		return nil, nil
	}
	all := make([][]any, len(list))
	for i, args := range list {
		if all[i], err = positional(args); err != nil {
			return nil, err
		}
	}
	return c.PushBulk(ctx, list[0].JobClass(), all, firstOf(options))
}

// firstOf returns the first options, or the zero Options.
func firstOf(options []Options) (o Options) {
	if len(options) > 0 {
		o = options[0]
	}
	return o
}

// positional returns the fields of args as a list.
func positional(args Args) ([]any, error) {
	v := reflect.ValueOf(args)
	if v.Kind() == reflect.Pointer && !v.IsNil() {
		v = v.Elem()
	}
	if v.Kind() != reflect.Struct {
		return nil, &InvalidError{"args", fmt.Sprintf("%T: want a struct", args)}
	}
	if _, own := args.(json.Marshaler); own {
		return nil, &InvalidError{"args", fmt.Sprintf("%T has a MarshalJSON of its own: push "+
			"its arguments with Client.Push", args)}
	}
	plan, err := envelope.PlanOf(v.Type())
	if err != nil {
		return nil, &InvalidError{"args", err.Error()}
	}
	return plan.Values(v), nil
}
