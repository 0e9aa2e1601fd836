// Package migrate creates the tables of package jobs in Postgres. Tables and columns have
// Mastodon's names where Mastodon has them, so the jobs' queries also run on a Mastodon
// database. There, only the tables with the prefix kyu_ are created, because Mastodon makes
// the others.
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

	"github.com/jackc/pgx/v5/stdlib"
	"github.com/kyujobs/kyu/database"
	"github.com/kyujobs/kyu/internal/env"
	"github.com/pressly/goose/v3"
	goosedb "github.com/pressly/goose/v3/database"
	"github.com/pressly/goose/v3/lock"
)

//go:embed migrations/*.sql
var files embed.FS

// versions is the table that records which steps have run.
const versions = "kyu_migrations"

// ErrPooler means that the address is a pooler. Migrations need the server itself, because
// they take a lock for the session.
var ErrPooler = errors.New("this is a pooler, and migrations need the server itself: " +
	"set DIRECT_DATABASE_URL to its own address (PgBouncer listens on 6432 by default, " +
	"Postgres on 5432)")

// URL returns the address for migrations: DIRECT_DATABASE_URL, the address of the server
// behind a pooler, else the jobs' own (see database.ConfigFromEnv). It is empty without
// Postgres. Problems go to r.
func URL(r *env.Reader) string {
	if v, source := r.Get("DIRECT_DATABASE_URL"); v != "" {
		r.Note("postgres direct", env.MaskURL(v), source)
		return v
	}
	return database.ConfigFromEnv(r).URL
}

// Migration is a step, and when it was run.
type Migration struct {
	Name    string     `json:"name"`              // the file, such as 0002_kyu.sql
	Applied *time.Time `json:"applied,omitempty"` // nil: not yet
}

// Up runs the steps that have not run yet, each in its own transaction, and returns their
// names. Programs that call it at once wait for each other. The error is database.ErrNone
// for an empty url, and ErrPooler for a pooler.
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

// Status lists all steps in order. Errors are those of Up.
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
	config, err := database.ConnConfig(url)
	if err != nil {
		return err // not reached: FindPooler has read it
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
	// The lock belongs to a session, which a pooler might change: hence ErrPooler.
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

// isMastodon reports whether Mastodon's own migrations have made the tables.
func isMastodon(ctx context.Context, db *sql.DB) (is bool, err error) {
	err = db.QueryRowContext(ctx, "SELECT to_regclass('ar_internal_metadata') IS NOT NULL AND "+
		"to_regclass('accounts') IS NOT NULL").Scan(&is)
	return is, err
}

// foreign lists the steps that make Mastodon's tables.
func foreign(steps fs.FS) []string {
	names, _ := fs.Glob(steps, "*_mastodon.sql") // an error is a wrong pattern
	slices.Sort(names)
	return names
}
