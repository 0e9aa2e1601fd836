package queue

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"

	"github.com/kyujobs/kyu/queue/envelope"
)

// Args are the arguments of the jobs of one class: a struct whose exported fields are the
// positional arguments, in order. A push and worker.HandleArgs share it, so a pusher and a handler
// cannot disagree. The tags are those of worker.Handle: `job:"optional"`, `job:"rest"` and
// `job:"-"`.
type Args interface {
	// JobClass is the class of the jobs: a Ruby constant, if Ruby runs or pushes them too. It
	// must not depend on the fields.
	JobClass() string
}

// Push stores a job of the class of args, as Client.Push does, and returns its JID. Options may
// be left out. Trailing optional arguments that are zero are not sent. An *InvalidError means
// that args are not a struct, or that a tag is wrong.
func Push(ctx context.Context, c *Client, args Args, options ...Options) (jid string, err error) {
	list, err := positional(args)
	if err != nil {
		return "", err
	}
	return c.Push(ctx, args.JobClass(), list, oneOf(options))
}

// PushAll pushes a job for each element of list, in order, as Client.PushBulk does, and returns
// their JIDs. Options may be left out. Nothing is pushed if one element cannot be sent.
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
	return c.PushBulk(ctx, list[0].JobClass(), all, oneOf(options))
}

func oneOf(options []Options) (o Options) {
	if len(options) > 0 {
		o = options[0]
	}
	return o
}

// positional gives the arguments that args stand for.
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
