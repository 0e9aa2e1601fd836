package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/kyujobs/kyu/dashboard"
	"github.com/kyujobs/kyu/dashboard/access"
	"github.com/kyujobs/kyu/internal/doctor"
	"github.com/kyujobs/kyu/internal/env"
	"github.com/kyujobs/kyu/queue"
	"github.com/spf13/pflag"
)

const usage = `The dashboard shows the queues, jobs and processes in a browser, and changes them.

Usage:
  dashboard [--listen ADDRESS] [--base PATH] [--read-only]
            [--users FILE] [--tokens FILE] [--proxy-header NAME --proxy-from ADDRESSES]
            [--oidc-issuer ADDRESS --oidc-client-id NAME --oidc-url ORIGIN …]
            [--stream-listen ADDRESS] [--stream-url URL]
            [--database-url URL]
  dashboard --stream-only --stream-listen ADDRESS --key-file FILE
  dashboard adduser NAME [--role ROLE] [--users FILE]
  dashboard addtoken NAME [--role ROLE] [--tokens FILE]

Without users, tokens and a proxy or provider that names persons, only this machine may use it, as
an admin.

Flags:
`

const environment = `
Environment:
  REDIS_URL and the other variables of Redis, or KYU_SHARDS, as workerctl and the worker read them.
  STREAMING_API_BASE_URL is --stream-url, if --stream-listen or --key-file is given.
  DATABASE_URL, DIRECT_DATABASE_URL, REPLICA_DATABASE_URL and the other variables of Postgres, for
  the page of Postgres; WEB_CONCURRENCY, MAX_THREADS, STREAMING_CLUSTER_NUM and DB_POOL are the
  processes that it counts beside the workers.
`

// settings are what the flags and the environment say.
type settings struct {
	listen   string
	base     string
	readOnly bool
	redact   []string // names of keys whose values are hidden
	access   access.Options
	oidc     oidc
	role     string // of persons that the proxy names, without a role of their own
	key      string // the file of access.Options.Key
	stream   streaming
	version  bool
	man      bool
	shards   []queue.ShardConfig
	shown    []dashboard.Setting
	jobs     *queue.Config   // the Redis of package jobs; nil: only the queues' cluster is known
	database string          // the address of --database-url
	servers  doctor.Settings // of Postgres and of the cache
}

func newFlags(s *settings) *pflag.FlagSet {
	f := pflag.NewFlagSet("dashboard", pflag.ContinueOnError)
	f.SortFlags = false
	f.Usage = func() {}
	f.StringVar(&s.listen, "listen", "127.0.0.1:9292", "the `ADDRESS` of the pages; without "+
		"users, tokens or a proxy a loopback address")
	f.StringVar(&s.base, "base", "", "the `PATH` below which the pages are, such as /kyu")
	f.BoolVar(&s.readOnly, "read-only", false, "nobody can change anything")
	f.StringSliceVar(&s.redact, "redact", dashboard.DefaultRedact, "the `NAMES` of keys whose "+
		"values in jobs only an admin may see; empty: none")
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
	s.oidc.flags(f)
	f.StringSliceVar(&a.Origins, "origin", nil, "the `ORIGINS` of browsers, such as "+
		"https://kyu.example, if a proxy changes the header Host")
	f.StringVar(&s.key, "key-file", "", "a `FILE` with a secret of 32 bytes or more, which "+
		"several dashboards share")
	s.stream.flags(f)
	f.StringVar(&s.database, "database-url", "", "the `URL` of Postgres, for its page (default: "+
		"DATABASE_URL)")
	f.BoolVar(&s.version, "version", false, "print the version and exit")
	f.BoolVar(&s.man, "man", false, "print the man page and exit")
	return f
}

// readSettings reads the flags and the environment. The error has all problems, one in each line.
func readSettings(args []string, r *env.Reader) (*settings, error) {
	s := &settings{}
	f := newFlags(s)
	if err := f.Parse(args); err != nil {
		return nil, err
	}
	if s.version || s.man {
		return s, nil
	}
	s.readCredentials(r.Lookup)
	var problems []error
	if f.NArg() > 0 {
		problems = append(problems, fmt.Errorf("%q: want only flags", strings.Join(f.Args(), " ")))
	}
	s.shards, s.jobs = queue.ShardsFromEnv(r), queue.CacheFromEnv(r, "app redis", "")
	if s.database != "" {
		variable := r.Lookup
		r.Lookup = func(key string) (string, bool) {
			if key == "DATABASE_URL" {
				return s.database, true
			}
			return variable(key)
		}
	}
	s.servers = doctor.SettingsFromEnv(r)
	if err := s.readKey(); err != nil {
		problems = append(problems, err)
	} else {
		problems = append(problems, s.stream.read(r, s.access.Key))
	}
	if !s.stream.only {
		problems = append(problems, s.readAccess(), dashboard.CheckBase(s.base),
			dashboard.CheckRedact(s.redact))
	}
	for _, x := range r.Settings {
		s.shown = append(s.shown, dashboard.Setting(x))
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
	s.access.OIDC, err = s.oidc.read()
	problems = append(problems, err)
	if checkAddress(s.listen) != nil {
		problems = append(problems, fmt.Errorf("--listen %q: want HOST:PORT, such as "+
			"127.0.0.1:9292", s.listen))
	} else if _, err := access.New(s.access); err != nil {
		problems = append(problems, err)
	}
	return errors.Join(problems...)
}
