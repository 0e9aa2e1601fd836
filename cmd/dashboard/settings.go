package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/kyujobs/kyu/dashboard"
	"github.com/kyujobs/kyu/dashboard/access"
	"github.com/kyujobs/kyu/internal/env"
	"github.com/kyujobs/kyu/queue"
	"github.com/spf13/pflag"
)

const usage = `The dashboard shows the queues, jobs and processes in a browser, and changes them.

Usage:
  dashboard [--listen ADDRESS] [--base PATH] [--read-only]
            [--users FILE] [--tokens FILE] [--proxy-header NAME --proxy-from ADDRESSES]
            [--stream-listen ADDRESS] [--stream-url URL]
  dashboard --stream-only --stream-listen ADDRESS --key-file FILE

Without users, tokens and a proxy that names persons, only this machine may use it, as an admin.

Flags:
`

const environment = `
Environment:
  REDIS_URL and the other variables of Redis, as workerctl and the worker read them.
  STREAMING_API_BASE_URL is --stream-url, if --stream-listen or --key-file is given.
`

// settings are what the flags and the environment say.
type settings struct {
	listen   string
	base     string
	readOnly bool
	access   access.Options
	role     string // of persons that the proxy names, without a role of their own
	key      string // the file of access.Options.Key
	stream   streaming
	version  bool
	redis    queue.Config
}

func newFlags(s *settings) *pflag.FlagSet {
	f := pflag.NewFlagSet("dashboard", pflag.ContinueOnError)
	f.SortFlags = false
	f.Usage = func() {}
	f.StringVar(&s.listen, "listen", "127.0.0.1:9292", "the `ADDRESS` of the pages; without "+
		"users, tokens or a proxy a loopback address")
	f.StringVar(&s.base, "base", "", "the `PATH` below which the pages are, such as /kyu")
	f.BoolVar(&s.readOnly, "read-only", false, "nobody can change anything")
	a := &s.access
	f.StringVar(&a.Users, "users", "", "a `FILE` of lines NAME:ROLE:HASH; the roles are viewer, "+
		"operator, admin")
	f.StringVar(&a.Tokens, "tokens", "", "a `FILE` of lines NAME:ROLE:HASH, for scripts")
	f.StringVar(&a.Proxy.Header, "proxy-header", "", "the header in which a trusted proxy `NAMES` "+
		"the person, such as X-Forwarded-User")
	f.StringVar(&a.Proxy.RoleHeader, "proxy-role-header", "", "the header in which it `NAMES` the "+
		"role")
	f.StringVar(&s.role, "proxy-role", "viewer", "the `ROLE` of persons without that header")
	f.StringSliceVar(&a.Proxy.From, "proxy-from", nil, "the `ADDRESSES` of the proxies, such as "+
		"10.0.0.0/8")
	f.StringSliceVar(&a.Origins, "origin", nil, "the `ORIGINS` of browsers, such as "+
		"https://kyu.example, if a proxy changes the header Host")
	f.StringVar(&s.key, "key-file", "", "a `FILE` with a secret of 32 bytes or more, which "+
		"several dashboards share")
	s.stream.flags(f)
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
	if err := s.readKey(); err != nil {
		problems = append(problems, err)
	} else {
		problems = append(problems, s.stream.read(r, s.access.Key))
	}
	if !s.stream.only {
		problems = append(problems, s.readAccess(), dashboard.CheckBase(s.base))
	}
	return s, errors.Join(append(problems, r.Err())...)
}

// readKey reads the key that several processes share, if there is one.
func (s *settings) readKey() (err error) {
	if s.key != "" {
		s.access.Key, err = access.ReadKey(s.key)
	}
	return err
}

// readAccess completes the options of access, and checks them and their files.
func (s *settings) readAccess() error {
	var problems []error
	s.access.Listen = s.listen
	if dashboard.CheckBase(s.base) == nil { // else the error names it already
		s.access.Base = s.base
	}
	role, err := access.ParseRole(s.role)
	if err != nil {
		problems = append(problems, fmt.Errorf("--proxy-role: %w", err))
	}
	s.access.Proxy.Role = role
	if checkAddress(s.listen) != nil {
		problems = append(problems, fmt.Errorf("--listen %q: want HOST:PORT, such as "+
			"127.0.0.1:9292", s.listen))
	} else if _, err := access.New(s.access); err != nil {
		problems = append(problems, err)
	}
	return errors.Join(problems...)
}
