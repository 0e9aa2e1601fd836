// Command hello is a whole worker program: flags, sidekiq.yml, signals, systemd
// and logs are cli's. Try it:
//
//	go run ./examples/hello --dev
package main

import (
	"context"
	"fmt"

	"github.com/kyujobs/kyu/cli"
	"github.com/kyujobs/kyu/worker"
)

// Greeting are the arguments of a Greeter job, in their order.
type Greeting struct {
	Name  string
	Times int `job:"optional"`
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
