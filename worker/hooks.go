package worker

import (
	"context"
	"slices"
)

// guardedHook calls a hook in the caller's goroutine. A panic becomes its error.
func guardedHook(ctx context.Context, hook func(context.Context) error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = newPanicError(v)
		}
	}()
	return hook(ctx)
}

// hooks calls hooks in reverse order, each with a deadline of its own. After a second Stop it does
// not wait for them.
func (r *Runner) hooks(ctx context.Context, kind string, list []func(context.Context) error) {
	for _, hook := range slices.Backward(list) {
		hurried, cancel := context.WithCancel(context.WithoutCancel(ctx))
		ended := make(chan struct{})
		go func() { // ends with the hook, or after callbackWithin
			defer close(ended)
			r.callbacks.report(kind, r.callbacks.run(hurried, kind, callbackWithin, hook))
		}()
		select {
		case <-ended:
		case <-r.hurry:
		}
		cancel()
	}
}
