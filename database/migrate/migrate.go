// Package migrate creates the tables of package jobs in Postgres. Table and column
// names are Mastodon's where it has them, so that the same queries run on its
// database, which has its own migrations: there nothing but the tables with the
// prefix kyu_ is created.
package migrate

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/kyujobs/kyu/database"
	"github.com/kyujobs/kyu/internal/env"
	"github.com/pressly/goose/v3"
	goosedb "github.com/pressly/goose/v3/database"
	"github.com/pressly/goose/v3/lock"
)

//go:embed migrations/*.sql
var files embed.FS

// versions is the table that says which migrations have run.
const versions = "kyu_migrations"

// ErrPooler says that migrations were about to run through a pooler.
var ErrPooler = errors.New("this is a pooler, and migrations need the server itself: " +
	"set DIRECT_DATABASE_URL to its own address (PgBouncer listens on 6432 by default, " +
	"Postgres on 5432)")

// URL is the address for migrations: DIRECT_DATABASE_URL, which goes past a
// pooler, else the jobs' own.
func URL(r *env.Reader) string {
	if v, source := r.Get("DIRECT_DATABASE_URL"); v != "" {
		r.Note("postgres direct", env.MaskURL(v), source)
		return v
	}
	return database.ConfigFromEnv(r).URL
}

// Migration is a step and whether it has run.
type Migration struct {
	Name    string     `json:"name"`
	Applied *time.Time `json:"applied,omitempty"` // nil: not yet
}

// Up runs what has not run yet, each step in a transaction of its own, and returns
// the names. Programs that do so at once wait for each other.
func Up(ctx context.Context, url string) (names []string, err error) {
	err = with(ctx, url, func(p *goose.Provider) error {
		results, err := p.Up(ctx)
		for _, r := range results {
			names = append(names, r.Source.Path)
		}
		return err
	})
	return names, err
}

// Status lists all steps in order.
func Status(ctx context.Context, url string) (list []Migration, err error) {
	err = with(ctx, url, func(p *goose.Provider) error {
		all, err := p.Status(ctx)
		for _, s := range all {
			m := Migration{Name: s.Source.Path}
			if s.State == goose.StateApplied {
				m.Applied = &s.AppliedAt
			}
			list = append(list, m)
		}
		return err
	})
	return list, err
}

func with(ctx context.Context, url string, fn func(*goose.Provider) error) error {
	if url == "" {
		return database.ErrNone
	}
	pooler, err := database.FindPooler(ctx, url)
	if err != nil {
		return err
	}
	if pooler != database.Direct {
		return fmt.Errorf("%w: %s", ErrPooler, env.MaskURL(url))
	}
	config, err := pgx.ParseConfig(url)
	if err != nil {
		return err // FindPooler has read it
	}
	db := stdlib.OpenDB(*config)
	defer db.Close()
	p, err := provider(ctx, db)
	if err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	return fn(p)
}

func provider(ctx context.Context, db *sql.DB) (*goose.Provider, error) {
	// A session's lock: right here alone, on the server's own address.
	locker, err := lock.NewPostgresSessionLocker()
	if err != nil {
		return nil, err
	}
	store, err := goosedb.NewStore(goosedb.DialectPostgres, versions)
	if err != nil {
		return nil, err
	}
	steps, err := fs.Sub(files, "migrations")
	if err != nil {
		return nil, err
	}
	options := []goose.ProviderOption{goose.WithStore(store), goose.WithSessionLocker(locker)}
	mastodon, err := isMastodon(ctx, db)
	if err != nil {
		return nil, err
	}
	if mastodon {
		options = append(options, goose.WithExcludeNames(foreign(steps)))
	}
	return goose.NewProvider("", db, steps, options...)
}

// isMastodon reports whether the tables are made by Rails.
func isMastodon(ctx context.Context, db *sql.DB) (is bool, err error) {
	err = db.QueryRowContext(ctx, "SELECT to_regclass('ar_internal_metadata') IS NOT NULL AND "+
		"to_regclass('accounts') IS NOT NULL").Scan(&is)
	return is, err
}

// foreign are the steps that make Mastodon's tables.
func foreign(steps fs.FS) []string {
	names, _ := fs.Glob(steps, "*_mastodon.sql") // the pattern is right
	slices.Sort(names)
	return names
}
