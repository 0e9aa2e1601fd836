package inspect

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kyujobs/kyu/queue/envelope"
)

// Held is a class that has held jobs: workers without a handler for the class put them aside.
type Held struct {
	Class  string    `json:"class"`
	Size   int64     `json:"size"`   // how many jobs are held
	Oldest time.Time `json:"oldest"` // since when the first of them is held
}

// HeldClasses returns the classes that have held jobs, by name.
func (in *Inspector) HeldClasses(ctx context.Context) ([]Held, error) {
	classes, err := in.rdb.SMembers(ctx, in.ks.Held()).Result()
	if err != nil {
		return nil, fmt.Errorf("held: %w", err)
	}
	slices.Sort(classes)
	var list []Held
	for _, class := range classes {
		pipe := in.rdb.Pipeline()
		size, oldest := pipe.ZCard(ctx, in.ks.Hold(class)),
			pipe.ZRangeWithScores(ctx, in.ks.Hold(class), 0, 0)
		if _, err := pipe.Exec(ctx); err != nil {
			return nil, fmt.Errorf("held: %w", err)
		}
		if size.Val() > 0 && len(oldest.Val()) > 0 {
			list = append(list, Held{class, size.Val(), envelope.FromUnix(oldest.Val()[0].Score)})
		}
	}
	return list, nil
}

// Served describes a live worker of Kyu. Ruby's processes do not publish it.
type Served struct {
	Classes []string // the classes for which it has handlers
	Pool    int      // how many connections it may open to Postgres; 0 if not known
}

// Served returns the live workers of Kyu, by identity.
func (in *Inspector) Served(ctx context.Context) (map[string]Served, error) {
	leases, err := in.store.Leases(ctx)
	if err != nil {
		return nil, err
	}
	served := map[string]Served{}
	for _, l := range leases {
		if l.Ended || l.Fenced {
			continue
		}
		fields, err := in.rdb.HMGet(ctx, in.ks.Owner(l.Identity), "classes", "pool").Result()
		if err != nil {
			return nil, fmt.Errorf("owner %s: %w", l.Identity, err)
		}
		text := func(i int) string { s, _ := fields[i].(string); return s }
		pool, _ := strconv.Atoi(text(1)) // absent in the record of an older version
		served[l.Identity] = Served{strings.Fields(text(0)), pool}
	}
	return served, nil
}
