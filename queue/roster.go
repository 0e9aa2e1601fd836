package queue

import "slices"

// roster are the shards of a program, and which of them get new jobs.
type roster struct {
	names  []string // in the order of KYU_SHARDS
	active []bool   // by the same index; the others are draining
}

// turn returns the active shards in the order in which the n-th slice tries them: each slice begins
// at the next one.
func (r *roster) turn(n uint64) (order []int) {
	for i, active := range r.active {
		if active {
			order = append(order, i)
		}
	}
	if len(order) < 2 {
		return order
	}
	first := int(n % uint64(len(order)))
	return append(slices.Clone(order[first:]), order[:first]...)
}

// settle returns the shard in which a job belongs, or -1 if all are draining. former are the
// draining shards in which the job belonged before, when they were active.
func (r *roster) settle(h home) (at int, former []int) {
	if h.shard != "" {
		if named := slices.Index(r.names, h.shard); named >= 0 {
			if r.active[named] {
				return named, nil
			}
			former = []int{named}
		}
	}
	at = -1
	best := uint64(0)
	for i, name := range r.names {
		if weight := rendezvousWeight(name, h.key); r.active[i] && (at < 0 || weight > best) {
			at, best = i, weight
		}
	}
	for i, name := range r.names {
		if !r.active[i] && !slices.Contains(former, i) && rendezvousWeight(name, h.key) > best {
			former = append(former, i)
		}
	}
	return at, former
}

// Home returns the shard in which a key belongs, of all shards, also of those that are draining or
// away: all programs with the same shards agree on it. It is for what must be in one place, such as
// the state of a schedule.
func (s *Shards) Home(key string) Shard {
	r := &roster{names: s.names(), active: slices.Repeat([]bool{true}, len(s.list))}
	at, _ := r.settle(home{key: key})
	return s.list[at]
}
