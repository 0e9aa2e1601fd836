package worker

import (
	"context"
	"fmt"
	"strings"
	"testing"
)

type greeting struct {
	Name  string
	Times int `job:"optional"`
}

func (greeting) JobClass() string { return "Greeter" }

func TestHandleArgs(t *testing.T) {
	t.Run("a handler gets the struct that was pushed", func(t *testing.T) {
		mux, got := NewMux(), greeting{}
		HandleArgs(mux, func(_ context.Context, g greeting) error { got = g; return nil })
		if err := mux.Run(t.Context(), `{"class":"Greeter","args":["Ai",2]}`); err != nil {
			t.Fatal(err)
		}
		if want := (greeting{"Ai", 2}); got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
	})
	t.Run("a pointer is refused when the program starts", func(t *testing.T) {
		defer func() {
			if v := recover(); v == nil || !strings.Contains(fmt.Sprint(v), "takes a struct") {
				t.Errorf("panic %v", v)
			}
		}()
		HandleArgs(NewMux(), func(context.Context, *greeting) error { return nil })
	})
}
