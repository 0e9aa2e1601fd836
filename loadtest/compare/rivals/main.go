// Command rivals pushes and runs the jobs of loadtest with Asynq and with River. It is a
// module of its own, so that Kyu does not depend on them.
//
//	rivals asynq|river setup                    create the tables
//	rivals asynq|river fill N BYTES MS GOTIMER  push N jobs as fast as it can; prints jobs/s
//	rivals asynq|river push N GOROUTINES        push N jobs one by one; prints jobs/s
//	rivals asynq|river trickle N PATH           push 200 jobs/s, which write how long they waited
//	rivals river pushtx N GOROUTINES            push N jobs, each in a transaction; prints jobs/s
//	rivals river trickletx N PATH               trickle, each job in a transaction
//	rivals asynq|river ledger N PATH MS         push N jobs that write when they start and end
//	rivals asynq|river work THREADS             run jobs until it is interrupted
//
// The environment names the store: REDIS_URL for Asynq, DATABASE_URL for River.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
)

// rival is a job system.
type rival interface {
	setup(ctx context.Context) error
	push(ctx context.Context, j Job) error
	bulk(ctx context.Context, jobs []Job) error // as fast as it can
	work(ctx context.Context, threads int) error
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "rivals:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) < 2 {
		return errors.New("want a rival and a command")
	}
	open := map[string]func(context.Context) (rival, error){"asynq": newAsynq,
		"river": newRiver}[args[0]]
	if open == nil {
		return fmt.Errorf("%q: want asynq or river", args[0])
	}
	command := commands[args[1]]
	if command.run == nil {
		return fmt.Errorf("%q: want setup, fill, push, trickle, pushtx, trickletx, ledger or "+
			"work", args[1])
	}
	rest := args[2:]
	if len(rest) != command.arguments {
		return fmt.Errorf("%s: want %d arguments, not %d", args[1], command.arguments, len(rest))
	}
	r, err := open(ctx)
	if err != nil {
		return err
	}
	return command.run(ctx, r, rest)
}
