package main

import (
	"context"
	"encoding/json"
	"os"

	"github.com/hibiken/asynq"
)

// asynqRival is Asynq on Redis.
type asynqRival struct {
	opt    asynq.RedisConnOpt
	client *asynq.Client
}

func newAsynq(context.Context) (rival, error) {
	opt, err := asynq.ParseRedisURI(os.Getenv("REDIS_URL"))
	if err != nil {
		return nil, err
	}
	return &asynqRival{opt, asynq.NewClient(opt)}, nil
}

func (r *asynqRival) setup(context.Context) error { return nil }

func (r *asynqRival) push(ctx context.Context, j Job) error {
	b, err := json.Marshal(j)
	if err != nil {
		return err
	}
	_, err = r.client.EnqueueContext(ctx, asynq.NewTask("test", b))
	return err
}

// bulk: Asynq has no bulk push.
func (r *asynqRival) bulk(ctx context.Context, jobs []Job) error {
	return spread(len(jobs), 16, func(i int) error { return r.push(ctx, jobs[i]) })
}

func (r *asynqRival) work(ctx context.Context, threads int) error {
	server := asynq.NewServer(r.opt, asynq.Config{Concurrency: threads, LogLevel: asynq.FatalLevel})
	err := server.Start(asynq.HandlerFunc(func(ctx context.Context, t *asynq.Task) error {
		var j Job
		if err := json.Unmarshal(t.Payload(), &j); err != nil {
			return err
		}
		return j.Run(ctx)
	}))
	if err != nil {
		return err
	}
	<-ctx.Done()
	server.Shutdown()
	return nil
}
