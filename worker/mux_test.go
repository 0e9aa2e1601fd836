package worker

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/kyujobs/kyu/queue"
)

type greeting struct {
	Name  string
	Times int `job:"optional"`
}

func (greeting) JobClass() string { return "Greeter" }

func TestHandleArgs(t *testing.T) {
	t.Parallel()
	t.Run("gives the handler the struct that was pushed", func(t *testing.T) {
		mux, got := NewMux(), greeting{}
		HandleArgs(mux, func(_ context.Context, g greeting) error { got = g; return nil })
		if err := mux.Run(t.Context(), `{"class":"Greeter","args":["Ai",2]}`); err != nil {
			t.Fatal(err)
		}
		if want := (greeting{"Ai", 2}); got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
	})
	t.Run("refuses a pointer when the program starts", func(t *testing.T) {
		wantPanic(t, "takes a struct", func() {
			HandleArgs(NewMux(), func(context.Context, *greeting) error { return nil })
		})
	})
}

// wantPanic fails the test unless fn panics with a text that contains part.
func wantPanic(t *testing.T, part string, fn func()) {
	t.Helper()
	defer func() {
		if v := recover(); v == nil || !strings.Contains(fmt.Sprint(v), part) {
			t.Errorf("panic %v, want one with %q", v, part)
		}
	}()
	fn()
}

func TestMux(t *testing.T) {
	t.Parallel()
	t.Run("refuses a second handler of a class when the program starts", func(t *testing.T) {
		mux := NewMux()
		Handle(mux, "Job", func(context.Context, string) error { return nil })
		wantPanic(t, "has a handler already", func() {
			Handle(mux, "Job", func(context.Context, string) error { return nil })
		})
	})
	t.Run("wraps handlers in middleware, the first outermost", func(t *testing.T) {
		mux, order := NewMux(), new(list)
		layer := func(name string) Middleware {
			return func(next Handler) Handler {
				return func(ctx context.Context, j *queue.Job) error {
					order.add(name)
					defer order.add("/" + name)
					return next(ctx, j)
				}
			}
		}
		mux.HandleJob("Job", func(ctx context.Context, _ *queue.Job) error {
			return order.adds("job")(ctx)
		})
		mux.Use(layer("outer"), layer("inner"))
		if err := mux.Run(t.Context(), `{"class":"Job","args":[]}`); err != nil {
			t.Fatal(err)
		}
		if got := order.String(); got != "outer inner job /inner /outer" {
			t.Errorf("called %s", got)
		}
	})
	t.Run("returns errors of Run that name the problem", func(t *testing.T) {
		mux := NewMux()
		HandleArgs(mux, func(context.Context, greeting) error { panic("oh no") })
		var args *ArgumentError
		if err := mux.Run(t.Context(), `{"class":"Greeter","args":[]}`); !errors.As(err, &args) {
			t.Errorf("too few arguments: %v", err)
		}
		var panicked *PanicError
		err := mux.Run(t.Context(), `{"class":"Greeter","args":["Ai"]}`)
		if !errors.As(err, &panicked) || panicked.Value != "oh no" {
			t.Errorf("a panic: %v", err)
		}
		var unknown *UnknownClassError
		err = mux.Run(t.Context(), `{"class":"Other","args":[]}`)
		if !errors.As(err, &unknown) || !strings.Contains(err.Error(), "knows Greeter") {
			t.Errorf("an unknown class: %v", err)
		}
	})
}
