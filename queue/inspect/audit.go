package inspect

import (
	"context"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
)

// auditKey is the stream of acts, without the namespace.
const auditKey = "kyu:audit"

// auditLength is about how many acts the stream keeps. They take some 20 MB.
const auditLength = 100_000

// Act is something that a person has changed.
type Act struct {
	At      time.Time `json:"at"`      // by Redis's clock; Record sets it
	By      string    `json:"by"`      // the person
	Host    string    `json:"host"`    // from which the person did it
	Command string    `json:"command"` // such as "retries delete"
	What    string    `json:"what"`    // to what, how many, chosen by which filter
}

// Record adds an act to the audit.
func (in *Inspector) Record(ctx context.Context, a Act) error {
	err := in.rdb.XAdd(ctx, &redis.XAddArgs{Stream: in.ks.Key(auditKey), MaxLen: auditLength,
		Approx: true, Values: []any{"by", a.By, "host", a.Host, "command", a.Command, "what",
			a.What}}).Err()
	if err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	return nil
}

// Acts returns the last count acts, the latest first.
func (in *Inspector) Acts(ctx context.Context, count int64) ([]Act, error) {
	entries, err := in.rdb.XRevRangeN(ctx, in.ks.Key(auditKey), "+", "-", count).Result()
	if err != nil {
		return nil, fmt.Errorf("audit: %w", err)
	}
	list := make([]Act, len(entries))
	for i, e := range entries {
		var ms int64
		fmt.Sscanf(e.ID, "%d-", &ms) // an ID begins with milliseconds since 1970
		text := func(key string) string { s, _ := e.Values[key].(string); return s }
		list[i] = Act{At: time.UnixMilli(ms), By: text("by"), Host: text("host"),
			Command: text("command"), What: text("what")}
	}
	return list, nil
}
