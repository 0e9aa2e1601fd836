package main

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/kyujobs/kyu/database/migrate"
	"github.com/kyujobs/kyu/test/kit/pgserver"
)

// postgres starts a server for the demo, with the tables, a local account that signs, an
// account that follows it, and three statuses. The URL is empty if Postgres is not
// installed. The demo never writes to another Postgres.
func postgres(ctx context.Context, key *rsa.PrivateKey) (url string, stop func(), err error) {
	server, err := pgserver.Start()
	if errors.Is(err, pgserver.ErrNotInstalled) {
		return "", func() {}, nil
	}
	if err != nil {
		return "", nil, err
	}
	if err := fill(ctx, server.URL, key); err != nil {
		server.Remove()
		return "", nil, err
	}
	return server.URL, server.Remove, nil
}

func fill(ctx context.Context, url string, key *rsa.PrivateKey) error {
	if _, err := migrate.Up(ctx, url); err != nil {
		return err
	}
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	text := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY",
		Bytes: x509.MarshalPKCS1PrivateKey(key)})
	if _, err := conn.Exec(ctx, "INSERT INTO accounts (id, username, private_key) VALUES (1, "+
		"'alice', $1), (2, 'bob', NULL)", string(text)); err != nil {
		return err
	}
	_, err = conn.Exec(ctx, `INSERT INTO users (account_id, current_sign_in_at)
			VALUES (2, now() AT TIME ZONE 'UTC');
		INSERT INTO follows (account_id, target_account_id) VALUES (2, 1);
		INSERT INTO statuses (id, account_id, text)
			VALUES (100, 1, 'Hello'), (101, 1, 'again'), (102, 1, 'and again')`,
		pgx.QueryExecModeSimpleProtocol)
	return err
}

// stored tells how many objects the jobs have put into Postgres.
func stored(ctx context.Context, url string) (string, error) {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return "", err
	}
	defer conn.Close(ctx)
	var objects int
	err = conn.QueryRow(ctx, "SELECT count(*) FROM kyu_resources").Scan(&objects)
	return fmt.Sprintf("%d objects in Postgres", objects), err
}

func newKey() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) }
