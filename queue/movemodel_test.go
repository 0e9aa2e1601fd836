package queue_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// The model searches all orders in which things can happen to one job with a lock that moves from
// the shard 0 to the shard 1 or 2: two movers lift, read, land and drop; each may die at any step;
// a land may be carried out long after its sender died; workers of all shards run the job, and it
// fails and comes back. Its steps are those of lua/movelift.lua, moveland.lua and movedrop.lua.

// moveWorld is a state. It is comparable, so a map finds it again.
type moveWorld struct {
	place   [3]int8 // how often the job waits in each shard
	flight  [3]int8 // how often workers of each shard have it
	done    int8
	moving  int8       // the shard to which the entry of kyu:moving goes; 0: there is none
	between bool       // it was taken out, and not written down: only without a safeguard
	marker  [3]bool    // it has come to the shard
	lock    [3]bool    // the shard has its lock
	sent    [3]int8    // lands that are on their way to a shard
	movers  [2]moveRun // the movers
	deaths  int8
	retries int8
	sends   int8
}

// moveRun is a mover: it knows of an entry that goes to a shard, and whether it has landed.
type moveRun struct {
	to     int8
	landed bool
}

// moveDesign are the safeguards that are taken out.
type moveDesign struct {
	name                                      string
	noMarker, markerEnds, twoSteps, anyTarget bool
	dropFirst, lockAtLift, landLockless       bool
}

// next returns the states that a state leads to, by the event.
func (w moveWorld) next(d *moveDesign) map[string]moveWorld {
	all := map[string]moveWorld{}
	for i := range w.movers {
		w.moverSteps(d, i, func(what string, n moveWorld) {
			all[fmt.Sprint("mover ", i, " ", what)] = n
		})
	}
	for s := 1; s <= 2; s++ {
		if w.sent[s] > 0 {
			n := w
			n.sent[s]--
			n.land(d, s)
			all[fmt.Sprint("a land arrives in ", s)] = n
		}
		if d.markerEnds && w.marker[s] {
			n := w
			n.marker[s] = false
			all[fmt.Sprint("the marker in ", s, " ends")] = n
		}
	}
	for s := range w.place {
		if w.place[s] > 0 {
			n := w
			n.place[s], n.flight[s] = n.place[s]-1, n.flight[s]+1
			all[fmt.Sprint("a worker of ", s, " takes it")] = n
		}
		if w.flight[s] > 0 {
			n := w
			n.flight[s], n.done, n.lock[s] = n.flight[s]-1, n.done+1, false
			all[fmt.Sprint("it is done in ", s)] = n
			if n = w; n.retries > 0 {
				n.retries--
				n.flight[s], n.place[s] = n.flight[s]-1, n.place[s]+1
				all[fmt.Sprint("it fails in ", s, " and comes back")] = n
			}
		}
	}
	return all
}

func (w moveWorld) moverSteps(d *moveDesign, i int, add func(string, moveWorld)) {
	m := w.movers[i]
	if m.to != 0 && w.deaths > 0 {
		n := w
		n.deaths--
		n.movers[i] = moveRun{}
		add("dies, or its reply is lost", n)
	}
	for to := int8(1); to <= 2 && m.to == 0; to++ {
		if w.place[0] > 0 && w.moving == 0 {
			n := w
			n.place[0]--
			if d.lockAtLift {
				n.lock[0] = false
			}
			n.movers[i].to = to
			if n.between = d.twoSteps; !d.twoSteps {
				n.moving = to
			}
			add(fmt.Sprint("lifts it to ", to), n)
		}
		if w.moving == to || d.anyTarget && w.moving != 0 {
			n := w
			n.movers[i].to = to
			add(fmt.Sprint("reads it, to ", to), n)
		}
	}
	if m.to == 0 {
		return
	}
	if w.between {
		n := w
		n.between, n.moving = false, m.to
		add("writes it down", n)
		return
	}
	if w.sends > 0 && !m.landed {
		n := w
		n.sends--
		n.sent[m.to]++
		if n.movers[i].landed = true; d.dropFirst {
			n.drop()
			n.movers[i] = moveRun{}
		}
		add("sends a land", n)
	}
	if m.landed && (w.marker[m.to] || d.noMarker || d.markerEnds) && w.sent[m.to] == 0 {
		n := w
		n.drop()
		n.movers[i] = moveRun{}
		add("drops it", n)
	}
}

func (w *moveWorld) land(d *moveDesign, s int) {
	if w.marker[s] && !d.noMarker {
		return
	}
	w.marker[s] = true
	w.place[s]++
	w.lock[s] = w.lock[s] || !d.landLockless
}

func (w *moveWorld) drop() {
	if w.moving != 0 {
		w.moving, w.lock[0] = 0, false
	}
}

// fault returns what is wrong in a state.
func (w *moveWorld) fault() string {
	exists := int8(0)
	for s := range w.place {
		exists += w.place[s] + w.flight[s]
		if w.place[s]+w.flight[s] > 0 && !w.lock[s] {
			return fmt.Sprint("it is in ", s, " without its lock")
		}
	}
	if w.moving != 0 && !w.marker[1] && !w.marker[2] {
		exists++
		if !w.lock[0] {
			return "it is on its way, and its lock is free"
		}
	}
	if w.between && w.movers == [2]moveRun{} || exists+w.done == 0 && !w.between {
		return "it is lost"
	}
	if exists+w.done > 1 {
		return "it is there twice"
	}
	return ""
}

// searchMove visits all states, and returns the events that lead to the first fault.
func searchMove(d *moveDesign) (story string, states int) {
	begin := moveWorld{place: [3]int8{1}, lock: [3]bool{true}, deaths: 2, retries: 1, sends: 3}
	from := map[moveWorld]moveWorld{begin: begin}
	how := map[moveWorld]string{}
	for todo := []moveWorld{begin}; len(todo) > 0; {
		w := todo[0]
		todo = todo[1:]
		if fault := w.fault(); fault != "" {
			lines := []string{fault}
			for ; how[w] != ""; w = from[w] {
				lines = append(lines, how[w])
			}
			slices.Reverse(lines)
			return strings.Join(lines, "\n"), len(from)
		}
		for what, n := range w.next(d) {
			if _, seen := from[n]; !seen {
				from[n], how[n] = w, what
				todo = append(todo, n)
			}
		}
	}
	return "", len(from)
}

func TestMoveModel(t *testing.T) {
	t.Run("finds no fault", func(t *testing.T) {
		story, states := searchMove(&moveDesign{})
		if story != "" {
			t.Fatal(story)
		}
		t.Logf("all %d states", states)
	})
	for d, finds := range map[moveDesign]string{
		{name: "no marker", noMarker: true}:                               "twice",
		{name: "a marker that ends before a late land", markerEnds: true}: "twice",
		{name: "a lift in two steps", twoSteps: true}:                     "lost",
		{name: "another target after a death", anyTarget: true}:           "twice",
		{name: "a drop before the reply of the land", dropFirst: true}:    "lost",
		{name: "a lock that is released by the lift", lockAtLift: true}:   "lock",
		{name: "a land without the lock", landLockless: true}:             "lock",
	} {
		t.Run("finds the fault of "+d.name, func(t *testing.T) {
			if story, states := searchMove(&d); !strings.Contains(story, finds) {
				t.Fatalf("in %d states: %q, want %q", states, story, finds)
			}
		})
	}
}
