//go:build failpoints

package failpoint

import (
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Enabled is true in a program that is built with failpoints.
const Enabled = true

// plan is a part of KYU_FAILPOINTS, which is a list of NAME=ACTION[:MS][@N] with commas.
// The action happens once, when the point is passed for the N-th time (default: the first).
// MS is in milliseconds.
//
//	kill       kill -9 of the process by itself
//	stop       SIGSTOP of the process by itself
//	sleep:MS   the goroutine sleeps
//	block      the goroutine blocks for ever
//	panic      the goroutine panics
type plan struct {
	action string
	pause  time.Duration // of sleep
	left   int           // times until the action happens
}

var (
	mu    sync.Mutex
	plans = read(os.Getenv("KYU_FAILPOINTS"))
)

func read(text string) map[string]*plan {
	all := map[string]*plan{}
	for _, part := range strings.FieldsFunc(text, func(r rune) bool { return r == ',' }) {
		name, rest, _ := strings.Cut(part, "=")
		rest, nth, counted := strings.Cut(rest, "@")
		action, ms, _ := strings.Cut(rest, ":")
		p := &plan{action: action, left: 1}
		if counted {
			p.left, _ = strconv.Atoi(nth)
		}
		pause, _ := strconv.Atoi(ms)
		p.pause = time.Duration(pause) * time.Millisecond
		if !slices.Contains(Names, name) ||
			!slices.Contains([]string{"kill", "stop", "sleep", "block", "panic"}, action) {
			panic(fmt.Sprintf("KYU_FAILPOINTS: %q: want NAME=ACTION[:MS][@N], of %v", part, Names))
		}
		all[name] = p
	}
	return all
}

// Hit passes a point.
func Hit(name string) {
	mu.Lock()
	p := plans[name]
	if p == nil || p.left <= 0 {
		mu.Unlock()
		return
	}
	p.left--
	now := p.left == 0
	mu.Unlock()
	if !now {
		return
	}
	switch p.action {
	case "kill":
		syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {} // until the signal arrives
	case "stop":
		syscall.Kill(os.Getpid(), syscall.SIGSTOP)
	case "sleep":
		time.Sleep(p.pause)
	case "block":
		select {}
	case "panic":
		panic("failpoint " + name)
	}
}

// Conn returns a connection that passes a point when a command has been written. name
// returns the point of a command, or "".
func Conn(c net.Conn, name func(command []byte) string) net.Conn { return conn{c, name} }

type conn struct {
	net.Conn
	name func([]byte) string
}

func (c conn) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	if point := c.name(b); point != "" && err == nil {
		Hit(point)
	}
	return n, err
}
