package main

import (
	"context"
	"os"
	"runtime/pprof"

	"github.com/kyujobs/kyu/cli"
	"github.com/kyujobs/kyu/internal/testjobs"
)

func main() {
	f, _ := os.Create("/tmp/cpu.prof")
	pprof.StartCPUProfile(f)
	app := cli.New("worker")
	app.Flags.Bool("test-jobs", false, "")
	testjobs.Register(app.Mux, nil)
	app.Run(context.Background(), os.Args[1:])
	pprof.StopCPUProfile()
}
