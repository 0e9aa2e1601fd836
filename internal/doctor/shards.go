package doctor

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/envelope"
	"github.com/kyujobs/kyu/queue/inspect"
)

const (
	// moveWithin is how long an entry of kyu:moving may stay: a mover needs less than a second.
	moveWithin = 2 * time.Second
	// learnWithin is how long clients may push to a shard after it has become draining. They read
	// the states every 5 s.
	learnWithin = 10 * time.Second
)

// Shards looks at the Redis, queues, processes, schedules and lanes of each shard, and at what the
// shards are together. A shard that does not answer is wrong.
func (e *Examination) Shards(ctx context.Context, f *inspect.Fleet) {
	if !f.Several() {
		m := f.Members()[0]
		e.Store, e.Inspector = m.Store, m.Inspector
		e.shard(ctx)
		return
	}
	here, away := f.Here(ctx)
	for _, a := range away {
		e.bad(Wrong, "shards", "look at its Redis: its jobs wait until it answers, and clients "+
			"push "+
			"elsewhere", "%v", a)
	}
	if len(here) == 0 {
		return
	}
	processes, _, err := f.Processes(ctx)
	if err != nil {
		e.bad(Wrong, "processes", "", "they cannot be read: %v", err)
	}
	for _, m := range here {
		one := Examination{Settings: e.Settings, Store: m.Store, Inspector: m.Inspector,
			pooled: firstRecords(processes, m.Name)}
		one.shard(ctx)
		for _, found := range one.Findings {
			found.Text = "shard " + m.Name + ": " + found.Text
			e.Findings = append(e.Findings, found)
		}
		e.Pools = append(e.Pools, one.Pools...)
	}
	e.lists(here, processes)
	e.servers(ctx, here)
	e.states(ctx, f, here)
	e.moving(ctx, here)
}

// shard looks at one Redis.
func (e *Examination) shard(ctx context.Context) {
	e.Redis(ctx)
	e.Fleet(ctx)
	e.Cron(ctx)
	e.Lanes(ctx)
}

// firstRecords are the identities of the processes of which a shard has the first record. Their
// pools count once, and not in each shard.
func firstRecords(processes []inspect.FleetProcess, shard string) map[string]bool {
	first := map[string]bool{}
	for _, p := range processes {
		if len(p.Records) > 0 && p.Records[0].Shard == shard {
			first[p.Records[0].Identity] = true
		}
	}
	return first
}

// lists looks for workers that have another list of shards.
func (e *Examination) lists(here []*inspect.Member, processes []inspect.FleetProcess) {
	serving := map[string]int{}
	for _, p := range processes {
		for _, r := range p.Records {
			serving[r.Shard]++
		}
	}
	some := false
	for _, p := range processes {
		for _, name := range p.Missing {
			some = true
			by := fmt.Sprintf("by %d others only", serving[name])
			if serving[name] == 0 {
				by = "by nobody"
			}
			e.bad(Wrong, "shards", "give it the same KYU_SHARDS, and restart it",
				"%s serves %s, and "+
					"not %s: it has another list of shards. The jobs of the shard %s are served %s",
				p.Identity, shardsOf(p), name, name, by)
		}
	}
	for _, m := range here {
		if serving[m.Name] == 0 && len(processes) > 0 && !some {
			e.bad(Wrong, "shards", "start a worker whose KYU_SHARDS has it",
				"no process serves the "+
					"shard %s", m.Name)
		}
	}
	if !some && len(processes) > 0 {
		e.good("shards", "all workers have the same list of shards")
	}
}

func shardsOf(p inspect.FleetProcess) string {
	var names []string
	for _, r := range p.Records {
		names = append(names, r.Shard)
	}
	return strings.Join(names, ", ")
}

