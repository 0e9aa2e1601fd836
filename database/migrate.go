package database

import (
	"context"
	"embed"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/kyujobs/kyu/internal/env"
)

//go:embed migrations/*.sql
var migrations embed.FS

// DirectURL is the address for migrations: DIRECT_DATABASE_URL, which goes past
// a pooler, else the jobs' own.
func DirectURL(r *env.Reader) string {
	if v, source := r.Get("DIRECT_DATABASE_URL"); v != "" {
		r.Note("postgres direct", env.MaskURL(v), source)
		return v
	}
	return addressFromEnv(r)
}

// Migrate creates what the jobs need, each file in a transaction of its own, and
// returns the names of the files. Every file can be run again: it changes nothing
// then.
func Migrate(ctx context.Context, url string) ([]string, error) {
	if url == "" {
		return nil, ErrNone
	}
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return nil, explain(err, url)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	entries, err := migrations.ReadDir("migrations")
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	slices.Sort(names)
	for _, name := range names {
		sql, err := migrations.ReadFile("migrations/" + name)
		if err != nil {
			return nil, err
		}
		// Without arguments several statements go at once, as one transaction.
		if _, err := conn.Exec(ctx, string(sql), pgx.QueryExecModeSimpleProtocol); err != nil {
			return nil, fmt.Errorf("migration %s: %w", name, err)
		}
	}
	return names, nil
}
