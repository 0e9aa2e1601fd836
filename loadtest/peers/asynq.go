package main

import (
	"context"
	"encoding/json"
	"os"

	"github.com/hibiken/asynq"
)

// asynqPeer is Asynq on Redis.
type asynqPeer struct {
	opt    asynq.RedisConnOpt
	client *asynq.Client
}

func newAsynq(context.Context) (peer, error) {
	opt, err := asynq.ParseRedisURI(os.Getenv("REDIS_URL"))
	if err != nil {
		return nil, err
	}
	return &asynqPeer{opt, asynq.NewClient(opt)}, nil
}

func (p *asynqPeer) setup(context.Context) error { return nil }

func (p *asynqPeer) push(ctx context.Context, j Job) error {
	b, err := json.Marshal(j)
	if err != nil {
		return err
	}
	_, err = p.client.EnqueueContext(ctx, asynq.NewTask("test", b))
	return err
}

// bulk: Asynq has no bulk push.
func (p *asynqPeer) bulk(ctx context.Context, jobs []Job) error {
	return spread(len(jobs), 16, func(i int) error { return p.push(ctx, jobs[i]) })
}

func (p *asynqPeer) work(ctx context.Context, threads int) error {
	server := asynq.NewServer(p.opt, asynq.Config{Concurrency: threads, LogLevel: asynq.FatalLevel})
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