// servers looks for shards that are on one server.
func (e *Examination) servers(ctx context.Context, here []*inspect.Member) {
	on := map[string][]string{} // names of shards by the run id of their server
	for _, m := range here {
		if info, err := m.Store.DB().Info(ctx); err == nil && info.RunID != "" {
			on[info.RunID] = append(on[info.RunID], m.Name)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(on)) {
		if names := on[id]; len(names) > 1 {
			e.bad(Warning, "shards", "give each a server of its own", "the shards %s are on one "+
				"Redis "+
				"server: one failure takes all of them, and they share its one thread",
				strings.Join(names, " and "))
		}
	}
}

// states compares what the shards have written about their states.
func (e *Examination) states(ctx context.Context, f *inspect.Fleet, here []*inspect.Member) {
	written := map[string]queue.ShardStates{}
	newest := queue.ShardStates{}
	for _, m := range here {
		states, err := m.Store.ShardStates(ctx)
		if err != nil {
			e.bad(Warning, "shards", "allow the user to read Kyu's keys (docs/redis.md)",
				"the states "+
					"in the shard %s cannot be read: %v", m.Name, err)
			return
		}
		if written[m.Name] = states; states.Epoch > newest.Epoch {
			newest = states
		}
	}
	agree := true
	for _, m := range here {
		states := written[m.Name]
		if states.Epoch != newest.Epoch || !maps.Equal(states.States, newest.States) {
			agree = false
			e.bad(Warning, "shards", "workerctl shards says the newest again, when all shards "+
				"answer",
				"the shard %s has the states of epoch %d, and others those of epoch %d: a "+
					"program that "+
					"reaches only this shard believes old states", m.Name, states.Epoch,
				newest.Epoch)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(newest.States)) {
		if _, err := f.Member(name); err != nil {
			e.bad(Warning, "shards", "add it to KYU_SHARDS, or workerctl shards remove "+name,
				"the shards know of a shard %s, which KYU_SHARDS does not have here", name)
		}
	}
	if agree {
		e.good("shards", "the records of their states agree")
	}
	for _, m := range here {
		if newest.Of(m.Name) == queue.ShardDraining {
			e.draining(ctx, m)
		}
	}
}

// draining looks for clients that push to a draining shard: the newest job of a queue was created a
// moment ago.
func (e *Examination) draining(ctx context.Context, m *inspect.Member) {
	now, err := m.Now(ctx)
	if err != nil {
		return
	}
	queues, err := m.Queues(ctx)
	if err != nil {
		return
	}
	for _, q := range queues {
		if q.Listed() == 0 {
			continue
		}
		page, err := m.QueuePage(ctx, q.Name, q.Listed()-1, 1)
		if err != nil || len(page) == 0 {
			continue
		}
		j, err := envelope.ParseJob(page[0])
		if err != nil || now.Sub(j.Time("created_at")) > learnWithin {
			continue
		}
		e.bad(Warning, "shards", "look for clients with an old list of shards, or a fixed shard; "+
			"clients learn of a drain within 10 s", "shard %s: it is draining, and a client "+
			"still pushes "+
			"to it: the job %s of the queue %s was created %v ago", m.Name, j.JID, q.Name,
			now.Sub(j.Time("created_at")).Round(100*time.Millisecond))
	}
}

// moving looks for jobs that are on their way to another shard, and do not arrive.
func (e *Examination) moving(ctx context.Context, here []*inspect.Member) {
	before := map[string][]string{}
	for _, m := range here {
		if ids := movingIn(ctx, m); len(ids) > 0 {
			before[m.Name] = ids
		}
	}
	if len(before) == 0 {
		return
	}
	select {
	case <-time.After(moveWithin):
	case <-ctx.Done():
		return
	}
	for _, m := range here {
		stay := 0
		now := movingIn(ctx, m)
		for _, id := range before[m.Name] {
			if slices.Contains(now, id) {
				stay++
			}
		}
		if stay > 0 {
			e.bad(Warning, "shards", "workerctl shards drain "+m.Name+" goes on with it",
				"shard %s: %d "+
					"jobs are on their way to another shard, and do not arrive: their mover has "+
					"stopped",
				m.Name, stay)
		}
	}
}

// movingIn are the first entries of kyu:moving in a shard, without those of other types.
func movingIn(ctx context.Context, m *inspect.Member) (ids []string) {
	entries, _, err := m.Store.DB().Shared.HScan(ctx, m.Store.Keys().Key("kyu:moving"), 0, "",
		100).Result()
	if err != nil {
		return nil
	}
	for i := 0; i < len(entries); i += 2 { // each id is followed by its value
		ids = append(ids, entries[i])
	}
	return ids
}
