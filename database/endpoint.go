package database

import (
	"crypto/tls"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/kyujobs/kyu/internal/env"
)

// endpoint is a Postgres server as a URL or a DSN names it, with the settings of Rails that stand
// in it.
type endpoint struct {
	config   *pgxpool.Config
	pool     int           // Rails' pool; 0: not named
	prepared Prepared      // Rails' prepared_statements
	wait     time.Duration // Rails' checkout_timeout; 0: not named
}

// ConnConfig returns pgx's configuration for a URL (postgres://user:password@host:port/database) or
// a DSN (host=… dbname=…). It takes the parameters of libpq and of Rails: those that mean something
// here are used, those that cannot are dropped, and a parameter with a meaning that cannot be kept
// is an error. All others are settings of the server, which names one that it does not know.
func ConnConfig(url string) (*pgx.ConnConfig, error) {
	a, err := parseEndpoint(url)
	if err != nil {
		return nil, err
	}
	return a.config.ConnConfig, nil
}

func parseEndpoint(url string) (*endpoint, error) {
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, fmt.Errorf("the Postgres address %s is not understood: want "+
			"postgres://user:password@host:port/database; check DATABASE_URL or DB_*%s",
			env.MaskURL(url), reason(err))
	}
	a := &endpoint{config: config}
	if err := a.takeParams(); err != nil {
		return nil, fmt.Errorf("the Postgres address %s: %w", env.MaskURL(url), err)
	}
	return a, nil
}

// reason returns the part of a parse error that has no password in it, or "".
func reason(err error) string {
	var p *pgconn.ParseConfigError
	if errors.As(err, &p) && p.Unwrap() != nil {
		return ": " + p.Unwrap().Error()
	}
	return ""
}

// dropped are parameters of libpq and Rails that mean nothing here.
var dropped = map[string]bool{
	"adapter": true, "timeout": true, "reaping_frequency": true, "idle_timeout": true,
	"min_messages": true, "statement_limit": true, "advisory_locks": true, "replica": true,
	"insert_returning": true, "database_tasks": true, "migrations_paths": true,
	"schema_dump": true, "application_name": true, // a pooler would set it for each transaction
	"fallback_application_name": true, "sslcompression": true, "gsslib": true,
	"gssdelegation": true, "load_balance_hosts": true,
}

// param reads one parameter into an endpoint.
type param func(a *endpoint, value string) error

// params are the parameters of libpq and Rails that pgx does not know, and that are used.
var params = map[string]param{
	"pool": func(a *endpoint, v string) (err error) {
		a.pool, err = number(v, 1, 10_000)
		return err
	},
	"prepared_statements": func(a *endpoint, v string) error {
		switch v {
		case "true", "1", "on", "yes", "t":
			a.prepared = PreparedOn
		case "false", "0", "off", "no", "f":
			a.prepared = PreparedOff
		default:
			return errors.New("want true or false")
		}
		return nil
	},
	"checkout_timeout": func(a *endpoint, v string) error {
		s, err := strconv.ParseFloat(v, 64)
		if err != nil || !(s > 0 && s <= 600) {
			return errors.New("want seconds, more than 0 and at most 600")
		}
		a.wait = time.Duration(s * float64(time.Second))
		return nil
	},
	"encoding": func(_ *endpoint, v string) error {
		if !slices.Contains([]string{"", "utf8", "utf-8", "unicode"}, strings.ToLower(v)) {
			return errors.New("the jobs read and write UTF-8: want utf8 or unicode")
		}
		return nil
	},
	"schema_search_path": func(a *endpoint, v string) error {
		a.config.ConnConfig.RuntimeParams["search_path"] = v
		return nil
	},
	"gssencmode": func(_ *endpoint, v string) error {
		if v == "require" {
			return errors.New("encryption by GSSAPI is not there: use sslmode")
		}
		return nil
	},
	"sslcrl":    func(*endpoint, string) error { return errRevocation },
	"sslcrldir": func(*endpoint, string) error { return errRevocation },
	"ssl_min_protocol_version": func(a *endpoint, v string) error {
		return a.eachTLS(v, func(c *tls.Config, version uint16) { c.MinVersion = version })
	},
	"ssl_max_protocol_version": func(a *endpoint, v string) error {
		return a.eachTLS(v, func(c *tls.Config, version uint16) { c.MaxVersion = version })
	},
}

var errRevocation = errors.New("lists of revoked certificates are not read: leave it out, and " +
	"revoke at the authority")

// takeParams moves the parameters that pgx does not know from the settings of the server to where
// they belong.
func (a *endpoint) takeParams() error {
	given := a.config.ConnConfig.RuntimeParams
	var problems []error
	for _, key := range slices.Sorted(maps.Keys(given)) {
		value := given[key]
		read := params[key]
		switch {
		case dropped[key]:
			delete(given, key)
		case read != nil:
			delete(given, key)
			if err := read(a, value); err != nil {
				problems = append(problems, fmt.Errorf("%s=%s: %w", key, value, err))
			}
		}
	}
	problems = append(problems, a.takeDialing()...)
	return errors.Join(problems...)
}

// eachTLS calls fn with every TLS configuration of the endpoint.
func (a *endpoint) eachTLS(version string, fn func(*tls.Config, uint16)) error {
	v, ok := map[string]uint16{"TLSv1.2": tls.VersionTLS12, "TLSv1.3": tls.VersionTLS13}[version]
	if !ok {
		return errors.New("want TLSv1.2 or TLSv1.3")
	}
	x := a.config.ConnConfig
	for _, c := range append([]*pgconn.FallbackConfig{{TLSConfig: x.TLSConfig}}, x.Fallbacks...) {
		if c.TLSConfig != nil {
			fn(c.TLSConfig, v)
		}
	}
	return nil
}

func number(text string, low, high int) (int, error) {
	n, err := strconv.Atoi(text)
	if err != nil || n < low || n > high {
		return 0, fmt.Errorf("want a whole number from %d to %d", low, high)
	}
	return n, nil
}
