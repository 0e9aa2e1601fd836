// Command hello is a complete worker program. Package cli handles its flags, sidekiq.yml,
// signals, systemd and logs. Try it:
//
//	go run ./examples/hello --dev
package main

import (
	"context"
	"fmt"

	"github.com/kyujobs/kyu/cli"
	"github.com/kyujobs/kyu/worker"
)

// Greeting holds the arguments of a Greeter job, in order.
type Greeting struct {
	Name  string
	Times int `job:"optional"` // 0: once
}

func greet(_ context.Context, g Greeting) error {
	for range max(g.Times, 1) {
		fmt.Println("Hello,", g.Name)
	}
	return nil
}

func main() {
	app := cli.New("hello")
	worker.Handle(app.Mux, "Greeter", greet)
	app.Main()
}
