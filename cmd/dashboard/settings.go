package main

import (
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/kyujobs/kyu/dashboard"
	"github.com/kyujobs/kyu/internal/env"
	"github.com/kyujobs/kyu/queue"
	"github.com/spf13/pflag"
)

const usage = `The dashboard shows the queues, jobs and processes in a browser, and changes them.

Usage:
  dashboard [--listen ADDRESS] [--base PATH] [--read-only]

Flags:
`

const environment = `
Environment:
  REDIS_URL and the other variables of Redis, as workerctl and the worker read them.
`

// settings are what the flags and the environment say.
type settings struct {
	listen   string
	base     string
	readOnly bool
	version  bool
	redis    queue.Config
}

func newFlags(s *settings) *pflag.FlagSet {
	f := pflag.NewFlagSet("dashboard", pflag.ContinueOnError)
	f.SortFlags = false
	f.Usage = func() {}
	f.StringVar(&s.listen, "listen", "127.0.0.1:9292", "the `ADDRESS` of the pages: a loopback "+
		"address and a port")
	f.StringVar(&s.base, "base", "", "the `PATH` below which the pages are, such as /kyu")
	f.BoolVar(&s.readOnly, "read-only", false, "nobody can change anything")
	f.BoolVar(&s.version, "version", false, "print the version and exit")
	return f
}

// readSettings reads the flags and the environment. The error has all problems, one in each line.
func readSettings(args []string, r *env.Reader) (*settings, error) {
	s := &settings{}
	f := newFlags(s)
	if err := f.Parse(args); err != nil {
		return nil, err
	}
	if s.version {
		return s, nil
	}
	var problems []error
	if f.NArg() > 0 {
		problems = append(problems, fmt.Errorf("%q: want only flags", strings.Join(f.Args(), " ")))
	}
	s.redis = queue.ConfigFromEnv(r)
	problems = append(problems, checkListen(s.listen), dashboard.CheckBase(s.base), r.Err())
	return s, errors.Join(problems...)
}

// checkListen wants a loopback address: everybody who can connect can change everything.
func checkListen(address string) error {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("--listen %q: want HOST:PORT, such as 127.0.0.1:9292", address)
	}
	if !isLoopback(host) {
		return fmt.Errorf("--listen %q: everybody who can connect there could change everything; "+
			"listen on 127.0.0.1, and reach it by `ssh -L 9292:127.0.0.1:9292 HOST`", address)
	}
	return nil
}

// isLoopback reports whether a host is this machine, which only its own users reach.
func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
