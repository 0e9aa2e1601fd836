package main

import (
	"context"
	"log/slog"
	"os"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"
)

// riverRival is River on Postgres.
type riverRival struct {
	pool   *pgxpool.Pool
	insert *river.Client[pgx.Tx]
}

func newRiver(ctx context.Context) (rival, error) {
	config, err := pgxpool.ParseConfig(os.Getenv("DATABASE_URL"))
	if err != nil {
		return nil, err
	}
	config.MaxConns = 32
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, err
	}
	insert, err := river.NewClient(riverpgxv5.New(pool),
		&river.Config{Logger: slog.New(slog.DiscardHandler)})
	return &riverRival{pool, insert}, err
}

func (r *riverRival) setup(ctx context.Context) error {
	m, err := rivermigrate.New(riverpgxv5.New(r.pool),
		&rivermigrate.Config{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	_, err = m.Migrate(ctx, rivermigrate.DirectionUp, nil)
	return err
}

// riverArgs are the arguments of a job in the type that River requires.
type riverArgs struct{ Job }

// Kind names the worker.
func (riverArgs) Kind() string { return "test" }

func (r *riverRival) push(ctx context.Context, j Job) error {
	_, err := r.insert.Insert(ctx, riverArgs{j}, nil)
	return err
}

// pushTx pushes beside a row of the table compare_orders, which loadtest/compare makes.
func (r *riverRival) pushTx(ctx context.Context, j Job) error {
	return pgx.BeginFunc(ctx, r.pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "INSERT INTO compare_orders (item) VALUES ($1)",
			j.N); err != nil {
			return err
		}
		if j.Kind == "stamp" {
			j.Pushed = time.Now().UnixMicro()
		}
		_, err := r.insert.InsertTx(ctx, tx, riverArgs{j}, nil)
		return err
	})
}

func (r *riverRival) bulk(ctx context.Context, jobs []Job) error {
	const batch = 10_000
	for start := 0; start < len(jobs); start += batch {
		params := make([]river.InsertManyParams, 0, batch)
		for _, j := range jobs[start:min(start+batch, len(jobs))] {
			params = append(params, river.InsertManyParams{Args: riverArgs{j}})
		}
		if _, err := r.insert.InsertManyFast(ctx, params); err != nil {
			return err
		}
	}
	return nil
}

type riverWorker struct {
	river.WorkerDefaults[riverArgs]
}

// Work does the job.
func (riverWorker) Work(ctx context.Context, j *river.Job[riverArgs]) error {
	return j.Args.Run(ctx)
}

func (r *riverRival) work(ctx context.Context, threads int) error {
	workers := river.NewWorkers()
	river.AddWorker(workers, riverWorker{})
	client, err := river.NewClient(riverpgxv5.New(r.pool),
		&river.Config{Logger: slog.New(slog.DiscardHandler), Workers: workers,
			// as River's own benchmark; by default it fetches ten times a second
			FetchCooldown: 2 * time.Millisecond, FetchPollInterval: 20 * time.Millisecond,
			Queues: map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: threads}}})
	if err != nil {
		return err
	}
	if err := client.Start(ctx); err != nil {
		return err
	}
	<-ctx.Done()
	return client.StopAndCancel(context.Background())
}
