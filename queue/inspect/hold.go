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

// Held is a class of which jobs are held.
type Held struct {
	Class  string    `json:"class"`
	Size   int64     `json:"size"`
	Oldest time.Time `json:"oldest"` // when the first of them was put there
}

// HeldClasses lists the classes of which jobs are held, by name.
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

// Served is what a live worker of ours says of itself beside its record. Ruby's
// processes do not say it.
type Served struct {
	Classes []string // that it has handlers for
	Pool    int      // connections that it may open to Postgres; 0: it does not say
}

// Served gives what every live worker of ours serves, by identity.
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
		pool, _ := strconv.Atoi(text(1)) // absent in what an older version wrote
		served[l.Identity] = Served{strings.Fields(text(0)), pool}
	}
	return served, nil
}
