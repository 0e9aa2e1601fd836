package worker

import (
	"context"
	"slices"
)

// guardedHook runs a hook here and now; a panic is its error.
func guardedHook(ctx context.Context, hook func(context.Context) error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = newPanicError(v)
		}
	}()
	return hook(ctx)
}

// hooks runs hooks in reverse order, each with its deadline. After a second Stop nobody
// waits for them.
func (r *Runner) hooks(ctx context.Context, kind string, list []func(context.Context) error) {
	for _, hook := range slices.Backward(list) {
		hurried, cancel := context.WithCancel(context.WithoutCancel(ctx))
		ended := make(chan struct{})
		go func() { // ends with the hook, or with the hook's time
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
