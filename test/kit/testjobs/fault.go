package testjobs

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"sync/atomic"
)

// Faults are the arguments of Test::Fault. Each of the first four ends the job, each of the others
// ends the process.
var Faults = []string{"panic", "goexit", "nilmap", "closed", "goroutine", "exit", "maps", "stack"}

// fault does one of Faults.
func fault(_ context.Context, kind string) error {
	switch kind {
	case "panic":
		panic("the job panics")
	case "goexit":
		runtime.Goexit()
	case "nilmap":
		var m map[string]int
		//lint:ignore SA5000 that is the fault
		m["x"] = 1
	case "closed":
		c := make(chan int)
		close(c)
		c <- 1
	case "goroutine":
		go panic("a goroutine that the job started panics") // no code can recover it
		select {}
	case "exit":
		os.Exit(1)
	case "maps":
		raceForMap()
	case "stack":
		debug.SetMaxStack(64 << 20) // of 1 GB, which takes long to fill
		return fmt.Errorf("deep: %d", deep(0))
	}
	return fmt.Errorf("Test::Fault: %q: want one of %v", kind, Faults)
}

// raceForMap writes to a map from many goroutines until the runtime of Go finds that and ends the
// process.
func raceForMap() {
	m := map[int]int{}
	for g := range 8 {
		go func() {
			for i := 0; ; i++ {
				m[i%100] = g
			}
		}()
	}
	select {}
}

var depth atomic.Int64

// deep overflows the stack.
func deep(n int) int {
	var room [1 << 16]byte
	room[n%len(room)] = 1
	depth.Store(int64(n))
	//lint:ignore SA5007 that is the fault
	return deep(n+1) + int(room[(n+1)%len(room)])
}

// spin is busy for ever and ignores the end of its context.
func spin(context.Context, []json.RawMessage) error {
	for i := 0; ; i++ {
		depth.Add(1)
	}
}
